"""Figures that compare methods: disentanglement, completeness, image change explained,
stability, and purity and effect of the best direction for each score.

Every figure is a mean over seeds. Its 95 % interval is that of a bootstrap which draws
seeds, and then images of each drawn seed.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ganspace_jax.measures import purity
from ganspace_jax.shapes import Bool, Float, Int
from ganspace_jax.statistics import bootstrap
from ganspace_jax.statistics.bootstrap import Figure

NUM_RESAMPLES = 300
OF_SCORES = ("slope", "purity", "flips", "slope in layers", "purity in layers", "flips in layers")
OF_METHODS = ("disentanglement", "completeness", "explained")
_LEAST_VARIANCE = 1e-10  # relative to the largest; smaller variances are rounding


class Dci(NamedTuple):
    """Disentanglement and completeness, from 0 to 1.

    Attributes:
        disentanglement: 1 if each direction moves one score alone.
        completeness: 1 if each score is moved by one direction alone.
    """

    disentanglement: float
    completeness: float


def dci(importance: Float[np.ndarray, "c f"]) -> Dci:
    """Returns disentanglement and completeness of directions c for scores f.

    R are the importances. H is the entropy, to the base of the number of its terms.

        D_c = 1 - H(R_cf / sum over f),  disentanglement = sum of D_c sum_f R_cf / sum R
        C_f = 1 - H(R_cf / sum over c),  completeness = mean of C_f

    Eastwood and Williams, "A Framework for the Quantitative Evaluation of Disentangled
    Representations", ICLR 2018, section 2. There R are weights of a regressor that
    predicts scores from codes. Here R are mean squared effects of directions. A score
    that no direction moves has C_f = 0. One direction, or one score, has no entropy, so
    its D or C is 1.
    """
    weights = importance.sum(1)
    share = weights / weights.sum() if weights.sum() > 0 else weights
    return Dci(float(share @ _concentration(importance)), float(_concentration(importance.T).mean()))


def _concentration(rows: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n"]:
    """Returns 1 - entropy of each row; 0 for a row of zeros."""
    total = rows.sum(1, keepdims=True)
    share = rows / np.where(total > 0, total, 1.0)
    terms = share * np.log(np.where(share > 0, share, 1.0))
    return np.where(total[:, 0] > 0, 1 + terms.sum(1) / max(np.log(rows.shape[1]), 1e-300), 0.0)


def explained(
    grams: Float[np.ndarray, "groups l l"], covariance: Float[np.ndarray, "l l"], rows: Float[np.ndarray, "c l"]
) -> Float[np.ndarray, "groups 2"]:
    """Returns the mean squared change of images within the span of directions, and in
    all.

    S = L L^T is the covariance of the latent, and G = E[J^T J] of images:

        within = tr(Q^T L^T G L Q),  all = tr(L^T G L) = tr(G S)

    Q has an orthonormal basis of L^-1 span as its columns. So latents are projected on
    the span along directions that are uncorrelated with it.

    Args:
        grams: mean of J^T J over each group of images.
        covariance: covariance S of the latent.
        rows: directions, of any length and not necessarily independent.
    """
    variances, axes = np.linalg.eigh(np.asarray(covariance, np.float64))
    kept = variances > _LEAST_VARIANCE * variances[-1]
    deviations, axes = np.sqrt(variances[kept]), axes[:, kept]
    root = axes * deviations
    _, sizes, basis = np.linalg.svd(unit(rows) @ axes / deviations, full_matrices=False)
    projected = root @ basis[sizes > 1e-6 * sizes.max(initial=0.0)].T
    return np.stack([np.einsum("lk,glm,mk->g", one, grams, one) for one in (projected, root)], axis=1)


def unit(rows: Float[np.ndarray, "c l"]) -> Float[np.ndarray, "c l"]:
    """Returns rows of unit length. Rows of 0 stay 0."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1.0)


class Measured(NamedTuple):
    """What one method found with one seed.

    Attributes:
        whole: changes of all scores along the best direction for each wanted score, in
            all layers of the method.
        ranged: the same for the best direction in its best range of layers.
        squares: squared effects of all directions on the scores that are no categories,
            by Jacobians at other images, in squared standard deviations.
        within: squared change of images within the span of the directions, and in all,
            by group of images.
        steps: best direction for each wanted score, in its range of layers.
        layers: ranges of layers [start, stop).
        seconds: processor time in which the directions were found.
    """

    whole: Float[np.ndarray, "n w f"]
    ranged: Float[np.ndarray, "n w f"]
    squares: Float[np.ndarray, "m c k"]
    within: Float[np.ndarray, "groups 2"]
    steps: Float[np.ndarray, "w layers d"]
    layers: Int[np.ndarray, "w 2"]
    seconds: float


class Summary(NamedTuple):
    """Figures of one method, each as value, lower bound and upper bound.

    Attributes:
        of_scores: figures in OF_SCORES of each wanted score.
        means: means of these figures over the averaged scores.
        of_method: figures in OF_METHODS.
        stability: mean angle between the best directions of two seeds, in degrees.
        seconds: median over seeds of the processor time.
        num_directions: number of directions.
    """

    of_scores: Float[np.ndarray, "w 6 3"]
    means: Float[np.ndarray, "6 3"]
    of_method: Float[np.ndarray, "3 3"]
    stability: Figure
    seconds: float
    num_directions: int


def summarize(
    seeds: Sequence[Measured], wanted: Sequence[int], is_category: Bool[np.ndarray, "f"],
    averaged: Bool[np.ndarray, "w"],
) -> Summary:  # fmt: skip
    """Returns the figures of one method over its seeds.

    Args:
        seeds: results of each seed.
        wanted: columns of the wanted scores.
        is_category: whether each score is a category.
        averaged: whether the means count each wanted score.
    """
    num_scores = len(wanted) * len(OF_SCORES)

    def figures(whole: np.ndarray, ranged: np.ndarray, squares: np.ndarray, within: np.ndarray) -> np.ndarray:
        chosen = np.array([
            [*_figures(whole[:, w], column, is_category), *_figures(ranged[:, w], column, is_category)]
            for w, column in enumerate(wanted)
        ])  # fmt: skip
        inside, total = within.sum(0)
        others = (*dci(squares.mean(0)), inside / total if total > 0 else 0.0)
        return np.concatenate([chosen.ravel(), chosen[averaged].mean(0), others])

    groups = [(one.whole, one.ranged, one.squares, one.within) for one in seeds]
    value = np.mean([figures(*group) for group in groups], axis=0)
    bounds = bootstrap.nested_interval(figures, groups, num_resamples=NUM_RESAMPLES)
    every = np.stack([value, *bounds], axis=1)
    return Summary(
        every[:num_scores].reshape(len(wanted), len(OF_SCORES), 3),
        every[num_scores : num_scores + len(OF_SCORES)],
        every[num_scores + len(OF_SCORES) :],
        stability(np.stack([one.steps[averaged] for one in seeds])),
        float(np.median([one.seconds for one in seeds])),
        seeds[0].squares.shape[1],
    )


def _figures(changes: np.ndarray, column: int, is_category: np.ndarray) -> tuple[float, float, float]:
    slope, pure, _, flips = purity.figures(changes, column, is_category)
    return slope, pure, flips


def stability(steps: Float[np.ndarray, "s w layers d"]) -> Figure:
    """Returns the mean angle between steps of two seeds, over pairs of seeds and
    scores, in degrees.

    Angles are between lines: from 0 to 90. Steps in different layers are orthogonal.
    The interval is over seeds. Resamples with one seed alone have no pair and are left
    out. The bounds are NaN for two seeds, which have one angle, and all for one seed.
    """
    rows = steps.reshape(*steps.shape[:2], -1).astype(np.float64)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=2, keepdims=True), 1e-300)
    cosines = np.abs(np.einsum("swd,twd->stw", rows, rows))
    angles = np.degrees(np.arccos(np.minimum(cosines, 1.0))).mean(2)

    def mean(drawn: Iterable[Any]) -> float:
        pairs = [angles[a, b] for a, b in itertools.combinations(drawn, 2) if a != b]
        return float(np.mean(pairs)) if pairs else np.nan

    if len(steps) < 2:
        return Figure(np.nan, np.nan, np.nan)
    if len(steps) == 2:
        return Figure(mean(range(2)), np.nan, np.nan)
    draws = np.random.default_rng(0).integers(0, len(steps), (1000, len(steps)))
    low, high = np.nanpercentile([mean(one) for one in draws], (2.5, 97.5))
    return Figure(mean(range(len(steps))), float(low), float(high))
