"""Standard errors of principal components by the jackknife over groups of samples.

The jackknife (Efron and Stein 1981) leaves out one of G groups at a time. It computes
the components of the remaining samples, which are called a replicate. The squared
standard error is

    se^2 = (G - 1) / G sum_g difference_g^2.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ganspace_jax.shapes import Float
from ganspace_jax.statistics.moments import Float64Moments, covariance, remove
from ganspace_jax.statistics.pca import PrincipalComponents, exact, fix_signs, uses_lanczos

_OVERSAMPLING = 10  # directions
_NUM_ITERATIONS = 3


class Stability(NamedTuple):
    """Standard errors of principal components.

    Attributes:
        variance_errors: standard error of each component's variance.
        angles: standard error of each component's direction, in degrees, at most 90.
    """

    variance_errors: Float[np.ndarray, "c"]
    angles: Float[np.ndarray, "c"]


def jackknife(
    total: Float64Moments, groups: Sequence[Float64Moments], components: PrincipalComponents, block: slice
) -> Stability:
    """Returns the standard errors of components that `exact` computed from moments.

    Args:
        total: moments of all groups together.
        groups: moments of each group of samples.
        components: principal components of `total`'s covariance within `block`.
        block: rows of the moments that the components belong to.
    """
    return stability(components, [one for one, _ in replicates(total, groups, components, block)])


def replicates(
    total: Float64Moments, groups: Sequence[Float64Moments], components: PrincipalComponents, block: slice
) -> Iterator[tuple[PrincipalComponents, Float[np.ndarray, "d d"]]]:
    """Yields, without one group at a time, the components and the covariance of all
    dimensions. Arguments are those of `jackknife`.
    """
    num_components, dimension = components.directions.shape
    start = None
    if uses_lanczos(dimension, num_components):
        start = exact(covariance(total)[block, block], 2 * num_components + _OVERSAMPLING).directions.T
    for group in groups:
        whole = covariance(remove(total, group))
        matrix = whole[block, block]
        yield (exact(matrix, num_components) if start is None else _refine(matrix, start, num_components)), whole


def stability(components: PrincipalComponents, replicates: Sequence[PrincipalComponents]) -> Stability:
    """Returns the jackknife's standard errors.

    A variance's difference is the distance to the mean over the replicates. A
    direction's difference is the angle to the replicate's component of the same rank.
    Two components that trade places in a replicate therefore have large angles.

    Args:
        components: principal components of all samples.
        replicates: principal components without one group, one item per group.
    """
    factor = (len(replicates) - 1) / len(replicates)
    variances = np.array([replicate.variances for replicate in replicates])
    scatter = np.square(variances - variances.mean(0)).sum(0)
    angles = angle_errors(components.directions, [replicate.directions for replicate in replicates])
    return Stability(np.sqrt(factor * scatter), angles)


def angle_errors(
    directions: Float[np.ndarray, "c d"], replicates: Sequence[Float[np.ndarray, "c d"]]
) -> Float[np.ndarray, "c"]:
    """Returns the standard errors of unit rows, in degrees, at most 90.

    Args:
        directions: unit rows, computed from all samples.
        replicates: the same rows without one group, one item per group.
    """
    factor = (len(replicates) - 1) / len(replicates)
    angles = np.array([_angles(directions, replicate) for replicate in replicates])
    return np.minimum(np.degrees(np.sqrt(factor * np.square(angles).sum(0))), 90.0)


def _refine(
    matrix: Float[np.ndarray, "d d"], basis: Float[np.ndarray, "d b"], num_components: int
) -> PrincipalComponents:
    """Returns leading components by a few subspace iterations from a good basis.

    Each iteration shrinks the error of a component. The factor is the ratio of the
    largest eigenvalue outside the basis to the component's eigenvalue.
    """
    for _ in range(_NUM_ITERATIONS):
        basis = np.linalg.qr(matrix @ basis)[0]
    values, vectors = np.linalg.eigh(basis.T @ matrix @ basis)
    order = np.argsort(values)[::-1][:num_components]
    return PrincipalComponents(
        fix_signs((basis @ vectors[:, order]).T), np.maximum(values[order], 0.0), float(np.trace(matrix))
    )


def _angles(a: Float[np.ndarray, "c d"], b: Float[np.ndarray, "c d"]) -> Float[np.ndarray, "c"]:
    """Returns the angles between unit rows in radians, up to the rows' signs.

    The angle is computed from the chord. This is because the arc cosine loses small
    angles to rounding.
    """
    signs = np.sign(np.sum(a * b, axis=1))[:, None]
    half_chord = np.linalg.norm(a - np.where(signs == 0, 1.0, signs) * b, axis=1) / 2
    return 2 * np.arcsin(np.minimum(half_chord, 1.0))
