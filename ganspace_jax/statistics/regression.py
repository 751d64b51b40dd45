"""Latent directions by least squares, from covariances alone.

The closed forms need no second pass over the samples. Let a = V (y - mu) / sigma be the
whitened coordinates of a layer's components, z the latent, C_az = E[a z^T] and C_zz the
latent's covariance. Two rules turn them into directions:

    gradient:  D = C_az C_zz^-1, the coefficients of the regression of a on z
    published: D = C_az, the coefficients of the regression of z on a
               (GANSpace, section 3.2)

If z is isotropic, both have the same limit for many samples. With N samples of l
dimensions, the published rule has an angle error of about sqrt(l / N) also where the
layer is linear in z. There the gradient rule has no sampling error. If z is normal, its
rows are the mean gradients E[da/dz] (Stein's lemma).

If z is not isotropic, as w, the limits differ. The published rule then moves z as the
samples vary together with the component, so it remains within the latent's
distribution.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ganspace_jax.shapes import Float
from ganspace_jax.statistics import jackknife

GRADIENT, PUBLISHED = "gradient", "published"


class CoordinateMoments(NamedTuple):
    """Second moments of the components' coordinates V (y - mu), which are uncorrelated,
    and of the latent.

    Attributes:
        variances: variance of each coordinate.
        cross_covariance: V C_yz, the covariance of the coordinates with the latent.
        latent_covariance: C_zz.
    """

    variances: Float[np.ndarray, "c"]
    cross_covariance: Float[np.ndarray, "c l"]
    latent_covariance: Float[np.ndarray, "l l"]


class LatentDirections(NamedTuple):
    """Directions of a latent space that change principal components.

    Attributes:
        directions: unit rows, one per component.
        r2: fraction of each component's variance that is linear in the latent.
    """

    directions: Float[np.ndarray, "c l"]
    r2: Float[np.ndarray, "c"]


def latent_directions(moments: CoordinateMoments, rule: str) -> LatentDirections:
    """Returns the directions of one rule, and r2 of the regression of a on z.

    With c_k the k-th row of C_az, r2_k = c_k C_zz^-1 c_k.

    Args:
        moments: moments of coordinates and latent.
        rule: "gradient" or "published".
    """
    deviations = np.sqrt(np.maximum(moments.variances, np.finfo(np.float64).tiny))
    covariances = moments.cross_covariance / deviations[:, None]
    gradients = np.linalg.lstsq(moments.latent_covariance, covariances.T, rcond=1e-10)[0].T
    r2 = np.clip(np.sum(covariances * gradients, axis=1), 0.0, 1.0)
    rows = gradients if rule == GRADIENT else covariances
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return LatentDirections(rows / np.where(lengths == 0, 1.0, lengths), r2)


def uncertainty(
    moments: CoordinateMoments, replicates: Sequence[CoordinateMoments], rule: str
) -> Float[np.ndarray, "c"]:
    """Returns the jackknife's standard error of each direction, in degrees, at most 90.

    It contains the uncertainty of the component and that of the regression.

    Args:
        moments: moments of all samples.
        replicates: moments without one group of samples, one item per group; () if
            there are no samples, so that every error is 0.
        rule: "gradient" or "published".
    """
    directions = latent_directions(moments, rule).directions
    if not replicates:
        return np.zeros(len(directions))
    return jackknife.angle_errors(directions, [latent_directions(one, rule).directions for one in replicates])
