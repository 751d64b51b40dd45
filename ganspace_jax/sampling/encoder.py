"""The encoder: a small network that reads the latents of a generator's images.

It is trained on images of one generator, and inversion starts from its latents. Images
with a side above 64 px are reduced to at most 64 px, each pixel to the mean of its
area. So the encoder of a large generator reads the coarse structure alone.
"""

import dataclasses
import functools
import math
import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ganspace_jax.errors import InputError
from ganspace_jax.files import checkpoints, resampling
from ganspace_jax.generators import base, zoo
from ganspace_jax.generators.base import Generator
from ganspace_jax.generators.shared_layers import Buffer
from ganspace_jax.sampling import labels, latent_prior, reading_network
from ganspace_jax.sampling.reading_network import CHANNELS, DENSE_WIDTH, ReadingNetwork, Trained, split
from ganspace_jax.shapes import Array, Float, PRNGKey

FAMILY = "encoder"
MAX_SIDE = 64  # pixels
_LEAST_VARIANCE = 1e-4  # relative to the largest; smaller variances would be stretched to noise

Images = Float[Array | np.ndarray, "n h w c"]


@dataclasses.dataclass(frozen=True)
class Config:
    """Configuration of an encoder.

    Attributes:
        generator: fingerprint of the generator.
        image_shape: height, width and channels of the generator's images.
        latent_shape: layers and size of the per-layer latents.
        is_chunked: whether the layers hold chunks of one z, instead of one latent each.
        num_classes: classes that the encoder reads; 0 if no label acts on the image.
        channels: channels of the two convolutions at each size.
        dense_width: width of the dense layer.
    """

    generator: str
    image_shape: tuple[int, int, int]
    latent_shape: tuple[int, int]
    is_chunked: bool
    num_classes: int
    channels: tuple[int, ...] = CHANNELS
    dense_width: int = DENSE_WIDTH

    @property
    def target_size(self) -> int:
        """Numbers that determine all per-layer latents of a sample."""
        num_layers, width = self.latent_shape
        return num_layers * width if self.is_chunked else width

    @property
    def read_size(self) -> tuple[int, int]:
        """Height and width of the images that the network reads: at most 64 px."""
        step = 2 ** len(self.channels)
        share = min(1.0, MAX_SIDE / max(self.image_shape[:2]))
        height, width = (max(step, round(side * share / step) * step) for side in self.image_shape[:2])
        return height, width


class Outputs(NamedTuple):
    """Outputs of the network.

    Attributes:
        whitened: latents in units of the generator's own standard deviations.
        classes: logits of the classes; None without classes.
    """

    whitened: Float[Array, "n target"]
    classes: Float[Array, "n classes"] | None


class Network(ReadingNetwork):
    """Network that maps images to whitened latents.

    The latent is mean + scale t, where t has unit covariance over random samples.
    """

    def __init__(self, config: Config, *, key: PRNGKey):
        size = config.target_size
        self.config = config
        super().__init__(
            (*config.read_size, config.image_shape[2]),
            size + config.num_classes,
            channels=config.channels,
            dense_width=config.dense_width,
            key=key,
        )
        self.mean = Buffer(jnp.zeros(size, jnp.float32))
        self.scale = Buffer(jnp.eye(size, dtype=jnp.float32))

    def __call__(self, images: Float[Array, "n h w c"]) -> Outputs:
        outputs = self.read(reduced(jnp.clip(images, -1.0, 1.0), self.config.read_size))
        size = self.config.target_size
        return Outputs(outputs[:, :size], outputs[:, size:] if self.config.num_classes else None)

    def latents(self, whitened: Float[Array, "n target"]) -> Float[Array, "n layers d"]:
        """Returns the per-layer latents of whitened latents."""
        rows = self.mean[...] + jnp.matmul(whitened, self.scale[...].T, precision="highest")
        num_layers, width = self.config.latent_shape
        rows = rows.reshape(len(rows), -1, width)
        return jnp.broadcast_to(rows, (len(rows), num_layers, width))

    def whiten(self, latents: Float[Array, "n layers d"]) -> Float[Array, "n target"]:
        """Returns the whitened latents of samples whose layers are not edited."""
        rows = latents.reshape(len(latents), -1)[:, : self.config.target_size] - self.mean[...]
        return jnp.linalg.solve(self.scale[...], rows.T).T


def reduced(images: Float[Array, "n h w c"], size: tuple[int, int]) -> Float[Array, "n h2 w2 c"]:
    """Returns images of another size, whose pixels are means over their areas. Smaller
    images are enlarged.
    """
    if images.shape[1:3] == size:
        return images
    rows, columns = (
        jnp.asarray(resampling.matrix(n, m), jnp.float32) for n, m in zip(images.shape[1:3], size, strict=True)
    )
    return jnp.einsum("ih,nhwc,jw->nijc", rows, images, columns, precision="highest")


Encoder = Trained  # of a Network


def new(generator: Generator, *, key: PRNGKey, **sizes: Any) -> Encoder:
    """Returns an encoder for a generator before its training.

    Args:
        generator: generator whose images are read.
        key: key of the weights.
        **sizes: fields of Config that replace the defaults: channels, dense_width.
    """
    shape = generator.latent_shape
    config = Config(
        zoo.fingerprint(generator),
        base.image_shape(generator),
        (int(shape[0]), int(shape[1])),
        is_chunked=latent_prior.is_chunked(generator),
        num_classes=generator.num_classes if labels.act_on_images(generator) else 0,
        **sizes,
    )
    network = Network(config, key=key)
    prior = latent_prior.estimate(generator)
    variances, axes = np.linalg.eigh(prior.covariance)
    scale = axes * np.sqrt(np.maximum(variances, _LEAST_VARIANCE * variances[-1]))
    repeats = config.target_size // len(prior.mean)
    network.mean[...] = jnp.asarray(np.tile(prior.mean, repeats), jnp.float32)
    network.scale[...] = jnp.asarray(np.kron(np.eye(repeats), scale), jnp.float32)
    return split(network)


@functools.partial(jax.jit, static_argnames=("definition",))
def _encode(definition, params, images):
    network = nnx.merge(definition, params)
    outputs = network(images)
    weights = None if outputs.classes is None else jax.nn.softmax(outputs.classes)
    return network.latents(outputs.whitened), weights


def encode(encoder: Encoder, images: Images) -> tuple[Float[Array, "n layers d"], Float[Array, "n classes"] | None]:
    """Returns the per-layer latents of images in [-1, 1], and their classes'
    probabilities.

    The probabilities are None if no label acts on the image.

    Raises:
        InputError: the images do not have the shape of the generator's images.
    """
    wanted = encoder.config.image_shape
    if images.ndim != 4 or images.shape[1:] != wanted:
        raise InputError(f"images: have shape {list(images.shape)}; the encoder requires [n, {str(list(wanted))[1:]}")
    return _encode(encoder.definition, encoder.params, jnp.asarray(images, jnp.float32))


def save(directory: str | os.PathLike[str], encoder: Encoder) -> None:
    """Writes an encoder as a checkpoint directory."""
    reading_network.save(directory, encoder, FAMILY)


def load(directory: str | os.PathLike[str], generator: Generator | None = None) -> Encoder:
    """Loads an encoder from its checkpoint directory.

    Args:
        directory: checkpoint directory.
        generator: generator for which the encoder must have been trained; None: any.

    Raises:
        CheckpointError: the directory does not hold a readable encoder, or holds an
            encoder of another generator.
    """
    found = reading_network.load(directory, FAMILY, _build)
    own = found.config.generator
    if generator is not None and own != zoo.fingerprint(generator):
        raise checkpoints.CheckpointError(
            f"{directory}: is the encoder of the generator {own}, this generator is "
            f"{zoo.fingerprint(generator)}; train one for it: python -m experiments.train_encoder"
        )
    return found


def _build(values: dict[str, Any]) -> Network:
    config = Config(**values)
    _check(config)
    return Network(config, key=jax.random.key(0))


def _check(config: Config) -> None:
    """Raises ValueError for sizes that no encoder has, because building such a network
    could take forever.
    """
    sizes = (*config.image_shape, *config.latent_shape, *config.channels, config.dense_width, config.num_classes + 1)
    if len(config.image_shape) != 3 or len(config.latent_shape) != 2 or not 1 <= len(config.channels) <= 6:
        raise ValueError("image_shape, latent_shape or channels has another number of entries")
    if not all(type(size) is int and 1 <= size <= 100_000 for size in sizes) or math.prod(config.latent_shape) > 10**6:
        raise ValueError(f"a size is out of range: {max(sizes, key=abs)}")
