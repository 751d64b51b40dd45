"""The discriminator of the shipped generators: StyleGAN2's residual network.

It serves for training, and inversion can compare images by its feature maps. It has
equalised learning rates and residual blocks (Karras et al., CVPR 2020, figure 7). Its
last feature map has a minibatch standard deviation (ProGAN, section 3). For labelled
data it has a projection head (Miyato and Koyama, ICLR 2018). A 2x2 mean halves the
size. Its cost is negligible next to the convolutions.
"""

import dataclasses
import functools
import math
import os
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ganspace_jax.errors import first_line
from ganspace_jax.files import checkpoints
from ganspace_jax.generators import ops
from ganspace_jax.scenes.training import spectral_norm
from ganspace_jax.shapes import Array, Float, PRNGKey

_POWER_ITERATIONS = 50


@dataclasses.dataclass(frozen=True)
class Config:
    """Configuration of the discriminator.

    Attributes:
        channels: channels at each resolution, from the image's resolution down to 4x4.
        num_classes: number of classes of the label, 0 for unlabelled images.
        image_channels: channels of the images.
        deviation_group: images per group of the minibatch standard deviation, 0 for
            none.
        equalized: whether each weight is scaled by 1 / sqrt(fan-in) when it is used.
            Spectral normalisation replaces this scale.
    """

    channels: tuple[int, ...]
    num_classes: int = 0
    image_channels: int = 3
    deviation_group: int = 4
    equalized: bool = True


class Layer(nnx.Module):
    """Layer: a convolution if its weight is 4-dimensional, else a matrix.

    An activated layer adds a bias and applies leaky ReLU.
    """

    def __init__(self, *shape: int, config: Config, key: PRNGKey, activate: bool = True):
        if config.equalized:
            weight, self.scale = jax.random.normal(key, shape), 1.0 / math.sqrt(math.prod(shape[:-1]))
        else:
            weight, self.scale = nnx.initializers.orthogonal()(key, shape, jnp.float32), 1.0
        self.weight = nnx.Param(weight)
        self.bias = nnx.Param(jnp.zeros(shape[-1])) if activate else None

    def __call__(self, x: Float[Array, "n *i"]) -> Float[Array, "n *o"]:
        weight = self.weight[...] * self.scale
        y = ops.conv2d(x, weight) if weight.ndim == 4 else ops.linear(x, weight)
        return y if self.bias is None else ops.leaky_relu(y + self.bias[...], gain=math.sqrt(2))


class Block(nnx.Module):
    """Residual block: two convolutions and a shortcut, with output of half the size."""

    def __init__(self, in_channels: int, out_channels: int, *, config: Config, key: PRNGKey):
        keys = jax.random.split(key, 3)
        self.conv0 = Layer(3, 3, in_channels, in_channels, config=config, key=keys[0])
        self.conv1 = Layer(3, 3, in_channels, out_channels, config=config, key=keys[1])
        self.skip = Layer(1, 1, in_channels, out_channels, config=config, key=keys[2], activate=False)

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        main = self.conv1(mean_pool(self.conv0(x)))
        return (main + self.skip(mean_pool(x))) * math.sqrt(0.5)


class Discriminator(nnx.Module):
    """Network that maps images to logits, which are large for real images."""

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        keys = jax.random.split(key, len(config.channels) + 4)
        self.fromrgb = Layer(1, 1, config.image_channels, config.channels[0], config=config, key=keys[-1])
        for name, before, after, k in zip(
            self._block_names(), config.channels[:-1], config.channels[1:], keys, strict=False
        ):
            setattr(self, name, Block(before, after, config=config, key=k))
        last = config.channels[-1]
        self.conv = Layer(3, 3, last + (1 if config.deviation_group else 0), last, config=config, key=keys[-2])
        self.dense = Layer(16 * last, last, config=config, key=keys[-3])
        self.head = Layer(last, 1, config=config, key=keys[-4], activate=False)
        if config.num_classes:
            embed_key = jax.random.fold_in(keys[-4], 1)
            self.embed = Layer(config.num_classes, last, config=config, key=embed_key, activate=False)

    def _block_names(self) -> list[str]:
        """Returns the names of the blocks by the size of their input: b32, b16, b8."""
        return [f"b{4 * 2**i}" for i in range(len(self.config.channels) - 1, 0, -1)]

    def feature_maps(self, images: Float[Array, "n h w c"]) -> list[Float[Array, "n h2 w2 d"]]:
        """Returns the maps before the first block and after each block."""
        maps = [self.fromrgb(images)]
        for name in self._block_names():
            maps.append(getattr(self, name)(maps[-1]))
        return maps

    def __call__(self, images: Float[Array, "n h w c"], label: Array | None = None) -> Float[Array, "n"]:
        x = self.feature_maps(images)[-1]
        if self.config.deviation_group:
            x = jnp.concatenate([x, _minibatch_deviation(x, self.config.deviation_group)], axis=-1)
        features = self.dense(self.conv(x).reshape(len(x), -1))
        logits = self.head(features)[:, 0]
        if self.config.num_classes:
            if label is None:
                raise ValueError("label: is missing; this discriminator is conditional and requires one-hot labels")
            logits = logits + jnp.sum(features * self.embed(label), -1) / math.sqrt(features.shape[-1])
        return logits


def mean_pool(x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
    """Halves the size: the mean of 2x2 pixels."""
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).mean((2, 4))


def _minibatch_deviation(x: Float[Array, "n h w c"], group: int) -> Float[Array, "n h w 1"]:
    """Returns each group's standard deviation over images, averaged, as one channel."""
    n, height, width, channels = x.shape
    group = math.gcd(group, n)
    y = x.reshape(group, n // group, height, width, channels)
    deviation = jnp.sqrt(jnp.var(y, axis=0) + 1e-8).mean((1, 2, 3))
    return jnp.broadcast_to(jnp.tile(deviation, group)[:, None, None, None], (n, height, width, 1))


def save(directory: str | os.PathLike[str], discriminator: Discriminator) -> None:
    """Writes the discriminator as a checkpoint directory."""
    params = nnx.to_pure_dict(nnx.state(discriminator))
    checkpoints.save_arrays(directory, params, {"family": "discriminator", **dataclasses.asdict(discriminator.config)})


def load(directory: str | os.PathLike[str]) -> Discriminator:
    """Loads a discriminator. Weights with spectral normalisation are divided once.

    Raises:
        CheckpointError: The directory does not hold a readable discriminator.
    """
    entry = dict(checkpoints.load_config(directory))
    family = entry.pop("family")
    if family != "discriminator":
        raise checkpoints.CheckpointError(f"{directory}: holds a {family!r}, not a discriminator")
    try:
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
        config = Config(**values)
        abstract = nnx.eval_shape(lambda: Discriminator(config, key=jax.random.key(0)))
    except (ArithmeticError, TypeError, ValueError) as error:
        raise checkpoints.CheckpointError(f"{directory}: config.json: {first_line(error)}") from None
    definition, shapes = nnx.split(abstract)
    params = jax.tree.map(jnp.asarray, checkpoints.load_arrays(directory, nnx.to_pure_dict(shapes)))
    if not config.equalized:
        vectors = spectral_norm.init(params, jax.random.key(0))
        params = spectral_norm.normalize(params, vectors, num_iterations=_POWER_ITERATIONS)[0]
    return nnx.merge(definition, params)


def features(discriminator: Discriminator) -> jax.tree_util.Partial:
    """Returns the function of images that returns the feature maps, with its arrays as
    leaves.
    """
    definition, state = nnx.split(discriminator)
    return jax.tree_util.Partial(functools.partial(_feature_maps, definition), nnx.to_pure_dict(state))


def _feature_maps(definition: nnx.GraphDef, params: dict[str, Any], images: Float[Array, "n h w c"]) -> list[Array]:
    return nnx.merge(definition, params).feature_maps(images)
