"""Moments to principal components, in float64 on the host."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.sparse.linalg

from ganspace_jax.shapes import Float
from ganspace_jax.statistics.moments import Float64Moments, covariance, remove

_LANCZOS_FROM = 1024
_OVERSAMPLING = 10
_REFINEMENTS = 3


class PrincipalComponents(NamedTuple):
    """directions: orthonormal rows; variances: along them, falling; total_variance: of all dimensions."""

    directions: Float[np.ndarray, "c d"]
    variances: Float[np.ndarray, "c"]
    total_variance: float


class Stability(NamedTuple):
    """Jackknife over groups of samples: standard errors of each component's variance, and of its direction in degrees."""

    variance_errors: Float[np.ndarray, "c"]
    angles: Float[np.ndarray, "c"]


def exact(matrix: Float[np.ndarray, "d d"], num_components: int) -> PrincipalComponents:
    """Leading eigenvectors of a covariance matrix to float64 precision, signs fixed by `fix_signs`.

    Few components of a large matrix come from Lanczos iteration run to machine precision (ARPACK, with a fixed start): a full
    eigendecomposition would take minutes and find thousands of vectors that nobody asked for.
    """
    if _is_large(matrix, num_components):
        start = np.random.default_rng(0).standard_normal(len(matrix))
        values, vectors = scipy.sparse.linalg.eigsh(matrix, k=num_components, which="LA", v0=start)
    else:
        values, vectors = np.linalg.eigh(matrix)
    order = np.argsort(values)[::-1][:num_components]
    variances = np.maximum(values[order], 0.0)
    return PrincipalComponents(fix_signs(vectors[:, order].T), variances, float(np.trace(matrix)))


def from_factor(factor: Float[np.ndarray, "d k"], num_components: int) -> PrincipalComponents:
    """The same for the covariance factor @ factor.T, which is never formed: left singular vectors, in float64.

    Components beyond the factor's rank have variance 0 and complete an orthonormal basis.
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
    """Makes the entry of largest magnitude of every row positive: the convention of the published component files."""
    rows = np.arange(len(directions))
    signs = np.sign(directions[rows, np.abs(directions).argmax(axis=1)])
    return directions * np.where(signs == 0, 1.0, signs)[:, None]


def jackknife(
    total: Float64Moments, groups: Sequence[Float64Moments], components: PrincipalComponents, block: slice
) -> Stability:
    """Leaves out one group at a time (Efron and Stein 1981): se^2 = (G - 1) / G sum_g difference_g^2.

    The difference of a direction is the angle to the component of the same rank, so a component that trades places with its
    neighbour when a group is missing shows as unstable. total: of all groups. block: the rows of the moments that the
    components belong to.
    """
    num_components = len(components.variances)
    start = None
    if _is_large(total.scatter[block, block], num_components):
        start = exact(covariance(total)[block, block], 2 * num_components + _OVERSAMPLING).directions.T
    others = []
    for group in groups:
        matrix = covariance(remove(total, group))[block, block]
        others.append(exact(matrix, num_components) if start is None else _refine(matrix, start, num_components))
    return stability(components, others)


def stability(components: PrincipalComponents, others: Sequence[PrincipalComponents]) -> Stability:
    """The jackknife's errors, from the components that are found when each group in turn is left out."""
    factor = (len(others) - 1) / len(others)
    variances = np.array([other.variances for other in others])
    angles = np.array([_angles(components.directions, other.directions) for other in others])
    angle = np.degrees(np.sqrt(factor * np.square(angles).sum(0)))
    spread = np.square(variances - variances.mean(0)).sum(0)
    return Stability(np.sqrt(factor * spread), np.minimum(angle, 90.0))


def _is_large(matrix: Float[np.ndarray, "d d"], num_components: int) -> bool:
    return len(matrix) > _LANCZOS_FROM and num_components < len(matrix) // 10


def _refine(
    matrix: Float[np.ndarray, "d d"], basis: Float[np.ndarray, "d b"], num_components: int
) -> PrincipalComponents:
    """Leading components of a matrix whose leading subspace is almost known: a few subspace iterations from there.

    What is outside of the basis shrinks each time by the ratio of an eigenvalue beyond the basis to that of the component.
    """
    for _ in range(_REFINEMENTS):
        basis = np.linalg.qr(matrix @ basis)[0]
    values, vectors = np.linalg.eigh(basis.T @ matrix @ basis)
    order = np.argsort(values)[::-1][:num_components]
    return PrincipalComponents(
        fix_signs((basis @ vectors[:, order]).T), np.maximum(values[order], 0.0), float(np.trace(matrix))
    )


def _angles(a: Float[np.ndarray, "c d"], b: Float[np.ndarray, "c d"]) -> Float[np.ndarray, "c"]:
    """Radians between rows, signs ignored; from the chord, since the arc cosine loses small angles to rounding."""
    signs = np.sign(np.sum(a * b, axis=1))[:, None]
    half_chord = np.linalg.norm(a - np.where(signs == 0, 1.0, signs) * b, axis=1) / 2
    return 2 * np.arcsin(np.minimum(half_chord, 1.0))
