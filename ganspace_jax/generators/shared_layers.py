"""Layers that the networks of several papers share.

Attribute names are names of arrays in checkpoints, so they must not change.
"""

import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from ganspace_jax.generators import base, ops
from ganspace_jax.shapes import Array, Float, Key, PRNGKey


class Buffer(nnx.Variable):
    """An array of a checkpoint that gradients do not train.

    Examples are noise images, frequencies, magnitudes and the mean w.
    """


class Statistics(nnx.Variable):
    """Stored means or variances of a batch norm, which gradients do not train."""


class EqualizedLinear(nnx.Module):
    """A linear layer with equalised learning rate (ProGAN, section 4.1).

    Its weights have unit size. They are scaled at each call.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        key: PRNGKey,
        bias: float = 0.0,
        gain: float = 1.0,
        learning_rate: float = 1.0,
    ):
        self.weight = nnx.Param(jax.random.normal(key, (in_features, out_features)) / learning_rate)
        self.bias = nnx.Param(jnp.full(out_features, bias / learning_rate, jnp.float32))
        self.gain, self.learning_rate = gain, learning_rate

    def __call__(self, x: Float[Array, "n i"]) -> Float[Array, "n o"]:
        weight = self.weight[...] * (self.gain * self.learning_rate / math.sqrt(x.shape[-1]))
        return ops.linear(x, weight, self.bias[...] * self.learning_rate)


class OrthogonalLinear(nnx.Module):
    """A linear layer with BigGAN's orthogonal initialisation (appendix C.1)."""

    def __init__(self, in_features: int, out_features: int, *, key: PRNGKey, bias: bool = False):
        self.weight = nnx.Param(_orthogonal(key, (in_features, out_features)))
        self.bias = nnx.Param(jnp.zeros(out_features)) if bias else None

    def __call__(self, x: Float[Array, "n i"]) -> Float[Array, "n o"]:
        return ops.linear(x, self.weight[...], None if self.bias is None else self.bias[...])


class OrthogonalConvolution(nnx.Module):
    """A convolution with BigGAN's orthogonal initialisation.

    It keeps the size. If `doubled`, it acts on the image of twice the size.
    """

    def __init__(self, size: int, in_channels: int, out_channels: int, *, key: PRNGKey, bias: bool = True):
        self.weight = nnx.Param(_orthogonal(key, (size, size, in_channels, out_channels)))
        self.bias = nnx.Param(jnp.zeros(out_channels)) if bias else None

    def __call__(self, x: Float[Array, "n h w i"], *, doubled: bool = False) -> Float[Array, "n h2 w2 o"]:
        convolve = ops.doubled_conv2d if doubled else ops.conv2d
        y = convolve(x, self.weight[...].astype(x.dtype))
        return y if self.bias is None else y + self.bias[...].astype(x.dtype)


class SelfAttention(nnx.Module):
    """Self-attention over positions (Zhang et al., SAGAN, ICML 2019).

    Keys and values are pooled 2x2. Argument `output` is the last convolution's name,
    which differs between the two published BigGANs.
    """

    def __init__(self, channels: int, *, output: str, key: PRNGKey):
        keys = jax.random.split(key, 4)
        self.output = output
        self.theta = OrthogonalConvolution(1, channels, channels // 8, key=keys[0], bias=False)
        self.phi = OrthogonalConvolution(1, channels, channels // 8, key=keys[1], bias=False)
        self.g = OrthogonalConvolution(1, channels, channels // 2, key=keys[2], bias=False)
        setattr(self, output, OrthogonalConvolution(1, channels // 2, channels, key=keys[3], bias=False))
        self.gamma = nnx.Param(jnp.zeros(()))

    def __call__(self, x: Float[Array, "n h w c"], record: base.Recorder, name: str) -> Float[Array, "n h w c"]:
        queries = record(f"{name}.theta", self.theta(x))
        keys = ops.max_pool(record(f"{name}.phi", self.phi(x)))
        values = ops.max_pool(record(f"{name}.g", self.g(x)))
        attended = getattr(self, self.output)(_attend(queries, keys, values))
        attended = record(f"{name}.{self.output}", attended)
        return record(name, x + self.gamma[...].astype(x.dtype) * attended)


class MappedLatents(base.Configured):
    """The part of the contract base.Network that is equal for all StyleGANs."""

    prior: Literal["normal", "truncated_normal"] = "normal"
    has_mapping = True
    default_layer = "w"
    mapping: Any
    latent_shape: Any

    def map_latents(self, z: Float[Array, "n z"], label: Array | None = None) -> Float[Array, "n layers d"]:
        """Returns w = mapping(z, label), one copy for each layer, before truncation."""
        return ops.broadcast_layers(self.map_with_activations(z, label)[0], self.latent_shape[0])

    def map_with_activations(
        self, z: Float[Array, "n z"], label: Array | None = None
    ) -> tuple[Array, base.Activations]:
        """Returns w, and the activations of the mapping network by name."""
        record = base.Recorder()
        return self.mapping(z, label, record), record.finish()


def noise_image(noise: str | Key[Array, "n"], stored: Float[Array, "height width"]) -> Float[Array, "n height width 1"]:
    """Returns the stored noise image for "const", else one image for each key."""
    if isinstance(noise, str):
        return stored[None, :, :, None]
    return jax.vmap(lambda key: jax.random.normal(key, (*stored.shape, 1)))(noise)


def require_label(label: Array | None, num_classes: int) -> Array:
    """Returns the label; raises ValueError if a conditional generator lacks it."""
    if label is None:
        raise ValueError(f"label: this generator is conditional; give [batch, {num_classes}] weights")
    return label


def refuse_label(label: Array | None) -> None:
    """Raises ValueError if an unconditional generator is given a label."""
    if label is not None:
        raise ValueError("label: this generator is not conditional")


def _attend(
    queries: Float[Array, "n height width k"], keys: Float[Array, "n h2 w2 k"], values: Float[Array, "n h2 w2 c"]
) -> Float[Array, "n height width c"]:
    """Returns each position's weighted mean of all values.

    The weights are the softmax of queries . keys, not scaled, in float32.
    """
    precision = ops.precision_for(queries.dtype)
    scores = jnp.einsum("nhwk,nijk->nhwij", queries, keys, precision=precision).astype(jnp.float32)
    shape = scores.shape
    weights = jax.nn.softmax(scores.reshape(*shape[:3], -1)).reshape(shape).astype(values.dtype)
    return jnp.einsum("nhwij,nijc->nhwc", weights, values, precision=precision)


def _orthogonal(key: PRNGKey, shape: tuple[int, ...]) -> Float[Array, "..."]:
    return nnx.initializers.orthogonal()(key, shape, jnp.float32)
