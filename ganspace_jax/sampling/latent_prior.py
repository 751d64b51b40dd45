"""The distribution of a generator's own latents: a mean, a covariance and a distance.

Inversion, tangents and attributes compare latents with it.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from ganspace_jax.errors import InputError
from ganspace_jax.generators.base import Generator
from ganspace_jax.sampling import latents, random_samples
from ganspace_jax.sampling.labels import Label
from ganspace_jax.shapes import Array, Float

_LEAST_VARIANCE = 1e-4  # relative to the largest; the samples do not determine smaller variances


class LatentPrior(NamedTuple):
    """Mean and covariance of the latent of one layer.

    Attributes:
        mean: mean of the latent.
        covariance: covariance of the latent.
        precision: inverse of the covariance.
    """

    mean: Float[np.ndarray, "d"]
    covariance: Float[np.ndarray, "d d"]
    precision: Float[np.ndarray, "d d"]


def estimate(generator: Generator, *, num_samples: int = 10_000, seed: int = 0, label: Label = None) -> LatentPrior:
    """Returns the distribution of w, estimated from random samples, or the known one
    of z.

    Args:
        generator: the generator.
        num_samples: number of samples of w; at least 2.
        seed: seed of the samples.
        label: class of the samples; None: all classes.

    Raises:
        InputError: if there is no such class, or if one sample is asked for.
    """
    if num_samples < 2:
        raise InputError(f"--num_samples={num_samples}: a covariance needs at least 2 samples")
    if not generator.has_mapping:
        return of_z(generator, generator.latent_shape[1])
    w = random_samples.draw(generator, 0, num_samples, seed=seed, label=label).latent.astype(np.float64)
    return of_covariance(w.mean(0), np.cov(w, rowvar=False).reshape(w.shape[1], w.shape[1]))


def of_covariance(mean: Float[np.ndarray, "d"], covariance: Float[np.ndarray, "d d"]) -> LatentPrior:
    """Returns the distribution with this mean and this covariance.

    The inverse replaces variances below 1e-4 of the largest by this bound.
    """
    variances, axes = np.linalg.eigh(np.asarray(covariance, np.float64))
    bounded = np.maximum(variances, _LEAST_VARIANCE * variances[-1])
    return LatentPrior(np.asarray(mean, np.float64), np.asarray(covariance, np.float64), (axes / bounded) @ axes.T)


def of_z(generator: Generator, size: int) -> LatentPrior:
    """Returns the known distribution of `size` coordinates of z."""
    return of_covariance(np.zeros(size), latents.variance(generator.prior) * np.eye(size))


def is_chunked(generator: Generator) -> bool:
    """Returns whether the layers hold chunks of one z, as BigGAN's do."""
    return not generator.has_mapping and generator.latent_shape[1] < generator.z_dim


def distance(prior: LatentPrior, layer_latents: Float[Array | np.ndarray, "n layers d"]) -> Float[Array, "n"]:
    """Returns the Mahalanobis distance of each mean latent over layers, in standard
    deviations.

    The distance is sqrt((w - mean)^T S^-1 (w - mean) / d), so that a typical latent of
    the generator has a distance near 1.
    """
    away = jnp.asarray(layer_latents).mean(1) - jnp.asarray(prior.mean, jnp.float32)
    precision = jnp.asarray(prior.precision, jnp.float32)
    square = jnp.einsum("ni,ij,nj->n", away, precision, away, precision=lax.Precision.HIGHEST)
    return jnp.sqrt(jnp.maximum(square, 0.0) / away.shape[1])
