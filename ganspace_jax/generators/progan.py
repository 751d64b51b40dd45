"""ProGAN (Karras et al., "Progressive Growing of GANs for Improved Quality").

    z --4x4 convolution, 3x3--> 4x4
      --doubling, two 3x3 convolutions per resolution--> 1x1 convolution --> image

The paper is from ICLR 2018; its full title ends with "Quality, Stability, and
Variation". This is the network after growing. A conditional network joins the label to
z and normalises both as one vector.

Names are those of netdissect's port: `layer1`, `layer2` at 4x4, `layer3`, `layer4` at
8x8, ..., `output`. Kernels are HWIO and correlations. Those of up-sampling layers are
correlations with the doubled image. The official code stores fused up-sampling kernels
rotated by 180 degrees.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from ganspace_jax.generators import base, ops
from ganspace_jax.generators.shared_layers import refuse_label, require_label
from ganspace_jax.shapes import Array, Float, PRNGKey


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that the architecture depends on.

    Attributes:
        channels: Channels of the 4x4, 8x8, ... layers; their number sets the
            resolution.
        num_classes: Number of classes; 0 for an unconditional generator.
        normalize_latents: Whether z, joined to the label, is normalised.
        normalize_before_label: Whether z is also normalised before the label joins it,
            as in genforce's code.
        pixel_norm: Whether the layers' outputs are normalised.
        epsilon: Constant of both norms.
        slope: Slope of the leaky ReLU for negative inputs; 0 for a plain ReLU.
        compute_dtype: Type of the convolutions.
        class_names: Names of the classes, if they are known.
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
    normalize_before_label: bool = False

    @property
    def resolution(self) -> int:
        """Returns the side of the image in pixels."""
        return 4 * 2 ** (len(self.channels) - 1)

    @property
    def widths(self) -> tuple[int, ...]:
        """Returns the channels of z with the label, and of all but the last layer."""
        return (self.z_dim + self.num_classes, *(width for width in self.channels for _ in range(2)))


class Layer(nnx.Module):
    """Convolution and bias with equalised learning rate (section 4.1).

    Its weights have unit size. They are scaled at each call.
    """

    def __init__(
        self, size: int, in_channels: int, out_channels: int, *, gain: float, key: PRNGKey, doubles: bool = False
    ):
        self.weight = nnx.Param(jax.random.normal(key, (size, size, in_channels, out_channels)))
        self.bias = nnx.Param(jnp.zeros(out_channels))
        self.size, self.doubles, self.scale = size, doubles, gain / (size * math.sqrt(in_channels))

    def __call__(self, x: Float[Array, "n height width i"]) -> Float[Array, "n height2 width2 o"]:
        weight = (self.weight[...] * self.scale).astype(x.dtype)
        if self.doubles:
            y = ops.doubled_conv2d(x, weight)
        elif self.size == 4:
            # The input is one pixel: z and the label. Each output pixel meets one tap.
            y = ops.transposed_conv2d(x, weight, stride=1, padding=3)
        else:
            y = ops.conv2d(x, weight)
        return y + self.bias[...].astype(x.dtype)


class ProGAN(base.Configured, nnx.Module):
    """The whole generator, which fulfils the contract base.Network.

    It has one latent for all layers.
    """

    prior: Literal["normal", "truncated_normal"] = "normal"
    has_mapping = False
    default_layer = "layer1"

    def __init__(self, config: Config, *, key: PRNGKey):
        self.config = config
        widths, gain = config.widths, math.sqrt(2)
        for index in range(1, len(widths)):
            layer_key, size = jax.random.fold_in(key, index), 4 if index == 1 else 3
            sizes, doubles = (size, widths[index - 1], widths[index]), index > 2 and index % 2 == 1
            setattr(self, f"layer{index}", Layer(*sizes, gain=gain, key=layer_key, doubles=doubles))
        self.output = Layer(1, widths[-1], config.image_channels, gain=1.0, key=jax.random.fold_in(key, 0))

    @property
    def latent_shape(self) -> tuple[int, int]:
        """Returns (1, z_dim)."""
        return 1, self.config.z_dim

    def map_latents(self, z: Float[Array, "n z"], label: Array | None = None) -> Float[Array, "n 1 z"]:
        """Returns z as the only latent. The label acts in __call__."""
        if not self.config.num_classes:
            refuse_label(label)
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
        """Returns the image (about [-1, 1], not clipped) and the activations.

        Activations are the layers' outputs after the leaky ReLU, before pixel norm. The
        label holds weights of the classes, if there are classes. ProGAN has no
        truncation and normalises z, so truncation_psi and truncation_cutoff have no
        effect. Noise is ignored.
        """
        del noise, truncation_psi, truncation_cutoff
        config, record = self.config, base.Recorder(offsets)
        x = self._joined(latents, label)[:, :, None, :].astype(config.compute_dtype)
        if config.normalize_latents:
            x = _pixel_norm(x, config.epsilon)
        for index in range(1, len(config.widths)):
            x = record(f"layer{index}", ops.leaky_relu(getattr(self, f"layer{index}")(x), slope=config.slope))
            if config.pixel_norm:
                x = _pixel_norm(x, config.epsilon)
        image = self.output(x)
        return record("output", image.astype(jnp.float32)), record.finish()

    def _joined(self, latents: Float[Array, "n 1 z"], label: Array | None) -> Float[Array, "n 1 width"]:
        """Returns z, followed by the label if the generator is conditional."""
        if not self.config.num_classes:
            return latents
        label = require_label(label, self.config.num_classes)
        if self.config.normalize_before_label:
            latents = _pixel_norm(latents, self.config.epsilon)
        return jnp.concatenate([latents, label[:, None].astype(latents.dtype)], axis=-1)


def _pixel_norm(x: Float[Array, "... c"], epsilon: float) -> Float[Array, "... c"]:
    """Returns x / sqrt(mean(x^2) + epsilon) over the channels (section 4.2).

    The mean is computed in float32.
    """
    energy = jnp.mean(jnp.square(x.astype(jnp.float32)), axis=-1, keepdims=True)
    return (x * jax.lax.rsqrt(energy + epsilon)).astype(x.dtype)
