"""StyleGAN (Karras, Laine, Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR 2019).

    z --mapping--> w, copied to every layer --synthesis--> image

Two layers a resolution, each with a latent and a noise image of its own: the constant and a convolution at 4x4, then an
up-sampling convolution and another. Names are those of GANSpace's port, shortened: `b8` for `g_synthesis.blocks.8x8`, and
`epi1.style` for `epi1.style_mod.lin`; `epi1.top_epi` is after instance norm, `epi1` after the style. Layouts are this
project's: kernels HWIO, and all of them correlations with the doubled image, also the fused ones; linear weights [in, out].
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from ganspace_jax.generators import base, ops
from ganspace_jax.shapes import Array, Float, PRNGKey


class Buffer(nnx.Variable):
    """An array that belongs to the checkpoint and is not trained by gradient: noise images and the mean w."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that the architecture depends on.

    channels: of the 4x4, 8x8, ... layers; their number sets the resolution. mapping_width: of the hidden mapping layers
    (None: w_dim). embed_width: of the label embedding (None: z_dim). fused_from: resolution from which on doubling and
    convolution are one transposed convolution (None: nowhere); the images are the same to rounding. blur_filter: () for none.
    epsilon: of the instance norm; the weights were trained with 1e-8, GANSpace's port has 1e-5.
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
        """Side of the image in pixels."""
        return 4 * 2 ** (len(self.channels) - 1)

    @property
    def num_layers(self) -> int:
        """Per-layer latents: two a resolution; ToRGB has none."""
        return 2 * len(self.channels)


class Linear(nnx.Module):
    """Equalised learning rate (ProGAN, section 4.1): weights of unit size, scaled where they are used."""

    def __init__(
        self, in_features: int, out_features: int, *, key: PRNGKey, gain: float = 1.0, learning_rate: float = 1.0
    ):
        self.weight = nnx.Param(jax.random.normal(key, (in_features, out_features)) / learning_rate)
        self.bias = nnx.Param(jnp.zeros(out_features))
        self.gain, self.learning_rate = gain, learning_rate

    def __call__(self, x: Float[Array, "n i"]) -> Float[Array, "n o"]:
        weight = self.weight[...] * (self.gain * self.learning_rate / math.sqrt(x.shape[-1]))
        return ops.linear(x, weight, self.bias[...] * self.learning_rate)


class MappingNetwork(nnx.Module):
    """The mapping network: z, joined to the embedded label and normalised -> w."""

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
            layer = Linear(widths[i], widths[i + 1], key=layer_key, gain=math.sqrt(2), learning_rate=rate)
            setattr(self, f"dense{i}", layer)
        self.w_avg = Buffer(jnp.zeros(config.w_dim))

    def __call__(self, z: Float[Array, "n z"], label: Array | None, record: base.Recorder) -> Float[Array, "n d"]:
        x = z
        if self.config.num_classes:
            if label is None:
                raise ValueError(
                    f"label: this generator is conditional; give [batch, {self.config.num_classes}] weights"
                )
            embedding = ops.linear(label.astype(z.dtype), self.label_concat[...])
            x = jnp.concatenate([x, record("mapping.label_concat", embedding)], axis=-1)
        elif label is not None:
            raise ValueError("label: this generator is not conditional")
        if self.config.normalize_latents:
            x = record("mapping.pixel_norm", ops.normalize_second_moment(x))
        for i in range(self.config.mapping_layers):
            x = record(f"mapping.dense{i}", ops.leaky_relu(getattr(self, f"dense{i}")(x)))
        return x


class Convolution(nnx.Module):
    """3x3 convolution and bias, equalised learning rate; where it doubles the size, a blur before the bias."""

    def __init__(self, config: Config, in_channels: int, out_channels: int, size: int, *, up: bool, key: PRNGKey):
        self.config, self.up = config, up
        self.fused = config.fused_from is not None and size >= config.fused_from
        self.weight = nnx.Param(jax.random.normal(key, (3, 3, in_channels, out_channels)))
        self.bias = nnx.Param(jnp.zeros(out_channels))

    def __call__(self, x: Float[Array, "n height width i"]) -> Float[Array, "n height2 width2 o"]:
        weight = (self.weight[...] * math.sqrt(2 / (9 * x.shape[-1]))).astype(x.dtype)
        if self.up:
            y = _double_and_convolve(x, weight) if self.fused else ops.conv2d(ops.repeat_pixels(x), weight)
            y = _blur(y, self.config.blur_filter)
        else:
            y = ops.conv2d(x, weight)
        return y + self.bias[...].astype(y.dtype)


class Epilogue(nnx.Module):
    """Noise, leaky ReLU, instance norm, style (figure 1b; AdaIN, equation 1)."""

    def __init__(self, config: Config, channels: int, size: int, *, key: PRNGKey):
        style_key, noise_key = jax.random.split(key)
        self.config, self.size = config, size
        self.style = Linear(config.w_dim, 2 * channels, key=style_key)
        if config.use_noise:
            self.noise_weight = nnx.Param(jnp.zeros(channels))
            self.noise_const = Buffer(jax.random.normal(noise_key, (size, size)))

    def __call__(
        self, x: Float[Array, "n h w c"], w: Float[Array, "n d"], noise: base.Noise, record: base.Recorder, name: str
    ) -> Float[Array, "n h w c"]:
        if self.config.use_noise and noise is not None:
            x = x + (self._noise_image(noise) * self.noise_weight[...]).astype(x.dtype)
        x = record(f"{name}.top_epi", _instance_norm(ops.leaky_relu(x), self.config.epsilon))
        style = record(f"{name}.style", self.style(w))[:, None, None, :].astype(x.dtype)
        scale, shift = jnp.split(style, 2, axis=-1)
        return record(name, x * (scale + 1.0) + shift)

    def _noise_image(self, noise: base.Noise) -> Float[Array, "n height width 1"]:
        if isinstance(noise, str):
            return self.noise_const[...][None, :, :, None]
        return jax.vmap(lambda key: jax.random.normal(key, (self.size, self.size, 1)))(noise)


class Block(nnx.Module):
    """The two layers of one resolution."""

    def __init__(self, config: Config, index: int, *, key: PRNGKey):
        keys = jax.random.split(key, 4)
        self.config, self.index, size, channels = config, index, 4 * 2**index, config.channels[index]
        if index == 0:
            self.const = nnx.Param(jnp.ones((4, 4, channels)))
            self.bias = nnx.Param(jnp.zeros(channels))
            self.conv = Convolution(config, channels, channels, size, up=False, key=keys[0])
        else:
            before = config.channels[index - 1]
            self.conv0_up = Convolution(config, before, channels, size, up=True, key=keys[0])
            self.conv1 = Convolution(config, channels, channels, size, up=False, key=keys[1])
        self.epi1 = Epilogue(config, channels, size, key=keys[2])
        self.epi2 = Epilogue(config, channels, size, key=keys[3])

    def start(self, num_samples: int) -> Float[Array, "n 4 4 c"]:
        """The learned constant and its bias, one a sample."""
        x = (self.const[...] + self.bias[...]).astype(self.config.compute_dtype)
        return jnp.broadcast_to(x, (num_samples, *x.shape))

    def __call__(self, x: Array, latents: Array, noise: base.Noise, record: base.Recorder) -> Array:
        """Layers 2 index and 2 index + 1; the first block is given its own start."""
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
    """The synthesis network: per-layer w -> image."""

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


class StyleGAN(base.Configured, nnx.Module):
    """The whole generator; see base.Generator for the contract."""

    prior: Literal["normal", "truncated_normal"] = "normal"
    has_mapping = True
    default_layer = "w"

    def __init__(self, config: Config, *, key: PRNGKey):
        mapping_key, synthesis_key = jax.random.split(key)
        self.config = config
        self.mapping = MappingNetwork(config, key=mapping_key)
        self.synthesis = Synthesis(config, key=synthesis_key)

    @property
    def latent_shape(self) -> tuple[int, int]:
        """(layers, w_dim)."""
        return self.config.num_layers, self.config.w_dim

    def map_latents(self, z: Float[Array, "n z"], label: Array | None = None) -> Float[Array, "n layers d"]:
        """w = mapping(z, label), one copy for each layer, not truncated."""
        return ops.broadcast_layers(self.map_with_activations(z, label)[0], self.config.num_layers)

    def map_with_activations(
        self, z: Float[Array, "n z"], label: Array | None = None
    ) -> tuple[Array, base.Activations]:
        """w, and by name the label's embedding, the normalised z and the mapping layers' outputs."""
        record = base.Recorder()
        return self.mapping(z, label, record), record.finish()

    def __call__(
        self,
        latents: Float[Array, "n layers d"],
        *,
        label: Array | None = None,
        offsets: Mapping[str, Array] | None = None,
        noise: base.Noise = "const",
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> tuple[Float[Array, "n height width c"], base.Activations]:
        """Image (about [-1, 1], not clipped) and activations. The label acts in map_latents alone and is ignored here.

        The published images have truncation_psi 0.7 and truncation_cutoff 8.
        """
        del label
        record = base.Recorder(offsets)
        image = self.synthesis(
            ops.truncate(latents, self.mapping.w_avg[...], truncation_psi, truncation_cutoff), noise, record
        )
        return image, record.finish()


def _double_and_convolve(x: Float[Array, "n h w i"], weight: Float[Array, "3 3 i o"]) -> Float[Array, "n h2 w2 o"]:
    """repeat_pixels, then conv2d, with less than half the multiplications: one 4x4 transposed convolution."""
    padded = jnp.pad(weight, ((1, 1), (1, 1), (0, 0), (0, 0)))
    merged = padded[1:, 1:] + padded[:-1, 1:] + padded[1:, :-1] + padded[:-1, :-1]
    return ops.transposed_conv2d(x, merged, stride=2, padding=2)


def _blur(x: Float[Array, "n h w c"], taps: tuple[float, ...]) -> Float[Array, "n h w c"]:
    """Separable filter of unit sum, zeros outside: shifted sums, on a CPU much faster than a depthwise convolution."""
    before, after = (len(taps) - 1) // 2, len(taps) // 2
    for axis in (1, 2) if len(taps) > 1 else ():
        padded = jnp.pad(x, [(before, after) if a == axis else (0, 0) for a in range(4)])
        size = x.shape[axis]
        shifted = [jax.lax.slice_in_dim(padded, k, k + size, axis=axis) for k in range(len(taps))]
        x = sum((tap / sum(taps) * s for tap, s in zip(taps, shifted, strict=True)), start=jnp.zeros_like(x))
    return x


def _instance_norm(x: Float[Array, "n h w c"], epsilon: float) -> Float[Array, "n h w c"]:
    """Zero mean and unit variance over the pixels of each channel; the statistics in float32."""
    y = x.astype(jnp.float32)
    y = y - jnp.mean(y, (1, 2), keepdims=True)
    return (y * jax.lax.rsqrt(jnp.mean(jnp.square(y), (1, 2), keepdims=True) + epsilon)).astype(x.dtype)
