"""Sets values in a closed loop: read the images, step along the directions, repeat.

A read-out predicts the value of an image from its latent, and misses some. A scorer
reads the value from the image itself, so each round removes most of what is left.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ganspace_jax import errors
from ganspace_jax.directions import edits
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError
from ganspace_jax.files import tables
from ganspace_jax.measures import scorers
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.shapes import Array, Float
from ganspace_jax.statistics import bootstrap

NUM_ROUNDS = 5
LONGEST_STEP = 1.5  # standard deviations of the latent along the direction, in one round
REACH = 1.3  # targets of measure_control, in standard deviations of the value
NUM_TARGETS = 5
_PROBE_STEP = 0.5  # standard deviations; the step that measures the slope of a direction without a curve
_LEAST_SLOPE = 0.02  # standard deviations of the value for a step of one standard deviation
_STEEPER = 4.0  # factor by which a slope may differ from the first one
_LEAST_STEP = 1e-3  # standard deviations; a smaller step shows no slope
_NUM_RESAMPLES = 500

Latents = Float[Array | np.ndarray, "n layers d"]
Reader = Callable[[Latents], Float[np.ndarray, "n f"]]


class Loop(NamedTuple):
    """Result of a closed loop for several values.

    Attributes:
        latents: latents of the round that came nearest, for each image.
        reached: values read in these rounds; NaN if the image does not show the value.
        asked: the values that were asked for.
        rounds: latents at the start and after each round.
        read: values read at the start and after each round.
    """

    latents: Float[np.ndarray, "n layers d"]
    reached: Float[np.ndarray, "n m"]
    asked: Float[np.ndarray, "m"]
    rounds: Float[np.ndarray, "r n layers d"]
    read: Float[np.ndarray, "r n m"]


class Control(NamedTuple):
    """How precisely one value is set, each figure with a 95 % interval over images.

    Attributes:
        r2: 1 - (squared errors) / (squared deviations of the values asked for).
        median_error: median error, in standard deviations of the value.
        others: root mean square change of all other values together, in standard
            deviations.
        flips: share of images in which a category changes; NaN without categories.
        low: lower bounds of the four figures.
        high: upper bounds of the four figures.
    """

    r2: float
    median_error: float
    others: float
    flips: float
    low: Float[np.ndarray, "4"]
    high: Float[np.ndarray, "4"]

    def as_json(self) -> dict[str, Any]:
        """Returns the figures as JSON values."""
        return {name: np.asarray(value).tolist() for name, value in self._asdict().items()}


def column_of(scorer: Scorer, name: str) -> int:
    """Returns the column of a value.

    Raises:
        InputError: if the scorer does not read the value, or if it is a category.
    """
    if name not in scorer.names or name in scorer.categories:
        values = [one for one in scorer.names if one not in scorer.categories]
        raise InputError(
            f"--edit={name}: --scorer reads no value of this name; {errors.nearest(name, values)}it reads "
            f"{', '.join(values)}"
        )
    return scorer.names.index(name)


def closed_loop(
    read: Reader,
    scorer: Scorer,
    components: Components,
    chosen: Sequence[Edit],
    latents: Latents,
    *,
    num_rounds: int = NUM_ROUNDS,
) -> Loop:
    """Returns latents whose images have the values of several edits, image by image.

    Each round steps along each direction by at most 1.5 standard deviations. An image
    that does not show a value stays as it is. Each image keeps its best round.

    Args:
        read: function of per-layer latents that returns the scorer's values of their
            images.
        scorer: names, scales and periods of the values.
        components: components with named directions; their names are those of values.
        chosen: edits that set values.
        latents: per-layer latents.
        num_rounds: number of rounds.

    Raises:
        InputError: if the scorer does not read a value, or if a direction does not
            move its value.
    """
    resolved = [edits.resolve(edit, components) for edit in chosen]
    columns = [column_of(scorer, components.named[edit.index].name) for edit in resolved]
    asked = np.array([edit.value for edit in resolved], np.float64)
    units = np.stack([edits.unit_step(edit, components, *latents.shape[1:]) for edit in resolved])
    rounds = [np.asarray(latents, np.float32)]
    values = [read(latents)[:, columns]]
    first = slopes = _slopes(read, scorer, columns, rounds[0], units)
    for _ in range(num_rounds):
        missing = _missing(scorer, columns, asked, values[-1])
        steps = np.clip(np.nan_to_num(missing / slopes), -LONGEST_STEP, LONGEST_STEP)
        rounds.append(rounds[-1] + np.einsum("nm,mld->nld", steps, units).astype(np.float32))
        values.append(read(rounds[-1])[:, columns])
        slopes = _secant(first, slopes, missing - _missing(scorer, columns, asked, values[-1]), steps)
    return _best(scorer, columns, asked, np.stack(rounds), np.stack(values))


def _slopes(
    read: Reader, scorer: Scorer, columns: Sequence[int], latents: np.ndarray, units: Float[np.ndarray, "m layers d"]
) -> Float[np.ndarray, "m"]:
    """Returns the mean change of each value for a step of one standard deviation."""
    found: list[float] = []
    for column, unit in zip(columns, units, strict=True):
        sides = [read((latents + side * _PROBE_STEP * unit).astype(np.float32)) for side in (-1, 1)]
        changes = scorers.changes(scorer, *sides)[:, column]
        slope = np.nanmean(changes) / (2 * _PROBE_STEP) if np.isfinite(changes).any() else 0.0
        if not abs(slope) > _LEAST_SLOPE:
            raise InputError(
                f"--edit={scorer.names[column]}: its direction moves this value by {slope:.2g} standard deviations a "
                "step, so it cannot set it"
            )
        found.append(float(slope * scorer.scales[column]))
    return np.array(found)


def _missing(scorer: Scorer, columns: Sequence[int], asked: np.ndarray, values: np.ndarray) -> Float[np.ndarray, "n m"]:
    """Returns asked less read, by the shorter way for a circular value."""
    differences = [
        scorers.shorter_way(goal - own, scorer.periods[column])
        for goal, own, column in zip(asked, values.T, columns, strict=True)
    ]
    return np.stack(differences, axis=1)


def _secant(first: np.ndarray, slopes: np.ndarray, gained: np.ndarray, steps: np.ndarray) -> Float[np.ndarray, "n m"]:
    """Returns the slopes that the last step showed, within a factor of the first."""
    shown = np.divide(gained, steps, out=np.broadcast_to(slopes, steps.shape).copy(), where=np.abs(steps) > _LEAST_STEP)
    ratio = np.clip(np.nan_to_num(shown / first, nan=1.0), 1 / _STEEPER, _STEEPER)
    return first * ratio


def _best(scorer: Scorer, columns: Sequence[int], asked: np.ndarray, rounds: np.ndarray, values: np.ndarray) -> Loop:
    scales = scorer.scales[list(columns)]
    left = [np.abs(_missing(scorer, columns, asked, one)) / scales for one in values]
    nearest, image = np.argmin(np.nan_to_num(left, nan=np.inf).sum(2), axis=0), np.arange(rounds.shape[1])
    return Loop(rounds[nearest, image], values[nearest, image], asked, rounds, values)


def measure_control(
    read: Reader,
    scorer: Scorer,
    components: Components,
    name: str,
    *,
    latents: Latents,
    num_rounds: int = 0,
    seed: int = 0,
) -> Control:
    """Sets five values in every image, and reads the images.

    The values are even steps over +-1.3 standard deviations about the mean value of the
    images. The standard deviation is the scorer's scale.

    Args:
        read: function of per-layer latents that returns the scorer's values of their
            images.
        scorer: names, scales and periods of the values.
        components: components with named directions.
        name: name of the direction and of its value.
        latents: per-layer latents of images that are new to the components.
        num_rounds: rounds of the closed loop; 0: read-out and curve alone.
        seed: seed of the bootstrap.

    Raises:
        InputError: if the scorer does not read the value, or if it cannot be set.
    """
    column, before = column_of(scorer, name), read(latents)
    shown = before[:, column][np.isfinite(before[:, column])]
    targets = shown.mean() + scorer.scales[column] * np.linspace(-REACH, REACH, NUM_TARGETS)

    def set_to(value: float) -> np.ndarray:
        edit = Edit(name, value=value)
        if num_rounds:
            return closed_loop(read, scorer, components, [edit], latents, num_rounds=num_rounds).latents
        return np.asarray(edits.apply(jnp.asarray(latents), components, [edit]))

    after = np.stack([read(set_to(float(value))) for value in targets], axis=1)
    changes = np.stack([scorers.changes(scorer, before, after[:, k]) for k in range(NUM_TARGETS)], axis=1)
    missed = (after[:, :, column] - targets) / scorer.scales[column]
    return _summarize(scorer, column, missed, changes, seed)


def _summarize(scorer: Scorer, column: int, missed: np.ndarray, changes: np.ndarray, seed: int) -> Control:
    """Returns the figures of images [n, targets]. Images that do not show the value do
    not count in the first two.
    """
    is_category = np.isin(scorer.names, scorer.categories)
    is_other = ~is_category & (np.arange(len(is_category)) != column)
    asked = np.linspace(-REACH, REACH, NUM_TARGETS)

    def figures(missed: np.ndarray, changes: np.ndarray) -> np.ndarray:
        square = np.nanmean(np.square(missed)) / np.mean(np.square(asked))
        filled = np.nan_to_num(changes)
        others = np.sqrt(np.mean(np.sum(np.square(filled[..., is_other]), axis=-1)))
        flips = filled[..., is_category].mean((0, 1)).max() if is_category.any() else np.nan
        return np.array([1 - square, np.nanmedian(np.abs(missed)), others, flips])

    joint = np.concatenate([missed[..., None], changes], axis=-1)
    interval = bootstrap.percentile_interval(
        lambda rows: figures(rows[..., 0], rows[..., 1:]), [joint], num_resamples=_NUM_RESAMPLES, seed=seed
    )
    return Control(*map(float, figures(missed, changes)), low=interval.low, high=interval.high)


def table(controls: Mapping[str, tuple[Control, Control]]) -> str:
    """Returns a Markdown table: how precisely each value is set, without and with the
    closed loop.
    """
    header = ["value", "closed loop", "R2 of read against asked", "median error", "others moved", "category flips"]
    rows = []
    for name, pair in controls.items():
        for loop, one in zip(("no", "yes"), pair, strict=True):
            figures = (one.r2, one.median_error, one.others, one.flips)
            cells = [
                f"{value:.3f} ({low:.3f} to {high:.3f})"
                for value, low, high in zip(figures, one.low, one.high, strict=True)
            ]
            rows.append([name.replace("_", " "), loop, *cells])
    return tables.markdown(header, rows)
