"""The convolutional network that the probe and the encoder share: it reads numbers from
images.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from ganspace_jax.generators import ops
from ganspace_jax.shapes import Array, Float, PRNGKey

CHANNELS = (48, 96, 128)
DENSE_WIDTH = 160


class Layer(nnx.Module):
    """Layer with a bias: a convolution if its weight is 4-dimensional, else a matrix.

    The weight is initialised as by He et al. 2015.
    """

    def __init__(self, *shape: int, key: PRNGKey, gain: float = math.sqrt(2)):
        self.weight = nnx.Param(jax.random.normal(key, shape) * (gain / math.sqrt(math.prod(shape[:-1]))))
        self.bias = nnx.Param(jnp.zeros(shape[-1], jnp.float32))

    def __call__(self, x: Float[Array, "n *i"]) -> Float[Array, "n *o"]:
        weight = self.weight[...]
        y = ops.conv2d(x, weight) if weight.ndim == 4 else ops.linear(x, weight)
        return y + self.bias[...]


class ReadingNetwork(nnx.Module):
    """Network of two 3x3 convolutions at each size and two dense layers.

    It flattens the last feature map instead of averaging it, because the outputs depend
    on positions. Attribute names are names of arrays in checkpoints, so they must not
    change.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        num_outputs: int,
        *,
        channels: Sequence[int] = CHANNELS,
        dense_width: int = DENSE_WIDTH,
        key: PRNGKey,
    ):
        """Draws the weights.

        Args:
            image_shape: height, width and channels of the images. Height and width are
                multiples of 2 to the number of `channels`.
            num_outputs: outputs per image.
            channels: channels of the two convolutions at each size, from half the image
                size downwards.
            dense_width: width of the dense layer after the convolutions.
            key: key of the weights.
        """
        height, width, before = image_shape
        self.num_sizes = len(channels)
        keys = iter(jax.random.split(key, 2 * len(channels) + 2))
        before *= 4  # _space_to_depth stacks the colours of 2x2 pixels
        for i, own in enumerate(channels):
            setattr(self, f"conv{i}a", Layer(3, 3, before, own, key=next(keys)))
            setattr(self, f"conv{i}b", Layer(3, 3, own, own, key=next(keys)))
            before = own
        area = (height >> len(channels)) * (width >> len(channels))
        self.dense = Layer(area * before, dense_width, key=next(keys))
        self.head = Layer(dense_width, num_outputs, key=next(keys), gain=0.1)

    def read(self, images: Float[Array, "n h w c"]) -> Float[Array, "n outputs"]:
        """Returns the outputs of each image."""
        x = _space_to_depth(images)
        for i in range(self.num_sizes):
            x = ops.leaky_relu(getattr(self, f"conv{i}a")(x if i == 0 else ops.max_pool(x)))
            x = ops.leaky_relu(getattr(self, f"conv{i}b")(x))
        return self.head(ops.leaky_relu(self.dense(x.reshape(len(x), -1))))


def _space_to_depth(x: Float[Array, "n h w c"]) -> Float[Array, "n h2 w2 d"]:
    """Halves the size and stacks each 2x2 block of pixels in the channels.

    A plain convolution after it does the work of a larger convolution of stride 2.
    """
    n, height, width, channels = x.shape
    x = x.reshape(n, height // 2, 2, width // 2, 2, channels).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, height // 2, width // 2, 4 * channels)
