"""Principal components of a covariance matrix, in float64 on the host."""

from typing import NamedTuple

import numpy as np
import scipy.sparse.linalg

from ganspace_jax.shapes import Float

_LANCZOS_FROM = 1024  # dimensions


class PrincipalComponents(NamedTuple):
    """Principal components in the order of falling variance.

    Attributes:
        directions: orthonormal rows, one per component.
        variances: variance along each direction.
        total_variance: sum of the variances of all d dimensions.
    """

    directions: Float[np.ndarray, "c d"]
    variances: Float[np.ndarray, "c"]
    total_variance: float


def exact(matrix: Float[np.ndarray, "d d"], num_components: int) -> PrincipalComponents:
    """Returns the leading eigenvectors of a covariance matrix to float64 precision.

    `fix_signs` sets the signs. If `uses_lanczos`, Lanczos iteration (ARPACK) with a
    fixed start runs to machine precision. This avoids a full eigendecomposition, which
    would need minutes and compute thousands of unused eigenvectors.
    """
    if uses_lanczos(len(matrix), num_components):
        start = np.random.default_rng(0).standard_normal(len(matrix))
        values, vectors = scipy.sparse.linalg.eigsh(matrix, k=num_components, which="LA", v0=start)
    else:
        values, vectors = np.linalg.eigh(matrix)
    order = np.argsort(values)[::-1][:num_components]
    variances = np.maximum(values[order], 0.0)
    return PrincipalComponents(fix_signs(vectors[:, order].T), variances, float(np.trace(matrix)))


def uses_lanczos(dimension: int, num_components: int) -> bool:
    """Returns whether `exact` computes few components of a large matrix by Lanczos."""
    return dimension > _LANCZOS_FROM and num_components < dimension // 10


def from_factor(factor: Float[np.ndarray, "d k"], num_components: int) -> PrincipalComponents:
    """Returns the principal components of the covariance factor @ factor.T.

    The directions are the left singular vectors of the factor, in float64. Because of
    this the d x d covariance is never formed. Components beyond the factor's rank have
    variance 0 and complete an orthonormal basis.
    """
    matrix = np.asarray(factor, np.float64)
    size, rank = matrix.shape
    if num_components > rank:
        filling = np.random.default_rng(0).standard_normal((size, num_components - rank))
        vectors, _ = np.linalg.qr(np.concatenate([np.linalg.svd(matrix, full_matrices=False)[0], filling], axis=1))
        variances = np.concatenate([np.linalg.svd(matrix, compute_uv=False) ** 2, np.zeros(num_components - rank)])
    else:
        vectors, values, _ = np.linalg.svd(matrix, full_matrices=False)
        variances = values**2
    directions = fix_signs(vectors[:, :num_components].T)
    return PrincipalComponents(directions, variances[:num_components], float(np.sum(matrix**2)))


def fix_signs(directions: Float[np.ndarray, "c d"]) -> Float[np.ndarray, "c d"]:
    """Returns the rows with signs that make each row's largest magnitude positive.

    Published component files use this convention.
    """
    rows = np.arange(len(directions))
    signs = np.sign(directions[rows, np.abs(directions).argmax(axis=1)])
    return directions * np.where(signs == 0, 1.0, signs)[:, None]
