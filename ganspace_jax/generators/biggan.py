"""BigGAN and BigGAN-deep (Brock, Donahue, Simonyan, "Large Scale GAN Training for High
Fidelity Natural Image Synthesis", ICLR 2019, appendix B), as in the PyTorch code of the
first author.

    z, class embedding --linear--> 4x4 map --residual blocks, self-attention-->
      batch norm, ReLU, convolution --tanh--> image

Each place that depends on z has its own latent, a slot. Slot 0 acts on `linear`, slot
k + 1 on the batch norms of block k. With hierarchical z, each slot of BigGAN holds a
chunk of z. Each slot of BigGAN-deep holds all of z. Without hierarchical z, only
`linear` depends on z.

Parameter names are those of that code (`blocks.1.0.bn1.gain`), with `_` for the dots
between numbers. Spectral norm is already divided out. Layouts are this project's:
kernels HWIO, linear weights [in, out], the output of `linear` NHWC.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from ganspace_jax.generators import base, ops, shared_layers
from ganspace_jax.generators.shared_layers import OrthogonalConvolution, OrthogonalLinear, Statistics
from ganspace_jax.shapes import Array, Float, PRNGKey

BlockConfig = tuple[bool, int, int]  # doubles the size, channels in and out

OUTPUT_EPSILON = 1e-5  # the last batch norm's epsilon, which no configuration changes


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that the architecture depends on.

    Attributes:
        blocks: Configurations of the residual blocks.
        attention: Indices of the blocks that self-attention follows.
        deep: Whether the blocks are BigGAN-deep's.
        embed_width: Width of the class embedding that all batch norms share; None if
            each batch norm has its own embedding.
        hierarchical: Whether z reaches the blocks.
        bottom_width: Side of the map that `linear` computes.
        epsilon: Constant of the blocks' batch norms.
        compute_dtype: Type of the convolutions.
        class_names: Names of the classes, if they are known.

    Raises:
        ValueError: The published code cannot build this network.
    """

    z_dim: int
    num_classes: int
    blocks: tuple[BlockConfig, ...]
    attention: tuple[int, ...] = ()
    deep: bool = False
    embed_width: int | None = None
    hierarchical: bool = True
    bottom_width: int = 4
    image_channels: int = 3
    epsilon: float = 1e-5
    compute_dtype: str = "float32"
    class_names: tuple[str, ...] = ()

    def __post_init__(self):
        if self.hierarchical and self.embed_width is None:
            raise ValueError(
                "hierarchical: z can reach the blocks only beside a shared class embedding; give embed_width"
            )
        if self.deep and not self.hierarchical:
            raise ValueError("deep: in BigGAN-deep z reaches every block; hierarchical must be true")

    @property
    def resolution(self) -> int:
        """Returns the side of the image in pixels."""
        return self.bottom_width * 2 ** sum(doubles for doubles, _, _ in self.blocks)

    @property
    def num_slots(self) -> int:
        """Returns the number of per-layer latents."""
        return 1 + len(self.blocks) if self.hierarchical else 1

    @property
    def latent_dim(self) -> int:
        """Returns the size of a slot.

        With BigGAN's hierarchical z, a slot is a chunk of z. The published code drops
        the remainder of z.
        """
        return self.z_dim // self.num_slots if self.hierarchical and not self.deep else self.z_dim

    @property
    def condition_width(self) -> int:
        """Returns the size of the condition of a block's batch norms.

        The condition is the class embedding (or the label), joined to the latent.
        """
        return (self.embed_width or self.num_classes) + (self.latent_dim if self.hierarchical else 0)


class ConditionalBatchNorm(nnx.Module):
    """Batch norm with stored statistics (appendix B).

    Gain minus 1 and bias are linear in the condition.
    """

    def __init__(self, config: Config, channels: int, *, key: PRNGKey):
        keys = jax.random.split(key)
        self.epsilon = config.epsilon
        self.gain = OrthogonalLinear(config.condition_width, channels, key=keys[0])
        self.bias = OrthogonalLinear(config.condition_width, channels, key=keys[1])
        self.stored_mean, self.stored_var = Statistics(jnp.zeros(channels)), Statistics(jnp.ones(channels))

    def __call__(self, x: Array, condition: Array, record: base.Recorder, name: str) -> Float[Array, "n h w c"]:
        gain = 1.0 + record(f"{name}.gain", self.gain(condition))[:, None, None, :]
        bias = record(f"{name}.bias", self.bias(condition))[:, None, None, :]
        mean, variance = self.stored_mean[...], self.stored_var[...]
        return record(name, ops.batch_norm(x, mean, variance, gain, bias, self.epsilon))


class OutputBatchNorm(nnx.Module):
    """Batch norm before the image, equal for all classes."""

    def __init__(self, channels: int):
        self.gain, self.bias = nnx.Param(jnp.ones(channels)), nnx.Param(jnp.zeros(channels))
        self.stored_mean, self.stored_var = Statistics(jnp.zeros(channels)), Statistics(jnp.ones(channels))

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        mean, variance = self.stored_mean[...], self.stored_var[...]
        return ops.batch_norm(x, mean, variance, self.gain[...], self.bias[...], OUTPUT_EPSILON)


class Block(nnx.Module):
    """BigGAN's residual block (figure 15b).

    It has two 3x3 convolutions, and a 1x1 convolution in the shortcut.
    """

    def __init__(self, config: Config, block: BlockConfig, *, key: PRNGKey):
        keys = jax.random.split(key, 5)
        self.doubles, before, after = block
        self.bn1 = ConditionalBatchNorm(config, before, key=keys[0])
        self.conv1 = OrthogonalConvolution(3, before, after, key=keys[1])
        self.bn2 = ConditionalBatchNorm(config, after, key=keys[2])
        self.conv2 = OrthogonalConvolution(3, after, after, key=keys[3])
        same = not self.doubles and before == after
        self.conv_sc = None if same else OrthogonalConvolution(1, before, after, key=keys[4])

    def __call__(self, x: Array, condition: Array, record: base.Recorder, name: str) -> Float[Array, "n h2 w2 o"]:
        y = jax.nn.relu(self.bn1(x, condition, record, f"{name}.bn1"))
        y = record(f"{name}.conv1", self.conv1(y, doubled=self.doubles))
        y = jax.nn.relu(self.bn2(y, condition, record, f"{name}.bn2"))
        y = record(f"{name}.conv2", self.conv2(y))
        # A 1x1 convolution commutes with doubling. Done first, it takes a quarter
        # of the work.
        shortcut = x if self.conv_sc is None else self.conv_sc(x)
        if self.doubles:
            shortcut = ops.repeat_pixels(shortcut)
        return record(name, y + (shortcut if self.conv_sc is None else record(f"{name}.conv_sc", shortcut)))


class DeepBlock(nnx.Module):
    """BigGAN-deep's residual block (figure 16b).

    Its convolutions are 1x1 to a quarter of the channels, 3x3, 3x3 and 1x1. Its
    shortcut has no parameters.
    """

    def __init__(self, config: Config, block: BlockConfig, *, key: PRNGKey):
        self.doubles, before, self.channels_out = block
        middle = before // 4
        widths = (before, middle, middle, middle, self.channels_out)
        keys = jax.random.split(key, 8)
        for i, size in enumerate((1, 3, 3, 1)):
            setattr(self, f"bn{i + 1}", ConditionalBatchNorm(config, widths[i], key=keys[i]))
            setattr(self, f"conv{i + 1}", OrthogonalConvolution(size, widths[i], widths[i + 1], key=keys[4 + i]))

    def __call__(self, x: Array, condition: Array, record: base.Recorder, name: str) -> Float[Array, "n h2 w2 o"]:
        y = x
        for i in range(1, 5):
            y = jax.nn.relu(getattr(self, f"bn{i}")(y, condition, record, f"{name}.bn{i}"))
            y = record(f"{name}.conv{i}", getattr(self, f"conv{i}")(y, doubled=self.doubles and i == 2))
        shortcut = x[..., : self.channels_out]
        return record(name, y + (ops.repeat_pixels(shortcut) if self.doubles else shortcut))


class BigGAN(base.Configured, nnx.Module):
    """The whole generator, which fulfils the contract base.Network."""

    prior: Literal["normal", "truncated_normal"] = "normal"
    has_mapping = False
    default_layer = "linear"

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        keys = iter(jax.random.split(key, 2 * len(config.blocks) + 3))
        first, last = config.blocks[0][1], config.blocks[-1][2]
        if config.embed_width is not None:
            self.shared = OrthogonalLinear(config.num_classes, config.embed_width, key=next(keys))
        in_features = config.condition_width if config.deep else config.latent_dim
        self.linear = OrthogonalLinear(in_features, config.bottom_width**2 * first, key=next(keys), bias=True)
        for index, block in enumerate(config.blocks):
            setattr(self, f"blocks_{index}_0", (DeepBlock if config.deep else Block)(config, block, key=next(keys)))
            if index in config.attention:
                setattr(self, f"blocks_{index}_1", shared_layers.SelfAttention(block[2], output="o", key=next(keys)))
        self.output_layer_0 = OutputBatchNorm(last)
        self.output_layer_2 = OrthogonalConvolution(3, last, config.image_channels, key=next(keys))

    @property
    def z_dim(self) -> int:
        """Returns the size of z without the remainder that fills no chunk."""
        return self.config.num_slots * self.config.latent_dim if not self.config.deep else self.config.z_dim

    @property
    def latent_shape(self) -> tuple[int, int]:
        """Returns (slots, size of a slot)."""
        return self.config.num_slots, self.config.latent_dim

    def map_latents(self, z: Float[Array, "n z"], label: Array | None = None) -> Float[Array, "n slots d"]:
        """Returns the chunks of z; for BigGAN-deep one copy of z for each slot.

        The label acts in __call__.
        """
        del label
        if self.config.deep:
            return ops.broadcast_layers(z, self.config.num_slots)
        return z[:, : self.z_dim].reshape(len(z), *self.latent_shape)

    def __call__(
        self,
        latents: Float[Array, "n slots d"],
        *,
        label: Array | None = None,
        offsets: Mapping[str, Array] | None = None,
        noise: base.Noise = None,
        truncation_psi: ops.Psi = 1.0,
        truncation_cutoff: ops.Cutoff = None,
    ) -> tuple[Float[Array, "n height width c"], base.Activations]:
        """Returns the image in [-1, 1] and the activations.

        The label is one-hot, or a mixture of classes. Truncation of this BigGAN is a
        narrower z. There is one set of batch norm statistics, so truncation_psi and
        truncation_cutoff have no effect. Noise is ignored.
        """
        del noise, truncation_psi, truncation_cutoff
        config, record = self.config, base.Recorder(offsets)
        label = shared_layers.require_label(label, config.num_classes).astype(latents.dtype)
        first, conditions = self._conditions(latents, label, record)
        x = record("linear", self.linear(first))
        x = x.reshape(len(x), config.bottom_width, config.bottom_width, -1).astype(config.compute_dtype)
        for index, condition in enumerate(conditions):
            x = getattr(self, f"blocks_{index}_0")(x, condition, record, f"blocks.{index}.0")
            if index in config.attention:
                x = getattr(self, f"blocks_{index}_1")(x, record, f"blocks.{index}.1")
        x = record("output_layer.0", self.output_layer_0(x))
        x = record("output_layer.2", self.output_layer_2(jax.nn.relu(x)))
        return jnp.tanh(x.astype(jnp.float32)), record.finish()

    def _conditions(self, latents: Array, label: Array, record: base.Recorder) -> tuple[Array, list[Array]]:
        """Returns the input of `linear`, and the condition of each block."""
        embedding = label if self.config.embed_width is None else record("shared", self.shared(label))
        if not self.config.hierarchical:
            return latents[:, 0], [embedding] * len(self.config.blocks)
        joined = [jnp.concatenate([embedding, latents[:, k]], axis=-1) for k in range(self.config.num_slots)]
        return (joined[0] if self.config.deep else latents[:, 0]), joined[1:]
