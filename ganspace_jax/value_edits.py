"""Edits that set values with a scorer: images are read, moved and read again.

A value with a direction is set in a closed loop. A circular value whose direction has
no curve, and a value without a direction, is set along a path of small steps.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ganspace_jax import errors
from ganspace_jax.directions import edits, readouts
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError
from ganspace_jax.files import tables
from ganspace_jax.generators import synthesis
from ganspace_jax.generators.base import Generator
from ganspace_jax.generators.synthesis import Synthesis
from ganspace_jax.measures import local_paths, scorers, value_control
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.run import Run
from ganspace_jax.sampling import labels, latent_prior
from ganspace_jax.shapes import Array, Float

Latents = Float[np.ndarray, "n layers d"]


class SetValues(NamedTuple):
    """What edits that set values do to images.

    Attributes:
        names: names of the values.
        asked: the values that were asked for.
        before: values of the images before; NaN if an image does not show a value.
        reached: values of the images after all edits.
        at: function from a share of the way, from 0 to 1, to the latents there.
    """

    names: tuple[str, ...]
    asked: Float[np.ndarray, "m"]
    before: Float[np.ndarray, "n m"]
    reached: Float[np.ndarray, "n m"]
    at: Callable[[float], Latents]


def has_direction(edit: Edit, components: Components, scorer: Scorer) -> bool:
    """Returns whether a direction of the components sets the value of an edit.

    Raises:
        InputError: if neither components nor scorer have the name.
    """
    names = [one.name for one in components.named]
    if isinstance(edit.component, str) and edit.component not in names:
        if edit.component in scorer.names and edit.component not in scorer.categories:
            return False
        hint = errors.nearest(edit.component, [*names, *scorer.names])
        raise InputError(
            f"--edit={edit}: neither a direction nor a value of --scorer has this name; {hint}".rstrip("; ")
        )
    index = edits.resolve(edit, components).index
    if not names:
        raise InputError(f"--edit={edit}: these components have no names; write for example {scorer.names[-1]}:=0.5")
    column = value_control.column_of(scorer, names[index])
    return scorer.periods[column] is None or readouts.has_curve(components, index)


def apply(
    generator: Generator, scorer: Scorer, components: Components, chosen: Sequence[Edit], latents: Latents,
    settings: Synthesis, run: Run = Run(),
) -> SetValues:  # fmt: skip
    """Sets the values of edits, image by image: first along directions, then along
    paths.

    Args:
        generator: the generator.
        scorer: reader of the images.
        components: components that fit the generator's latents.
        chosen: edits that set values.
        latents: per-layer latents of the images.
        settings: label, truncation and noise of the images.
        run: progress and stopping of the paths.

    Raises:
        InputError: if a value cannot be set.
    """

    def read(some: Any) -> Float[np.ndarray, "n f"]:
        images = np.asarray(synthesis.synthesize(generator, jnp.asarray(some), settings), np.float32)
        synthesis.check_finite(images, "edited images")
        return scorer.read(images)

    along = [edit for edit in chosen if has_direction(edit, components, scorer)]
    paths = [edit for edit in chosen if edit not in along]
    segments: list[Callable[[float], Latents]] = []
    now = np.asarray(latents, np.float32)
    if along:
        loop = value_control.closed_loop(read, scorer, components, along, now)
        segments.append(_straight(now, loop.latents))
        now = loop.latents
    if paths and settings.truncation_psi != 1.0:
        raise InputError(f"--truncation_psi={settings.truncation_psi}: must be 1 for {paths[0]}, which follows a path")
    prior = latent_prior.estimate(generator) if paths else None
    for edit in paths:
        assert prior is not None
        column = value_control.column_of(scorer, _name(edit, components))
        change = scorers.shorter_way(float(edit.value or 0.0) - read(now)[:, column], scorer.periods[column])
        weights = _class_weights(generator, settings, len(now))
        layers = None if edit.layers is None else edits.layer_range(edit, now.shape[1])
        path = local_paths.follow(generator, scorer, prior, column, change, (now, weights), layers=layers, run=run)
        rows = _along(path, change)
        segments.append(rows)
        now = rows(1.0)
    names = [_name(edit, components) for edit in (*along, *paths)]
    columns = [value_control.column_of(scorer, name) for name in names]
    asked = np.array([edit.value for edit in (*along, *paths)], np.float64)
    return SetValues(tuple(names), asked, read(latents)[:, columns], read(now)[:, columns], _joined(segments))


def _name(edit: Edit, components: Components) -> str:
    return edit.component if isinstance(edit.component, str) else components.named[edit.index].name


def _class_weights(generator: Generator, settings: Synthesis, count: int) -> Float[Array, "n classes"] | None:
    if not generator.num_classes or not (settings.label is None or isinstance(settings.label, int)):
        return settings.label  # pyright: ignore[reportReturnType]
    return labels.one_hot(settings.label or 0, generator.num_classes, count)


def _straight(start: Latents, end: Latents) -> Callable[[float], Latents]:
    return lambda share: start + np.float32(share) * (end - start)


def _along(path: local_paths.Path, change: Float[np.ndarray, "n"]) -> Callable[[float], Latents]:
    """Returns the function from a share of the change to the path's nearest latents."""
    image = np.arange(len(change))

    def at(share: float) -> Latents:
        left = np.abs(path.gone - share * np.nan_to_num(change))
        return path.latents[0 if share == 0.0 else np.argmin(left, axis=0), image]

    return at


def _joined(segments: Sequence[Callable[[float], Latents]]) -> Callable[[float], Latents]:
    """Returns one way of several, each with an equal share."""

    def at(share: float) -> Latents:
        number = min(int(share * len(segments)), len(segments) - 1)
        return segments[number](share * len(segments) - number)

    return at


def table(found: SetValues, images: Sequence[str]) -> str:
    """Returns asked and reached values of every image, as a table for a terminal."""
    rows = [
        [image, name, *(f"{value:.4g}" if np.isfinite(value) else "not shown" for value in values)]
        for i, image in enumerate(images)
        for name, *values in zip(found.names, found.before[i], found.asked, found.reached[i], strict=True)
    ]
    return tables.aligned(["image", "value", "before", "asked", "reached"], rows)


def out_of_reach(components: Components, chosen: Sequence[Edit]) -> list[str]:
    """Returns one sentence for each value that read-out and curve cannot reach."""
    lines: list[str] = []
    for edit in (edits.resolve(one, components) for one in chosen if one.value is not None):
        low, high = readouts.reach(components, edit.index)
        assert edit.value is not None
        if not low <= edit.value <= high:
            own = components.named[edit.index]
            unit = f" {own.unit}" if own.unit else ""
            reached = low if edit.value < low else high
            lines.append(
                f"{own.name}:={edit.value:g}: its direction reaches {low:.4g} to {high:.4g}{unit}; {reached:.4g} is set"
            )
    return lines
