"""StyleGAN2 (Karras et al., "Analyzing and Improving the Image Quality of StyleGAN").

    z --mapping--> w, copied to every layer --synthesis--> image

The paper is from CVPR 2020. The conditional mapping is StyleGAN2-ADA's (Karras et al.,
NeurIPS 2020). Parameter names are those of StyleGAN2-ADA-PyTorch, joined by dots
(`synthesis.b8.conv0.weight`). Layouts are this project's: kernels HWIO, linear weights
[in, out], the constant [height, width, C]. All kernels are correlations, also those of
up-sampling layers.

Forks of the published codes have constants of other sizes than 4x4. Their images need
not be square. The blocks of these networks are also named b4, b8 and so on.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Literal

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
        channels: Channels of blocks b4, b8, ...; each block after the first doubles the
            size.
        const_channels: Channels of the learned constant; None for those of b4.
        base_size: Height and width of the learned constant.
        num_classes: Number of classes; 0 for an unconditional generator.
        mapping_width: Width of the hidden mapping layers; None for w_dim.
        embed_width: Width of the label embedding; None for w_dim.
        mapping_learning_rate: Learning rate multiplier of the mapping layers.
        normalize_latents: Whether z is normalised.
        label_normalization: "separate" normalises z and the embedded label each by
            itself, as StyleGAN2-ADA does. "joint" normalises both as one vector, as
            the first code does.
        architecture: "skip" sums the images of all resolutions, "resnet" adds
            shortcuts, "orig" does neither (figure 7).
        resample_filter: Filter of all up-sampling layers.
        image_filter: Filter that up-samples the image; None for resample_filter.
        conv_clamp: Bound on activations; None for no bound.
        scaled_demodulation: Whether demodulation uses weights times 1 / sqrt(fan in),
            as the first code does. Its epsilon then has a larger effect.
        compute_dtype: Type of the convolutions.
        class_names: Names of the classes, if they are known.
    """

    z_dim: int
    w_dim: int
    channels: tuple[int, ...]
    const_channels: int | None = None
    base_size: tuple[int, int] = (4, 4)
    num_classes: int = 0
    image_channels: int = 3
    mapping_layers: int = 8
    mapping_width: int | None = None
    embed_width: int | None = None
    mapping_learning_rate: float = 0.01
    normalize_latents: bool = True
    label_normalization: Literal["separate", "joint"] = "separate"
    architecture: Literal["skip", "resnet", "orig"] = "skip"
    resample_filter: tuple[float, ...] = (1.0, 3.0, 3.0, 1.0)
    image_filter: tuple[float, ...] | None = None
    conv_clamp: float | None = None
    scaled_demodulation: bool = False
    use_noise: bool = True
    compute_dtype: str = "float32"
    class_names: tuple[str, ...] = ()

    @property
    def image_size(self) -> tuple[int, int]:
        """Returns (height, width) of the image in pixels."""
        return self.block_size(len(self.channels) - 1)

    @property
    def resolution(self) -> int:
        """Returns the longer side of the image in pixels."""
        return max(self.image_size)

    def block_size(self, index: int) -> tuple[int, int]:
        """Returns (height, width) of the layers of block number `index`, from 0."""
        height, width = self.base_size
        return height * 2**index, width * 2**index

    @property
    def num_layers(self) -> int:
        """Returns the number of per-layer latents.

        Each convolution has one, and so does the last ToRGB.
        """
        return 2 * len(self.channels)


class MappingNetwork(nnx.Module):
    """The mapping network, which turns z and the label into w.

    Its input is z, normalised, and the embedded label.
    """

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        embed_width = (config.embed_width or config.w_dim) if config.num_classes else 0
        embed_key = jax.random.fold_in(key, 0)
        if config.num_classes and config.label_normalization == "joint":
            self.label_concat = nnx.Param(jax.random.normal(embed_key, (config.num_classes, embed_width)))
        elif config.num_classes:
            self.embed = EqualizedLinear(config.num_classes, embed_width, key=embed_key)
        hidden = config.mapping_width or config.w_dim
        widths = [config.z_dim + embed_width, *[hidden] * (config.mapping_layers - 1), config.w_dim]
        for i in range(config.mapping_layers):
            layer_key, rate = jax.random.fold_in(key, i + 1), config.mapping_learning_rate
            setattr(self, f"fc{i}", EqualizedLinear(widths[i], widths[i + 1], key=layer_key, learning_rate=rate))
        self.w_avg = Buffer(jnp.zeros(config.w_dim))

    def __call__(self, z: Float[Array, "n z"], label: Array | None, record: base.Recorder) -> Float[Array, "n d"]:
        if self.config.num_classes:
            label = require_label(label, self.config.num_classes).astype(z.dtype)
            x = self._join(z, label, record)
        else:
            refuse_label(label)
            x = self._normalize(z)
        for i in range(self.config.mapping_layers):
            x = record(f"mapping.fc{i}", ops.leaky_relu(getattr(self, f"fc{i}")(x), gain=math.sqrt(2)))
        return x

    def _join(self, z: Array, label: Array, record: base.Recorder) -> Float[Array, "n width"]:
        if self.config.label_normalization == "joint":
            embedding = record("mapping.label_concat", ops.linear(label, self.label_concat[...]))
            return self._normalize(jnp.concatenate([z, embedding], axis=-1))
        embedding = record("mapping.embed", self.embed(label))
        return jnp.concatenate([self._normalize(z), ops.normalize_second_moment(embedding)], axis=-1)

    def _normalize(self, x: Float[Array, "n d"]) -> Float[Array, "n d"]:
        return ops.normalize_second_moment(x) if self.config.normalize_latents else x


class Convolution(nnx.Module):
    """Modulated convolution, noise, bias and leaky ReLU (figure 2d)."""

    def __init__(self, config: Config, in_channels: int, out_channels: int, index: int, *, up: bool, key: PRNGKey):
        weight_key, style_key, noise_key = jax.random.split(key, 3)
        self.config, self.up = config, up
        self.affine = EqualizedLinear(config.w_dim, in_channels, key=style_key, bias=1.0)
        self.weight = nnx.Param(jax.random.normal(weight_key, (3, 3, in_channels, out_channels)))
        self.bias = nnx.Param(jnp.zeros(out_channels))
        if config.use_noise:
            self.noise_strength = nnx.Param(jnp.zeros(()))
            self.noise_const = Buffer(jax.random.normal(noise_key, config.block_size(index)))

    def __call__(
        self,
        x: Float[Array, "n height width i"],
        w: Float[Array, "n d"],
        noise: base.Noise,
        record: base.Recorder,
        name: str,
        gain: float = 1.0,
    ) -> Float[Array, "n height2 width2 o"]:
        style = record(f"{name}.style", self.affine(w))
        taps = self.config.resample_filter if self.up else None
        epsilon = 1e-8 * (9 * x.shape[-1] if self.config.scaled_demodulation else 1)
        y = ops.modulated_conv2d(x, self.weight[...], style, upsample_taps=taps, epsilon=epsilon)
        y = record(f"{name}.linear", y)
        if self.config.use_noise and noise is not None:
            image = noise_image(noise, self.noise_const[...]) * self.noise_strength[...]
            y = record(f"{name}.noised", y + image.astype(y.dtype))
        y = ops.leaky_relu(y + self.bias[...].astype(y.dtype), gain=math.sqrt(2) * gain)
        return record(name, _clamp(y, self.config.conv_clamp, gain))


class ToRGB(nnx.Module):
    """1x1 modulated convolution to the image's channels, without demodulation."""

    def __init__(self, config: Config, in_channels: int, *, key: PRNGKey):
        weight_key, style_key = jax.random.split(key)
        self.config = config
        self.affine = EqualizedLinear(config.w_dim, in_channels, key=style_key, bias=1.0)
        self.weight = nnx.Param(jax.random.normal(weight_key, (1, 1, in_channels, config.image_channels)))
        self.bias = nnx.Param(jnp.zeros(config.image_channels))

    def __call__(self, x: Array, w: Array, record: base.Recorder, name: str) -> Float[Array, "n height width c"]:
        style = record(f"{name}.style", self.affine(w)) / math.sqrt(x.shape[-1])
        y = ops.modulated_conv2d(x, self.weight[...], style, demodulate=False).astype(jnp.float32)
        return record(name, _clamp(y + self.bias[...], self.config.conv_clamp))


class Skip(nnx.Module):
    """The residual architecture's shortcut: 1x1 convolution, then up-sampling."""

    def __init__(self, in_channels: int, out_channels: int, *, key: PRNGKey):
        self.weight = nnx.Param(jax.random.normal(key, (1, 1, in_channels, out_channels)))

    def __call__(self, x: Array, taps: tuple[float, ...]) -> Array:
        weight = (self.weight[...] / math.sqrt(x.shape[-1])).astype(x.dtype)
        return ops.upsample2d(ops.conv2d(x, weight), taps)


class Block(nnx.Module):
    """The layers of one size."""

    def __init__(self, config: Config, index: int, *, key: PRNGKey):
        keys = iter(jax.random.split(key, 4))
        self.config, self.index = config, index
        channels = config.channels[index]
        if index == 0:
            between = config.const_channels or channels
            self.const = nnx.Param(jax.random.normal(next(keys), (*config.base_size, between)))
        else:
            before, between = config.channels[index - 1], channels
            self.conv0 = Convolution(config, before, channels, index, up=True, key=next(keys))
            if config.architecture == "resnet":
                self.skip = Skip(before, channels, key=next(keys))
        self.conv1 = Convolution(config, between, channels, index, up=False, key=next(keys))
        self.has_image = config.architecture == "skip" or index == len(config.channels) - 1
        if self.has_image:
            self.torgb = ToRGB(config, channels, key=next(keys))

    def start(self, num_samples: int) -> Float[Array, "n height width c"]:
        """Returns one copy of the learned constant for each sample."""
        x = jnp.broadcast_to(self.const[...], (num_samples, *self.const.shape))
        return x.astype(self.config.compute_dtype)

    def __call__(
        self, x: Array, image: Array | None, latents: Array, noise: base.Noise, record: base.Recorder
    ) -> tuple[Array, Array | None]:
        """Returns the block's output and the image so far.

        Argument x is the output of the block before, and image is None before the first
        ToRGB. Layer 2 index - 1 is the up-sampling convolution of block `index`.
        """
        name, layer, gain = f"b{4 * 2**self.index}", 2 * self.index, 1.0
        shortcut = None
        if self.index > 0:
            if self.config.architecture == "resnet":
                shortcut, gain = self.skip(x, self.config.resample_filter) * math.sqrt(0.5), math.sqrt(0.5)
            x = self.conv0(x, latents[:, layer - 1], base.layer_noise(noise, layer - 1), record, f"{name}.conv0")
        x = self.conv1(x, latents[:, layer], base.layer_noise(noise, layer), record, f"{name}.conv1", gain)
        if shortcut is not None:
            x = record(f"{name}.sum", x + shortcut)
        if self.has_image:
            if image is not None:
                image = ops.upsample2d(image, self.config.image_filter or self.config.resample_filter)
            own = self.torgb(x, latents[:, layer + 1], record, f"{name}.torgb")
            image = record(f"{name}.image", own if image is None else image + own)
        return x, image


class Synthesis(nnx.Module):
    """The synthesis network, which turns per-layer w into an image."""

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        for index in range(len(config.channels)):
            setattr(self, f"b{4 * 2**index}", Block(config, index, key=jax.random.fold_in(key, index)))

    def __call__(self, latents: Array, noise: base.Noise, record: base.Recorder) -> Float[Array, "n height width c"]:
        blocks: list[Block] = [getattr(self, f"b{4 * 2**index}") for index in range(len(self.config.channels))]
        x, image = blocks[0].start(latents.shape[0]), None
        for block in blocks:
            x, image = block(x, image, latents, noise, record)
        assert image is not None  # the last block always has a ToRGB
        return image


class StyleGAN2(MappedLatents, nnx.Module):
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

        The label is ignored, because it acts in map_latents alone.
        """
        del label
        record = base.Recorder(offsets)
        latents = ops.truncate(latents, self.mapping.w_avg[...], truncation_psi, truncation_cutoff)
        return self.synthesis(latents, noise, record), record.finish()


def _clamp(x: Array, bound: float | None, gain: float = 1.0) -> Array:
    return x if bound is None else jnp.clip(x, -bound * gain, bound * gain)
