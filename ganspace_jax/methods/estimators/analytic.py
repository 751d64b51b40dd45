"""The analytic estimator: a layer that is affine in z, read off the network instead of
sampled.

    y = slopes z + offset(label),  cov y = var(z) slopes slopes^T + cov over labels of
    the offsets

Such layers are BigGAN's gen_z and DCGAN's first layer.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.generators import synthesis
from ganspace_jax.generators.base import MAPPED_LATENT, Generator
from ganspace_jax.generators.synthesis import Synthesis
from ganspace_jax.methods.estimators.estimate import Estimate, Estimation, Estimator, Task
from ganspace_jax.run import Run
from ganspace_jax.sampling import latents
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.sampling.sweep_parts import Samples
from ganspace_jax.shapes import Array, Float
from ganspace_jax.statistics import jackknife, pca
from ganspace_jax.statistics.regression import CoordinateMoments

_TOLERANCE = 1e-4  # of the largest value
_NUM_PROBES = 8  # random latents at which the layer is compared with the affine function


class AffineLayer(NamedTuple):
    """A layer as an affine function of z.

    Attributes:
        slopes: change of the flattened layer for a unit step of each coordinate of z.
        offsets: the layer at z = 0, one row per label.
    """

    slopes: Float[np.ndarray, "d z"]
    offsets: Float[np.ndarray, "labels d"]


def read(generator: Generator, spec: LayerSpec) -> AffineLayer:
    """Evaluates the layer at the origin and at the unit vectors of z.

    For the label "all", every class has the same weight.

    Raises:
        InputError: if the layer is not an affine function of z.
    """
    if spec.layer == MAPPED_LATENT:
        raise InputError("--estimator=analytic: w is not an affine function of z; use --estimator=exact")
    classes: Sequence[Any] = range(generator.num_classes) if spec.label == "all" else [spec.label]

    def at(z: Array, label: int | None) -> np.ndarray:
        settings = Synthesis(label, spec.truncation_psi, spec.truncation_cutoff)
        mapped = synthesis.map_latents(generator, z, label)
        values = synthesis.activation(generator, mapped, str(spec.layer), settings)
        return np.asarray(values, np.float64).reshape(len(z), -1)

    z_dim = generator.z_dim
    offsets = np.concatenate([at(jnp.zeros((1, z_dim)), label) for label in classes])
    slopes = (at(jnp.eye(z_dim), classes[0]) - offsets[0]).T
    probes = jax.random.normal(jax.random.key(0), (_NUM_PROBES, z_dim))
    for label, offset in zip(classes, offsets, strict=True):
        values, expected = at(probes, label), np.asarray(probes, np.float64) @ slopes.T + offset
        if np.abs(values - expected).max() > _TOLERANCE * np.abs(values).max():
            raise InputError(
                f"--estimator=analytic: layer {spec.layer} is not an affine function of z; use --estimator=exact"
            )
    return AffineLayer(slopes, offsets)


def is_affine(generator: Generator, spec: LayerSpec) -> bool:
    """Returns whether the layer is an affine function of z."""
    try:
        read(generator, spec)
    except InputError:
        return False
    return True


def factor(layer: AffineLayer, latent_variance: float) -> Float[np.ndarray, "d k"]:
    """Returns F with F F^T = the layer's covariance.

    Its columns are the scaled slopes, and beside them the labels' deviations from their
    mean.
    """
    slopes = np.sqrt(latent_variance) * layer.slopes
    if len(layer.offsets) == 1:
        return slopes
    deviations = (layer.offsets - layer.offsets.mean(0)) / np.sqrt(len(layer.offsets))
    return np.concatenate([slopes, deviations.T], axis=1)


def estimate(samples: Samples, task: Task, run: Run) -> Estimation:
    """Computes the limit of the sampling estimators for infinitely many samples.

    Raises:
        InputError: if the layer is not an affine function of z.
    """
    del run
    yield from ()  # it needs no sweeps
    generator, spec = samples.generator, samples.spec
    layer = read(generator, spec)
    variance = latents.variance(generator.prior, spec.truncation_psi)
    columns = factor(layer, variance)
    no_error = np.zeros(task.num_components)
    components = pca.from_factor(columns, task.num_components)
    return Estimate(
        components=components,
        stability=jackknife.Stability(no_error, no_error),
        mean=layer.offsets.mean(0),
        random_variances=np.square(task.random_directions @ columns).sum(1),
        latent_mean=np.zeros(generator.z_dim),
        moments=CoordinateMoments(
            components.variances, variance * components.directions @ layer.slopes, variance * np.eye(generator.z_dim)
        ),
        replicates=(),
        num_samples=0,
        num_sweeps=0,
    )


def host_bytes(sizes: tuple[int, int], num_components: int) -> int:
    """Returns 0: the arrays are as large as the weights of the layer."""
    del sizes, num_components
    return 0


ESTIMATOR = Estimator(None, estimate, host_bytes)
