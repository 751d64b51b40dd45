"""Purity: the wanted score's share of what a direction changes in images.

Images move along a direction by a step both ways. The changes are in standard
deviations of each score. Purity is the mean squared change of the wanted score divided
by the sum over all scores. Signed purity has the squared mean change in the numerator.
A score that an image does not show does not change there.
Categories, such as a shape, count apart: as the share of images in which they flip.
"""

from typing import NamedTuple

import numpy as np

from ganspace_jax.generators.base import Generator
from ganspace_jax.measures import scorers
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.run import Run
from ganspace_jax.sampling import score_jacobians
from ganspace_jax.shapes import Array, Float
from ganspace_jax.statistics import bootstrap

NUM_RESAMPLES = 500
FIGURES = ("slope", "purity", "signed_purity", "flips")


class Purity(NamedTuple):
    """Figures of one direction, each with a 95 % bootstrap interval over images.

    Attributes:
        slope: mean change of the wanted score over the whole step, in standard
            deviations.
        purity: share of the wanted score in the squared changes of all scores.
        signed_purity: share with the squared mean change of the wanted score.
        flips: share of images in which a category changes; NaN without categories.
        low: lower bounds of the four figures.
        high: upper bounds of the four figures.
    """

    slope: float
    purity: float
    signed_purity: float
    flips: float
    low: tuple[float, float, float, float]
    high: tuple[float, float, float, float]


def measure(
    generator: Generator,
    scorer: Scorer,
    inputs: tuple[Float[Array | np.ndarray, "n layers d"], Float[Array | np.ndarray, "n classes"] | None],
    step: Float[np.ndarray, "layers d"],
    run: Run = Run(),
) -> Float[np.ndarray, "n f"]:
    """Returns the changes of all scores from minus the step to plus the step.

    Args:
        generator: the generator.
        scorer: reader of the images.
        inputs: per-layer latents and class weights of the images before the step.
        step: step of each layer.
        run: batch size and stopping.

    Raises:
        InputError: if an image is not finite.
        Interrupted: if run.should_stop returned True.
    """
    latents, weights = inputs
    sides = [
        np.concatenate([
            scorer.read(images) for images in score_jacobians.images_in_batches(generator, moved, weights, run)
        ])
        for moved in (latents - step, latents + step)
    ]  # fmt: skip
    return scorers.changes(scorer, *sides)


def summarize(changes: Float[np.ndarray, "n f"], scorer: Scorer, wanted: int, seed: int = 0) -> Purity:
    """Returns the figures of a direction. A NaN counts as no change; the slope is the
    mean over the images that show the score.

    Args:
        changes: changes of all scores, from `measure`.
        scorer: scorer whose names and categories belong to the columns.
        wanted: column of the wanted score.
        seed: seed of the bootstrap.
    """
    is_category = np.isin(scorer.names, scorer.categories)

    def figures(rows: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "4"]:
        return _figures(rows, wanted, is_category)

    low, high = bootstrap.percentile_interval(figures, [changes], num_resamples=NUM_RESAMPLES, seed=seed)
    slope, purity, signed_purity, flips = map(float, figures(changes))
    return Purity(slope, purity, signed_purity, flips, tuple(map(float, low)), tuple(map(float, high)))


def _figures(changes: Float[np.ndarray, "n f"], wanted: int, is_category: np.ndarray) -> Float[np.ndarray, "4"]:
    seen, filled = np.isfinite(changes), np.nan_to_num(changes)
    mean, square = filled.mean(0), np.square(filled).mean(0)
    total = square[~is_category].sum()
    total = total if total > 0 else 1.0
    slope = filled[:, wanted].sum() / max(seen[:, wanted].sum(), 1)
    flips = mean[is_category].max() if is_category.any() else np.nan
    return np.array([slope, square[wanted] / total, mean[wanted] ** 2 / total, flips])
