"""Directions of attributes from the Jacobians of scores through the generator.

With J_k the Jacobian of score k with respect to the moved latent, M = sum of
E[J_k J_k^T] over all scores, g = E[J] of the wanted score, and S the covariance of the
latent, the purest direction is

    u = (M + l tr(M S) / d S^-1)^-1 g.

It maximises (mean effect on the wanted score)^2 / (mean squared effects on all scores):
Fisher's discriminant with Jacobians for scatter. The term with S^-1 keeps u within the
latent's distribution.
"""

from typing import NamedTuple

import numpy as np

from ganspace_jax.directions import random_directions
from ganspace_jax.shapes import Float

DAMPING = 0.02


class Scatter(NamedTuple):
    """Moments of the Jacobians of all scores in one layer range.

    Attributes:
        mean: E[J_k] of each score.
        gram: sum over scores of E[J_k J_k^T].
    """

    mean: Float[np.ndarray, "f l"]
    gram: Float[np.ndarray, "l l"]


def scatter(jacobians: Float[np.ndarray, "n f l"]) -> Scatter:
    """Returns the moments of Jacobians. A NaN counts as 0: a score that an image does
    not show does not change there.
    """
    filled = np.nan_to_num(jacobians).astype(np.float64)
    rows = filled.reshape(-1, filled.shape[-1])
    return Scatter(filled.mean(0), rows.T @ rows / len(jacobians))


def moved_latent(jacobians: Float[np.ndarray, "n f layers d"], layers: tuple[int, int], size: int) -> np.ndarray:
    """Returns the Jacobians [n, f, l] of one latent that moves the layers [start,
    stop).

    Args:
        jacobians: Jacobians by layer.
        layers: moved layers.
        size: size of the latent: d if it moves all layers alike, or layers times d if
            each layer owns a chunk of it.
    """
    start, stop = layers
    if size == jacobians.shape[-1]:
        return jacobians[:, :, start:stop].sum(2)
    moved = np.zeros_like(jacobians)
    moved[:, :, start:stop] = jacobians[:, :, start:stop]
    return moved.reshape(*moved.shape[:2], size)


def purest(
    moments: Scatter, wanted: int, covariance: Float[np.ndarray, "l l"], precision: Float[np.ndarray, "l l"],
    damping: float = DAMPING,
) -> Float[np.ndarray, "l"]:  # fmt: skip
    """Returns the direction with the largest share of the wanted score in its effects.

    Args:
        moments: moments of the Jacobians.
        wanted: number of the wanted score.
        covariance: covariance S of the latent.
        precision: inverse of S.
        damping: weight l of the term with S^-1.
    """
    weight = damping * np.sum(moments.gram * covariance) / len(covariance)
    return np.linalg.lstsq(moments.gram + weight * precision, moments.mean[wanted], rcond=1e-12)[0]


def in_deviations(rows: Float[np.ndarray, "k l"], covariance: Float[np.ndarray, "l l"]) -> Float[np.ndarray, "k l"]:
    """Returns rows u that are one standard deviation long: u^T S u = 1. Rows without
    variance become 0.
    """
    lengths = np.sqrt(np.maximum(np.einsum("kl,lm,km->k", rows, covariance, rows), 0.0))
    return rows / np.where(lengths > 0, lengths, np.inf)[:, None]


def random(count: int, covariance: Float[np.ndarray, "l l"], seed: int) -> Float[np.ndarray, "k l"]:
    """Returns random directions of one standard deviation, the baseline of all
    methods.
    """
    return in_deviations(random_directions.unit_rows(count, len(covariance), seed), covariance)
