"""StyleGAN (Karras, Laine, Aila, "A Style-Based Generator Architecture for GANs").

    z --mapping--> w, copied to every layer --synthesis--> image

The paper is from CVPR 2019; its full title ends with "for Generative Adversarial
Networks". Each resolution has two layers, and each layer has a latent and a noise
image. The layers of 4x4 are the constant and a convolution. The layers of each larger
resolution are an up-sampling convolution and a plain one.

Names are those of GANSpace's port, shortened: `b8` stands for `g_synthesis.blocks.8x8`,
and `epi1.style` for `epi1.style_mod.lin`. Activation `epi1.top_epi` follows the
instance norm, and `epi1` follows the style. Layouts are this project's: kernels HWIO,
linear weights [in, out]. All kernels are correlations with the doubled image, also the
fused ones.
"""

import dataclasses
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax import nnx

from ganspace_jax.generators import base, ops
from ganspace_jax.generators.shared_layers import (
    Buffer,
    EqualizedLinear,
    MappedLatents,
    noise_image,
    refuse_label,
    require_label,
)
from ganspace_jax.shapes import Array, Float, PRNGKey


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that the architecture depends on.

    Attributes:
        channels: Channels of the 4x4, 8x8, ... layers; their number sets the
            resolution.
        num_classes: Number of classes; 0 for an unconditional generator.
        mapping_width: Width of the hidden mapping layers; None for w_dim.
        embed_width: Width of the label embedding; None for z_dim.
        mapping_learning_rate: Learning rate multiplier of the mapping layers.
        normalize_latents: Whether z, joined to the embedded label, is normalised.
        fused_from: Smallest resolution whose doubling and convolution the original
            fuses; None for no fusion. It fixes the kernels in the original's files,
            but not the image.
        blur_filter: Filter after each up-sampling convolution; () for no filter.
        epsilon: Constant of the instance norm. The published weights were trained
            with 1e-8; GANSpace's port has 1e-5.
        compute_dtype: Type of the convolutions.
        class_names: Names of the classes, if they are known.
    """

    z_dim: int
    w_dim: int
    channels: tuple[int, ...]
    num_classes: int = 0
    image_channels: int = 3
    mapping_layers: int = 8
    mapping_width: int | None = None
    embed_width: int | None = None
    mapping_learning_rate: float = 0.01
    normalize_latents: bool = True
    fused_from: int | None = 128
    blur_filter: tuple[float, ...] = (1.0, 2.0, 1.0)
    epsilon: float = 1e-8
    use_noise: bool = True
    compute_dtype: str = "float32"
    class_names: tuple[str, ...] = ()

    @property
    def resolution(self) -> int:
        """Returns the side of the image in pixels."""
        return 4 * 2 ** (len(self.channels) - 1)

    @property
    def num_layers(self) -> int:
        """Returns the number of per-layer latents: two per resolution.

        ToRGB has no latent.
        """
        return 2 * len(self.channels)


class MappingNetwork(nnx.Module):
    """The mapping network, which turns z and the label into w.

    Its input is z joined to the embedded label, and normalised.
    """

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        embed_width = (config.embed_width or config.z_dim) if config.num_classes else 0
        if config.num_classes:
            label_key = jax.random.fold_in(key, 0)
            self.label_concat = nnx.Param(jax.random.normal(label_key, (config.num_classes, embed_width)))
        hidden = config.mapping_width or config.w_dim
        widths = [config.z_dim + embed_width, *[hidden] * (config.mapping_layers - 1), config.w_dim]
        for i in range(config.mapping_layers):
            layer_key, rate = jax.random.fold_in(key, i + 1), config.mapping_learning_rate
            layer = EqualizedLinear(widths[i], widths[i + 1], key=layer_key, gain=math.sqrt(2), learning_rate=rate)
            setattr(self, f"dense{i}", layer)
        self.w_avg = Buffer(jnp.zeros(config.w_dim))

    def __call__(self, z: Float[Array, "n z"], label: Array | None, record: base.Recorder) -> Float[Array, "n d"]:
        x = z
        if self.config.num_classes:
            label = require_label(label, self.config.num_classes).astype(z.dtype)
            embedding = record("mapping.label_concat", ops.linear(label, self.label_concat[...]))
            x = jnp.concatenate([x, embedding], axis=-1)
        else:
            refuse_label(label)
        if self.config.normalize_latents:
            x = record("mapping.pixel_norm", ops.normalize_second_moment(x))
        for i in range(self.config.mapping_layers):
            x = record(f"mapping.dense{i}", ops.leaky_relu(getattr(self, f"dense{i}")(x)))
        return x


class Convolution(nnx.Module):
    """3x3 convolution and bias with equalised learning rate.

    A convolution that doubles the size has a blur before its bias.
    """

    def __init__(self, config: Config, in_channels: int, out_channels: int, *, up: bool, key: PRNGKey):
        self.config, self.up = config, up
        self.weight = nnx.Param(jax.random.normal(key, (3, 3, in_channels, out_channels)))
        self.bias = nnx.Param(jnp.zeros(out_channels))

    def __call__(self, x: Float[Array, "n height width i"]) -> Float[Array, "n height2 width2 o"]:
        weight = (self.weight[...] * math.sqrt(2 / (9 * x.shape[-1]))).astype(x.dtype)
        y = ops.blur(ops.doubled_conv2d(x, weight), self.config.blur_filter) if self.up else ops.conv2d(x, weight)
        return y + self.bias[...].astype(y.dtype)


class Epilogue(nnx.Module):
    """Noise, leaky ReLU, instance norm and style (figure 1b; AdaIN, equation 1)."""

    def __init__(self, config: Config, channels: int, size: int, *, key: PRNGKey):
        style_key, noise_key = jax.random.split(key)
        self.config = config
        self.style = EqualizedLinear(config.w_dim, 2 * channels, key=style_key)
        if config.use_noise:
            self.noise_weight = nnx.Param(jnp.zeros(channels))
            self.noise_const = Buffer(jax.random.normal(noise_key, (size, size)))

    def __call__(
        self, x: Float[Array, "n h w c"], w: Float[Array, "n d"], noise: base.Noise, record: base.Recorder, name: str
    ) -> Float[Array, "n h w c"]:
        if self.config.use_noise and noise is not None:
            x = x + (noise_image(noise, self.noise_const[...]) * self.noise_weight[...]).astype(x.dtype)
        x = record(f"{name}.top_epi", _instance_norm(ops.leaky_relu(x), self.config.epsilon))
        style = record(f"{name}.style", self.style(w))[:, None, None, :].astype(x.dtype)
        scale, shift = jnp.split(style, 2, axis=-1)
        return record(name, x * (scale + 1.0) + shift)


class Block(nnx.Module):
    """The two layers of one resolution."""

    def __init__(self, config: Config, index: int, *, key: PRNGKey):
        keys = jax.random.split(key, 4)
        self.config, self.index, size, channels = config, index, 4 * 2**index, config.channels[index]
        if index == 0:
            self.const = nnx.Param(jnp.ones((4, 4, channels)))
            self.bias = nnx.Param(jnp.zeros(channels))
            self.conv = Convolution(config, channels, channels, up=False, key=keys[0])
        else:
            before = config.channels[index - 1]
            self.conv0_up = Convolution(config, before, channels, up=True, key=keys[0])
            self.conv1 = Convolution(config, channels, channels, up=False, key=keys[1])
        self.epi1 = Epilogue(config, channels, size, key=keys[2])
        self.epi2 = Epilogue(config, channels, size, key=keys[3])

    def start(self, num_samples: int) -> Float[Array, "n 4 4 c"]:
        """Returns the learned constant plus its bias, one copy for each sample."""
        x = (self.const[...] + self.bias[...]).astype(self.config.compute_dtype)
        return jnp.broadcast_to(x, (num_samples, *x.shape))

    def __call__(self, x: Array, latents: Array, noise: base.Noise, record: base.Recorder) -> Array:
        """Returns the output of layers 2 index and 2 index + 1.

        The input x is the output of the block before, or start() for the first block.
        """
        name, layer = f"b{4 * 2**self.index}", 2 * self.index
        if self.index > 0:
            x = record(f"{name}.conv0_up", self.conv0_up(x))
        x = self.epi1(x, latents[:, layer], base.layer_noise(noise, layer), record, f"{name}.epi1")
        second, convolve = ("conv1", self.conv1) if self.index > 0 else ("conv", self.conv)
        x = record(f"{name}.{second}", convolve(x))
        return self.epi2(x, latents[:, layer + 1], base.layer_noise(noise, layer + 1), record, f"{name}.epi2")


class ToRGB(nnx.Module):
    """1x1 convolution to the image's channels, without style or activation."""

    def __init__(self, config: Config, in_channels: int, *, key: PRNGKey):
        self.weight = nnx.Param(jax.random.normal(key, (1, 1, in_channels, config.image_channels)))
        self.bias = nnx.Param(jnp.zeros(config.image_channels))

    def __call__(self, x: Float[Array, "n height width i"]) -> Float[Array, "n height width c"]:
        weight = (self.weight[...] / math.sqrt(x.shape[-1])).astype(x.dtype)
        return ops.conv2d(x, weight).astype(jnp.float32) + self.bias[...]


class Synthesis(nnx.Module):
    """The synthesis network, which turns per-layer w into an image."""

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        for index in range(len(config.channels)):
            setattr(self, f"b{4 * 2**index}", Block(config, index, key=jax.random.fold_in(key, index)))
        self.torgb = ToRGB(config, config.channels[-1], key=jax.random.fold_in(key, len(config.channels)))

    def __call__(self, latents: Array, noise: base.Noise, record: base.Recorder) -> Float[Array, "n height width c"]:
        blocks: list[Block] = [getattr(self, f"b{4 * 2**index}") for index in range(len(self.config.channels))]
        x = blocks[0].start(latents.shape[0])
        for block in blocks:
            x = block(x, latents, noise, record)
        return record("torgb", self.torgb(x))


class StyleGAN(MappedLatents, nnx.Module):
    """The whole generator, which fulfils the contract base.Network."""

    def __init__(self, config: Config, *, key: PRNGKey):
        mapping_key, synthesis_key = jax.random.split(key)
        self.config = config
        self.mapping = MappingNetwork(config, key=mapping_key)
        self.synthesis = Synthesis(config, key=synthesis_key)

    @property
    def latent_shape(self) -> tuple[int, int]:
        """Returns (layers, w_dim)."""
        return self.config.num_layers, self.config.w_dim

    def __call__(
        self,
        latents: Float[Array, "n layers d"],
        *,
        label: Array | None = None,
        offsets: Mapping[str, Array] | None = None,
        noise: base.Noise = "const",
        truncation_psi: ops.Psi = 1.0,
        truncation_cutoff: ops.Cutoff = None,
    ) -> tuple[Float[Array, "n height width c"], base.Activations]:
        """Returns the image (about [-1, 1], not clipped) and the activations.

        The label is ignored, because it acts in map_latents alone. The published
        images have truncation_psi 0.7 and truncation_cutoff 8.
        """
        del label
        record = base.Recorder(offsets)
        latents = ops.truncate(latents, self.mapping.w_avg[...], truncation_psi, truncation_cutoff)
        return self.synthesis(latents, noise, record), record.finish()


def _instance_norm(x: Float[Array, "n h w c"], epsilon: float) -> Float[Array, "n h w c"]:
    """Returns x with zero mean and unit variance over the pixels of each channel.

    The statistics are computed in float32.
    """
    y = x.astype(jnp.float32)
    y = y - jnp.mean(y, (1, 2), keepdims=True)
    return (y * jax.lax.rsqrt(jnp.mean(jnp.square(y), (1, 2), keepdims=True) + epsilon)).astype(x.dtype)
