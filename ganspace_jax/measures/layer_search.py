"""Effects of any direction in any layer range, by linear algebra on Jacobians.

No image is made: 36 layer ranges, 20 directions and 10 scores take a second. The
search chooses by signed purity: (mean effect on the wanted score)^2 / (sum over scores
of the mean squared effect).
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ganspace_jax.shapes import Float

LEAST_EFFECT = 0.15  # standard deviations of the score per standard deviation of the latent
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


def find(found: Effects, layers: Sequence[Range], wanted: int, least_effect: float = LEAST_EFFECT) -> Found:
    """Returns the direction and the layer range of the largest signed purity.

    If no direction has the least effect, the direction of the largest effect is
    returned.

    Args:
        found: effects of directions that are a standard deviation long.
        layers: layer ranges of the effects.
        wanted: number of the wanted score.
        least_effect: mean effect that is required, in standard deviations.
    """
    size, purity = np.abs(found.mean[:, wanted]), signed_purity(found, wanted)
    allowed = size >= least_effect
    rank = np.where(allowed, purity, -1.0) if allowed.any() else size
    row, candidate = np.unravel_index(np.argmax(rank), rank.shape)
    effect = float(found.mean[row, wanted, candidate])
    sign = -1 if effect < 0 else 1
    return Found(int(candidate), layers[row], sign, abs(effect), float(purity[row, candidate]))
