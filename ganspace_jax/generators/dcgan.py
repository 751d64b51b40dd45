"""DCGAN (Radford, Metz, Chintala, ICLR 2016), in the layout of the PyTorch tutorial.

    z --transposed convolution--> 4x4 --transposed convolutions of stride 2, batch norm, ReLU--> image (tanh)

Parameter names are the tutorial's (`main.4.weight`). Kernels are HWIO and correlations: what meets the zero-inserted image.
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
    """channels: at 4x4, 8x8, ..., half the image's size, from the first layer on; their number sets the resolution.

    output_bias: whether the last layer has one. The tutorial's has none; before a batch norm a bias would have no effect.
    """

    z_dim: int
    channels: tuple[int, ...]
    image_channels: int = 3
    epsilon: float = 1e-5
    compute_dtype: str = "float32"
    output_bias: bool = False

    @property
    def resolution(self) -> int:
        """Side of the image in pixels."""
        return 4 * 2 ** len(self.channels)


class Statistics(nnx.Variable):
    """Running mean and variance of a batch norm: not trained by gradient."""


class TransposedConvolution(nnx.Module):
    """4x4: from 1x1 to 4x4, or to twice the size."""

    def __init__(self, in_channels: int, out_channels: int, *, key: PRNGKey, bias: bool = False):
        self.weight = nnx.Param(0.02 * jax.random.normal(key, (4, 4, in_channels, out_channels)))
        self.bias = nnx.Param(jnp.zeros(out_channels)) if bias else None

    def __call__(self, x: Array, *, up: bool) -> Float[Array, "n height width o"]:
        weight = self.weight[...].astype(x.dtype)
        y = ops.transposed_conv2d(x, weight, stride=2 if up else 1, padding=2 if up else 3)
        return y if self.bias is None else y + self.bias[...].astype(y.dtype)


class BatchNorm(nnx.Module):
    """With running statistics."""

    def __init__(self, channels: int, epsilon: float):
        self.epsilon = epsilon
        self.weight, self.bias = nnx.Param(jnp.ones(channels)), nnx.Param(jnp.zeros(channels))
        self.running_mean, self.running_var = Statistics(jnp.zeros(channels)), Statistics(jnp.ones(channels))

    def __call__(self, x: Float[Array, "n height width c"]) -> Float[Array, "n height width c"]:
        gain = self.weight[...] * jax.lax.rsqrt(self.running_var[...] + self.epsilon)
        return x * gain.astype(x.dtype) + (self.bias[...] - self.running_mean[...] * gain).astype(x.dtype)


class DCGAN(nnx.Module):
    """The whole generator; see base.Generator for the contract. It has one latent for all layers."""

    prior: Literal["normal", "truncated_normal"] = "normal"
    has_mapping = False
    default_layer = "main.0"
    num_classes = 0
    class_names: tuple[str, ...] = ()

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        widths = (config.z_dim, *config.channels, config.image_channels)
        for index in range(len(widths) - 1):
            layer_key, is_last = jax.random.fold_in(key, index), index == len(config.channels)
            layer = TransposedConvolution(
                widths[index], widths[index + 1], key=layer_key, bias=config.output_bias and is_last
            )
            setattr(self, f"main_{3 * index}", layer)
            if not is_last:
                setattr(self, f"main_{3 * index + 1}", BatchNorm(widths[index + 1], config.epsilon))

    @property
    def z_dim(self) -> int:
        """Size of z."""
        return self.config.z_dim

    @property
    def latent_shape(self) -> tuple[int, int]:
        """(1, z_dim)."""
        return 1, self.config.z_dim

    def map_latents(self, z: Float[Array, "n z"], label: Array | None = None) -> Float[Array, "n 1 z"]:
        """z itself."""
        if label is not None:
            raise ValueError("label: this generator is not conditional")
        return z[:, None, :]

    def __call__(
        self,
        latents: Float[Array, "n 1 z"],
        *,
        label: Array | None = None,
        offsets: Mapping[str, Array] | None = None,
        noise: base.Noise = None,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> tuple[Float[Array, "n height width c"], base.Activations]:
        """Image in [-1, 1] and activations: each convolution's, batch norm's and ReLU's output.

        truncation_psi: DCGAN knows truncation only as a narrower z; here it changes nothing.
        """
        del label, noise, truncation_psi, truncation_cutoff
        record = base.Recorder(offsets)
        x = latents[:, :, None, :].astype(self.config.compute_dtype)
        for index in range(len(self.config.channels)):
            x = record(f"main.{3 * index}", getattr(self, f"main_{3 * index}")(x, up=index > 0))
            x = record(f"main.{3 * index + 1}", getattr(self, f"main_{3 * index + 1}")(x))
            x = record(f"main.{3 * index + 2}", jax.nn.relu(x))
        index = len(self.config.channels)
        x = record(f"main.{3 * index}", getattr(self, f"main_{3 * index}")(x, up=True))
        return jnp.tanh(x.astype(jnp.float32)), record.finish()
