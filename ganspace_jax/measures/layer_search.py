"""Effects of any direction in any layer range, by linear algebra on Jacobians.

No image is made: 36 layer ranges, 20 directions and 10 scores take a second. The
search chooses by signed purity: (mean effect on the wanted score)^2 / (sum over scores
of the mean squared effect). A direction moves all layers, unless a range of them is
clearly purer.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ganspace_jax.methods import attributes, boundaries
from ganspace_jax.methods.attributes import Choice
from ganspace_jax.methods.boundaries import Boundary
from ganspace_jax.sampling.latent_prior import LatentPrior
from ganspace_jax.shapes import Float

LEAST_EFFECT = 0.15  # standard deviations of the score per standard deviation of the latent
LEAST_ODDS = 1.2  # factor of signed purity's odds p / (1 - p), for which a direction leaves layers out
Range = tuple[int, int]


class Found(NamedTuple):
    """The best direction and layer range for one score.

    Attributes:
        candidate: number of the direction.
        layers: moved layers [start, stop).
        sign: 1, or -1 if the direction lowers the score.
        effect: mean effect on the score of one step, in standard deviations.
        signed_purity: the figure by which it was chosen.
    """

    candidate: int
    layers: Range
    sign: int
    effect: float
    signed_purity: float


class Effects(NamedTuple):
    """Effects of directions (columns c) in layer ranges (rows r) on scores.

    Attributes:
        mean: mean effect over images.
        square: mean squared effect over images.
    """

    mean: Float[np.ndarray, "r f c"]
    square: Float[np.ndarray, "r f c"]


def ranges(num_layers: int) -> list[Range]:
    """Returns all layer ranges [start, stop)."""
    return list(itertools.combinations(range(num_layers + 1), 2))


def effects(
    jacobians: Float[np.ndarray, "n f layers d"], directions: Float[np.ndarray, "c layers d"], layers: Sequence[Range]
) -> Effects:
    """Returns the effects of directions in layer ranges. A NaN of the Jacobians counts
    as 0: a score that an image does not show does not change there.

    Args:
        jacobians: Jacobians, in standard deviations of the scores.
        directions: the row of each layer, for each direction.
        layers: layer ranges [start, stop).
    """
    by_layer = np.einsum("nfld,cld->lnfc", np.nan_to_num(jacobians), directions, optimize=True).astype(np.float64)
    sums = np.concatenate([np.zeros((1, *by_layer.shape[1:])), np.cumsum(by_layer, axis=0)])
    mean, square = [], []
    for start, stop in layers:
        moved = sums[stop] - sums[start]
        mean.append(moved.mean(0))
        square.append(np.square(moved).mean(0))
    return Effects(np.stack(mean), np.stack(square))


def signed_purity(found: Effects, wanted: int) -> Float[np.ndarray, "r c"]:
    """Returns (mean effect on the wanted score)^2 / sum of all mean squared effects."""
    total = found.square.sum(1)
    return np.square(found.mean[:, wanted]) / np.where(total > 0, total, 1.0)


def best_by_range(
    found: Effects, layers: Sequence[Range], wanted: int, least_effect: float = LEAST_EFFECT
) -> list[Found]:
    """Returns the direction of the largest signed purity in each layer range.

    If no direction has the least effect in a range, its direction of the largest effect
    is returned.

    Args:
        found: effects of directions that are a standard deviation long.
        layers: layer ranges of the effects.
        wanted: number of the wanted score.
        least_effect: mean effect that is required, in standard deviations.
    """
    size, purity = np.abs(found.mean[:, wanted]), signed_purity(found, wanted)
    best = []
    for row, own in enumerate(layers):
        allowed = size[row] >= least_effect
        candidate = int(np.argmax(np.where(allowed, purity[row], -1.0) if allowed.any() else size[row]))
        sign = -1 if found.mean[row, wanted, candidate] < 0 else 1
        best.append(Found(candidate, own, sign, float(size[row, candidate]), float(purity[row, candidate])))
    return best


def prefer(found: Sequence[Found], least_effect: float = LEAST_EFFECT, least_odds: float = LEAST_ODDS) -> Found:
    """Returns the best of the directions of several layer ranges.

    That is the one of the widest range, unless another is clearly purer. If none has
    the least effect, it is the one of the largest effect.

    Args:
        found: the best direction of each range.
        least_effect: mean effect that is required, in standard deviations.
        least_odds: factor by which the odds of its signed purity must exceed those of
            the widest range.
    """
    allowed = [one for one in found if one.effect >= least_effect]
    if not allowed:
        return max(found, key=lambda one: one.effect)
    widest = max(allowed, key=lambda one: one.layers[1] - one.layers[0])
    purest = max(allowed, key=lambda one: one.signed_purity)
    return purest if _odds(purest.signed_purity) >= least_odds * _odds(widest.signed_purity) else widest


def _odds(share: float) -> float:
    return share / max(1 - share, 1e-9)


class Basis(NamedTuple):
    """All from which directions are chosen.

    Attributes:
        fitted: Jacobians of the images on which directions are fitted.
        judged: Jacobians of the images on which their layers are chosen.
        prior: distribution of the latent.
        boundaries: boundary of each score; None if there is none.
        rows: given directions of a method, by its name.
        span: orthonormal rows, in whose span the Jacobians are known; None: everywhere.
        ranges: layer ranges [start, stop).
        least_effect: mean effect that is required, in standard deviations.
        damping: weight of the term with S^-1 of the purest direction.
    """

    fitted: Float[np.ndarray, "n f layers d"]
    judged: Float[np.ndarray, "m f layers d"]
    prior: LatentPrior
    boundaries: list[Boundary | None]
    rows: dict[str, Float[np.ndarray, "k l"]]
    span: Float[np.ndarray, "k l"] | None
    ranges: list[Range]
    least_effect: float = LEAST_EFFECT
    damping: float = attributes.DAMPING


def choose(basis: Basis, method: str, wanted: int) -> Choice:
    """Returns the best direction of a method for one score, with its layers.

    The purest direction is fitted on one half of the images, and its range is chosen on
    the other half. The direction of this range is then fitted again on all images. No
    other direction is fitted to the Jacobians, so all images choose among these.

    Args:
        basis: Jacobians, boundaries and candidates.
        method: "purest", a name in boundaries.METHODS, or a name in `basis.rows`.
        wanted: number of the wanted score.
    """
    whole = np.concatenate([basis.fitted, basis.judged])
    if method == "purest":
        fitted = {layers: _purest(basis, basis.fitted, wanted, layers) for layers in basis.ranges}
        each = [_by_range(basis, basis.judged, row, [layers], wanted)[0] for layers, row in fitted.items()]
        found = prefer(each, basis.least_effect)
        rows = _purest(basis, whole, wanted, found.layers)
    else:
        rows = attributes.in_deviations(_candidates(basis, method, wanted), basis.prior.covariance)
        found = prefer(_by_range(basis, whole, rows, basis.ranges, wanted), basis.least_effect)
    row = found.sign * rows[found.candidate]
    return Choice(method, row, found.layers, found.candidate, found.effect, found.signed_purity)


def _by_range(
    basis: Basis, jacobians: np.ndarray, rows: Float[np.ndarray, "c l"], layers: Sequence[Range], wanted: int
) -> list[Found]:
    num_layers, width = jacobians.shape[2:]
    by_layer = attributes.layer_rows(rows, (0, num_layers), num_layers, width)
    return best_by_range(effects(jacobians, by_layer, layers), layers, wanted, basis.least_effect)


def _purest(basis: Basis, jacobians: np.ndarray, wanted: int, layers: Range) -> Float[np.ndarray, "1 l"]:
    moved = attributes.moved_latent(jacobians, layers, len(basis.prior.mean))
    _, covariance, precision = basis.prior
    row = attributes.purest(attributes.scatter(moved), wanted, covariance, precision, basis.damping, basis.span)
    return attributes.in_deviations(row[None], covariance)


def _candidates(basis: Basis, method: str, wanted: int) -> Float[np.ndarray, "k l"]:
    """Returns the directions of a method; one row of 0 if there is no boundary."""
    if method in basis.rows:
        return basis.rows[method]
    if basis.boundaries[wanted] is None:
        return np.zeros((1, len(basis.prior.mean)))
    known = [one for one in basis.boundaries if one is not None]
    number = sum(one is not None for one in basis.boundaries[:wanted])
    return boundaries.directions(method, known, number, basis.prior.covariance)
