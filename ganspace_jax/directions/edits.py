"""Edits: they move latents, or activations, along components in a range of layers.

An edit is written as in the paper, E(v3, 0-4)=2.5: component 3, layers 0 to 4
inclusive, 2.5 standard deviations.
"""

import dataclasses
import re
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from ganspace_jax.directions.components import Components
from ganspace_jax.errors import InputError
from ganspace_jax.shapes import Array, Float

DEFAULT_SIGMA = 2.0
MAX_SIGMA = 10_000.0  # standard deviations; beyond it float32 images are noise or NaN

_FORM = re.compile(
    r"\s*E\(\s*v(?P<component>\d{1,9})\s*(?:,\s*(?P<layers>all|\d{1,9}(?:\s*-\s*\d{1,9})?)\s*)?\)"
    r"\s*(?:=\s*(?P<sigma>[^\s=]+)\s*)?"
)


@dataclasses.dataclass(frozen=True)
class Edit:
    """A step along one component.

    Attributes:
        component: index of the component, from 0.
        layers: [start, stop) of the latents that are moved; None for all layers.
        sigma: length of the step, in standard deviations.
    """

    component: int
    layers: tuple[int, int] | None = None
    sigma: float = DEFAULT_SIGMA

    @classmethod
    def parse(cls, text: str) -> "Edit":
        """Returns the edit of a text such as E(v3, 0-4)=2.5, E(v3, 2) or E(v3), layers
        inclusive.

        Raises:
            InputError: if the text is not an edit.
        """
        match = _FORM.fullmatch(text)
        sigma = _number(match["sigma"] or str(DEFAULT_SIGMA)) if match else None
        if match is None or sigma is None:
            raise InputError(f"--edit={text}: not an edit; write for example E(v3, 0-4)=2.5 or E(v3, all)=-2")
        layers = None
        if match["layers"] not in (None, "all"):
            first, _, last = match["layers"].partition("-")
            layers = (int(first), int(last or first) + 1)
        return cls(int(match["component"]), layers, sigma)

    def __str__(self) -> str:
        """Returns the paper's form, with an inclusive last layer."""
        layers = "all" if self.layers is None else f"{self.layers[0]}-{self.layers[1] - 1}"
        return f"E(v{self.component}, {layers})={self.sigma:g}"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def check_sigma(sigma: float, flag: str) -> None:
    """Raises InputError if a step is not a number of at most MAX_SIGMA standard
    deviations.
    """
    if not abs(sigma) <= MAX_SIGMA:
        raise InputError(f"{flag}: must be a number of standard deviations, at most {MAX_SIGMA:,.0f}")


def check(edit: Edit, num_components: int, num_layers: int) -> None:
    """Raises InputError if the component or a layer does not exist, or if the step is
    too large.
    """
    if not 0 <= edit.component < num_components:
        raise InputError(
            f"--edit={edit}: there is no component {edit.component}; they go from 0 to {num_components - 1}"
        )
    start, stop = edit.layers or (0, num_layers)
    if not 0 <= start < stop <= num_layers:
        raise InputError(f"--edit={edit}: layers must be within 0-{num_layers - 1}, the first not after the last")
    check_sigma(edit.sigma, f"--edit={edit}")


def apply(
    latents: Float[Array, "n layers d"], components: Components, edits: Sequence[Edit], *, centred: bool = False
) -> Float[Array, "n layers d"]:
    """Returns moved latents: in the layers of each edit, w + sigma * stdev * u, all
    edits added up.

    With hierarchical z (BigGAN) each layer owns a chunk of z; an edit moves the chunks
    of its layers.

    Args:
        latents: per-layer latents.
        components: directions u and standard deviations.
        edits: the edits.
        centred: whether w is first replaced by w - <w - mean, u> u / <u, u>, so that
            its coordinate along u becomes sigma * stdev (the original's "absolute"
            edits). With directions by layer, each layer has its own coordinate.

    Raises:
        InputError: if an edit does not fit, or a mean that is needed is unknown.
    """
    num_layers, width = latents.shape[1:]
    moved = latents
    for edit in edits:
        check(edit, len(components), num_layers)
        direction = by_layer(components.latent_components[edit.component], num_layers, width)
        start, stop = edit.layers or (0, num_layers)
        step = edit.sigma * components.latent_stdevs[edit.component] * direction
        if centred:
            if components.latent_mean is None:
                raise InputError("--centred: these components have no mean; leave the flag out")
            away = latents - by_layer(components.latent_mean, num_layers, width)
            has_chunks = components.latent_components.ndim == 2 and components.latent_components.shape[1] != width
            step = step - _coordinate(away, direction, (1, 2) if has_chunks else (2,)) * direction
        layer = jnp.arange(num_layers)[:, None]
        moved = moved + jnp.where((layer >= start) & (layer < stop), step, 0.0)
    return moved


def _coordinate(away: Array, direction: Array, axes: tuple[int, ...]) -> Array:
    """Returns the multiple of the direction in each vector. The direction need not have
    unit length.
    """
    square = jnp.sum(direction[None] ** 2, axis=axes, keepdims=True)
    return jnp.sum(away * direction, axis=axes, keepdims=True) / jnp.where(square > 0, square, 1.0)


def by_layer(latent: Float[np.ndarray, "*l"], num_layers: int, width: int) -> Float[Array, "layers d"]:
    """Returns each layer's row of a latent: its own row, all of a vector, or its chunk
    of one (hierarchical z).
    """
    return jnp.broadcast_to(jnp.reshape(latent, (-1, width)), (num_layers, width))


def activation_offset(
    components: Components, edits: Sequence[Edit], activation: Float[Array, "n *layer"] | None = None
) -> Float[Array, "n *layer"] | Float[Array, "*layer"]:
    """Returns the sum of sigma * stdev * v over the edits, to be added at the
    components' layer.

    The layers of an edit have no effect here.

    Args:
        components: directions v and standard deviations.
        edits: the edits.
        activation: activation without the edit. If it is given, its coordinate along v
            is removed first. The coordinate is over the whole activation; the original
            summed over the last axis only, which is wrong for spatial layers.
    """
    total = jnp.zeros(components.activation_components.shape[1:])
    for edit in edits:
        check(dataclasses.replace(edit, layers=None), len(components), 1)
        direction = jnp.asarray(components.activation_components[edit.component])
        amount = edit.sigma * components.activation_stdevs[edit.component]
        if activation is not None:
            if components.activation_mean is None:
                raise InputError("--centred: these components have no mean; leave the flag out")
            axes = tuple(range(1, activation.ndim))
            amount = amount - _coordinate(activation - components.activation_mean, direction, axes)
        total = total + amount * direction
    return total


def strip(
    latents: Float[Array, "layers d"], components: Components, edit: Edit, num_frames: int = 5, *, centred: bool = False
) -> Float[Array, "frames layers d"]:
    """Returns the latents of one image, moved by num_frames even steps from -sigma to
    +sigma.
    """
    sigmas = np.linspace(-edit.sigma, edit.sigma, num_frames)
    frames = [
        apply(latents[None], components, [dataclasses.replace(edit, sigma=float(sigma))], centred=centred)[0]
        for sigma in sigmas
    ]
    return jnp.stack(frames)
