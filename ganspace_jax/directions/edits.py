"""Edits: moving latents, or activations, along components in a range of layers.

An edit is written as the paper writes it, E(v3, 0-4)=2.5: component 3, layers 0 to 4 inclusive, 2.5 standard deviations.
"""

import dataclasses
import re
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from ganspace_jax.directions.components import Components
from ganspace_jax.errors import InputError
from ganspace_jax.shapes import Array, Float

_FORM = re.compile(
    r"\s*E\(\s*v(?P<component>\d+)\s*(?:,\s*(?P<layers>all|\d+(?:\s*-\s*\d+)?)\s*)?\)\s*(?:=\s*(?P<sigma>[^\s=]+)\s*)?"
)


@dataclasses.dataclass(frozen=True)
class Edit:
    """component: index from 0. layers: [start, stop) of the latents moved, None for all. sigma: standard deviations."""

    component: int
    layers: tuple[int, int] | None = None
    sigma: float = 2.0

    def __str__(self) -> str:
        """The paper's form, with an inclusive last layer."""
        layers = "all" if self.layers is None else f"{self.layers[0]}-{self.layers[1] - 1}"
        return f"E(v{self.component}, {layers})={self.sigma:g}"


def parse(text: str) -> Edit:
    """E(v3, 0-4)=2.5, E(v3, 2), E(v3) -> Edit; layers inclusive in the text. Raises InputError."""
    match = _FORM.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        sigma = float(match["sigma"] or 2.0)
        if not np.isfinite(sigma):
            raise ValueError
    except ValueError:
        raise InputError(f"--edit={text}: not an edit; write for example E(v3, 0-4)=2.5 or E(v3, all)=-2") from None
    layers = None
    if match["layers"] not in (None, "all"):
        first, _, last = match["layers"].partition("-")
        layers = (int(first), int(last or first) + 1)
    return Edit(int(match["component"]), layers, sigma)


def check(edit: Edit, num_components: int, num_layers: int) -> None:
    """Raises InputError for a component or layers that are not there."""
    if not 0 <= edit.component < num_components:
        raise InputError(
            f"--edit={edit}: there is no component {edit.component}; they go from 0 to {num_components - 1}"
        )
    start, stop = edit.layers or (0, num_layers)
    if not 0 <= start < stop <= num_layers:
        raise InputError(f"--edit={edit}: layers must be within 0-{num_layers - 1}, the first not after the last")


def apply(
    latents: Float[Array, "n layers d"], components: Components, edits: Sequence[Edit], *, centred: bool = False
) -> Float[Array, "n layers d"]:
    """Moves latents: in the layers of each edit, w <- w + sigma * stdev * u, all edits added up.

    Of BigGAN's hierarchical z, which the layers share, the layers of the edit move their pieces. centred: first w <- w -
    <w - mean, u> u, so that the coordinate along u becomes exactly sigma * stdev (the original's "absolute" edits). Raises
    InputError for an edit that does not fit.
    """
    num_layers, width = latents.shape[1:]
    result = latents
    for edit in edits:
        check(edit, len(components), num_layers)
        direction = by_layer(components.latent_components[edit.component], num_layers, width)
        start, stop = edit.layers or (0, num_layers)
        step = edit.sigma * components.latent_stdevs[edit.component] * direction
        if centred:
            away = (latents - by_layer(components.latent_mean, num_layers, width)) * direction
            is_cut = components.latent_components.shape[1] != width
            step = step - jnp.sum(away, axis=(1, 2) if is_cut else 2, keepdims=True) * direction
        layer = jnp.arange(num_layers)[:, None]
        result = result + jnp.where((layer >= start) & (layer < stop), step, 0.0)
    return result


def by_layer(latent: Float[np.ndarray, "l"], num_layers: int, width: int) -> Float[Array, "layers d"]:
    """What each layer gets of a latent: all of it, or where layers are narrower a piece each (BigGAN's hierarchical z)."""
    return jnp.broadcast_to(jnp.reshape(latent, (-1, width)), (num_layers, width))


def activation_offset(
    components: Components, edits: Sequence[Edit], activation: Float[Array, "n *layer"] | None = None
) -> Float[Array, "n *layer"] | Float[Array, "*layer"]:
    """What to add at the components' layer: sum of sigma * stdev * v over the edits; an edit's layers play no part.

    activation: what is there without the edit; given, it is centred first: minus its coordinate along v over all of the
    activation (the original summed over the last axis only, which is wrong for spatial layers).
    """
    total = jnp.zeros(components.activation_mean.shape)
    for edit in edits:
        check(dataclasses.replace(edit, layers=None), len(components), 1)
        direction = jnp.asarray(components.activation_components[edit.component])
        amount = edit.sigma * components.activation_stdevs[edit.component]
        if activation is not None:
            axes = tuple(range(1, activation.ndim))
            coordinate = jnp.sum((activation - components.activation_mean) * direction, axis=axes, keepdims=True)
            amount = amount - coordinate
        total = total + amount * direction
    return total


def strip(
    latents: Float[Array, "layers d"], components: Components, edit: Edit, num_frames: int = 5, *, centred: bool = False
) -> Float[Array, "frames layers d"]:
    """Latents of a strip: one image moved by num_frames even steps from -sigma to +sigma."""
    sigmas = np.linspace(-edit.sigma, edit.sigma, num_frames)
    moved = [
        apply(latents[None], components, [dataclasses.replace(edit, sigma=float(sigma))], centred=centred)[0]
        for sigma in sigmas
    ]
    return jnp.stack(moved)
