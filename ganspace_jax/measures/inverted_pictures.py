"""Inverted pictures: what is recovered of each picture, and how well edits act on it.

A reconstruction can be near its picture while its latents are far from the generator's
own, so that edits lose their effect. The figures therefore compare the same edits of
inverted latents and of samples. Every figure has a 95 % bootstrap interval over images.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ganspace_jax.files import tables
from ganspace_jax.generators.base import Generator
from ganspace_jax.measures import purity, scorers
from ganspace_jax.measures.scorers import Scorer, Values
from ganspace_jax.run import Run
from ganspace_jax.sampling import scored_images
from ganspace_jax.sampling.inversion import Inverted
from ganspace_jax.sampling.inversion_losses import psnr
from ganspace_jax.shapes import Array, Float, Int
from ganspace_jax.statistics import bootstrap
from ganspace_jax.statistics.bootstrap import Figure

LOW_PERCENTILE = 10  # of the PSNR, which tells of the pictures that fail
APART = "rotation"  # a score whose R2 is a figure of its own, because few images show it
REDRAWN_SIGMA = 2.0  # standard deviations of the edits whose images are redrawn
_NUM_RESAMPLES = 500
RECOVERY = ("psnr_median", "psnr_low", "r2", "r2_apart", "categories", "class", "distance", "within", "seconds")
EDITABILITY = ("amplitude_components", "amplitude_named", "purity", "redrawing")
TABLES = (RECOVERY, EDITABILITY)
_TITLES = {
    "psnr_median": "PSNR, median [dB]",
    "psnr_low": "10th percentile [dB]",
    "r2": "R2 of factors",
    "r2_apart": "R2 of rotation",
    "categories": "shapes right",
    "class": "class found",
    "distance": "distance, median [sd]",
    "within": "within 95 % of samples",
    "seconds": "CPU s an image",
    "amplitude_components": "amplitude, components",
    "amplitude_named": "amplitude, named",
    "purity": "purity, named",
    "redrawing": "redrawing [dB]",
}

Images = Float[Array | np.ndarray, "n h w c"]
Inputs = tuple[Float[Array | np.ndarray, "n layers d"], Float[Array | np.ndarray, "n classes"] | None]


class Instruments(NamedTuple):
    """What images are edited with and read by.

    Attributes:
        generator: the generator.
        scorer: reader of the images.
        steps: step of one standard deviation along each direction.
        wanted: column of the score that each direction is named after; None for a
            direction without a name.
        redraw: function that maps images to images of the scenes that they show.
        num_redrawn: number of directions, from the first, whose images are redrawn.
    """

    generator: Generator
    scorer: Scorer
    steps: Float[np.ndarray, "k layers d"]
    wanted: tuple[int | None, ...]
    redraw: Callable[[Images], Images]
    num_redrawn: int


class Edited(NamedTuple):
    """What the edits do to some images.

    Attributes:
        changes: change of every score in every image, from a step of minus one standard
            deviation to plus one, for every direction.
        redrawing: PSNR of the images after 2 standard deviations both ways against
            their redrawings.
    """

    changes: Float[np.ndarray, "n k f"]
    redrawing: Float[np.ndarray, "n m"]


def edit(instruments: Instruments, inputs: Inputs, run: Run = Run()) -> Edited:
    """Returns the effects of all edits on the images of these latents.

    Raises:
        InputError: if an image is not finite.
        Interrupted: if run.should_stop returned True.
    """
    count, scorer, changes, redrawing = len(inputs[0]), instruments.scorer, [], []
    for step in instruments.steps:
        read = scorer.read(_both_ways(instruments.generator, inputs, step, run))
        changes.append(scorers.changes(scorer, read[:count], read[count:]))
    for step in instruments.steps[: instruments.num_redrawn]:
        made = _both_ways(instruments.generator, inputs, REDRAWN_SIGMA * step, run)
        redrawing.append(psnr(made, np.clip(instruments.redraw(made), -1.0, 1.0)).reshape(2, count))
    return Edited(np.stack(changes, axis=1), np.concatenate(redrawing or [np.zeros((0, count))]).T)


def _both_ways(
    generator: Generator, inputs: Inputs, step: Float[np.ndarray, "layers d"], run: Run
) -> Float[np.ndarray, "both h w c"]:
    """Returns the images after minus the step, then those after plus the step."""
    latents, weights = inputs
    moved = np.concatenate([latents - step, latents + step])
    doubled = None if weights is None else np.concatenate([weights, weights])
    return np.concatenate(list(scored_images.images(generator, moved, doubled, run)))


def recovery(
    scorer: Scorer,
    found: Inverted,
    true: Values,
    *,
    farthest: float = math.inf,
    classes: Int[np.ndarray, "n"] | None = None,
) -> dict[str, Figure]:
    """Returns what is recovered of the pictures, by the names of the figures.

    Args:
        scorer: reader of the images.
        found: the inverted pictures.
        true: true scores of the pictures.
        farthest: distance within which 95 % of the generator's own samples are.
        classes: true classes; None if they are unknown or given.
    """
    read = scorer.read(found.images)
    categories = np.isin(scorer.names, scorer.categories)
    together = ~categories & (np.array(scorer.names) != APART)
    figures = {
        "psnr_median": _figure(np.median, found.psnr),
        "psnr_low": _figure(lambda rows: np.percentile(rows, LOW_PERCENTILE), found.psnr),
        "r2": _figure(lambda rows: r2(scorer, *_halves(rows))[together].mean(), np.hstack([true, read])),
        **distances(found.distance, farthest),
    }
    if APART in scorer.names:
        column = scorer.names.index(APART)
        figures["r2_apart"] = _figure(lambda rows: r2(scorer, *_halves(rows))[column], np.hstack([true, read]))
    if categories.any():
        figures["categories"] = _figure(np.mean, (true == read)[:, categories].all(1))
    if classes is not None and found.label is not None:
        figures["class"] = _figure(np.mean, found.label.argmax(1) == classes)
    return figures


def distances(distance: Float[np.ndarray, "n"], farthest: float) -> dict[str, Figure]:
    """Returns the median distance, and the share of images within the farthest."""
    return {"distance": _figure(np.median, distance), "within": _figure(np.mean, distance <= farthest)}


def r2(scorer: Scorer, true: Values, read: Values) -> Float[np.ndarray, "f"]:
    """Returns 1 - sum (read - true)^2 / sum (true - mean)^2 of each score.

    The differences of a circular score are its shorter ways, and its mean is circular.
    Images that do not show a score in both do not count. The figure is NaN if the true
    scores do not vary.
    """
    shown = np.isfinite(true) & np.isfinite(read)
    centre = [_centre(column[own], period) for column, own, period in zip(true.T, shown.T, scorer.periods, strict=True)]
    missed = np.where(shown, scorers.changes(scorer, true, read), 0.0)
    spread = np.where(shown, scorers.changes(scorer, np.broadcast_to(centre, true.shape), true), 0.0)
    total = np.square(spread).sum(0)
    return np.where(total > 0, 1.0 - np.square(missed).sum(0) / np.where(total > 0, total, 1.0), np.nan)


def _centre(values: Float[np.ndarray, "m"], period: float | None) -> float:
    if not len(values):
        return np.nan
    if period is None:
        return float(values.mean())
    return float(np.angle(np.exp(2j * np.pi * values / period).mean()) * period / (2 * np.pi))


def editability(instruments: Instruments, own: Edited, samples: Edited) -> dict[str, Figure]:
    """Returns how well the edits act, by the names of the figures.

    Let i be the mean changes of the images, and s and m those of the two halves of the
    samples. The amplitude is <i, m> / <s, m> over directions and scores. It is 1 if the
    edits act as on samples. The purity is the mean over the named directions.

    Args:
        instruments: the scorer and the directions.
        own: effects on the images.
        samples: effects on at least two samples.
    """
    scorer, is_named = instruments.scorer, np.array([column is not None for column in instruments.wanted])
    counted = ~np.isin(scorer.names, scorer.categories)
    half = len(samples.changes) // 2
    reference, others = samples.changes[:half], samples.changes[half:]
    figures = {}
    for name, chosen in (("components", ~is_named), ("named", is_named)):
        if chosen.any():
            mean = _mean_change(reference[:, chosen][..., counted])
            rows = [changes[:, chosen][..., counted] for changes in (own.changes, others)]
            figures[f"amplitude_{name}"] = _figure(lambda i, s, mean=mean: _along(i, mean) / _along(s, mean), *rows)
    if is_named.any():
        figures["purity"] = _figure(lambda rows: _mean_purity(instruments, rows), own.changes)
    if own.redrawing.size:
        figures["redrawing"] = _figure(np.median, own.redrawing)
    return figures


def _mean_change(changes: Float[np.ndarray, "n k f"]) -> Float[np.ndarray, "k f"]:
    """Returns the mean over the images that show a score."""
    return np.nan_to_num(changes).sum(0) / np.maximum(np.isfinite(changes).sum(0), 1)


def _along(changes: Float[np.ndarray, "n k f"], reference: Float[np.ndarray, "k f"]) -> float:
    """Returns the product of the mean changes with the reference."""
    return float((_mean_change(changes) * reference).sum())


def _mean_purity(instruments: Instruments, changes: Float[np.ndarray, "n k f"]) -> float:
    """Returns the mean purity of the named directions."""
    is_category = np.isin(instruments.scorer.names, instruments.scorer.categories)
    found = [
        purity.figures(changes[:, k], column, is_category)[purity.FIGURES.index("purity")]
        for k, column in enumerate(instruments.wanted)
        if column is not None
    ]
    return float(np.mean(found))


def _halves(rows: Float[np.ndarray, "n f2"]) -> tuple[Values, Values]:
    """Returns the true and the read scores of rows that hold both."""
    middle = rows.shape[1] // 2
    return rows[:, :middle], rows[:, middle:]


def _figure(statistic: Callable[..., Any], *samples: np.ndarray) -> Figure:
    low, high = bootstrap.percentile_interval(statistic, samples, num_resamples=_NUM_RESAMPLES)
    return Figure(float(statistic(*samples)), float(low), float(high))


def known(value: float, decimals: int = 2) -> Figure:
    """Returns a figure without an interval."""
    return Figure(round(value, decimals), math.nan, math.nan)


def table(figures: Mapping[str, Mapping[str, Figure]], chosen: Sequence[str]) -> str:
    """Returns a Markdown table with one row per name, and the chosen figures that any
    row has.
    """
    kept = [key for key in chosen if any(key in row for row in figures.values())]
    rows = [[name, *(_text(row[key]) if key in row else "" for key in kept)] for name, row in figures.items()]
    return tables.markdown(["", *(_TITLES[key] for key in kept)], rows)


def _text(figure: Figure) -> str:
    if math.isnan(figure.value):
        return ""
    interval = "" if math.isnan(figure.low) else f" ({figure.low:.2f} to {figure.high:.2f})"
    return f"{figure.value:.2f}{interval}"


def as_json(figures: Mapping[str, Mapping[str, Figure]]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Returns the figures as JSON values. An unknown value is None."""
    return {
        name: {
            key: {part: None if math.isnan(number) else number for part, number in one._asdict().items()}
            for key, one in row.items()
        }
        for name, row in figures.items()
    }
