"""StyleGAN3's filters: a non-linearity between an up-sampling and a down-sampling low-pass filter makes no aliases.

Karras et al., "Alias-Free Generative Adversarial Networks", NeurIPS 2021, section 3.2. Filters are designed in float64 on the
host; they are constants of the compiled program.
"""

import dataclasses
import functools
import math
import operator
from collections.abc import Iterable

import jax.numpy as jnp
import numpy as np
import scipy.signal
import scipy.special
from jax import lax

from ganspace_jax.generators import ops
from ganspace_jax.shapes import Array, Float


@dataclasses.dataclass(frozen=True)
class Plan:
    """The constants of one layer. Rates, cutoffs and half widths of the transition bands in cycles over the image."""

    name: str
    is_torgb: bool
    is_critical: bool
    in_channels: int
    out_channels: int
    in_size: int
    out_size: int
    in_rate: int
    out_rate: int
    in_cutoff: float
    out_cutoff: float
    in_half_width: float
    out_half_width: float
    inner_rate: int
    kernel_size: int
    filter_size: int
    radial: bool

    @property
    def up(self) -> int:
        """From the input's rate to that of the non-linearity."""
        return self.inner_rate // self.in_rate

    @property
    def down(self) -> int:
        """From the rate of the non-linearity to the output's."""
        return self.inner_rate // self.out_rate

    @property
    def up_taps(self) -> int:
        """Length of the up filter; 1 where there is none, as in ToRGB at any rate."""
        return 1 if self.up == 1 or self.is_torgb else self.filter_size * self.up

    @property
    def down_taps(self) -> int:
        """Length of the down filter; 1 where there is none, as in ToRGB at any rate."""
        return 1 if self.down == 1 or self.is_torgb else self.filter_size * self.down

    @property
    def padding(self) -> tuple[int, int]:
        """Before and after the zero-inserted image, on both axes; negative to crop (appendix C.3)."""
        wanted = (self.out_size - 1) * self.down + 1 + self.up_taps + self.down_taps - 2
        total = wanted - (self.in_size + self.kernel_size - 1) * self.up
        before = (total + self.up) // 2
        return before, total - before

    def up_filter(self) -> Float[np.ndarray, "taps"]:
        """Low-pass filter after zero insertion, of unit sum."""
        return lowpass(self.up_taps, self.in_cutoff, 2 * self.in_half_width, self.inner_rate)

    def down_filter(self) -> Float[np.ndarray, "taps"] | Float[np.ndarray, "taps taps"]:
        """Low-pass filter before every down-th pixel is kept, of unit sum; two-dimensional where it is radial."""
        design = radial_lowpass if self.radial and self.down_taps > 1 else lowpass
        return design(self.down_taps, self.out_cutoff, 2 * self.out_half_width, self.inner_rate)


def lowpass(taps: int, cutoff: float, width: float, rate: float) -> Float[np.ndarray, "taps"]:
    """Kaiser-window filter, for one axis (section 3.2, configuration E); one tap: the identity."""
    return np.ones(1) if taps == 1 else np.asarray(scipy.signal.firwin(taps, cutoff, width=width, fs=rate))


def radial_lowpass(taps: int, cutoff: float, width: float, rate: float) -> Float[np.ndarray, "taps taps"]:
    """Jinc function in a Kaiser window: the same response in every direction (configuration R). For an even number of taps."""
    x = (np.arange(taps) - (taps - 1) / 2) / rate
    radius = np.hypot(*np.meshgrid(x, x))
    window = np.kaiser(taps, scipy.signal.kaiser_beta(scipy.signal.kaiser_atten(taps, width / (rate / 2))))
    design = scipy.special.j1(2 * math.pi * cutoff * radius) / (math.pi * radius) * np.outer(window, window)
    return design / design.sum()


def filtered_leaky_relu(
    x: Float[Array, "n height width c"], plan: Plan, *, gain: float, slope: float, clamp: float | None = None
) -> Float[Array, "n size size c"]:
    """Zero insertion, up filter, gain * leaky ReLU, clamp, down filter, every down-th pixel (section 3.2, figure 4b)."""
    taps, inner_size = plan.up_filter(), (plan.out_size - 1) * plan.down + plan.down_taps
    for axis in (1, 2):
        x = _upsample_axis(x, taps, plan.up, plan.padding[0], inner_size, axis)
    x = ops.leaky_relu(x, gain, slope)
    if clamp is not None:
        x = jnp.clip(x, -clamp, clamp)
    return _downsample(x, plan.down_filter(), plan.down, plan.out_size)


def _upsample_axis(x: Array, taps: np.ndarray, up: int, before: int, size: int, axis: int) -> Array:
    """Zero insertion, `before` zeros, correlation with `taps` (gain `up`), cut to `size` pixels.

    Only every up-th tap meets a pixel that is not zero, so each of the `up` phases of the output is a weighted sum of shifted
    inputs: on a CPU 60 times faster than a depthwise convolution (52 to 114 px), and faster than a band matrix at every size.
    A phase that no tap meets is zero.
    """
    count = -(-size // up)
    phases = [
        [((phase + k - before) // up, up * tap) for k, tap in enumerate(taps) if (phase + k - before) % up == 0]
        or [(0, 0.0)]
        for phase in range(up)
    ]
    starts = [start for terms in phases for start, _ in terms]
    lead, trail = max(0, -min(starts)), max(0, max(starts) + count - x.shape[axis])
    padded = jnp.pad(x, [(lead, trail) if a == axis else (0, 0) for a in range(x.ndim)])
    cut = lambda start: lax.slice_in_dim(padded, lead + start, lead + start + count, axis=axis)  # noqa: E731
    summed = [_weighted_sum((tap, cut(start)) for start, tap in terms) for terms in phases]
    shape = list(x.shape)
    shape[axis] = count * up
    return lax.slice_in_dim(jnp.stack(summed, axis=axis + 1).reshape(shape), 0, size, axis=axis)


def _downsample(x: Array, taps: np.ndarray, down: int, size: int) -> Array:
    """Correlation with `taps`, separable or two-dimensional, at every down-th pixel: sums of shifted inputs.

    With the 144 terms of a radial filter that is still 14 times faster on a CPU than a depthwise convolution (114 to 52 px).
    """
    reach = (size - 1) * down + 1
    if taps.ndim == 2:
        return _weighted_sum(
            (tap, x[:, i : i + reach : down, j : j + reach : down]) for (i, j), tap in np.ndenumerate(taps)
        )
    for axis in (1, 2):
        cut = lambda k, x=x, axis=axis: lax.slice_in_dim(x, k, k + reach, stride=down, axis=axis)  # noqa: E731
        x = _weighted_sum((tap, cut(k)) for k, tap in enumerate(taps))
    return x


def _weighted_sum(terms: Iterable[tuple[float, Array]]) -> Array:
    return functools.reduce(operator.add, (float(weight) * x for weight, x in terms))
