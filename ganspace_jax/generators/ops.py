"""Pure array operations that the papers' generators share. Images are NHWC, kernels HWIO, linear weights [in, out].

Precision: float32 operands are multiplied at the highest precision (no TF32 on a GPU, no bfloat16 passes on a TPU); smaller
types, which a caller chooses for speed, at the platform's own.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ganspace_jax.shapes import Array, Float

_IMAGE_LAYOUT = ("NHWC", "HWIO", "NHWC")
_WIDE = 128  # channels


def precision_for(dtype: jnp.dtype) -> lax.Precision:
    """HIGHEST for float32 and wider, DEFAULT for narrower types."""
    return lax.Precision.HIGHEST if jnp.dtype(dtype).itemsize >= 4 else lax.Precision.DEFAULT


def linear(x: Float[Array, "n i"], weight: Float[Array, "i o"], bias: Float[Array, "o"] | None = None) -> Array:
    """x @ weight + bias."""
    y = jnp.dot(x, weight, precision=precision_for(x.dtype))
    return y if bias is None else y + bias


def leaky_relu(x: Array, gain: float = 1.0, slope: float = 0.2) -> Array:
    """gain * max(x, slope x)."""
    return jnp.where(x >= 0, x, x * slope) * gain


def normalize_second_moment(x: Float[Array, "n d"], epsilon: float = 1e-8) -> Float[Array, "n d"]:
    """x / sqrt(mean(x^2) + epsilon) over the last axis."""
    return x * lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + epsilon)


def conv2d(x: Float[Array, "n height width i"], weight: Float[Array, "kh kw i o"]) -> Float[Array, "n height width o"]:
    """Correlation with zero padding that keeps the size (odd kernels)."""
    return lax.conv_general_dilated(
        x, weight, (1, 1), "SAME", dimension_numbers=_IMAGE_LAYOUT, precision=precision_for(x.dtype)
    )


def transposed_conv2d(
    x: Float[Array, "n height width i"], weight: Float[Array, "k k i o"], *, stride: int, padding: int
) -> Float[Array, "n height2 width2 o"]:
    """Zero insertion by `stride`, `padding` zeros on every side, then correlation."""
    return lax.conv_general_dilated(
        x,
        weight,
        (1, 1),
        ((padding, padding), (padding, padding)),
        lhs_dilation=(stride, stride),
        dimension_numbers=_IMAGE_LAYOUT,
        precision=precision_for(x.dtype),
    )


def depth_to_space(x: Float[Array, "n height width c"]) -> Float[Array, "n height2 width2 d"]:
    """Interleaves four phases, the channel axis being ordered [row phase, column phase, channel]."""
    n, height, width, channels = x.shape
    x = x.reshape(n, height, width, 2, 2, channels // 4)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * height, 2 * width, channels // 4)


def upsample2d(x: Float[Array, "n height width c"], taps: Sequence[float]) -> Float[Array, "n height2 width2 c"]:
    """Doubles the size: zero insertion, then the separable filter `taps` with unit gain at zero frequency.

    Only every second tap meets a pixel that is not zero, so each output row is a short weighted sum of input rows; that is
    many times faster on a CPU than a depthwise convolution. Padding as in StyleGAN2: (taps + 1) / 2 before.
    """
    for axis in (1, 2):
        x = _upsample_axis(x, np.asarray(taps, np.float64), axis)
    return x


def _upsample_axis(x: Array, taps: np.ndarray, axis: int) -> Array:
    taps = taps / taps.sum() * 2.0
    before = (len(taps) + 1) // 2
    size = x.shape[axis]
    margin = len(taps)
    padded = jnp.pad(x, [(margin, margin) if a == axis else (0, 0) for a in range(x.ndim)])
    phases = []
    for phase in range(2):
        terms = []
        for index, tap in enumerate(taps):
            position = phase + index - before  # in the zero-inserted signal, relative to twice the output row
            if position % 2 == 0:
                start = margin + position // 2
                terms.append(float(tap) * lax.slice_in_dim(padded, start, start + size, axis=axis))
        phases.append(sum(terms))
    shape = list(x.shape)
    shape[axis] *= 2
    return jnp.stack(phases, axis=axis + 1).reshape(shape)


def upsample_conv2d(
    x: Float[Array, "n height width i"], weight: Float[Array, "k k i o"], taps: Sequence[float]
) -> Float[Array, "n height2 width2 o"]:
    """Zero insertion, correlation with `weight` (3x3), then the separable filter `taps`, in one of two ways.

    Wide layers: each output phase of zero insertion and correlation is a small convolution of the weights that meet pixels,
    and the filter comes after. Narrow ones: kernel and filter are merged into one kernel for each phase, four times the
    multiplications in a single convolution. On a CPU the first is two to eight times as fast from 256 channels on, and the
    second is four to nine times as fast with gradients at the widths that are trained here (benchmarks/upsampling.py).
    """
    is_wide = weight.shape[0] == 3 and weight.shape[2] >= _WIDE
    return (upsample_conv2d_by_phases if is_wide else upsample_conv2d_merged)(x, weight, taps)


def upsample_conv2d_merged(
    x: Float[Array, "n height width i"], weight: Float[Array, "k k i o"], taps: Sequence[float]
) -> Float[Array, "n height2 width2 o"]:
    """The way for narrow layers, with kernels of any odd size."""
    phase_map = jnp.asarray(_phase_map(weight.shape[0], np.asarray(taps, np.float64)), weight.dtype)
    merged = jnp.einsum("apk,bql,klio->abipqo", phase_map, phase_map, weight, precision=precision_for(weight.dtype))
    return depth_to_space(conv2d(x, merged.reshape(*merged.shape[:3], -1)))


def upsample_conv2d_by_phases(
    x: Float[Array, "n height width i"], weight: Float[Array, "3 3 i o"], taps: Sequence[float]
) -> Float[Array, "n height2 width2 o"]:
    """The way for wide layers."""
    filter_taps = 2.0 * np.asarray(taps, np.float64) / np.sum(taps)
    size = {1: x.shape[1], 2: x.shape[2]}
    phases = [
        lax.conv_general_dilated(
            x,
            weight[row::2, column::2],
            (1, 1),
            ((1 - row, 1), (1 - column, 1)),  # the odd phases begin one pixel later
            dimension_numbers=_IMAGE_LAYOUT,
            precision=precision_for(x.dtype),
        )
        for row in range(2)
        for column in range(2)
    ]
    y = depth_to_space(jnp.concatenate(phases, axis=-1))[:, : 2 * size[1] + 1, : 2 * size[2] + 1]
    before = (len(taps) - 1) // 2
    for axis in (1, 2):
        margins = (before, len(taps) - 2 - before, 0)
        padded = lax.pad(y, jnp.zeros((), y.dtype), [margins if a == axis else (0, 0, 0) for a in range(4)])
        shifted = [lax.slice_in_dim(padded, t, t + 2 * size[axis], axis=axis) for t in range(len(taps))]
        weighted = [float(tap) * part for tap, part in zip(filter_taps, shifted, strict=True)]
        y = functools.reduce(jnp.add, weighted)
    return y


def _phase_map(kernel_size: int, taps: np.ndarray) -> np.ndarray:
    """[tap of the merged kernel, phase, tap of the kernel]: which weight meets which input pixel, and how strongly."""
    taps = taps / taps.sum() * 2.0
    pad = (len(taps) - 1) // 2  # of the filter; the transposed convolution itself is padded by kernel_size - 1
    entries = {}
    for phase in range(2):
        for t, tap in enumerate(taps):
            for k in range(kernel_size):
                position = phase + t - pad + k - (kernel_size - 1)
                if position % 2 == 0:
                    key = (position // 2, phase, k)
                    entries[key] = entries.get(key, 0.0) + tap
    reach = max(abs(offset) for offset, _, _ in entries)
    result = np.zeros((2 * reach + 1, 2, kernel_size))
    for (offset, phase, k), value in entries.items():
        result[offset + reach, phase, k] = value
    return result


def modulated_conv2d(
    x: Float[Array, "n height width i"],
    weight: Float[Array, "k k i o"],
    style: Float[Array, "n i"],
    *,
    demodulate: bool = True,
    upsample_taps: Sequence[float] | None = None,
    epsilon: float = 1e-8,
) -> Float[Array, "n height2 width2 o"]:
    """StyleGAN2's weight modulation (section 2.2), applied to activations instead of weights.

    Scaling the input channels by the style and the output channels by 1 / sqrt(sum (style * weight)^2 + epsilon) equals a
    convolution with a modulated and demodulated kernel for each sample, without a kernel for each sample.
    """
    dtype = x.dtype
    kernel = weight.astype(dtype)
    y = x * style[:, None, None, :].astype(dtype)
    y = conv2d(y, kernel) if upsample_taps is None else upsample_conv2d(y, kernel, upsample_taps)
    if demodulate:
        energy = jnp.sum(jnp.square(weight), axis=(0, 1))
        scale = lax.rsqrt(linear(jnp.square(style), energy) + epsilon)
        y = y * scale[:, None, None, :].astype(dtype)
    return y


def truncate(
    latents: Float[Array, "n layers d"], mean: Float[Array, "d"], psi: float, cutoff: int | None = None
) -> Float[Array, "n layers d"]:
    """mean + psi (w - mean) in the first `cutoff` layers, or in all (StyleGAN, appendix B)."""
    if psi == 1.0:
        return latents
    layer = jnp.arange(latents.shape[1])[:, None]
    inside = layer < (latents.shape[1] if cutoff is None else cutoff)
    return jnp.where(inside, mean + psi * (latents - mean), latents)


def broadcast_layers(w: Float[Array, "n d"], num_layers: int) -> Float[Array, "n layers d"]:
    """One copy of the latent for each layer."""
    return jnp.broadcast_to(w[:, None, :], (w.shape[0], num_layers, w.shape[1]))


def repeat_pixels(x: Float[Array, "n height width c"]) -> Float[Array, "n height2 width2 c"]:
    """Doubles the size: nearest neighbour."""
    n, height, width, channels = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None, :], (n, height, 2, width, 2, channels))
    return x.reshape(n, 2 * height, 2 * width, channels)


def max_pool(x: Float[Array, "n height width c"]) -> Float[Array, "n height2 width2 c"]:
    """Halves the size: the largest of 2x2 pixels."""
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))


def attend(
    queries: Float[Array, "n height width k"], keys: Float[Array, "n h2 w2 k"], values: Float[Array, "n h2 w2 c"]
) -> Float[Array, "n height width c"]:
    """Each position's mixture of all values, by the softmax of queries . keys (not scaled), in float32."""
    precision = precision_for(queries.dtype)
    scores = jnp.einsum("nhwk,nijk->nhwij", queries, keys, precision=precision).astype(jnp.float32)
    shape = scores.shape
    weights = jax.nn.softmax(scores.reshape(*shape[:3], -1)).reshape(shape).astype(values.dtype)
    return jnp.einsum("nhwij,nijc->nhwc", weights, values, precision=precision)
