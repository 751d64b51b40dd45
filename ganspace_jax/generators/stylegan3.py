"""StyleGAN3 (Karras et al., "Alias-Free Generative Adversarial Networks").

    z --mapping--> w, copied to every layer
    Fourier features of slot 0 --layers, ToRGB--> image

The paper is from NeurIPS 2021. This file has configurations T and R. The latent of
slot 0 turns and moves the Fourier features. The latent of slot i + 1 styles layer i;
the last layer is ToRGB. Parameter names are the original's
(`synthesis.L3_36_512.affine.weight`). The original stores its filters; this file
computes them from the configuration. Layouts are this project's: kernels HWIO, linear
weights [in, out].
"""

import dataclasses
import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from ganspace_jax.generators import base, ops
from ganspace_jax.generators.shared_layers import Buffer, EqualizedLinear, MappedLatents, refuse_label, require_label
from ganspace_jax.generators.stylegan3_filters import Plan, filtered_leaky_relu
from ganspace_jax.shapes import Array, Float, PRNGKey


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that the architecture depends on; the defaults are configuration T.

    Attributes:
        resolution: Height of the image in pixels.
        num_classes: Number of classes; 0 for an unconditional generator.
        mapping_learning_rate: Learning rate multiplier of the mapping layers.
        channel_base: Factor of the number of channels. Files of R have twice T's.
        channel_max: Largest number of channels. Files of R have twice T's.
        num_layers: Number of layers without the Fourier features and ToRGB.
        num_critical: Number of last layers that are critically sampled.
        first_cutoff: Cutoff of the first layer, in cycles over the image.
        first_stopband: Stopband of the first layer, in cycles over the image.
        last_stopband_rel: Stopband of the last layer, in units of its cutoff.
        margin: Pixels beyond each edge of the image.
        kernel_size: Side of the kernels; 1 for R.
        filter_size: Number of filter taps per sample of the lower rate.
        inner_upsampling: Up-sampling factor of the non-linearity.
        radial_filters: Whether filters are radial; true for R.
        conv_clamp: Bound on activations; None for no bound.
        output_scale: Factor of the image.
        square: Whether images are as wide as high. If false, they and all activations
            are half as wide, as in StyleGAN-Human.
        compute_dtype: Type of the convolutions.
        class_names: Names of the classes, if they are known.

    Raises:
        ValueError: num_critical is negative, or not less than num_layers.
    """

    z_dim: int
    w_dim: int
    resolution: int
    num_classes: int = 0
    image_channels: int = 3
    mapping_layers: int = 2
    mapping_learning_rate: float = 0.01
    channel_base: float = 32768
    channel_max: float = 512
    num_layers: int = 14
    num_critical: int = 2
    first_cutoff: float = 2.0
    first_stopband: float = 2**2.1
    last_stopband_rel: float = 2**0.3
    margin: int = 10
    kernel_size: int = 3
    filter_size: int = 6
    inner_upsampling: int = 2
    radial_filters: bool = False
    conv_clamp: float | None = 256.0
    output_scale: float = 0.25
    square: bool = True
    compute_dtype: str = "float32"
    class_names: tuple[str, ...] = ()

    def __post_init__(self):
        if not 0 <= self.num_critical < self.num_layers:
            raise ValueError(f"num_critical={self.num_critical}: must be at least 0 and less than num_layers")

    @property
    def image_size(self) -> tuple[int, int]:
        """Returns (height, width) of the image in pixels."""
        return self.resolution, self.resolution if self.square else self.resolution // 2


def plan_layers(config: Config) -> tuple[Plan, ...]:
    """Returns the constants of every layer (section 3.2, configuration T).

    Cutoffs and stopbands are in geometric progression. They fix rates, sizes and
    channels.
    """
    last_cutoff = config.resolution / 2
    last_stopband = last_cutoff * config.last_stopband_rel
    exponents = np.minimum(np.arange(config.num_layers + 1) / (config.num_layers - config.num_critical), 1)
    cutoffs = config.first_cutoff * (last_cutoff / config.first_cutoff) ** exponents
    stopbands = config.first_stopband * (last_stopband / config.first_stopband) ** exponents
    rates = np.exp2(np.ceil(np.log2(np.minimum(2 * stopbands, config.resolution))))
    half_widths = np.maximum(stopbands, rates / 2) - cutoffs
    sizes = rates + 2 * config.margin
    sizes[-2:] = config.resolution
    channels = np.rint(np.minimum((config.channel_base / 2) / cutoffs, config.channel_max))
    channels[-1] = config.image_channels
    plans = []
    for i in range(config.num_layers + 1):
        before, is_torgb = max(i - 1, 0), i == config.num_layers
        is_critical = i >= config.num_layers - config.num_critical
        plan = Plan(
            name=f"L{i}_{int(sizes[i]) // (1 if config.square else 2)}_{int(channels[i])}",  # with the width
            is_torgb=is_torgb,
            is_critical=is_critical,
            in_channels=int(channels[before]),
            out_channels=int(channels[i]),
            in_size=int(sizes[before]),
            out_size=int(sizes[i]),
            in_rate=int(rates[before]),
            out_rate=int(rates[i]),
            in_cutoff=float(cutoffs[before]),
            out_cutoff=float(cutoffs[i]),
            in_half_width=float(half_widths[before]),
            out_half_width=float(half_widths[i]),
            inner_rate=int(max(rates[before], rates[i])) * (1 if is_torgb else config.inner_upsampling),
            kernel_size=1 if is_torgb else config.kernel_size,
            filter_size=config.filter_size,
            radial=config.radial_filters and not is_critical,
            square=config.square,
        )
        plans.append(plan)
    return tuple(plans)


class MappingNetwork(nnx.Module):
    """The mapping network, which turns z and the label into w.

    Its input is z, normalised, and the embedded label, normalised.
    """

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        widths = [config.z_dim, *[config.w_dim] * config.mapping_layers]
        if config.num_classes:
            self.embed = EqualizedLinear(config.num_classes, config.w_dim, key=jax.random.fold_in(key, 0))
            widths[0] += config.w_dim
        for i in range(config.mapping_layers):
            layer_key, rate = jax.random.fold_in(key, i + 1), config.mapping_learning_rate
            layer = EqualizedLinear(widths[i], widths[i + 1], key=layer_key, learning_rate=rate)
            setattr(self, f"fc{i}", layer)
        self.w_avg = Buffer(jnp.zeros(config.w_dim))

    def __call__(self, z: Float[Array, "n z"], label: Array | None, record: base.Recorder) -> Float[Array, "n d"]:
        x = ops.normalize_second_moment(z)
        if self.config.num_classes:
            label = require_label(label, self.config.num_classes).astype(z.dtype)
            embedding = record("mapping.embed", self.embed(label))
            x = jnp.concatenate([x, ops.normalize_second_moment(embedding)], axis=-1)
        else:
            refuse_label(label)
        for i in range(self.config.mapping_layers):
            x = record(f"mapping.fc{i}", ops.leaky_relu(getattr(self, f"fc{i}")(x), gain=math.sqrt(2)))
        return x


class FourierInput(nnx.Module):
    """Fourier features: sines on the infinite plane, mixed by a linear map.

    They are turned and moved by w, then by `transform` (configuration H).
    """

    def __init__(self, config: Config, plan: Plan, *, key: PRNGKey):
        keys = jax.random.split(key, 4)
        channels = plan.in_channels
        self.size = (plan.in_size, plan.across.in_size)
        self.rate, self.bandwidth = plan.in_rate, plan.in_cutoff
        self.affine = EqualizedLinear(config.w_dim, 4, key=keys[0])
        self.affine.weight[...] = jnp.zeros((config.w_dim, 4))
        self.affine.bias[...] = jnp.array([1.0, 0.0, 0.0, 0.0])
        self.weight = nnx.Param(jax.random.normal(keys[1], (channels, channels)))
        normals = jax.random.normal(keys[2], (channels, 2))
        radii = jnp.linalg.norm(normals, axis=1, keepdims=True)
        self.freqs = Buffer(self.bandwidth * normals / (radii * jnp.exp(0.25 * radii**2)))  # uniform in the disc
        self.phases = Buffer(jax.random.uniform(keys[3], (channels,)) - 0.5)
        self.transform = Buffer(jnp.eye(3))

    def __call__(self, w: Float[Array, "n d"], record: base.Recorder) -> Float[Array, "n height width c"]:
        matrix = self._matrix(record("input.affine", self.affine(w)))
        highest = lax.Precision.HIGHEST
        freqs = jnp.einsum("cf,nfx->ncx", self.freqs[...], matrix[:, :, :2], precision=highest)
        phases = self.phases[...] + jnp.einsum("cf,nf->nc", self.freqs[...], matrix[:, :, 2], precision=highest)
        # A transform may enlarge frequencies. Those near half the sampling rate fade,
        # because they would alias.
        excess = (jnp.linalg.norm(freqs, axis=-1) - self.bandwidth) / (self.rate / 2 - self.bandwidth)
        amplitudes = jnp.clip(1.0 - excess, 0.0, 1.0)
        rows, columns = (np.asarray((np.arange(n) + 0.5 - n / 2) / self.rate, np.float32) for n in self.size)
        along_x = columns[None, None, :, None] * freqs[:, None, None, :, 0]
        along_y = rows[None, :, None, None] * freqs[:, None, None, :, 1]
        waves = jnp.sin(2 * math.pi * (along_x + along_y + phases[:, None, None, :])) * amplitudes[:, None, None, :]
        mixed = ops.linear(waves.reshape(-1, waves.shape[-1]), self.weight[...] / math.sqrt(waves.shape[-1]))
        return record("input", mixed.reshape(waves.shape))

    def _matrix(self, affine: Float[Array, "n 4"]) -> Float[Array, "n 2 3"]:
        """Returns rotation, translation and `transform` as one matrix.

        Coordinates are homogeneous; the last row is left out.
        """
        cosine, sine, x, y = jnp.moveaxis(affine / jnp.linalg.norm(affine[:, :2], axis=1, keepdims=True), 1, 0)
        rotation = jnp.stack([cosine, -sine, sine, cosine], axis=-1).reshape(-1, 2, 2)
        one, zero = jnp.ones_like(x), jnp.zeros_like(x)
        translation = jnp.stack([one, zero, -x, zero, one, -y], axis=-1).reshape(-1, 2, 3)
        matrix = jnp.einsum("nij,njk->nik", rotation, translation, precision=lax.Precision.HIGHEST)
        return jnp.einsum("nij,jk->nik", matrix, self.transform[...], precision=lax.Precision.HIGHEST)


class SynthesisLayer(nnx.Module):
    """Modulated convolution and filtered non-linearity (figure 4b).

    ToRGB is a modulated 1x1 convolution without the non-linearity.
    """

    def __init__(self, config: Config, plan: Plan, *, key: PRNGKey):
        weight_key, style_key = jax.random.split(key)
        self.plan, self.clamp = plan, config.conv_clamp
        self.affine = EqualizedLinear(config.w_dim, plan.in_channels, key=style_key, bias=1.0)
        kernel = (plan.kernel_size, plan.kernel_size, plan.in_channels, plan.out_channels)
        self.weight = nnx.Param(jax.random.normal(weight_key, kernel))
        self.bias = nnx.Param(jnp.zeros(plan.out_channels))
        self.magnitude_ema = Buffer(jnp.ones(()))

    def __call__(self, x: Array, w: Float[Array, "n d"], record: base.Recorder) -> Float[Array, "n height width o"]:
        style = record(f"{self.plan.name}.style", self.affine(w))
        y = self._convolve(x, style) + self.bias[...].astype(x.dtype)
        gain, slope = (1.0, 1.0) if self.plan.is_torgb else (math.sqrt(2), 0.2)
        return record(self.plan.name, filtered_leaky_relu(y, self.plan, gain=gain, slope=slope, clamp=self.clamp))

    def _convolve(self, x: Array, style: Float[Array, "n i"]) -> Float[Array, "n height width o"]:
        """Returns the modulated convolution; the image grows by kernel_size - 1.

        Activations are scaled instead of weights, as in ops.modulated_conv2d.
        """
        weight = self.weight[...]
        scale = lax.rsqrt(self.magnitude_ema[...])  # gives the input unit magnitude (section 3.1)
        if self.plan.is_torgb:
            style = style / math.sqrt(weight.shape[2])
        else:
            weight = weight * lax.rsqrt(jnp.mean(jnp.square(weight), axis=(0, 1, 2)))
            # The original divides by the mean over batch and channels. Demodulation
            # cancels any factor, except for its epsilon. A factor for each sample
            # makes an image independent of its batch.
            style = ops.normalize_second_moment(style)
            energy = ops.linear(jnp.square(style), jnp.sum(jnp.square(weight), axis=(0, 1)))
            scale = (scale * lax.rsqrt(energy + 1e-8))[:, None, None, :]
        y = x * style[:, None, None, :].astype(x.dtype)
        y = ops.transposed_conv2d(y, weight.astype(x.dtype), stride=1, padding=self.plan.kernel_size - 1)
        return y * scale.astype(x.dtype)


class Synthesis(nnx.Module):
    """The synthesis network, which turns per-layer w into an image."""

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        plans = plan_layers(config)
        self.input = FourierInput(config, plans[0], key=jax.random.fold_in(key, 0))
        for i, plan in enumerate(plans):
            setattr(self, plan.name, SynthesisLayer(config, plan, key=jax.random.fold_in(key, i + 1)))

    def __call__(self, latents: Array, record: base.Recorder) -> Float[Array, "n height width c"]:
        x = self.input(latents[:, 0], record).astype(self.config.compute_dtype)
        for i, plan in enumerate(plan_layers(self.config)):
            x = getattr(self, plan.name)(x, latents[:, i + 1], record)
        return x.astype(jnp.float32) * self.config.output_scale


class StyleGAN3(MappedLatents, nnx.Module):
    """The whole generator, which fulfils the contract base.Network."""

    def __init__(self, config: Config, *, key: PRNGKey):
        mapping_key, synthesis_key = jax.random.split(key)
        self.config = config
        self.mapping = MappingNetwork(config, key=mapping_key)
        self.synthesis = Synthesis(config, key=synthesis_key)

    @property
    def latent_shape(self) -> tuple[int, int]:
        """Returns (slots of Fourier features, layers and ToRGB; w_dim)."""
        return self.config.num_layers + 2, self.config.w_dim

    def __call__(
        self,
        latents: Float[Array, "n layers d"],
        *,
        label: Array | None = None,
        offsets: Mapping[str, Array] | None = None,
        noise: base.Noise = None,
        truncation_psi: ops.Psi = 1.0,
        truncation_cutoff: ops.Cutoff = None,
    ) -> tuple[Float[Array, "n height width c"], base.Activations]:
        """Returns the image (about [-1, 1], not clipped) and the activations.

        The label is ignored, because it acts in map_latents alone. The noise is
        ignored, because StyleGAN3 has none.
        """
        del label, noise
        record = base.Recorder(offsets)
        latents = ops.truncate(latents, self.mapping.w_avg[...], truncation_psi, truncation_cutoff)
        return self.synthesis(latents, record), record.finish()
