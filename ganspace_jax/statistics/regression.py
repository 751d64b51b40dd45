"""Latent directions by least squares (GANSpace, section 3.2), from covariances alone.

The closed form needs no second pass over the samples.
"""

from typing import NamedTuple

import numpy as np

from ganspace_jax.shapes import Float
from ganspace_jax.statistics.pca import PrincipalComponents


class LatentDirections(NamedTuple):
    """Directions of a latent space that change principal components.

    Attributes:
        directions: unit rows, one per component.
        slopes: latent step along the direction per standard deviation of the component.
        r2: fraction of each component's variance that is linear in the latent.
    """

    directions: Float[np.ndarray, "c l"]
    slopes: Float[np.ndarray, "c"]
    r2: Float[np.ndarray, "c"]


def latent_directions(
    components: PrincipalComponents,
    cross_covariance: Float[np.ndarray, "c l"],
    latent_covariance: Float[np.ndarray, "l l"],
) -> LatentDirections:
    """Returns U = argmin E || U a - (z - E z) ||^2 for whitened coordinates a.

    The whitened coordinates are a = diag(1 / sigma) V (y - mu). Because E[a a^T] = 1,
    the solution is U^T = E[a z^T] = diag(1 / sigma) V C_yz. With c_k the k-th row of
    U^T, r2_k = c_k C_zz^-1 c_k.

    Args:
        components: rows V and variances sigma^2 of a layer y.
        cross_covariance: V C_yz, the covariance of the coordinates with the latent.
        latent_covariance: C_zz.
    """
    deviations = np.sqrt(np.maximum(components.variances, np.finfo(np.float64).tiny))
    rows = cross_covariance / deviations[:, None]
    explained = np.linalg.lstsq(latent_covariance, rows.T, rcond=1e-10)[0]
    r2 = np.clip(np.sum(rows * explained.T, axis=1), 0.0, 1.0)
    slopes = np.linalg.norm(rows, axis=1)
    return LatentDirections(rows / np.where(slopes == 0, 1.0, slopes)[:, None], slopes, r2)
