"""Directions that a quadratic form u^T G u weighs most, relative to a covariance."""

import numpy as np

from ganspace_jax.shapes import Float
from ganspace_jax.statistics import pca
from ganspace_jax.statistics.pca import PrincipalComponents


def leading(
    gram: Float[np.ndarray, "d d"], covariance: Float[np.ndarray, "d d"], num_directions: int
) -> PrincipalComponents:
    """Returns the directions L q of the leading eigenvectors q of L^T G L, L L^T = S.

    L q has Mahalanobis length 1, u^T S^-1 u = 1, so the eigenvalue is its u^T G u. The
    directions do not depend on the choice of L. With S = I they are eigenvectors of G.

    Args:
        gram: symmetric matrix G without negative eigenvalues.
        covariance: covariance S.
        num_directions: number of directions, at most d.

    Returns:
        Unit rows, which are orthonormal only if S is a multiple of I. Their variances
        are the eigenvalues.
    """
    values, axes = np.linalg.eigh(np.asarray(covariance, np.float64))
    root = axes * np.sqrt(np.maximum(values, 0.0))
    found = pca.exact(root.T @ np.asarray(gram, np.float64) @ root, num_directions)
    return found._replace(directions=unit(found.directions @ root.T))


def unit(rows: Float[np.ndarray, "c d"]) -> Float[np.ndarray, "c d"]:
    """Returns rows of unit length, whose largest magnitude is positive. Rows of 0 stay
    0.
    """
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return pca.fix_signs(rows / np.where(lengths > 0, lengths, 1.0))


def stdevs(rows: Float[np.ndarray, "c d"], covariance: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "c"]:
    """Returns sqrt(u^T S u) of each row u."""
    return np.sqrt(np.maximum(np.einsum("cd,de,ce->c", rows, covariance, rows), 0.0))
