"""Layers that are affine in z, read off the network instead of sampled: BigGAN's gen_z, DCGAN's first layer.

y = slopes z + offset(label),  cov y = var(z) slopes slopes^T + cov over labels of the offsets
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.generators import base
from ganspace_jax.sampling import latents
from ganspace_jax.sampling.latents import Label
from ganspace_jax.shapes import Array, Float

_TOLERANCE = 1e-4


class AffineLayer(NamedTuple):
    """slopes: change of the flattened layer for a unit step of each coordinate of z; offsets: at z = 0, one row a label."""

    slopes: Float[np.ndarray, "d z"]
    offsets: Float[np.ndarray, "labels d"]


def read(generator: base.SplitGenerator, layer: str, label: Label, truncation_psi: float = 1.0) -> AffineLayer:
    """Evaluates the layer at the origin and at the unit vectors of z; raises InputError where it is not affine in z.

    label: a class, "all" for every class with the same weight, None for an unconditional generator.
    """
    module = generator.merge()
    if layer == "w" and module.has_mapping:
        raise InputError("--estimator=analytic: w is not an affine function of z; use --estimator=exact")
    classes: Sequence[int | None] = range(module.num_classes) if label == "all" else [label]

    def at(z: Array, one: int | None) -> np.ndarray:
        y = latents.one_hot(one, module.num_classes, len(z))
        settings = {"label": y, "truncation_psi": truncation_psi}
        values = base.activation(generator, base.map_latents(generator, z, y), layer, **settings)
        return np.asarray(values, np.float64).reshape(len(z), -1)

    offsets = np.concatenate([at(jnp.zeros((1, module.z_dim)), one) for one in classes])
    slopes = (at(jnp.eye(module.z_dim), classes[0]) - offsets[0]).T
    for one, offset in zip(classes, offsets, strict=True):
        probes = jax.random.normal(jax.random.key(0), (8, module.z_dim))
        found, expected = at(probes, one), np.asarray(probes, np.float64) @ slopes.T + offset
        if np.abs(found - expected).max() > _TOLERANCE * np.abs(found).max():
            raise InputError(
                f"--estimator=analytic: layer {layer} is not an affine function of z; use --estimator=exact"
            )
    return AffineLayer(slopes, offsets)


def factor(layer: AffineLayer, latent_variance: float) -> Float[np.ndarray, "d k"]:
    """F with F F^T = the layer's covariance: scaled slopes, and beside them the labels' deviations from their mean."""
    slopes = np.sqrt(latent_variance) * layer.slopes
    if len(layer.offsets) == 1:
        return slopes
    deviations = (layer.offsets - layer.offsets.mean(0)) / np.sqrt(len(layer.offsets))
    return np.concatenate([slopes, deviations.T], axis=1)
