"""Edits: they move latents, or activations, along components in a range of layers.

An edit is written as in the paper, E(v3, 0-4)=2.5: component 3, layers 0 to 4
inclusive, 2.5 standard deviations. edit_texts.py lists the forms with names and values.
"""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from ganspace_jax import errors
from ganspace_jax.directions import array_moves, edit_texts, readouts
from ganspace_jax.directions.array_moves import Steps
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.edit_texts import ALL, DEFAULT_SIGMA, Layers, Parts
from ganspace_jax.directions.readouts import by_layer
from ganspace_jax.errors import InputError
from ganspace_jax.shapes import Array, Bool, Float

__all__ = ["ALL", "Edit", "by_layer"]

MAX_SIGMA = 10_000.0  # standard deviations; beyond it float32 images are noise or NaN


@dataclasses.dataclass(frozen=True)
class Edit:
    """A step along one component, or a value that the component sets.

    Attributes:
        component: index of the component, from 0, or name of a named direction.
        layers: [start, stop) of the latents that are moved, ALL for all layers; None
            for the direction's own range, which is all layers unless it is named.
        sigma: length of the step, in standard deviations.
        value: value to set instead of a step, in the scorer's own unit; None: a step.
        share: share of the way to the value, from 0 to 1.
    """

    component: int | str
    layers: Layers | None = None
    sigma: float = DEFAULT_SIGMA
    value: float | None = None
    share: float = 1.0

    @classmethod
    def parse(cls, text: str) -> "Edit":
        """Returns the edit of a text such as E(v3, 0-4)=2.5, E(v3, 2), E(v3),
        light_intensity=2 or horizontal:=0.5, layers inclusive.

        Raises:
            InputError: if the text is not an edit.
        """
        return cls(*edit_texts.parse(text))

    def __str__(self) -> str:
        """Returns the paper's form, with an inclusive last layer, or the name."""
        return edit_texts.write(Parts(self.component, self.layers, self.sigma, self.value))

    @property
    def index(self) -> int:
        """Index of the component. Raises TypeError if the edit has a name and is not
        resolved.
        """
        if isinstance(self.component, str):
            raise TypeError(f"{self}: has no index before it is resolved")
        return self.component

    def scaled(self, share: float) -> "Edit":
        """Returns the edit of a share of the step, or of the way to the value."""
        if self.value is None:
            return dataclasses.replace(self, sigma=self.sigma * share + 0.0)
        return dataclasses.replace(self, share=self.share * share)


def resolve(edit: Edit, components: Components) -> Edit:
    """Returns the edit with the index of its component, and with the direction's own
    range of layers if it has none.

    Raises:
        InputError: if no direction has the name, or if there is no such component.
    """
    index = _index(edit, components) if isinstance(edit.component, str) else edit.index
    if not 0 <= index < len(components):
        raise InputError(f"--edit={edit}: there is no component {index}; they go from 0 to {len(components) - 1}")
    own = components.named[index].layers if components.named else None
    return dataclasses.replace(edit, component=index, layers=own if edit.layers is None else edit.layers)


def _index(edit: Edit, components: Components) -> int:
    names = [one.name for one in components.named]
    if edit.component in names:
        return names.index(edit.component)
    if not names:
        raise InputError(f"--edit={edit}: these components have no names; write for example E(v0)=2")
    hint = errors.nearest(str(edit.component), names)
    raise InputError(f"--edit={edit}: no direction is named {edit.component!r}; {hint}there are {', '.join(names)}")


def check_sigma(sigma: float, flag: str) -> None:
    """Raises InputError if a step is not a number of at most MAX_SIGMA standard
    deviations.
    """
    if not abs(sigma) <= MAX_SIGMA:
        raise InputError(f"{flag}: must be a number of standard deviations, at most {MAX_SIGMA:,.0f}")


def check(edit: Edit, num_components: int, num_layers: int) -> None:
    """Raises InputError if the component or a layer of a resolved edit does not exist,
    or if the step is too large.
    """
    if not 0 <= edit.index < num_components:
        raise InputError(f"--edit={edit}: there is no component {edit.index}; they go from 0 to {num_components - 1}")
    start, stop = layer_range(edit, num_layers)
    if not 0 <= start < stop <= num_layers:
        raise InputError(f"--edit={edit}: layers must be within 0-{num_layers - 1}, the first not after the last")
    check_sigma(edit.sigma, f"--edit={edit}")


def layer_range(edit: Edit, num_layers: int) -> tuple[int, int]:
    """Returns the range [start, stop) of layers of a resolved edit."""
    start, stop = edit.layers or ALL
    return start, num_layers if stop is None else stop


def apply(
    latents: Float[Array, "n layers d"], components: Components, edits: Sequence[Edit], *, centred: bool = False
) -> Float[Array, "n layers d"]:
    """Returns moved latents: in the layers of each edit, w + sigma * stdev * u, all
    edits added up.

    With hierarchical z (BigGAN) each layer owns a chunk of z; an edit moves the chunks
    of its layers. Edits that set values follow the steps, all values together; a value
    out of reach becomes the nearest end of its range (readouts.reach).

    Args:
        latents: per-layer latents.
        components: directions u and standard deviations.
        edits: the edits.
        centred: whether w is first replaced by w - <w - mean, u> u / <u, u>, so that
            its coordinate along u becomes sigma * stdev (the original's "absolute"
            edits). With directions by layer, each layer has its own coordinate. An
            edit that sets a value sets its coordinate anyway.

    Raises:
        InputError: if an edit does not fit, or a mean that is needed is unknown.
    """
    num_layers, width = latents.shape[1:]
    resolved = [resolve(edit, components) for edit in edits]
    for edit in resolved:
        check(edit, len(components), num_layers)
    steps = [edit for edit in resolved if edit.value is None]
    moved = jnp.asarray(latents)
    if steps:
        away = moved - by_layer(_mean(components), num_layers, width) if centred else None
        has_chunks = components.latent_components.ndim == 2 and components.latent_components.shape[1] != width
        rows = _steps(steps, components, num_layers, width)
        moved = array_moves.add(moved, rows, away, (1, 2) if has_chunks else (2,))
    return _with_values(moved, components, [edit for edit in resolved if edit.value is not None])


def _mean(components: Components) -> Float[np.ndarray, "*latent"]:
    """Returns the mean of the latent. Raises InputError if it is unknown."""
    if components.latent_mean is None:
        raise InputError("--centred: these components have no mean; leave the flag out")
    return components.latent_mean


def _steps(chosen: Sequence[Edit], components: Components, num_layers: int, width: int) -> Steps:
    """Returns resolved edits as arrays of steps."""
    return Steps(
        np.stack([_direction(edit, components, num_layers, width) for edit in chosen]),
        np.array([edit.sigma * components.latent_stdevs[edit.index] for edit in chosen], np.float32),
        np.stack([_moves(edit, num_layers) for edit in chosen]),
    )


def _direction(edit: Edit, components: Components, num_layers: int, width: int) -> Float[np.ndarray, "layers d"]:
    """Returns each layer's row of an edit's direction."""
    rows = np.reshape(components.latent_components[edit.index], (-1, width))
    return np.broadcast_to(rows, (num_layers, width))


def _moves(edit: Edit, num_layers: int) -> Bool[np.ndarray, "layers 1"]:
    start, stop = layer_range(edit, num_layers)
    layer = np.arange(num_layers)[:, None]
    return (layer >= start) & (layer < stop)


def unit_step(edit: Edit, components: Components, num_layers: int, width: int) -> Float[np.ndarray, "layers d"]:
    """Returns a step of one standard deviation along a resolved edit, in its layers."""
    direction = _direction(edit, components, num_layers, width)
    return np.where(_moves(edit, num_layers), components.latent_stdevs[edit.index] * direction, 0.0)


def _with_values(
    latents: Float[Array, "n layers d"], components: Components, chosen: Sequence[Edit]
) -> Float[Array, "n layers d"]:
    """Returns latents with the values of resolved edits."""
    if not chosen:
        return latents
    moves = np.stack([unit_step(edit, components, *latents.shape[1:]) for edit in chosen])
    wanted = [(edit.index, edit.value) for edit in chosen if edit.value is not None]
    settings = readouts.settings(components, wanted, moves)
    settings = settings._replace(solution=settings.solution * np.array([edit.share for edit in chosen]))
    mean = by_layer(_mean(components), *latents.shape[1:])
    return array_moves.set_coordinates(latents, mean, settings)


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
    shape = components.activation_components.shape[1:]
    start = jnp.zeros((1, *shape) if activation is None else activation.shape)
    for edit in edits:
        if edit.value is not None:
            raise InputError(
                f"--edit={edit}: sets a value by moving latents; leave --mode=activation out, or give a step"
            )
    chosen = [dataclasses.replace(resolve(edit, components), layers=None) for edit in edits]
    for edit in chosen:
        check(edit, len(components), 1)
    if chosen:
        rows = [edit.index for edit in chosen]
        amounts = [edit.sigma * components.activation_stdevs[edit.index] for edit in chosen]
        whole = np.ones((len(chosen), *(1 for _ in shape)), bool)
        steps = Steps(components.activation_components[rows], np.array(amounts, np.float32), whole)
        away = None if activation is None else activation - _activation_mean(components)
        start = array_moves.add(start, steps, away, tuple(range(1, start.ndim)))
    return start[0] if activation is None else start


def _activation_mean(components: Components) -> Float[np.ndarray, "*layer"]:
    """Returns the mean of the layer. Raises InputError if it is unknown."""
    if components.activation_mean is None:
        raise InputError("--centred: these components have no mean; leave the flag out")
    return components.activation_mean


def strip(
    latents: Float[Array, "layers d"], components: Components, edit: Edit, num_frames: int = 5, *, centred: bool = False
) -> Float[Array, "frames layers d"]:
    """Returns the latents of one image, moved by num_frames even steps from -sigma to
    +sigma. An edit that sets a value moves it from the image's own value.
    """
    frames = [
        apply(latents[None], components, [edit.scaled(share)], centred=centred)[0]
        for share in shares([edit], num_frames)
    ]
    return jnp.stack(frames)


def shares(edits: Sequence[Edit], num_frames: int) -> list[float]:
    """Returns the shares of the steps in a strip: from -1 to 1, or from 0 to 1 if an
    edit sets a value. A single frame has the whole step.
    """
    if num_frames == 1:
        return [1.0]
    first = 0.0 if any(edit.value is not None for edit in edits) else -1.0
    return np.linspace(first, 1.0, num_frames).tolist()
