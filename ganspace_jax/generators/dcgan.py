"""DCGAN (Radford, Metz, Chintala, ICLR 2016), in the layout of the PyTorch tutorial.

    z --transposed convolution--> 4x4 map
    --transposed convolutions of stride 2, batch norm, ReLU--> image (tanh)

A conditional DCGAN concatenates z and the label, as class weights, before the first
layer (Mirza and Osindero, "Conditional Generative Adversarial Nets", 2014). The latent
is z alone, so neither sampling nor edits change the class.

Layers have the tutorial's names (`main.4`), and parameters have them with `_` for the
dots between names. Kernels are HWIO and correlations with the image with inserted
zeros.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from ganspace_jax.generators import base, ops
from ganspace_jax.shapes import Array, Float, PRNGKey


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that the architecture depends on.

    Attributes:
        z_dim: Size of z, without the label.
        channels: Channels at 4x4, 8x8, ..., half the image's size; their number sets
            the resolution.
        image_channels: Channels of the image.
        epsilon: Constant that batch norms add to the variance.
        compute_dtype: Type of the convolutions' inputs.
        output_bias: Whether the last layer has a bias. The tutorial's has none. A bias
            before a batch norm would have no effect.
        num_classes: Number of classes; the first layer has as many inputs after z's. 0
            stands for an unconditional network.
        class_names: Names of the classes, or () if they are unknown.
    """

    z_dim: int
    channels: tuple[int, ...]
    image_channels: int = 3
    epsilon: float = 1e-5
    compute_dtype: str = "float32"
    output_bias: bool = False
    num_classes: int = 0
    class_names: tuple[str, ...] = ()

    @property
    def resolution(self) -> int:
        """Returns the side of the image in pixels."""
        return 4 * 2 ** len(self.channels)


class Statistics(nnx.Variable):
    """Running mean and variance of a batch norm; the gradient does not train them."""


class TransposedConvolution(nnx.Module):
    """Transposed 4x4 convolution, from 1x1 to 4x4 or to twice the size."""

    def __init__(self, in_channels: int, out_channels: int, *, key: PRNGKey, bias: bool = False):
        self.weight = nnx.Param(0.02 * jax.random.normal(key, (4, 4, in_channels, out_channels)))
        self.bias = nnx.Param(jnp.zeros(out_channels)) if bias else None

    def __call__(self, x: Array, *, up: bool) -> Float[Array, "n height width o"]:
        weight = self.weight[...].astype(x.dtype)
        y = ops.transposed_conv2d(x, weight, stride=2 if up else 1, padding=2 if up else 3)
        return y if self.bias is None else y + self.bias[...].astype(y.dtype)


class BatchNorm(nnx.Module):
    """Batch norm with running statistics."""

    def __init__(self, channels: int, epsilon: float):
        self.epsilon = epsilon
        self.weight, self.bias = nnx.Param(jnp.ones(channels)), nnx.Param(jnp.zeros(channels))
        self.running_mean, self.running_var = Statistics(jnp.zeros(channels)), Statistics(jnp.ones(channels))

    def __call__(self, x: Float[Array, "n height width c"]) -> Float[Array, "n height width c"]:
        gain = self.weight[...] * jax.lax.rsqrt(self.running_var[...] + self.epsilon)
        return x * gain.astype(x.dtype) + (self.bias[...] - self.running_mean[...] * gain).astype(x.dtype)


class DCGAN(base.Configured, nnx.Module):
    """The whole generator, with one latent for all layers; see base.Generator."""

    prior: Literal["normal", "truncated_normal"] = "normal"
    has_mapping = False
    default_layer = "main.0"

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        widths = (config.z_dim + config.num_classes, *config.channels, config.image_channels)
        for index in range(len(widths) - 1):
            layer_key, is_last = jax.random.fold_in(key, index), index == len(config.channels)
            layer = TransposedConvolution(
                widths[index], widths[index + 1], key=layer_key, bias=config.output_bias and is_last
            )
            setattr(self, f"main_{3 * index}", layer)
            if not is_last:
                setattr(self, f"main_{3 * index + 1}", BatchNorm(widths[index + 1], config.epsilon))

    @property
    def latent_shape(self) -> tuple[int, int]:
        """Returns (1, z_dim)."""
        return 1, self.config.z_dim

    def map_latents(self, z: Float[Array, "n z"], label: Array | None = None) -> Float[Array, "n 1 z"]:
        """Returns z as the latent; only __call__ uses the label."""
        if label is not None and not self.num_classes:
            raise ValueError("label: this generator is not conditional")
        return z[:, None, :]

    def __call__(
        self,
        latents: Float[Array, "n 1 z"],
        *,
        label: Array | None = None,
        offsets: Mapping[str, Array] | None = None,
        noise: base.Noise = None,
        truncation_psi: ops.Psi = 1.0,
        truncation_cutoff: ops.Cutoff = None,
    ) -> tuple[Float[Array, "n height width c"], base.Activations]:
        """Returns images in [-1, 1], and the output of each step by its layer's name.

        Args:
            latents: z with an axis for its one layer.
            label: Class weights [n, classes], one-hot or a mixture; None for an
                unconditional network.
            offsets: Arrays to add at the named activations.
            noise: Not used, because DCGAN has no noise.
            truncation_psi: Not used. Truncation of a DCGAN is a narrower z.
            truncation_cutoff: Not used.
        """
        del noise, truncation_psi, truncation_cutoff
        record = base.Recorder(offsets)
        x = self._first_input(latents, label)[:, :, None, :].astype(self.config.compute_dtype)
        for index in range(len(self.config.channels)):
            x = record(f"main.{3 * index}", getattr(self, f"main_{3 * index}")(x, up=index > 0))
            x = record(f"main.{3 * index + 1}", getattr(self, f"main_{3 * index + 1}")(x))
            x = record(f"main.{3 * index + 2}", jax.nn.relu(x))
        index = len(self.config.channels)
        x = record(f"main.{3 * index}", getattr(self, f"main_{3 * index}")(x, up=True))
        return jnp.tanh(x.astype(jnp.float32)), record.finish()

    def _first_input(self, latents: Array, label: Array | None) -> Float[Array, "n 1 inputs"]:
        """Returns z, and after it the class weights of a conditional network."""
        if not self.num_classes:
            return latents
        if label is None:
            raise ValueError(f"label: this generator is conditional; give [batch, {self.num_classes}] weights")
        return jnp.concatenate([latents, label.astype(latents.dtype)[:, None, :]], axis=-1)
