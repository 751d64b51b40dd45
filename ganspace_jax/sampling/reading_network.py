"""The convolutional network that the probe and the encoder share, and its checkpoint
directory. The network reads numbers from images.
"""

import dataclasses
import math
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from ganspace_jax.errors import first_line
from ganspace_jax.files import checkpoints
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


class Trained(NamedTuple):
    """A reading network as two parts.

    Attributes:
        definition: hashable structure of the network, static under jit.
        params: nested dict of arrays.
    """

    definition: nnx.GraphDef
    params: dict[str, Any]

    def network(self) -> Any:
        """Returns the module. The call is cheap, also inside jitted functions."""
        return nnx.merge(self.definition, self.params)

    @property
    def config(self) -> Any:
        """Configuration of the network."""
        return self.network().config


def split(network: ReadingNetwork) -> Trained:
    """Splits a module into its definition and its arrays."""
    definition, state = nnx.split(network)
    return Trained(definition, nnx.to_pure_dict(state))


def save(directory: str | os.PathLike[str], trained: Trained, family: str) -> None:
    """Writes a network as a checkpoint directory."""
    checkpoints.save_arrays(directory, trained.params, {"family": family, **dataclasses.asdict(trained.config)})


def load(directory: str | os.PathLike[str], family: str, build: Callable[[dict[str, Any]], ReadingNetwork]) -> Trained:
    """Loads a network from its checkpoint directory.

    Args:
        directory: checkpoint directory.
        family: kind of the network, such as "probe".
        build: function that returns the module of the entries of config.json. It raises
            ArithmeticError, TypeError or ValueError for entries that no network has.

    Raises:
        CheckpointError: the directory does not hold a readable network of this family.
    """
    entry = dict(checkpoints.load_config(directory))
    found = entry.pop("family")
    if found != family:
        article = "an" if family[0] in "aeiou" else "a"
        raise checkpoints.CheckpointError(f"{directory}: holds a {found!r}, not {article} {family}")
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in entry.items()}
    try:
        abstract = jax.eval_shape(lambda: split(build(values)))
    except (ArithmeticError, TypeError, ValueError) as error:
        raise checkpoints.CheckpointError(f"{directory}: config.json: {first_line(error)}") from None
    arrays = checkpoints.load_arrays(directory, abstract.params)
    return Trained(abstract.definition, jax.tree.map(jnp.asarray, arrays))
