"""Pure array operations that the papers' generators share.

Images are NHWC, kernels HWIO, linear weights [in, out]. Float32 operands are multiplied
at the highest precision: no TF32 on a GPU, no bfloat16 passes on a TPU. Callers choose
narrower types for speed. These are multiplied at the platform's default precision.
"""

import collections
import functools
import itertools
import math
import operator
from collections.abc import Iterable, Sequence
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax import lax

from ganspace_jax.shapes import Array, Float, Int

Psi = float | Float[Array, ""]
Cutoff = int | Int[Array, ""] | None

_IMAGE_LAYOUT = ("NHWC", "HWIO", "NHWC")
_WIDE = 128  # channels


def precision_for(dtype: jnp.dtype) -> lax.Precision:
    """Returns HIGHEST for float32 and wider types, DEFAULT for narrower types."""
    return lax.Precision.HIGHEST if jnp.dtype(dtype).itemsize >= 4 else lax.Precision.DEFAULT


def linear(x: Float[Array, "n i"], weight: Float[Array, "i o"], bias: Float[Array, "o"] | None = None) -> Array:
    """Returns x @ weight + bias."""
    y = jnp.dot(x, weight, precision=precision_for(x.dtype))
    return y if bias is None else y + bias


def leaky_relu(x: Array, gain: float = 1.0, slope: float = 0.2) -> Array:
    """Returns gain * max(x, slope * x)."""
    return jnp.where(x >= 0, x, x * slope) * gain


def normalize_second_moment(x: Float[Array, "n d"], epsilon: float = 1e-8) -> Float[Array, "n d"]:
    """Returns x / sqrt(mean(x^2) + epsilon), the mean over the last axis."""
    return x * lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + epsilon)


def conv2d(x: Float[Array, "n height width i"], weight: Float[Array, "kh kw i o"]) -> Float[Array, "n height width o"]:
    """Returns the correlation with zero padding that keeps the size (odd kernels)."""
    return lax.conv_general_dilated(
        x, weight, (1, 1), "SAME", dimension_numbers=_IMAGE_LAYOUT, precision=precision_for(x.dtype)
    )


def transposed_conv2d(
    x: Float[Array, "n height width i"], weight: Float[Array, "k k i o"], *, stride: int, padding: int
) -> Float[Array, "n height2 width2 o"]:
    """Returns a transposed convolution, defined as a correlation.

    The steps are zero insertion by `stride`, `padding` zeros on every side, then
    correlation with `weight`.
    """
    return lax.conv_general_dilated(
        x,
        weight,
        (1, 1),
        ((padding, padding), (padding, padding)),
        lhs_dilation=(stride, stride),
        dimension_numbers=_IMAGE_LAYOUT,
        precision=precision_for(x.dtype),
    )


def weighted_sum(terms: Iterable[tuple[float, Array]]) -> Array:
    """Returns the sum of weight * array over the terms (weight, array)."""
    return functools.reduce(operator.add, (float(weight) * x for weight, x in terms))


def depth_to_space(x: Float[Array, "n height width c"]) -> Float[Array, "n height2 width2 d"]:
    """Doubles the size: each pixel's channels become 2x2 pixels.

    The channel axis is ordered [row phase, column phase, channel].
    """
    n, height, width, channels = x.shape
    x = x.reshape(n, height, width, 2, 2, channels // 4)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * height, 2 * width, channels // 4)


def upsample2d(x: Float[Array, "n height width c"], taps: Sequence[float]) -> Float[Array, "n height2 width2 c"]:
    """Doubles the size: zero insertion, then the separable filter `taps`.

    The filter is scaled to unit gain at zero frequency. Padding is StyleGAN2's:
    (taps + 1) / 2 zeros before the image.
    """
    unit = np.asarray(taps, np.float64) / np.sum(taps)
    for axis in (1, 2):
        x = upsample_axis(x, unit, up=2, before=(len(taps) + 1) // 2, size=2 * x.shape[axis], axis=axis)
    return x


def upsample_axis(x: Array, taps: np.ndarray, *, up: int, before: int, size: int, axis: int) -> Array:
    """Returns x with one axis up-sampled by `up`.

    The steps are zero insertion, `before` zeros in front, correlation with
    `up * taps`, and a cut to `size` pixels. Only every up-th tap meets a pixel that
    is not zero. So each of the `up` output phases is a weighted sum of shifted
    inputs. A phase that no tap meets is zero. On a CPU this is 60 times faster than a
    depthwise convolution (52 to 114 px). It is faster than a band matrix at every size.
    """
    count = math.ceil(size / up)
    phases = [
        [((phase + k - before) // up, up * tap) for k, tap in enumerate(taps) if (phase + k - before) % up == 0]
        or [(0, 0.0)]
        for phase in range(up)
    ]
    starts = [start for terms in phases for start, _ in terms]
    lead, trail = max(0, -min(starts)), max(0, max(starts) + count - x.shape[axis])
    padded = jnp.pad(x, [(lead, trail) if a == axis else (0, 0) for a in range(x.ndim)])
    cut = lambda start: lax.slice_in_dim(padded, lead + start, lead + start + count, axis=axis)  # noqa: E731
    summed = [weighted_sum((tap, cut(start)) for start, tap in terms) for terms in phases]
    shape = list(x.shape)
    shape[axis] = count * up
    return lax.slice_in_dim(jnp.stack(summed, axis=axis + 1).reshape(shape), 0, size, axis=axis)


def upsample_conv2d(
    x: Float[Array, "n height width i"], weight: Float[Array, "k k i o"], taps: Sequence[float]
) -> Float[Array, "n height2 width2 o"]:
    """Returns zero insertion, correlation with `weight`, then the filter `taps`.

    Wide layers with 3x3 kernels use `upsample_conv2d_by_phases`; all others use
    `upsample_conv2d_merged`. On a CPU the first is two to eight times as fast from
    256 channels on. The second is four to nine times as fast with gradients at the
    widths that this project trains (benchmarks/upsampling.py).
    """
    if weight.shape[0] == 3 and weight.shape[2] >= _WIDE:
        return upsample_conv2d_by_phases(x, weight, taps)
    return upsample_conv2d_merged(x, weight, taps)


def upsample_conv2d_merged(
    x: Float[Array, "n height width i"], weight: Float[Array, "k k i o"], taps: Sequence[float]
) -> Float[Array, "n height2 width2 o"]:
    """Computes `upsample_conv2d` for narrow layers, with kernels of any odd size.

    Kernel and filter are merged into one kernel for each phase. This takes four
    times the multiplications, but in a single convolution.
    """
    phase_map = jnp.asarray(_phase_map(weight.shape[0], np.asarray(taps, np.float64)), weight.dtype)
    merged = jnp.einsum("apk,bql,klio->abipqo", phase_map, phase_map, weight, precision=precision_for(weight.dtype))
    return depth_to_space(conv2d(x, merged.reshape(*merged.shape[:3], -1)))


def upsample_conv2d_by_phases(
    x: Float[Array, "n height width i"], weight: Float[Array, "3 3 i o"], taps: Sequence[float]
) -> Float[Array, "n height2 width2 o"]:
    """Computes `upsample_conv2d` for wide layers, with 3x3 kernels.

    Each output phase of zero insertion and correlation is a small convolution with
    the weights that meet pixels. The filter follows.
    """
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
        y = weighted_sum(zip(filter_taps, shifted, strict=True))
    return y


def _phase_map(kernel_size: int, taps: np.ndarray) -> np.ndarray:
    """Returns [tap of the merged kernel, phase, tap of the kernel].

    An entry is the factor with which a weight of the kernel meets an input pixel.
    """
    taps = taps / taps.sum() * 2.0
    # The filter's padding. The transposed convolution is padded by kernel_size - 1.
    before = (len(taps) - 1) // 2
    entries = collections.defaultdict(float)
    for phase, t, k in itertools.product(range(2), range(len(taps)), range(kernel_size)):
        offset, is_between_pixels = divmod(phase + t - before + k - (kernel_size - 1), 2)
        if not is_between_pixels:
            entries[offset, phase, k] += taps[t]
    reach = max(abs(offset) for offset, _, _ in entries)
    result = np.zeros((2 * reach + 1, 2, kernel_size))
    for (offset, phase, k), value in entries.items():
        result[offset + reach, phase, k] = value
    return result


def batch_norm(
    x: Float[Array, "n height width c"],
    mean: Float[Array, "c"],
    variance: Float[Array, "c"],
    gain: Float[Array, "... c"],
    bias: Float[Array, "... c"],
    epsilon: float,
) -> Float[Array, "n height width c"]:
    """Returns gain * (x - mean) / sqrt(variance + epsilon) + bias.

    Each channel's factor and constant are computed in the type of the statistics. They
    are applied in the type of x.
    """
    gain = gain * lax.rsqrt(variance + epsilon)
    return x * gain.astype(x.dtype) + (bias - mean * gain).astype(x.dtype)


def modulated_conv2d(
    x: Float[Array, "n height width i"],
    weight: Float[Array, "k k i o"],
    style: Float[Array, "n i"],
    *,
    demodulate: bool = True,
    upsample_taps: Sequence[float] | None = None,
    epsilon: float = 1e-8,
) -> Float[Array, "n height2 width2 o"]:
    """Returns StyleGAN2's modulated convolution (section 2.2).

    The published code modulates the kernel for each sample. This function scales
    activations instead: the input channels by the style, the output channels by
    1 / sqrt(sum (style * weight)^2 + epsilon). The result is equal, and all samples
    share one kernel. If there are `upsample_taps`, the convolution doubles the size.
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
    latents: Float[Array, "n layers d"], mean: Float[Array, "d"], psi: Psi, cutoff: Cutoff = None
) -> Float[Array, "n layers d"]:
    """Returns latents pulled towards the mean latent (StyleGAN, appendix B).

    The first `cutoff` layers, or all layers if cutoff is None, become
    latents + (psi - 1) (latents - mean). If psi is 1, these are exactly the latents.
    Both psi and cutoff may be traced.
    """
    change = jnp.asarray(psi, latents.dtype) - 1
    if cutoff is not None:
        change = jnp.where(jnp.arange(latents.shape[1])[:, None] < cutoff, change, 0)
    return latents + change * (latents - mean)


def broadcast_layers(w: Float[Array, "n d"], num_layers: int) -> Float[Array, "n layers d"]:
    """Returns one copy of the latent for each layer."""
    return jnp.broadcast_to(w[:, None, :], (w.shape[0], num_layers, w.shape[1]))


def repeat_pixels(x: Float[Array, "n height width c"]) -> Float[Array, "n height2 width2 c"]:
    """Doubles the size by nearest neighbour."""
    n, height, width, channels = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None, :], (n, height, 2, width, 2, channels))
    return x.reshape(n, 2 * height, 2 * width, channels)


def blur(
    x: Float[Array, "n height width c"], taps: Sequence[float], outside: Literal["constant", "reflect"] = "constant"
) -> Float[Array, "n height width c"]:
    """Returns x filtered by a separable filter of unit sum.

    Sums of shifted images are much faster on a CPU than a depthwise convolution.

    Args:
        x: Images.
        taps: Filter; one tap or none is no filter.
        outside: What lies beyond the edge: "constant" for zeros, or "reflect".
    """
    before, after = (len(taps) - 1) // 2, len(taps) // 2
    for axis in (1, 2) if len(taps) > 1 else ():
        padded = jnp.pad(x, [(before, after) if a == axis else (0, 0) for a in range(4)], mode=outside)
        shifted = [lax.slice_in_dim(padded, k, k + x.shape[axis], axis=axis) for k in range(len(taps))]
        x = weighted_sum((tap / sum(taps), y) for tap, y in zip(taps, shifted, strict=True))
    return x


def max_pool(x: Float[Array, "n height width c"]) -> Float[Array, "n height2 width2 c"]:
    """Halves the size by the maximum of 2x2 pixels."""
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))


def doubled_conv2d(
    x: Float[Array, "n height width i"], weight: Float[Array, "3 3 i o"]
) -> Float[Array, "n height2 width2 o"]:
    """Returns conv2d(repeat_pixels(x), weight), with 4/9 of the multiplications.

    Each of the four output phases meets 2x2 different pixels. So it is a 2x2
    convolution, whose taps are sums of the kernel's taps. Four convolutions are as
    fast as one with four times the channels. On a CPU their gradients are up to 70
    times as fast.
    """
    phases = []
    for row, rows in enumerate(_sums_of_taps(weight, 0)):
        for column, kernel in enumerate(_sums_of_taps(rows, 1)):
            padding = ((1 - row, row), (1 - column, column))
            phases.append(
                lax.conv_general_dilated(
                    x, kernel, (1, 1), padding, dimension_numbers=_IMAGE_LAYOUT, precision=precision_for(x.dtype)
                )
            )
    return depth_to_space(jnp.concatenate(phases, axis=-1))


def _sums_of_taps(weight: Array, axis: int) -> tuple[Array, Array]:
    """Returns the two taps of the even and of the odd output pixels."""
    first, middle, last = (lax.index_in_dim(weight, tap, axis) for tap in range(3))
    return jnp.concatenate([first, middle + last], axis), jnp.concatenate([first + middle, last], axis)
