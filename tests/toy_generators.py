"""A linear generator, for which every closed form is exact: image = sum over layers of
A_layer w_layer + b, and w = map z + mean.
"""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
from flax import nnx

from ganspace_jax.generators import base


@dataclasses.dataclass(frozen=True)
class Config:
    """Sizes of the toy."""

    num_layers: int = 3
    width: int = 5
    resolution: int = 4
    has_mapping: bool = True


class Linear(nnx.Module):
    """The toy's network, which fulfils the contract base.Network."""

    prior: ClassVar = "normal"
    num_classes: ClassVar = 0
    class_names: ClassVar = ()

    def __init__(self, config, *, seed=0):
        random, d = np.random.default_rng(seed), config.width
        self.config, pixels = config, config.resolution**2
        self.has_mapping, self.default_layer = config.has_mapping, "w" if config.has_mapping else "features"
        self.matrices = nnx.Param(jnp.asarray(random.normal(size=(config.num_layers, pixels, d)), jnp.float32))
        self.bias = nnx.Param(jnp.asarray(random.normal(size=pixels), jnp.float32))
        self.map = nnx.Param(jnp.asarray(random.normal(size=(d, d)) * np.linspace(1.5, 0.5, d), jnp.float32))
        self.mean = nnx.Param(jnp.asarray(random.normal(size=d), jnp.float32))

    @property
    def z_dim(self):
        """Size of z."""
        return self.config.width

    @property
    def latent_shape(self):
        """Layers and width."""
        return self.config.num_layers, self.config.width

    def map_latents(self, z, label=None):
        """Returns per-layer latents."""
        w = z @ self.map[...].T + self.mean[...] if self.has_mapping else z
        return jnp.broadcast_to(w[:, None], (len(z), *self.latent_shape))

    def __call__(self, latents, *, label=None, offsets=None, noise="const", truncation_psi=1.0, truncation_cutoff=None):
        """Returns images and the pixels as an activation."""
        record = base.Recorder(offsets)
        pixels = jnp.einsum("lpd,nld->np", self.matrices[...], latents, precision="highest") + self.bias[...]
        side = self.config.resolution
        return record("features", pixels).reshape(len(latents), side, side, 1), record.finish()


class Classes(Linear):
    """The toy with the layers as chunks of one truncated z, and a bias per class, as in
    BigGAN.
    """

    prior: ClassVar = "truncated_normal"
    num_classes: ClassVar = 3
    class_names: ClassVar = ("cube", "cone", "ball")

    def __init__(self, config):
        super().__init__(config)
        biases = np.random.default_rng(1).normal(size=(self.num_classes, config.resolution**2))
        self.class_biases = nnx.Param(jnp.asarray(biases, jnp.float32))

    @property
    def z_dim(self):
        """Size of z: all layers together."""
        return self.config.num_layers * self.config.width

    def map_latents(self, z, label=None):
        """Returns the chunks of z."""
        return z.reshape(len(z), *self.latent_shape)

    def __call__(self, latents, *, label=None, **settings):
        """Returns images and the pixels before the bias of the class."""
        images, activations = super().__call__(latents, **settings)
        return images + (label @ self.class_biases[...]).reshape(images.shape), activations


def classes():
    """Returns the toy with classes as a Generator. Its z is smaller than the images, so
    that only the true class gives an image exactly.
    """
    return base.split(Classes(Config(width=2, has_mapping=False)))


def linear(**settings):
    """Returns the toy as a Generator."""
    return base.split(Linear(Config(**settings)))


def matrices(generator):
    """Returns A [layers, pixels, d] in float64."""
    return np.asarray(generator.merge().matrices[...], np.float64)


def covariance(generator):
    """Returns the covariance of the latent that edits move."""
    mapping = np.asarray(generator.merge().map[...], np.float64)
    return mapping @ mapping.T if generator.has_mapping else np.eye(len(mapping))


def reader(weights):
    """Returns a JAX function that reads scores [n, f] = pixels weights^T."""
    weights = jnp.asarray(weights, jnp.float32)
    return lambda images: jnp.matmul(jnp.reshape(images, (len(images), -1)), weights.T, precision="highest")


def planted(generator, *, jacobians=None, num_scores=3, seed=1):
    """Returns weights of scores with given Jacobians.

    Args:
        generator: the toy.
        jacobians: Jacobians [f, layers, d]; None: orthonormal rows, one per score.
        num_scores: number of scores, at most the width.
        seed: seed of the Jacobians.

    Returns:
        The weights [f, pixels], and the Jacobians.
    """
    a = matrices(generator)
    if jacobians is None:
        rows = np.linalg.qr(np.random.default_rng(seed).normal(size=(a.shape[2], a.shape[2])))[0][:num_scores]
        jacobians = np.stack([rows] * len(a), axis=1)
    stacked = np.concatenate(list(a), axis=1)
    return jacobians.reshape(len(jacobians), -1) @ np.linalg.pinv(stacked), jacobians
