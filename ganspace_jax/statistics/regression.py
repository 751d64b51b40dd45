"""Moments to latent directions: the least-squares step of GANSpace (section 3.2) in closed form, without a second pass."""

from typing import NamedTuple

import numpy as np

from ganspace_jax.shapes import Float
from ganspace_jax.statistics.pca import PrincipalComponents


class LatentDirections(NamedTuple):
    """directions: unit rows, one a component; slopes: latent units along it for one standard deviation of the component;
    r2: the share of each component's variance that is linear in the latent."""

    directions: Float[np.ndarray, "c l"]
    slopes: Float[np.ndarray, "c"]
    r2: Float[np.ndarray, "c"]


def latent_directions(
    components: PrincipalComponents,
    cross_covariance: Float[np.ndarray, "c l"],
    latent_covariance: Float[np.ndarray, "l l"],
) -> LatentDirections:
    """U = argmin E || U a - (z - E z) ||^2 for whitened coordinates a = diag(1 / sigma) V (y - mu).

    E[a a^T] = 1, so U^T = E[a z^T] = diag(1 / sigma) V C_yz. r2_k = c_k C_zz^-1 c_k with c_k the k-th row of it.
    cross_covariance: V C_yz, of the components' coordinates with the latent.
    """
    deviations = np.sqrt(np.maximum(components.variances, np.finfo(np.float64).tiny))
    rows = cross_covariance / deviations[:, None]
    explained = np.linalg.lstsq(latent_covariance, rows.T, rcond=1e-10)[0]
    r2 = np.clip(np.sum(rows * explained.T, axis=1), 0.0, 1.0)
    slopes = np.linalg.norm(rows, axis=1)
    return LatentDirections(rows / np.where(slopes == 0, 1.0, slopes)[:, None], slopes, r2)
