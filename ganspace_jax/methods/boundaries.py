"""Linear boundaries of scores in latent space, in closed form from streamed moments.

Shen et al., "Interpreting the Latent Space of GANs for Semantic Face Editing", CVPR
2020 (InterFaceGAN), section 3. The paper trains a linear support vector machine on the
most extreme samples. Ridge regression on all samples finds as good a boundary, for
continuous, circular and yes/no scores.

With latent w, covariance S = cov(w), score y and c = cov(w, y):

    normal       S^-1 c: the vector that predicts the score, <S^-1 c, w>
    conditional  the normal less its projection on the normals of other scores
    pattern      c: how the mean latent differs between low and high scores
    dual         rows of (Q S Q^T)^-1 Q S, Q the normals: the smallest step that moves
                 the prediction of one score and of no other

Directions are rows. A circular score has two: of its cosine and of its sine.
"""

from typing import NamedTuple

import numpy as np

from ganspace_jax.shapes import Float
from ganspace_jax.statistics import moments
from ganspace_jax.statistics.moments import Float64Moments

RIDGE = 1e-4  # relative to the latent's mean variance
_LEAST_NORM = 1e-9  # relative to the largest normal; a smaller remainder is rounding


class Boundary(NamedTuple):
    """Linear prediction of one score's codes y: <normal, w> + intercept.

    Attributes:
        normal: rows S^-1 c, one per code.
        pattern: rows c, one per code.
        intercept: prediction of each code at w = 0.
    """

    normal: Float[np.ndarray, "k l"]
    pattern: Float[np.ndarray, "k l"]
    intercept: Float[np.ndarray, "k"]


def encode(values: Float[np.ndarray, "n"], period: float | None) -> Float[np.ndarray, "n k"]:
    """Returns the codes of a score: the score itself, or (cos, sin) of a circular
    score's angle.
    """
    if period is None:
        return np.asarray(values, np.float64)[:, None]
    angles = 2 * np.pi * np.asarray(values, np.float64) / period
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def init(latent_size: int, num_codes: int) -> Float64Moments:
    """Returns the joint moments of (w, codes) of zero samples."""
    return moments.to_float64(moments.init(latent_size + num_codes))


def update(state: Float64Moments, latents: Float[np.ndarray, "n l"], codes: Float[np.ndarray, "n k"]) -> Float64Moments:
    """Adds samples to the joint moments. Samples with a NaN are left out."""
    x = np.concatenate([latents, codes], axis=1, dtype=np.float64)
    x = x[~np.isnan(x).any(1)]
    if not len(x):
        return state
    mean = x.mean(0)
    return moments.merge(state, Float64Moments(np.float64(len(x)), mean, (x - mean).T @ (x - mean)))


def fit(state: Float64Moments, num_codes: int, ridge: float = RIDGE) -> Boundary:
    """Returns the boundary of a score.

    Args:
        state: joint moments of (w, codes), of at least two samples.
        num_codes: number of codes.
        ridge: number that is added to the variances of w, relative to their mean.
    """
    joint = moments.covariance(state)
    covariance, pattern = joint[:-num_codes, :-num_codes], joint[-num_codes:, :-num_codes]
    size = len(covariance)
    normal = np.linalg.solve(covariance + ridge * np.trace(covariance) / size * np.eye(size), pattern.T).T
    return Boundary(normal, pattern, state.mean[-num_codes:] - normal @ state.mean[:-num_codes])


def r2(boundary: Boundary, held_out: Float64Moments) -> float:
    """Returns the share of the codes' variance that the boundary predicts, from the
    moments of other samples.
    """
    num_codes = len(boundary.normal)
    joint = held_out.scatter / held_out.count
    latent, cross, codes = (
        joint[:-num_codes, :-num_codes],
        joint[-num_codes:, :-num_codes],
        joint[-num_codes:, -num_codes:],
    )
    offset = boundary.normal @ held_out.mean[:-num_codes] + boundary.intercept - held_out.mean[-num_codes:]
    predicted = np.sum(boundary.normal @ latent * boundary.normal) - 2 * np.sum(boundary.normal * cross)
    missed = np.trace(codes) + predicted + np.sum(np.square(offset))
    return float(1 - missed / np.trace(codes)) if np.trace(codes) > 0 else float("nan")


def accuracy(boundary: Boundary, latents: Float[np.ndarray, "n l"], is_high: np.ndarray, threshold: float) -> float:
    """Returns the share of samples on the side of the boundary that their score tells.

    Args:
        boundary: boundary of a score that is not circular.
        latents: latents of the samples.
        is_high: whether the score of each sample is above the threshold.
        threshold: predicted score at the boundary.
    """
    predicted = latents @ boundary.normal[0] + boundary.intercept[0] > threshold
    return float(np.mean(predicted == np.asarray(is_high, bool)))


def conditional(normal: Float[np.ndarray, "k l"], others: Float[np.ndarray, "m l"]) -> Float[np.ndarray, "k l"]:
    """Returns normals that are orthogonal to the normals of other scores.

    A normal in the span of the other normals becomes 0.
    """
    basis = np.linalg.svd(others, full_matrices=False)[2][: np.linalg.matrix_rank(others)] if len(others) else others
    left = normal - normal @ basis.T @ basis
    is_rounding = np.linalg.norm(left, axis=1) < _LEAST_NORM * np.linalg.norm(normal, axis=1)
    return np.where(is_rounding[:, None], 0.0, left)


def dual(normals: Float[np.ndarray, "m l"], covariance: Float[np.ndarray, "l l"]) -> Float[np.ndarray, "m l"]:
    """Returns the rows of (Q S Q^T)^-1 Q S, where Q has the normals as rows.

    Row i changes the prediction of code i by 1 and of no other code. It is the shortest
    such step, in standard deviations of w.
    """
    moved = normals @ covariance
    return np.linalg.pinv(moved @ normals.T, hermitian=True) @ moved


def directions(
    method: str, boundaries: list[Boundary], wanted: int, covariance: Float[np.ndarray, "l l"]
) -> Float[np.ndarray, "k l"]:
    """Returns the rows that a method finds for one score.

    Args:
        method: name in METHODS.
        boundaries: boundaries of all scores.
        wanted: number of the score.
        covariance: covariance S of the latent.
    """
    return METHODS[method](boundaries, wanted, covariance)


def _conditional(boundaries: list[Boundary], wanted: int, covariance: np.ndarray) -> np.ndarray:
    others = [one.normal / np.linalg.norm(one.normal, axis=1, keepdims=True).clip(1e-300) for one in boundaries]
    del others[wanted]
    return conditional(boundaries[wanted].normal, np.concatenate([np.zeros((0, len(covariance))), *others]))


def _dual(boundaries: list[Boundary], wanted: int, covariance: np.ndarray) -> np.ndarray:
    starts = np.cumsum([0, *(len(one.normal) for one in boundaries)])
    rows = dual(np.concatenate([one.normal for one in boundaries]), covariance)
    return rows[starts[wanted] : starts[wanted + 1]]


METHODS = {
    "normal": lambda boundaries, wanted, covariance: boundaries[wanted].normal,
    "conditional": _conditional,
    "pattern": lambda boundaries, wanted, covariance: boundaries[wanted].pattern,
    "dual": _dual,
}
