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
from ganspace_jax.methods.attributes import Choice
from ganspace_jax.run import Run
from ganspace_jax.sampling import scored_images
from ganspace_jax.shapes import Array, Bool, Float
from ganspace_jax.statistics import bootstrap

NUM_RESAMPLES = 500
FIGURES = ("slope", "purity", "signed_purity", "flips")
_EQUAL_STEPS = (0.25, 4.0)  # least and largest step at equal effect, in standard deviations of the latent

Inputs = tuple[Float[Array | np.ndarray, "n layers d"], Float[Array | np.ndarray, "n classes"] | None]


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
    low: tuple[float, ...]
    high: tuple[float, ...]


class Measured(NamedTuple):
    """One direction, as real steps measure it.

    Attributes:
        choice: the direction.
        at_sigma: figures for a step of one standard deviation of the latent both ways.
        at_equal: figures for the step that moves the score by about one standard
            deviation in all.
        equal_step: that step, in standard deviations of the latent.
    """

    choice: Choice
    at_sigma: Purity
    at_equal: Purity
    equal_step: float


def compare(
    generator: Generator, scorer: Scorer, inputs: Inputs, choice: Choice, wanted: int, run: Run = Run()
) -> Measured:
    """Returns the figures of a direction for a step of one sigma, and at equal effect.

    Args:
        generator: the generator.
        scorer: reader of the images.
        inputs: per-layer latents and class weights of the images before the step.
        choice: direction and layers.
        wanted: column of the wanted score.
        run: batch size and stopping.
    """
    step = choice.step(*generator.latent_shape)
    at_sigma = summarize(measure(generator, scorer, inputs, step, run), scorer, wanted)
    # A step that turns a circular score by more than half its period has a small mean
    # change, so the Jacobians tell its size.
    slope = at_sigma.slope if scorer.periods[wanted] is None else 2 * choice.effect
    multiple = float(np.clip(1 / max(abs(slope), 1e-9), *_EQUAL_STEPS))
    at_equal = summarize(measure(generator, scorer, inputs, multiple * step, run), scorer, wanted)
    return Measured(choice, at_sigma, at_equal, multiple)


def measure(
    generator: Generator,
    scorer: Scorer,
    inputs: Inputs,
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
            scorer.read(images) for images in scored_images.images(generator, moved, weights, run)
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

    def statistic(rows: np.ndarray) -> np.ndarray:
        return figures(rows, wanted, is_category)

    low, high = bootstrap.percentile_interval(statistic, [changes], num_resamples=NUM_RESAMPLES, seed=seed)
    slope, purity, signed_purity, flips = map(float, statistic(changes))
    return Purity(slope, purity, signed_purity, flips, tuple(map(float, low)), tuple(map(float, high)))


def figures(
    changes: Float[np.ndarray, "n f"], wanted: int, is_category: Bool[np.ndarray, "f"]
) -> Float[np.ndarray, "4"]:
    """Returns the four figures of FIGURES.

    Args:
        changes: changes of all scores, from `measure`.
        wanted: column of the wanted score.
        is_category: whether each score is a category.
    """
    seen, filled = np.isfinite(changes), np.nan_to_num(changes)
    mean, square = filled.mean(0), np.square(filled).mean(0)
    total = square[~is_category].sum()
    total = total if total > 0 else 1.0
    slope = filled[:, wanted].sum() / max(seen[:, wanted].sum(), 1)
    flips = mean[is_category].max() if is_category.any() else np.nan
    return np.array([slope, square[wanted] / total, mean[wanted] ** 2 / total, flips])
