"""StyleGAN3 (Karras et al., "Alias-Free Generative Adversarial Networks", NeurIPS 2021), configurations T and R.

    z --mapping--> w, copied to every layer;  Fourier features of slot 0 --layers, ToRGB--> image

Slot 0 turns and moves the Fourier features, slot i + 1 styles layer i, the last one ToRGB. Parameter names are the original's
(`synthesis.L3_36_512.affine.weight`); its filters are computed from the configuration instead of stored. Layouts are this
project's: kernels HWIO, linear weights [in, out].
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from ganspace_jax.generators import base, ops
from ganspace_jax.generators.stylegan3_filters import Plan, filtered_leaky_relu
from ganspace_jax.shapes import Array, Float, PRNGKey


class Buffer(nnx.Variable):
    """An array that belongs to the checkpoint and is not trained by gradient: frequencies, magnitudes and the mean w."""


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that the architecture depends on; the defaults are configuration T.

    channel_base, channel_max: twice as large for R, as in its files. num_layers: without the Fourier features and ToRGB; the
    last num_critical of them are critically sampled. first_cutoff, first_stopband: in cycles over the image.
    last_stopband_rel: in units of the last cutoff. margin: pixels beyond the image's edge. kernel_size, radial_filters: 1 and
    true for R. filter_size: taps for each sample of the lower rate. inner_upsampling: of the non-linearity. conv_clamp: bound
    on activations (None: none). Raises ValueError for a num_critical that is negative, or leaves no layer.
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
    compute_dtype: str = "float32"
    class_names: tuple[str, ...] = ()

    def __post_init__(self):
        if not 0 <= self.num_critical < self.num_layers:
            raise ValueError(f"num_critical={self.num_critical}: must be at least 0 and less than num_layers")


def plan_layers(config: Config) -> tuple[Plan, ...]:
    """Cutoffs and stopbands in geometric progression, and what follows from them (section 3.2, configuration T)."""
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
            name=f"L{i}_{int(sizes[i])}_{int(channels[i])}",
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
        )
        plans.append(plan)
    return tuple(plans)


class Linear(nnx.Module):
    """Equalised learning rate (ProGAN, section 4.1): weights of unit size, scaled where they are used."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        key: PRNGKey,
        bias: float = 0.0,
        learning_rate: float = 1.0,
        activate: bool = False,
    ):
        self.weight = nnx.Param(jax.random.normal(key, (in_features, out_features)) / learning_rate)
        self.bias = nnx.Param(jnp.full(out_features, bias / learning_rate, jnp.float32))
        self.learning_rate, self.activate = learning_rate, activate

    def __call__(self, x: Float[Array, "n i"]) -> Float[Array, "n o"]:
        weight = self.weight[...] * (self.learning_rate / math.sqrt(x.shape[-1]))
        y = ops.linear(x, weight, self.bias[...] * self.learning_rate)
        return ops.leaky_relu(y, gain=math.sqrt(2)) if self.activate else y


class MappingNetwork(nnx.Module):
    """The mapping network: normalised z (and the embedded label) -> w."""

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        widths = [config.z_dim, *[config.w_dim] * config.mapping_layers]
        if config.num_classes:
            self.embed = Linear(config.num_classes, config.w_dim, key=jax.random.fold_in(key, 0))
            widths[0] += config.w_dim
        for i in range(config.mapping_layers):
            layer_key, rate = jax.random.fold_in(key, i + 1), config.mapping_learning_rate
            layer = Linear(widths[i], widths[i + 1], key=layer_key, learning_rate=rate, activate=True)
            setattr(self, f"fc{i}", layer)
        self.w_avg = Buffer(jnp.zeros(config.w_dim))

    def __call__(self, z: Float[Array, "n z"], label: Array | None, record: base.Recorder) -> Float[Array, "n d"]:
        x = ops.normalize_second_moment(z)
        if self.config.num_classes:
            if label is None:
                raise ValueError(
                    f"label: this generator is conditional; give [batch, {self.config.num_classes}] weights"
                )
            embedding = record("mapping.embed", self.embed(label.astype(z.dtype)))
            x = jnp.concatenate([x, ops.normalize_second_moment(embedding)], axis=-1)
        elif label is not None:
            raise ValueError("label: this generator is not conditional")
        for i in range(self.config.mapping_layers):
            x = record(f"mapping.fc{i}", getattr(self, f"fc{i}")(x))
        return x


class FourierInput(nnx.Module):
    """Sines on the infinite plane, turned and moved by w and then by `transform`, mixed by a linear map (configuration H)."""

    def __init__(self, config: Config, plan: Plan, *, key: PRNGKey):
        keys = jax.random.split(key, 4)
        channels = plan.in_channels
        self.size, self.rate, self.bandwidth = plan.in_size, plan.in_rate, plan.in_cutoff
        self.affine = Linear(config.w_dim, 4, key=keys[0])
        self.affine.weight[...] = jnp.zeros((config.w_dim, 4))
        self.affine.bias[...] = jnp.array([1.0, 0.0, 0.0, 0.0])
        self.weight = nnx.Param(jax.random.normal(keys[1], (channels, channels)))
        normals = jax.random.normal(keys[2], (channels, 2))
        radii = jnp.linalg.norm(normals, axis=1, keepdims=True)
        self.freqs = Buffer(self.bandwidth * normals / (radii * jnp.exp(0.25 * radii**2)))  # uniform in the disc
        self.phases = Buffer(jax.random.uniform(keys[3], (channels,)) - 0.5)
        self.transform = Buffer(jnp.eye(3))

    def __call__(self, w: Float[Array, "n d"], record: base.Recorder) -> Float[Array, "n size size c"]:
        matrix = self._matrix(record("input.affine", self.affine(w)))
        highest = lax.Precision.HIGHEST
        freqs = jnp.einsum("cf,nfx->ncx", self.freqs[...], matrix[:, :, :2], precision=highest)
        phases = self.phases[...] + jnp.einsum("cf,nf->nc", self.freqs[...], matrix[:, :, 2], precision=highest)
        # A transform that enlarges the frequencies must not bring any beyond what the sampling rate can hold.
        excess = (jnp.linalg.norm(freqs, axis=-1) - self.bandwidth) / (self.rate / 2 - self.bandwidth)
        amplitudes = jnp.clip(1.0 - excess, 0.0, 1.0)
        centres = jnp.asarray((np.arange(self.size) + 0.5 - self.size / 2) / self.rate, freqs.dtype)
        along_x = centres[None, None, :, None] * freqs[:, None, None, :, 0]
        along_y = centres[None, :, None, None] * freqs[:, None, None, :, 1]
        waves = jnp.sin(2 * math.pi * (along_x + along_y + phases[:, None, None, :])) * amplitudes[:, None, None, :]
        mixed = ops.linear(waves.reshape(-1, waves.shape[-1]), self.weight[...] / math.sqrt(waves.shape[-1]))
        return record("input", mixed.reshape(waves.shape))

    def _matrix(self, affine: Float[Array, "n 4"]) -> Float[Array, "n 2 3"]:
        """Rotation, translation, then `transform`, in homogeneous coordinates, without the last row."""
        cosine, sine, x, y = jnp.moveaxis(affine / jnp.linalg.norm(affine[:, :2], axis=1, keepdims=True), 1, 0)
        rotation = jnp.stack([cosine, -sine, sine, cosine], axis=-1).reshape(-1, 2, 2)
        one, zero = jnp.ones_like(x), jnp.zeros_like(x)
        translation = jnp.stack([one, zero, -x, zero, one, -y], axis=-1).reshape(-1, 2, 3)
        matrix = jnp.einsum("nij,njk->nik", rotation, translation, precision=lax.Precision.HIGHEST)
        return jnp.einsum("nij,jk->nik", matrix, self.transform[...], precision=lax.Precision.HIGHEST)


class SynthesisLayer(nnx.Module):
    """Modulated convolution and filtered non-linearity (figure 4b); as ToRGB a modulated 1x1 convolution alone."""

    def __init__(self, config: Config, plan: Plan, *, key: PRNGKey):
        weight_key, style_key = jax.random.split(key)
        self.plan, self.clamp = plan, config.conv_clamp
        self.affine = Linear(config.w_dim, plan.in_channels, key=style_key, bias=1.0)
        kernel = (plan.kernel_size, plan.kernel_size, plan.in_channels, plan.out_channels)
        self.weight = nnx.Param(jax.random.normal(weight_key, kernel))
        self.bias = nnx.Param(jnp.zeros(plan.out_channels))
        self.magnitude_ema = Buffer(jnp.ones(()))

    def __call__(self, x: Array, w: Float[Array, "n d"], record: base.Recorder) -> Float[Array, "n size size o"]:
        style = record(f"{self.plan.name}.style", self.affine(w))
        y = self._convolve(x, style) + self.bias[...].astype(x.dtype)
        gain, slope = (1.0, 1.0) if self.plan.is_torgb else (math.sqrt(2), 0.2)
        return record(self.plan.name, filtered_leaky_relu(y, self.plan, gain=gain, slope=slope, clamp=self.clamp))

    def _convolve(self, x: Array, style: Float[Array, "n i"]) -> Float[Array, "n height width o"]:
        """Weight modulation applied to activations (see ops.modulated_conv2d); the image grows by kernel_size - 1."""
        weight = self.weight[...]
        scale = lax.rsqrt(self.magnitude_ema[...])  # so that the input has unit magnitude (section 3.1)
        if self.plan.is_torgb:
            style = style / math.sqrt(weight.shape[2])
        else:
            weight = weight * lax.rsqrt(jnp.mean(jnp.square(weight), axis=(0, 1, 2)))
            # The original divides by the mean over batch and channels. Demodulation cancels any factor (but for its epsilon),
            # and with one for each sample an image does not depend on its batch.
            style = ops.normalize_second_moment(style)
            energy = ops.linear(jnp.square(style), jnp.sum(jnp.square(weight), axis=(0, 1)))
            scale = (scale * lax.rsqrt(energy + 1e-8))[:, None, None, :]
        y = x * style[:, None, None, :].astype(x.dtype)
        y = ops.transposed_conv2d(y, weight.astype(x.dtype), stride=1, padding=self.plan.kernel_size - 1)
        return y * scale.astype(x.dtype)


class Synthesis(nnx.Module):
    """The synthesis network: per-layer w -> image."""

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


class StyleGAN3(base.Configured, nnx.Module):
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
        """(Fourier features, layers and ToRGB; w_dim)."""
        return self.config.num_layers + 2, self.config.w_dim

    def map_latents(self, z: Float[Array, "n z"], label: Array | None = None) -> Float[Array, "n layers d"]:
        """w = mapping(z, label), one copy for each layer, not truncated."""
        return ops.broadcast_layers(self.map_with_activations(z, label)[0], self.latent_shape[0])

    def map_with_activations(
        self, z: Float[Array, "n z"], label: Array | None = None
    ) -> tuple[Array, base.Activations]:
        """w, and the mapping layers' outputs by name."""
        record = base.Recorder()
        return self.mapping(z, label, record), record.finish()

    def __call__(
        self,
        latents: Float[Array, "n layers d"],
        *,
        label: Array | None = None,
        offsets: Mapping[str, Array] | None = None,
        noise: base.Noise = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> tuple[Float[Array, "n height width c"], base.Activations]:
        """Image (about [-1, 1], not clipped) and activations. The label acts in map_latents alone; StyleGAN3 has no noise."""
        del label, noise
        record = base.Recorder(offsets)
        image = self.synthesis(
            ops.truncate(latents, self.mapping.w_avg[...], truncation_psi, truncation_cutoff), record
        )
        return image, record.finish()
