"""BigGAN-deep (Brock, Donahue, Simonyan, "Large Scale GAN Training for High Fidelity
Natural Image Synthesis", ICLR 2019, appendix B), as in the Hugging Face port.

    z, class embedding --gen_z--> 4x4 map --bottleneck blocks, self-attention-->
      ToRGB --tanh--> image

Latents are [batch, 1 + blocks, z_dim]: the first is gen_z's, and each block has one. In
the published images all latents of a sample equal z. Parameter names are those of the
port (`generator.layers.4.bn_0.scale`) without its prefix. Spectral norm is already
divided out. Layouts are this project's: kernels HWIO, linear weights [in, out].
"""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import core

from ganspace_jax.generators import base, ops, shared_layers
from ganspace_jax.generators.shared_layers import OrthogonalConvolution, OrthogonalLinear, Statistics
from ganspace_jax.shapes import Array, Float, Int, PRNGKey

BlockConfig = tuple[bool, int, int]  # doubles the size, channels in and out in units of channel_width

_STEM: tuple[BlockConfig, ...] = ((False, 16, 16), (True, 16, 16), (False, 16, 16), (True, 16, 8), (False, 8, 8))
_HEAD: tuple[BlockConfig, ...] = ((True, 8, 4), (False, 4, 4), (True, 4, 2), (False, 2, 2), (True, 2, 1))
PUBLISHED_BLOCKS: dict[int, tuple[BlockConfig, ...]] = {
    128: (*_STEM, *_HEAD),
    256: (*_STEM, (True, 8, 8), (False, 8, 8), (True, 8, 4), (False, 4, 4), (True, 4, 2), (False, 2, 2), (True, 2, 1)),
    512: (*_STEM, (True, 8, 8), (False, 8, 8), *_HEAD, (False, 1, 1), (True, 1, 1)),
}


def parse_blocks(texts: Sequence[str]) -> tuple[BlockConfig, ...]:
    """Returns ((False, 4, 4), (True, 4, 2)) for ["4-4", "4-2up"].

    Raises ValueError if a text is malformed. Raises ValueError also if its input width
    differs from the output width of the block before.
    """
    blocks = []
    for text in texts:
        match = re.fullmatch(r"(\d+)-(\d+)(up)?", text)
        if match is None or (blocks and blocks[-1][2] != int(match[1])):
            raise ValueError(f"blocks: {text!r} is not IN-OUT or IN-OUTup with IN the width of the block before")
        blocks.append((match[3] is not None, int(match[1]), int(match[2])))
    return tuple(blocks)


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that the architecture depends on.

    Attributes:
        channel_width: Unit of the channels in `blocks`.
        blocks: Configurations of the residual blocks.
        attention_position: Index of the block that follows self-attention; -1 for no
            attention.
        embed_width: Width of the class embedding; None for z_dim.
        num_statistics: Number of truncations from 0 to 1 that have statistics.
        epsilon: Constant of the batch norms.
        compute_dtype: Type of the convolutions.
        class_names: Names of the classes, if they are known.
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
        """Returns the side of the image in pixels."""
        return 4 * 2 ** sum(doubles for doubles, _, _ in self.blocks)

    @property
    def condition_width(self) -> int:
        """Returns the size of a block's condition: latent and class embedding."""
        return self.z_dim + (self.embed_width or self.z_dim)


class StatisticsRows(NamedTuple):
    """Rows of the batch norm statistics, and their weights, for one truncation.

    Attributes:
        row: Index of the first row.
        share: Weight of that row; the next row has weight 1 - share.
    """

    row: int | Int[Array, ""]
    share: float | Float[Array, ""]

    def read(self, table: Float[Array, "rows c"]) -> Float[Array, "c"]:
        """Returns the weighted mean of the two rows of a table."""
        after = jnp.minimum(self.row + 1, len(table) - 1)
        return table[self.row] * self.share + table[after] * (1.0 - self.share)


def statistics_rows(truncation_psi: ops.Psi, num_statistics: int) -> StatisticsRows:
    """Returns the rows of the batch norm statistics for a truncation.

    The released code interpolates backwards: it weights row i by the distance from
    row i. It also divides in double precision, which can miss a row's exact
    truncation. The published images have both, so this function reproduces them.

    Args:
        truncation_psi: Truncation from 0 to 1, which may be traced. An array within
            1e-6 of a row's truncation gives the row that this Python float gives.
        num_statistics: Number of rows.

    Raises:
        ValueError: truncation_psi is outside [0, 1]. A traced value is clipped instead.
    """
    if not isinstance(truncation_psi, core.Tracer) and not 0.0 <= truncation_psi <= 1.0:
        raise ValueError(f"truncation_psi={truncation_psi}: BigGAN has batch norm statistics from 0 to 1")
    if num_statistics == 1:
        return StatisticsRows(0, 1.0)
    if not isinstance(truncation_psi, int | float):
        return _rows_of_array(truncation_psi, num_statistics)
    share, first = math.modf(truncation_psi / (1.0 / (num_statistics - 1)))
    return StatisticsRows(int(first), share if share else 1.0)


def _rows_of_array(truncation_psi: Float[Array, ""], num_statistics: int) -> StatisticsRows:
    """Returns the rows for an array, which may be traced."""
    steps = num_statistics - 1
    exact = [statistics_rows(k / steps, num_statistics) for k in range(num_statistics)]
    row_of_step = jnp.asarray([rows.row if rows.share > 0.5 else min(rows.row + 1, steps) for rows in exact])
    position = jnp.clip(truncation_psi, 0.0, 1.0) * steps
    first, nearest = jnp.floor(position), jnp.round(position)
    is_step = jnp.abs(position - nearest) < 1e-6 * steps
    row = jnp.where(is_step, row_of_step[nearest.astype(jnp.int32)], first.astype(jnp.int32))
    return StatisticsRows(row, jnp.where(is_step, 1.0, position - first))


class BatchNorm(nnx.Module):
    """Batch norm with stored statistics, one row for each step of the truncation.

    If it is conditional, scale minus 1 and offset are linear in the condition.
    """

    def __init__(self, config: Config, channels: int, *, key: PRNGKey, conditional: bool = True):
        self.config, self.conditional = config, conditional
        self.running_means = Statistics(jnp.zeros((config.num_statistics, channels)))
        self.running_vars = Statistics(jnp.ones((config.num_statistics, channels)))
        if conditional:
            keys = jax.random.split(key)
            self.scale = OrthogonalLinear(config.condition_width, channels, key=keys[0])
            self.offset = OrthogonalLinear(config.condition_width, channels, key=keys[1])
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
        return run.record(name, ops.batch_norm(x, mean, variance, gain, bias, self.config.epsilon))

    def _moments(self, x: Array, run: "_Run", name: str) -> tuple[Float[Array, "c"], Float[Array, "c"]]:
        """Returns mean and variance: the stored ones of the truncation.

        Training uses those of the batch, and records them.
        """
        if run.rows is None:
            mean, variance = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
            return run.record(f"{name}.mean", mean), run.record(f"{name}.variance", variance)
        return run.rows.read(self.running_means[...]), run.rows.read(self.running_vars[...])


class Block(nnx.Module):
    """A bottleneck block (figure 16).

    Its convolutions are 1x1, two 3x3 and 1x1. Its shortcut has no parameters.
    """

    def __init__(self, config: Config, block: BlockConfig, *, key: PRNGKey):
        self.doubles = block[0]
        channels_in, self.channels_out = (config.channel_width * multiple for multiple in block[1:])
        middle = channels_in // 4
        widths = (channels_in, middle, middle, middle, self.channels_out)
        keys = jax.random.split(key, 8)
        for i, size in enumerate((1, 3, 3, 1)):
            setattr(self, f"bn_{i}", BatchNorm(config, widths[i], key=keys[i]))
            setattr(self, f"conv_{i}", OrthogonalConvolution(size, widths[i], widths[i + 1], key=keys[4 + i]))

    def __call__(self, x: Array, condition: Array, run: "_Run", name: str) -> Float[Array, "n h2 w2 o"]:
        y = x
        for i in range(4):
            y = jax.nn.relu(getattr(self, f"bn_{i}")(y, condition, run, f"{name}.bn_{i}"))
            y = run.record(f"{name}.conv_{i}", getattr(self, f"conv_{i}")(y, doubled=self.doubles and i == 1))
        shortcut = x[..., : self.channels_out]
        return run.record(name, y + (ops.repeat_pixels(shortcut) if self.doubles else shortcut))


@dataclasses.dataclass(frozen=True)
class _Run:
    """The state of one forward pass.

    Attributes:
        record: Recorder of activations.
        rows: Rows of the statistics; None for training, which uses the batch's
            statistics.
    """

    record: base.Recorder
    rows: StatisticsRows | None


class BigGANDeep(base.Configured, nnx.Module):
    """The whole generator, which fulfils the contract base.Network."""

    prior: Literal["normal", "truncated_normal"] = "truncated_normal"
    has_mapping = False
    default_layer = "gen_z"

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        keys = iter(jax.random.split(key, len(config.blocks) + 5))
        first = config.blocks[0][1] * config.channel_width
        embed_width = config.condition_width - config.z_dim
        self.embeddings = OrthogonalLinear(config.num_classes, embed_width, key=next(keys))
        self.gen_z = OrthogonalLinear(config.condition_width, 16 * first, key=next(keys), bias=True)
        for index, block in enumerate(config.blocks):
            setattr(self, self.block_name(index), Block(config, block, key=next(keys)))
        if config.attention_position >= 0:
            channels = config.blocks[config.attention_position][1] * config.channel_width
            setattr(
                self,
                f"layers_{config.attention_position}",
                shared_layers.SelfAttention(channels, output="o_conv", key=next(keys)),
            )
        last = config.blocks[-1][2] * config.channel_width
        self.bn = BatchNorm(config, last, key=next(keys), conditional=False)
        self.conv_to_rgb = OrthogonalConvolution(3, last, config.image_channels, key=next(keys))

    def block_name(self, block: int) -> str:
        """Returns layers_k, numbered as published: attention counts as a layer."""
        return f"layers_{block + (0 <= self.config.attention_position <= block)}"

    @property
    def latent_shape(self) -> tuple[int, int]:
        """Returns (1 + blocks, z_dim)."""
        return 1 + len(self.config.blocks), self.config.z_dim

    def map_latents(self, z: Float[Array, "n z"], label: Array | None = None) -> Float[Array, "n layers d"]:
        """Returns one copy of z for gen_z and for each block.

        The label acts in __call__.
        """
        del label
        return ops.broadcast_layers(z, self.latent_shape[0])

    def __call__(
        self,
        latents: Float[Array, "n layers d"],
        *,
        label: Array | None = None,
        offsets: Mapping[str, Array] | None = None,
        noise: base.Noise = None,
        truncation_psi: ops.Psi = 1.0,
        truncation_cutoff: ops.Cutoff = None,
        batch_statistics: bool = False,
    ) -> tuple[Float[Array, "n height width c"], base.Activations]:
        """Returns the image in [-1, 1] and the activations.

        Argument truncation_psi, from 0 to 1, selects batch norm statistics and does not
        change the latents. The label is one-hot, or a mixture of classes. Training sets
        batch_statistics: batch norms then use the batch's statistics, and the
        activations hold each batch norm's `.mean` and `.variance`. Noise is ignored.

        Raises:
            ValueError: The label is missing, or there is a cutoff, or truncation_psi
                is outside [0, 1].
        """
        del noise
        if truncation_cutoff is not None:
            raise ValueError("truncation_cutoff: BigGAN's truncation has no layers")
        label = shared_layers.require_label(label, self.num_classes).astype(latents.dtype)
        rows = None if batch_statistics else statistics_rows(truncation_psi, self.config.num_statistics)
        run = _Run(base.Recorder(offsets), rows)
        embedding = run.record("embeddings", self.embeddings(label))
        conditions = [jnp.concatenate([latents[:, k], embedding], axis=-1) for k in range(latents.shape[1])]
        x = run.record("gen_z", self.gen_z(conditions[0]))
        x = x.reshape(len(x), 4, 4, -1).astype(self.config.compute_dtype)
        for index, condition in enumerate(conditions[1:]):
            if index == self.config.attention_position:
                x = getattr(self, f"layers_{index}")(x, run.record, f"layers.{index}")
            name = self.block_name(index)
            x = getattr(self, name)(x, condition, run, name.replace("_", "."))
        x = self.bn(x, conditions[0], run, "bn")
        x = run.record("conv_to_rgb", self.conv_to_rgb(jax.nn.relu(x)))
        return jnp.tanh(x.astype(jnp.float32)), run.record.finish()
