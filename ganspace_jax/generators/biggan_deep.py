"""BigGAN-deep (Brock, Donahue, Simonyan, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", ICLR 2019,
appendix B), as released in the Hugging Face port.

    z, class embedding --gen_z--> 4x4 map --bottleneck blocks, self-attention--> ToRGB --tanh--> image

Every block has a latent of its own: latents are [batch, 1 + blocks, z_dim], the first for gen_z. In the published images they
are all the same z. Parameter names are those of the port (`generator.layers.4.bn_0.scale`), without its prefix; spectral norm
is already divided out. Layouts are this project's: kernels HWIO, linear weights [in, out].
"""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from ganspace_jax.generators import base, ops
from ganspace_jax.shapes import Array, Float, PRNGKey

BlockConfig = tuple[bool, int, int]  # doubles the size, channels in and out in units of channel_width

_STEM: tuple[BlockConfig, ...] = ((False, 16, 16), (True, 16, 16), (False, 16, 16), (True, 16, 8), (False, 8, 8))
_HEAD: tuple[BlockConfig, ...] = ((True, 8, 4), (False, 4, 4), (True, 4, 2), (False, 2, 2), (True, 2, 1))
PUBLISHED_BLOCKS: dict[int, tuple[BlockConfig, ...]] = {
    128: (*_STEM, *_HEAD),
    256: (*_STEM, (True, 8, 8), (False, 8, 8), (True, 8, 4), (False, 4, 4), (True, 4, 2), (False, 2, 2), (True, 2, 1)),
    512: (*_STEM, (True, 8, 8), (False, 8, 8), *_HEAD, (False, 1, 1), (True, 1, 1)),
}


def parse_blocks(texts: Sequence[str]) -> tuple[BlockConfig, ...]:
    """["4-4", "4-2up"] -> ((False, 4, 4), (True, 4, 2)); raises ValueError."""
    blocks = []
    for text in texts:
        match = re.fullmatch(r"(\d+)-(\d+)(up)?", text)
        if match is None or (blocks and blocks[-1][2] != int(match[1])):
            raise ValueError(f"blocks: {text!r} is not IN-OUT or IN-OUTup with IN the width of the block before")
        blocks.append((match[3] is not None, int(match[1]), int(match[2])))
    return tuple(blocks)


class Statistics(nnx.Variable):
    """Means and variances of a batch norm, one row for each step of the truncation: not trained by gradient."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that the architecture depends on.

    blocks: see BlockConfig. attention_position: index of the block before which attention stands (-1: none).
    embed_width: of the class embedding (None: z_dim). num_statistics: truncations from 0 to 1 with statistics of their own.
    """

    z_dim: int
    num_classes: int
    channel_width: int
    blocks: tuple[BlockConfig, ...]
    attention_position: int = 8
    embed_width: int | None = None
    image_channels: int = 3
    num_statistics: int = 51
    epsilon: float = 1e-4
    compute_dtype: str = "float32"
    class_names: tuple[str, ...] = ()

    @property
    def resolution(self) -> int:
        """Side of the image in pixels."""
        return 4 * 2 ** sum(doubles for doubles, _, _ in self.blocks)

    @property
    def condition_width(self) -> int:
        """Size of what every block is conditioned on: its latent and the class embedding."""
        return self.z_dim + (self.embed_width or self.z_dim)


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


class BatchNorm(nnx.Module):
    """Batch norm with the statistics of a truncation; scale and offset from the condition, or plain where there is none."""

    def __init__(self, config: Config, channels: int, *, key: PRNGKey, conditional: bool = True):
        self.config, self.conditional = config, conditional
        self.running_means = Statistics(jnp.zeros((config.num_statistics, channels)))
        self.running_vars = Statistics(jnp.ones((config.num_statistics, channels)))
        if conditional:
            keys = jax.random.split(key)
            self.scale = Linear(config.condition_width, channels, key=keys[0])
            self.offset = Linear(config.condition_width, channels, key=keys[1])
        else:
            self.weight = nnx.Param(jnp.ones(channels))
            self.bias = nnx.Param(jnp.zeros(channels))

    def __call__(self, x: Array, condition: Array, run: "_Run", name: str) -> Float[Array, "n h w c"]:
        mean, variance = self._moments(x, run, name)
        if self.conditional:
            gain = 1.0 + run.record(f"{name}.scale", self.scale(condition))[:, None, None, :]
            bias = run.record(f"{name}.offset", self.offset(condition))[:, None, None, :]
        else:
            gain, bias = self.weight[...], self.bias[...]
        gain = gain * jax.lax.rsqrt(variance + self.config.epsilon)
        return run.record(name, x * gain.astype(x.dtype) + (bias - mean * gain).astype(x.dtype))

    def _moments(self, x: Array, run: "_Run", name: str) -> tuple[Float[Array, "c"], Float[Array, "c"]]:
        """Of this batch in training, and then recorded; else the stored ones of the truncation."""
        if run.truncation_psi is None:
            mean, variance = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
            return run.record(f"{name}.mean", mean), run.record(f"{name}.variance", variance)
        first, share = statistics_rows(run.truncation_psi, self.config.num_statistics)
        rows = [x[...][first] * share + x[...][first + 1] * (1.0 - share) if share else x[...][first]
                for x in (self.running_means, self.running_vars)]  # fmt: skip
        return rows[0], rows[1]


def statistics_rows(truncation_psi: float, num_statistics: int) -> tuple[int, float]:
    """(i, f): the statistics of a truncation are row i if f is 0, else f times row i plus 1 - f times row i + 1.

    That is the released code's interpolation, which runs backwards, in double precision; both are reproduced, for the
    published images have them. Raises ValueError outside [0, 1].
    """
    if not 0.0 <= truncation_psi <= 1.0:
        raise ValueError(f"truncation_psi={truncation_psi}: BigGAN has batch norm statistics from 0 to 1")
    if num_statistics == 1:
        return 0, 0.0
    share, first = math.modf(truncation_psi / (1.0 / (num_statistics - 1)))
    return int(first), share


class Block(nnx.Module):
    """A bottleneck block (figure 16): 1x1, two 3x3 and 1x1 convolutions, and a shortcut without parameters."""

    def __init__(self, config: Config, block: BlockConfig, *, key: PRNGKey):
        self.doubles = block[0]
        channels_in, self.channels_out = (config.channel_width * multiple for multiple in block[1:])
        middle = channels_in // 4
        widths = (channels_in, middle, middle, middle, self.channels_out)
        keys = jax.random.split(key, 8)
        for i, size in enumerate((1, 3, 3, 1)):
            setattr(self, f"bn_{i}", BatchNorm(config, widths[i], key=keys[i]))
            setattr(self, f"conv_{i}", Convolution(size, widths[i], widths[i + 1], key=keys[4 + i]))

    def __call__(self, x: Array, condition: Array, run: "_Run", name: str) -> Float[Array, "n h2 w2 o"]:
        y = x
        for i in range(4):
            y = jax.nn.relu(getattr(self, f"bn_{i}")(y, condition, run, f"{name}.bn_{i}"))
            if i == 1 and self.doubles:
                y = ops.repeat_pixels(y)
            y = run.record(f"{name}.conv_{i}", getattr(self, f"conv_{i}")(y))
        shortcut = x[..., : self.channels_out]
        return run.record(name, y + (ops.repeat_pixels(shortcut) if self.doubles else shortcut))


class Attention(nnx.Module):
    """Self-attention over positions (Zhang et al., SAGAN, ICML 2019), keys and values pooled 2x2."""

    def __init__(self, channels: int, *, key: PRNGKey):
        keys = jax.random.split(key, 4)
        self.theta = Convolution(1, channels, channels // 8, key=keys[0], bias=False)
        self.phi = Convolution(1, channels, channels // 8, key=keys[1], bias=False)
        self.g = Convolution(1, channels, channels // 2, key=keys[2], bias=False)
        self.o_conv = Convolution(1, channels // 2, channels, key=keys[3], bias=False)
        self.gamma = nnx.Param(jnp.zeros(()))

    def __call__(self, x: Float[Array, "n h w c"], run: "_Run", name: str) -> Float[Array, "n h w c"]:
        queries = run.record(f"{name}.theta", self.theta(x))
        keys = ops.max_pool(run.record(f"{name}.phi", self.phi(x)))
        values = ops.max_pool(run.record(f"{name}.g", self.g(x)))
        attended = self.o_conv(ops.attend(queries, keys, values))
        y = run.record(f"{name}.o_conv", attended)
        return run.record(name, x + self.gamma[...].astype(x.dtype) * y)


@dataclasses.dataclass(frozen=True)
class _Run:
    """What one forward pass carries along. truncation_psi: None in training, where the batch's own statistics are used."""

    record: base.Recorder
    truncation_psi: float | None


class BigGANDeep(base.Configured, nnx.Module):
    """The whole generator; see base.Generator for the contract."""

    prior: Literal["normal", "truncated_normal"] = "truncated_normal"
    has_mapping = False
    default_layer = "gen_z"

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        keys = iter(jax.random.split(key, len(config.blocks) + 5))
        first = config.blocks[0][1] * config.channel_width
        embed_width = config.condition_width - config.z_dim
        self.embeddings = Linear(config.num_classes, embed_width, key=next(keys))
        self.gen_z = Linear(config.condition_width, 16 * first, key=next(keys), bias=True)
        for index, block in enumerate(config.blocks):
            setattr(self, self.block_name(index), Block(config, block, key=next(keys)))
        if config.attention_position >= 0:
            channels = config.blocks[config.attention_position][1] * config.channel_width
            setattr(self, f"layers_{config.attention_position}", Attention(channels, key=next(keys)))
        last = config.blocks[-1][2] * config.channel_width
        self.bn = BatchNorm(config, last, key=next(keys), conditional=False)
        self.conv_to_rgb = Convolution(3, last, config.image_channels, key=next(keys))

    def block_name(self, block: int) -> str:
        """layers_k, numbered as published: attention counts as a layer."""
        return f"layers_{block + (0 <= self.config.attention_position <= block)}"

    @property
    def latent_shape(self) -> tuple[int, int]:
        """(1 + blocks, z_dim)."""
        return 1 + len(self.config.blocks), self.config.z_dim

    def map_latents(self, z: Float[Array, "n z"], label: Array | None = None) -> Float[Array, "n layers d"]:
        """One copy of z for gen_z and for each block; the label acts in __call__."""
        del label
        return ops.broadcast_layers(z, self.latent_shape[0])

    def __call__(
        self,
        latents: Float[Array, "n layers d"],
        *,
        label: Array | None = None,
        offsets: Mapping[str, Array] | None = None,
        noise: base.Noise = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        batch_statistics: bool = False,
    ) -> tuple[Float[Array, "n height width c"], base.Activations]:
        """Image in [-1, 1] and activations. truncation_psi chooses the batch norm statistics; the latents are taken as given.

        label: [n, classes] weights, one-hot or a mixture. batch_statistics: for training; the activations then hold each
        batch norm's `.mean` and `.variance`.
        """
        del noise  # BigGAN has none
        if truncation_cutoff is not None:
            raise ValueError("truncation_cutoff: BigGAN's truncation has no layers")
        if label is None:
            raise ValueError(f"label: this generator is conditional; give [batch, {self.num_classes}] weights")
        run = _Run(base.Recorder(offsets), None if batch_statistics else truncation_psi)
        embedding = run.record("embeddings", self.embeddings(label.astype(latents.dtype)))
        conditions = [jnp.concatenate([latents[:, k], embedding], axis=-1) for k in range(latents.shape[1])]
        x = run.record("gen_z", self.gen_z(conditions[0]))
        x = x.reshape(len(x), 4, 4, -1).astype(self.config.compute_dtype)
        for index, condition in enumerate(conditions[1:]):
            if index == self.config.attention_position:
                x = getattr(self, f"layers_{index}")(x, run, f"layers.{index}")
            name = self.block_name(index)
            x = getattr(self, name)(x, condition, run, name.replace("_", "."))
        x = self.bn(x, conditions[0], run, "bn")
        x = run.record("conv_to_rgb", self.conv_to_rgb(jax.nn.relu(x)))
        return jnp.tanh(x.astype(jnp.float32)), run.record.finish()


def _orthogonal(key: PRNGKey, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """The paper's initialisation (appendix C.1)."""
    return nnx.initializers.orthogonal()(key, shape, jnp.float32)
