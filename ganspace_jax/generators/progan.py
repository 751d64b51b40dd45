"""ProGAN (Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", ICLR 2018), grown up.

    z --4x4 convolution, 3x3--> 4x4 --doubling, two 3x3 convolutions a resolution--> 1x1 convolution --> image

Where there are classes, the label is joined to z, and the two are normalised as one vector.

Names are those of netdissect's port: `layer1`, `layer2` at 4x4, `layer3`, `layer4` at 8x8, ..., `output`. Kernels are HWIO and
correlations, those of the up-sampling layers with the doubled image; the official code's fused up-sampling is that, turned.
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


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that the architecture depends on.

    channels: of the 4x4, 8x8, ... layers; their number sets the resolution. num_classes: of the label (0: there is none).
    normalize_latents, pixel_norm: whether z is normalised, and whether the layers' outputs are. epsilon: of both norms. slope:
    of the leaky ReLU where its input is negative (0: a plain ReLU).
    """

    z_dim: int
    channels: tuple[int, ...]
    num_classes: int = 0
    image_channels: int = 3
    normalize_latents: bool = True
    pixel_norm: bool = True
    epsilon: float = 1e-8
    slope: float = 0.2
    compute_dtype: str = "float32"
    class_names: tuple[str, ...] = ()

    @property
    def resolution(self) -> int:
        """Side of the image in pixels."""
        return 4 * 2 ** (len(self.channels) - 1)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of z with the label, and of every layer, the output's excepted."""
        return (self.z_dim + self.num_classes, *(width for width in self.channels for _ in range(2)))


class Layer(nnx.Module):
    """Convolution and bias with equalised learning rate (section 4.1): weights of unit size, scaled where they are used."""

    def __init__(self, size: int, in_channels: int, out_channels: int, *, gain: float, key: PRNGKey):
        self.weight = nnx.Param(jax.random.normal(key, (size, size, in_channels, out_channels)))
        self.bias = nnx.Param(jnp.zeros(out_channels))
        self.size, self.scale = size, gain / (size * math.sqrt(in_channels))

    def __call__(self, x: Float[Array, "n height width i"]) -> Float[Array, "n height2 width2 o"]:
        weight = (self.weight[...] * self.scale).astype(x.dtype)
        # The 4x4 kernel's input is one pixel, z and the label; each of the 16 pixels that it makes has a tap of its own.
        y = ops.transposed_conv2d(x, weight, stride=1, padding=3) if self.size == 4 else ops.conv2d(x, weight)
        return y + self.bias[...].astype(x.dtype)


class ProGAN(base.Configured, nnx.Module):
    """The whole generator; see base.Generator for the contract. It has one latent for all layers."""

    prior: Literal["normal", "truncated_normal"] = "normal"
    has_mapping = False
    default_layer = "layer1"

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        widths, gain = config.widths, math.sqrt(2)
        for index in range(1, len(widths)):
            layer_key, size = jax.random.fold_in(key, index), 4 if index == 1 else 3
            setattr(self, f"layer{index}", Layer(size, widths[index - 1], widths[index], gain=gain, key=layer_key))
        self.output = Layer(1, widths[-1], config.image_channels, gain=1.0, key=jax.random.fold_in(key, 0))

    @property
    def latent_shape(self) -> tuple[int, int]:
        """(1, z_dim)."""
        return 1, self.config.z_dim

    def map_latents(self, z: Float[Array, "n z"], label: Array | None = None) -> Float[Array, "n 1 z"]:
        """z itself. The label acts in __call__."""
        if label is not None and not self.config.num_classes:
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
        """Image (about [-1, 1], not clipped) and activations: each layer's output after its leaky ReLU, before pixel norm.

        label: [n, classes] weights, where there are classes. truncation_psi: ProGAN knows no truncation, and normalises z;
        here it changes nothing.
        """
        del noise, truncation_psi, truncation_cutoff
        config, record = self.config, base.Recorder(offsets)
        x = self._joined(latents, label)[:, :, None, :].astype(config.compute_dtype)
        if config.normalize_latents:
            x = _pixel_norm(x, config.epsilon)
        for index in range(1, len(config.widths)):
            if index > 2 and index % 2 == 1:
                x = ops.repeat_pixels(x)
            x = record(f"layer{index}", ops.leaky_relu(getattr(self, f"layer{index}")(x), slope=config.slope))
            if config.pixel_norm:
                x = _pixel_norm(x, config.epsilon)
        image = self.output(x)
        return record("output", image.astype(jnp.float32)), record.finish()

    def _joined(self, latents: Float[Array, "n 1 z"], label: Array | None) -> Float[Array, "n 1 width"]:
        """z, and the label behind it where there are classes."""
        if not self.config.num_classes:
            return latents
        if label is None:
            raise ValueError(f"label: this generator is conditional; give [batch, {self.config.num_classes}] weights")
        return jnp.concatenate([latents, label[:, None].astype(latents.dtype)], axis=-1)


def _pixel_norm(x: Float[Array, "n height width c"], epsilon: float) -> Float[Array, "n height width c"]:
    """x / sqrt(mean(x^2) + epsilon) over the channels (section 4.2); the mean in float32."""
    energy = jnp.mean(jnp.square(x.astype(jnp.float32)), axis=-1, keepdims=True)
    return (x * jax.lax.rsqrt(energy + epsilon)).astype(x.dtype)
