"""The discriminator that the shipped generators were trained against: StyleGAN2's residual network, for training only.

Equalised learning rates, residual blocks (Karras et al., CVPR 2020, figure 7), a minibatch standard deviation (ProGAN, section
3) and, for labelled data, a projection head (Miyato and Koyama, ICLR 2018). Halving the size is a 2x2 mean, which costs
nothing next to the convolutions.
"""

import dataclasses
import math
import os

import jax
import jax.numpy as jnp
from flax import nnx

from ganspace_jax import checkpoints
from ganspace_jax.generators import ops
from ganspace_jax.shapes import Array, Float, PRNGKey


@dataclasses.dataclass(frozen=True)
class Config:
    """channels: from the image's resolution down to 4x4, one a resolution."""

    channels: tuple[int, ...]
    num_classes: int = 0
    image_channels: int = 3
    deviation_group: int = 4


class Convolution(nnx.Module):
    """Convolution with equalised learning rate, bias and leaky ReLU."""

    def __init__(self, size: int, in_channels: int, out_channels: int, *, key: PRNGKey, activate: bool = True):
        self.weight = nnx.Param(jax.random.normal(key, (size, size, in_channels, out_channels)))
        self.bias = nnx.Param(jnp.zeros(out_channels)) if activate else None

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h w o"]:
        weight = self.weight[...] / math.sqrt(math.prod(self.weight.shape[:3]))
        y = ops.conv2d(x, weight)
        return y if self.bias is None else ops.leaky_relu(y + self.bias[...], gain=math.sqrt(2))


class Block(nnx.Module):
    """Two convolutions and a shortcut, at half the size."""

    def __init__(self, in_channels: int, out_channels: int, *, key: PRNGKey):
        keys = jax.random.split(key, 3)
        self.conv0 = Convolution(3, in_channels, in_channels, key=keys[0])
        self.conv1 = Convolution(3, in_channels, out_channels, key=keys[1])
        self.skip = Convolution(1, in_channels, out_channels, key=keys[2], activate=False)

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h2 w2 o"]:
        main = self.conv1(_halve(self.conv0(x)))
        return (main + self.skip(_halve(x))) * math.sqrt(0.5)


class Discriminator(nnx.Module):
    """Images (and one-hot labels) -> logits: large for real images."""

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        keys = jax.random.split(key, len(config.channels) + 4)
        self.fromrgb = Convolution(1, config.image_channels, config.channels[0], key=keys[-1])
        for name, before, after, k in zip(
            self._block_names(), config.channels[:-1], config.channels[1:], keys, strict=False
        ):
            setattr(self, name, Block(before, after, key=k))
        last = config.channels[-1]
        self.conv = Convolution(3, last + (1 if config.deviation_group else 0), last, key=keys[-2])
        self.dense = nnx.Param(jax.random.normal(keys[-3], (16 * last, last)))
        self.dense_bias = nnx.Param(jnp.zeros(last))
        self.head = nnx.Param(jax.random.normal(keys[-4], (last, 1)))
        if config.num_classes:
            self.embed = nnx.Param(jnp.zeros((config.num_classes, last)))

    def _block_names(self) -> list[str]:
        """b32, b16, b8: by the size of what goes in."""
        return [f"b{4 * 2**i}" for i in range(len(self.config.channels) - 1, 0, -1)]

    def __call__(self, images: Float[Array, "n h w c"], label: Array | None = None) -> Float[Array, "n"]:
        x = self.fromrgb(images)
        for name in self._block_names():
            x = getattr(self, name)(x)
        if self.config.deviation_group:
            x = jnp.concatenate([x, _minibatch_deviation(x, self.config.deviation_group)], axis=-1)
        x = self.conv(x).reshape(len(x), -1)
        dense = self.dense[...] / math.sqrt(x.shape[-1])
        features = ops.leaky_relu(ops.linear(x, dense, self.dense_bias[...]), gain=math.sqrt(2))
        scale = 1.0 / math.sqrt(features.shape[-1])
        logits = ops.linear(features, self.head[...] * scale)[:, 0]
        if self.config.num_classes:
            if label is None:
                raise ValueError("label: this discriminator is conditional")
            logits = logits + jnp.sum(features * ops.linear(label, self.embed[...]), -1) * scale
        return logits


def _halve(x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 c"]:
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).mean((2, 4))


def _minibatch_deviation(x: Float[Array, "n h w c"], group: int) -> Float[Array, "n h w 1"]:
    """How much a group of images differs, as one more channel."""
    n, height, width, channels = x.shape
    group = math.gcd(group, n)
    y = x.reshape(group, n // group, height, width, channels)
    deviation = jnp.sqrt(jnp.var(y, axis=0) + 1e-8).mean((1, 2, 3))
    return jnp.broadcast_to(jnp.tile(deviation, group)[:, None, None, None], (n, height, width, 1))


def save(directory: str | os.PathLike[str], discriminator: Discriminator) -> None:
    """Writes a checkpoint directory."""
    params = nnx.to_pure_dict(nnx.state(discriminator))
    checkpoints.save_arrays(directory, params, {"family": "discriminator", **dataclasses.asdict(discriminator.config)})
