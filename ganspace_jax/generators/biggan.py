"""BigGAN and BigGAN-deep (Brock, Donahue, Simonyan, "Large Scale GAN Training for High Fidelity Natural Image Synthesis",
ICLR 2019, appendix B), as in the first author's PyTorch code.

    z, class embedding --linear--> 4x4 map --residual blocks, self-attention--> batch norm, ReLU, convolution --tanh--> image

Every place that z reaches has a latent of its own, a slot: slot 0 acts on `linear`, slot k + 1 on the batch norms of block k.
BigGAN with hierarchical z gives each slot a chunk of z, BigGAN-deep all of it. Without hierarchical z, `linear` alone gets it.
Parameter names are those of that code (`blocks.1.0.bn1.gain`), with `_` for the dots between numbers; spectral norm is already
divided out. Layouts are this project's: kernels HWIO, linear weights [in, out], the map that `linear` makes NHWC.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from ganspace_jax.generators import base, ops
from ganspace_jax.shapes import Array, Float, PRNGKey

BlockConfig = tuple[bool, int, int]  # doubles the size, channels in and out

OUTPUT_EPSILON = 1e-5  # of the last batch norm, whatever the others have


class Statistics(nnx.Variable):
    """Stored mean and variance of a batch norm: not trained by gradient."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that the architecture depends on.

    blocks: see BlockConfig. attention: indices of the blocks that self-attention follows. deep: BigGAN-deep's blocks.
    embed_width: of the class embedding that all batch norms share (None: each has its own). hierarchical: z reaches blocks.
    bottom_width: side of the map that `linear` makes. Raises ValueError for what the published code cannot build.
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
        """Side of the image in pixels."""
        return self.bottom_width * 2 ** sum(doubles for doubles, _, _ in self.blocks)

    @property
    def num_slots(self) -> int:
        """Per-layer latents."""
        return 1 + len(self.blocks) if self.hierarchical else 1

    @property
    def latent_dim(self) -> int:
        """Size of a slot: with BigGAN's hierarchical z a chunk, of which the published code drops the remainder."""
        return self.z_dim // self.num_slots if self.hierarchical and not self.deep else self.z_dim

    @property
    def condition_width(self) -> int:
        """Size of what a block's batch norms depend on: class embedding, or label, and latent."""
        return (self.embed_width or self.num_classes) + (self.latent_dim if self.hierarchical else 0)


class Linear(nnx.Module):
    """x @ weight + bias."""

    def __init__(self, in_features: int, out_features: int, *, key: PRNGKey, bias: bool = False):
        self.weight = nnx.Param(_orthogonal(key, (in_features, out_features)))
        self.bias = nnx.Param(jnp.zeros(out_features)) if bias else None

    def __call__(self, x: Float[Array, "n i"]) -> Float[Array, "n o"]:
        return ops.linear(x, self.weight[...], None if self.bias is None else self.bias[...])


class Convolution(nnx.Module):
    """A convolution that keeps the size."""

    def __init__(self, size: int, in_channels: int, out_channels: int, *, key: PRNGKey, bias: bool = True):
        self.weight = nnx.Param(_orthogonal(key, (size, size, in_channels, out_channels)))
        self.bias = nnx.Param(jnp.zeros(out_channels)) if bias else None

    def __call__(self, x: Float[Array, "n h w i"]) -> Float[Array, "n h w o"]:
        y = ops.conv2d(x, self.weight[...].astype(x.dtype))
        return y if self.bias is None else y + self.bias[...].astype(x.dtype)


class ConditionalBatchNorm(nnx.Module):
    """Batch norm with stored statistics; gain (less 1) and bias are linear in the condition (appendix B)."""

    def __init__(self, config: Config, channels: int, *, key: PRNGKey):
        keys = jax.random.split(key)
        self.epsilon = config.epsilon
        self.gain = Linear(config.condition_width, channels, key=keys[0])
        self.bias = Linear(config.condition_width, channels, key=keys[1])
        self.stored_mean, self.stored_var = Statistics(jnp.zeros(channels)), Statistics(jnp.ones(channels))

    def __call__(self, x: Array, condition: Array, record: base.Recorder, name: str) -> Float[Array, "n h w c"]:
        gain = 1.0 + record(f"{name}.gain", self.gain(condition))[:, None, None, :]
        bias = record(f"{name}.bias", self.bias(condition))[:, None, None, :]
        gain = gain * jax.lax.rsqrt(self.stored_var[...] + self.epsilon)
        return record(name, x * gain.astype(x.dtype) + (bias - self.stored_mean[...] * gain).astype(x.dtype))


class OutputBatchNorm(nnx.Module):
    """Batch norm before the image, the same for all classes."""

    def __init__(self, channels: int):
        self.gain, self.bias = nnx.Param(jnp.ones(channels)), nnx.Param(jnp.zeros(channels))
        self.stored_mean, self.stored_var = Statistics(jnp.zeros(channels)), Statistics(jnp.ones(channels))

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        gain = self.gain[...] * jax.lax.rsqrt(self.stored_var[...] + OUTPUT_EPSILON)
        return x * gain.astype(x.dtype) + (self.bias[...] - self.stored_mean[...] * gain).astype(x.dtype)


class Block(nnx.Module):
    """BigGAN's residual block (figure 15b): 3x3, 3x3, and a 1x1 convolution in the shortcut."""

    def __init__(self, config: Config, block: BlockConfig, *, key: PRNGKey):
        keys = jax.random.split(key, 5)
        self.doubles, before, after = block
        self.bn1 = ConditionalBatchNorm(config, before, key=keys[0])
        self.conv1 = Convolution(3, before, after, key=keys[1])
        self.bn2 = ConditionalBatchNorm(config, after, key=keys[2])
        self.conv2 = Convolution(3, after, after, key=keys[3])
        same = not self.doubles and before == after
        self.conv_sc = None if same else Convolution(1, before, after, key=keys[4])

    def __call__(self, x: Array, condition: Array, record: base.Recorder, name: str) -> Float[Array, "n h2 w2 o"]:
        y = jax.nn.relu(self.bn1(x, condition, record, f"{name}.bn1"))
        if self.doubles:
            y = ops.repeat_pixels(y)
        y = record(f"{name}.conv1", self.conv1(y))
        y = jax.nn.relu(self.bn2(y, condition, record, f"{name}.bn2"))
        y = record(f"{name}.conv2", self.conv2(y))
        # A 1x1 convolution of doubled pixels is the doubled convolution, for a quarter of the work.
        shortcut = x if self.conv_sc is None else self.conv_sc(x)
        if self.doubles:
            shortcut = ops.repeat_pixels(shortcut)
        return record(name, y + (shortcut if self.conv_sc is None else record(f"{name}.conv_sc", shortcut)))


class DeepBlock(nnx.Module):
    """BigGAN-deep's residual block (figure 16b): 1x1 to a quarter of the channels, 3x3, 3x3, 1x1; a plain shortcut."""

    def __init__(self, config: Config, block: BlockConfig, *, key: PRNGKey):
        self.doubles, before, self.channels_out = block
        middle = before // 4
        widths = (before, middle, middle, middle, self.channels_out)
        keys = jax.random.split(key, 8)
        for i, size in enumerate((1, 3, 3, 1)):
            setattr(self, f"bn{i + 1}", ConditionalBatchNorm(config, widths[i], key=keys[i]))
            setattr(self, f"conv{i + 1}", Convolution(size, widths[i], widths[i + 1], key=keys[4 + i]))

    def __call__(self, x: Array, condition: Array, record: base.Recorder, name: str) -> Float[Array, "n h2 w2 o"]:
        y = x
        for i in range(1, 5):
            y = jax.nn.relu(getattr(self, f"bn{i}")(y, condition, record, f"{name}.bn{i}"))
            if i == 2 and self.doubles:
                y = ops.repeat_pixels(y)
            y = record(f"{name}.conv{i}", getattr(self, f"conv{i}")(y))
        shortcut = x[..., : self.channels_out]
        return record(name, y + (ops.repeat_pixels(shortcut) if self.doubles else shortcut))


class Attention(nnx.Module):
    """Self-attention over positions (Zhang et al., SAGAN, ICML 2019), keys and values pooled 2x2."""

    def __init__(self, channels: int, *, key: PRNGKey):
        keys = jax.random.split(key, 4)
        self.theta = Convolution(1, channels, channels // 8, key=keys[0], bias=False)
        self.phi = Convolution(1, channels, channels // 8, key=keys[1], bias=False)
        self.g = Convolution(1, channels, channels // 2, key=keys[2], bias=False)
        self.o = Convolution(1, channels // 2, channels, key=keys[3], bias=False)
        self.gamma = nnx.Param(jnp.zeros(()))

    def __call__(self, x: Float[Array, "n h w c"], record: base.Recorder, name: str) -> Float[Array, "n h w c"]:
        queries = record(f"{name}.theta", self.theta(x))
        keys = ops.max_pool(record(f"{name}.phi", self.phi(x)))
        values = ops.max_pool(record(f"{name}.g", self.g(x)))
        attended = record(f"{name}.o", self.o(ops.attend(queries, keys, values)))
        return record(name, x + self.gamma[...].astype(x.dtype) * attended)


class BigGAN(base.Configured, nnx.Module):
    """The whole generator; see base.Generator for the contract."""

    prior: Literal["normal", "truncated_normal"] = "normal"
    has_mapping = False
    default_layer = "linear"

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        keys = iter(jax.random.split(key, 2 * len(config.blocks) + 3))
        first, last = config.blocks[0][1], config.blocks[-1][2]
        if config.embed_width is not None:
            self.shared = Linear(config.num_classes, config.embed_width, key=next(keys))
        in_features = config.condition_width if config.deep else config.latent_dim
        self.linear = Linear(in_features, config.bottom_width**2 * first, key=next(keys), bias=True)
        for index, block in enumerate(config.blocks):
            setattr(self, f"blocks_{index}_0", (DeepBlock if config.deep else Block)(config, block, key=next(keys)))
            if index in config.attention:
                setattr(self, f"blocks_{index}_1", Attention(block[2], key=next(keys)))
        self.output_layer_0 = OutputBatchNorm(last)
        self.output_layer_2 = Convolution(3, last, config.image_channels, key=next(keys))

    @property
    def z_dim(self) -> int:
        """Size of z, less what does not fill a chunk."""
        return self.config.num_slots * self.config.latent_dim if not self.config.deep else self.config.z_dim

    @property
    def latent_shape(self) -> tuple[int, int]:
        """(slots, size of a slot)."""
        return self.config.num_slots, self.config.latent_dim

    def map_latents(self, z: Float[Array, "n z"], label: Array | None = None) -> Float[Array, "n slots d"]:
        """BigGAN: the chunks of z; BigGAN-deep: one copy of z for each slot. The label acts in __call__."""
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
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> tuple[Float[Array, "n height width c"], base.Activations]:
        """Image in [-1, 1] and activations. label: [n, classes] weights, one-hot or a mixture.

        truncation_psi: here BigGAN knows truncation only as a narrower z; there is one set of statistics, and nothing changes.
        """
        del noise, truncation_psi, truncation_cutoff
        if label is None:
            raise ValueError(f"label: this generator is conditional; give [batch, {self.num_classes}] weights")
        config, record = self.config, base.Recorder(offsets)
        first, conditions = self._conditions(latents, label.astype(latents.dtype), record)
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
        """What `linear` gets, and what each block gets."""
        embedding = label if self.config.embed_width is None else record("shared", self.shared(label))
        if not self.config.hierarchical:
            return latents[:, 0], [embedding] * len(self.config.blocks)
        joined = [jnp.concatenate([embedding, latents[:, k]], axis=-1) for k in range(self.config.num_slots)]
        return (joined[0] if self.config.deep else latents[:, 0]), joined[1:]


def _orthogonal(key: PRNGKey, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """The paper's initialisation (appendix C.1)."""
    return nnx.initializers.orthogonal()(key, shape, jnp.float32)
