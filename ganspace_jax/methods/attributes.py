"""Directions of attributes from the Jacobians of scores through the generator.

The Jacobian J_k of score k is with respect to the moved latent. S is the covariance of
the latent, and d is its size. The purest direction of score k is

    u = (M + l tr(M S) / d S^-1)^-1 E[J_k],  M = sum of E[J_i J_i^T] over all scores i.

It maximises (mean effect on the wanted score)^2 / (mean squared effects on all scores):
Fisher's discriminant with Jacobians for scatter. The term with S^-1 keeps u within the
latent's distribution.
"""

from typing import NamedTuple

import numpy as np

from ganspace_jax.directions import random_directions
from ganspace_jax.shapes import Float

DAMPING = 0.02  # in w
DAMPING_IN_Z = 3.0  # on biggan-deep-scenes a smaller weight gives steps that hardly move the score


class Scatter(NamedTuple):
    """Moments of the Jacobians of all scores in one layer range.

    Attributes:
        mean: E[J_k] of each score.
        gram: sum over scores of E[J_k J_k^T].
    """

    mean: Float[np.ndarray, "f l"]
    gram: Float[np.ndarray, "l l"]


class Choice(NamedTuple):
    """A direction that a method found for one score.

    Attributes:
        method: name of the method, or "random".
        row: direction, one standard deviation of the latent long, that raises the
            score.
        layers: moved layers [start, stop).
        candidate: number of the direction among those of the method.
        effect: mean effect on the score of the whole row, by the Jacobians.
        signed_purity: the figure by which it was chosen, by the Jacobians.
    """

    method: str
    row: Float[np.ndarray, "l"]
    layers: tuple[int, int]
    candidate: int
    effect: float
    signed_purity: float

    def step(self, num_layers: int, width: int) -> Float[np.ndarray, "layers d"]:
        """Returns the step of each layer."""
        return layer_rows(self.row[None], self.layers, num_layers, width)[0]


def layer_rows(
    rows: Float[np.ndarray, "k l"], layers: tuple[int, int], num_layers: int, width: int
) -> Float[np.ndarray, "k layers d"]:
    """Returns each direction's row of each layer: all of it, or its chunk of it, and 0
    outside the moved layers.
    """
    by_layer = np.broadcast_to(rows.reshape(len(rows), -1, width), (len(rows), num_layers, width))
    layer = np.arange(num_layers)[:, None]
    return np.where((layer >= layers[0]) & (layer < layers[1]), by_layer, 0.0).astype(np.float32)


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
    damping: float = DAMPING, span: Float[np.ndarray, "k l"] | None = None,
) -> Float[np.ndarray, "l"]:  # fmt: skip
    """Returns the direction with the largest share of the wanted score in its effects.

    Args:
        moments: moments of the Jacobians.
        wanted: number of the wanted score.
        covariance: covariance S of the latent.
        precision: inverse of S.
        damping: weight l of the term with S^-1.
        span: orthonormal rows, whose span contains the direction; None: any direction.
    """
    weight = damping * np.sum(moments.gram * covariance) / len(covariance)
    matrix, mean = moments.gram + weight * precision, moments.mean[wanted]
    if span is None:
        return np.linalg.lstsq(matrix, mean, rcond=1e-12)[0]
    return np.linalg.lstsq(span @ matrix @ span.T, span @ mean, rcond=1e-12)[0] @ span


def in_deviations(rows: Float[np.ndarray, "k l"], covariance: Float[np.ndarray, "l l"]) -> Float[np.ndarray, "k l"]:
    """Returns rows that are one standard deviation of the latent along them long:
    sqrt(u^T S u) u for each unit direction u. Rows of 0 stay 0.
    """
    lengths = np.linalg.norm(rows, axis=1)
    unit = rows / np.where(lengths > 0, lengths, 1.0)[:, None]
    return unit * np.sqrt(np.maximum(np.einsum("kl,lm,km->k", unit, covariance, unit), 0.0))[:, None]


def random(count: int, covariance: Float[np.ndarray, "l l"], seed: int) -> Float[np.ndarray, "k l"]:
    """Returns random directions of one standard deviation, the baseline of all
    methods.
    """
    return in_deviations(random_directions.unit_rows(count, len(covariance), seed), covariance)
