"""Filters of StyleGAN3 (Karras et al., "Alias-Free Generative Adversarial Networks").

The paper is from NeurIPS 2021; this file follows section 3.2. A non-linearity between
an up-sampling and a down-sampling low-pass filter makes no aliases. Filters are
designed in float64 on the host. They are constants of the compiled program.
"""

import dataclasses
import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax

from ganspace_jax.generators import ops
from ganspace_jax.shapes import Array, Float


@dataclasses.dataclass(frozen=True)
class Plan:
    """The constants of one layer.

    Rates, cutoffs and half widths are in cycles over the image.

    Attributes:
        name: Name of the layer in the published files.
        is_torgb: Whether the layer is ToRGB.
        is_critical: Whether the layer is critically sampled.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        in_size: Height of the input in pixels.
        out_size: Height of the output in pixels.
        in_rate: Sampling rate of the input.
        out_rate: Sampling rate of the output.
        in_cutoff: Cutoff of the up filter.
        out_cutoff: Cutoff of the down filter.
        in_half_width: Half width of the up filter's transition band.
        out_half_width: Half width of the down filter's transition band.
        inner_rate: Sampling rate of the non-linearity.
        kernel_size: Side of the convolution's kernel.
        filter_size: Number of filter taps per sample of the lower rate.
        radial: Whether the down filter is radial.
        square: Whether widths equal heights. If false, they are half the heights.
    """

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
    square: bool = True

    @property
    def up(self) -> int:
        """Returns the factor from the input's rate to the non-linearity's."""
        return self.inner_rate // self.in_rate

    @property
    def down(self) -> int:
        """Returns the factor from the output's rate to the non-linearity's."""
        return self.inner_rate // self.out_rate

    @property
    def up_taps(self) -> int:
        """Returns the length of the up filter; 1 for no filter.

        ToRGB has no up filter at any rate.
        """
        return 1 if self.up == 1 or self.is_torgb else self.filter_size * self.up

    @property
    def down_taps(self) -> int:
        """Returns the length of the down filter; 1 for no filter.

        ToRGB has no down filter at any rate.
        """
        return 1 if self.down == 1 or self.is_torgb else self.filter_size * self.down

    @property
    def across(self) -> "Plan":
        """Returns this plan with widths in place of heights."""
        if self.square:
            return self
        return dataclasses.replace(self, in_size=self.in_size // 2, out_size=self.out_size // 2, square=True)

    @property
    def padding(self) -> tuple[int, int]:
        """Returns the padding above and below the zero-inserted image.

        Negative padding crops (appendix C.3).
        """
        wanted = (self.out_size - 1) * self.down + 1 + self.up_taps + self.down_taps - 2
        total = wanted - (self.in_size + self.kernel_size - 1) * self.up
        before = (total + self.up) // 2
        return before, total - before

    @property
    def down_shape(self) -> tuple[int, ...]:
        """Returns the shape of the down filter."""
        return (self.down_taps, self.down_taps) if self.radial and self.down_taps > 1 else (self.down_taps,)

    def up_filter(self) -> Float[np.ndarray, "taps"]:
        """Returns the low-pass filter after zero insertion, of unit sum."""
        return lowpass(self.up_taps, self.in_cutoff, 2 * self.in_half_width, self.inner_rate)

    def down_filter(self) -> Float[np.ndarray, "taps"] | Float[np.ndarray, "taps taps"]:
        """Returns the low-pass filter before decimation by `down`, of unit sum.

        A radial filter is two-dimensional.
        """
        design = radial_lowpass if len(self.down_shape) == 2 else lowpass
        return design(self.down_taps, self.out_cutoff, 2 * self.out_half_width, self.inner_rate)


def lowpass(taps: int, cutoff: float, width: float, rate: float) -> Float[np.ndarray, "taps"]:
    """Returns a Kaiser-window filter for one axis (section 3.2, configuration E).

    The filter is a sinc function times the window, scaled to unit sum. One tap is the
    identity.

    Args:
        taps: Number of taps.
        cutoff: Middle of the transition band, in cycles over the image.
        width: Width of the transition band, in cycles over the image.
        rate: Sampling rate, in cycles over the image.

    Raises:
        ValueError: The cutoff is not between 0 and half the rate.
    """
    if taps == 1:
        return np.ones(1)
    if not 0 < cutoff < rate / 2:
        raise ValueError(f"cutoff={cutoff:g}: a filter's cutoff must be above 0 and below half its rate {rate:g}")
    x = (np.arange(taps) - (taps - 1) / 2) / rate
    design = np.sinc(2 * cutoff * x) * _kaiser_window(taps, width / (rate / 2))
    return design / design.sum()


def radial_lowpass(taps: int, cutoff: float, width: float, rate: float) -> Float[np.ndarray, "taps taps"]:
    """Returns a jinc function in a Kaiser window (configuration R).

    Its response is the same in every direction. The number of taps must be even.
    Arguments are those of `lowpass`.
    """
    from scipy import special  # here, because only configuration R needs it

    x = (np.arange(taps) - (taps - 1) / 2) / rate
    radius = np.hypot(*np.meshgrid(x, x))
    window = _kaiser_window(taps, width / (rate / 2))
    design = special.j1(2 * math.pi * cutoff * radius) / (math.pi * radius) * np.outer(window, window)
    return design / design.sum()


def _kaiser_window(taps: int, width: float) -> Float[np.ndarray, "taps"]:
    """Returns the Kaiser window for a transition band of `width` half sampling rates.

    The number of taps fixes the attenuation in decibels, which fixes the window's shape
    beta. The formulas are Kaiser's ("Nonrecursive digital filter design using the
    I0-sinh window function", 1974).
    """
    attenuation = 2.285 * (taps - 1) * math.pi * width + 7.95
    if attenuation > 50:
        beta = 0.1102 * (attenuation - 8.7)
    elif attenuation > 21:
        beta = 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    else:
        beta = 0.0
    return np.kaiser(taps, beta)


def filtered_leaky_relu(
    x: Float[Array, "n height width c"], plan: Plan, *, gain: float, slope: float, clamp: float | None = None
) -> Float[Array, "n height2 width2 c"]:
    """Returns the filtered non-linearity (section 3.2, figure 4b).

    The steps are zero insertion, up filter, gain * leaky ReLU, clamp and down filter.
    Every down-th pixel is kept.
    """
    taps, plans = plan.up_filter(), (plan, plan.across)
    for axis, own in enumerate(plans, 1):
        inner_size = (own.out_size - 1) * own.down + own.down_taps
        x = ops.upsample_axis(x, taps, up=own.up, before=own.padding[0], size=inner_size, axis=axis)
    x = ops.leaky_relu(x, gain, slope)
    if clamp is not None:
        x = jnp.clip(x, -clamp, clamp)
    return _downsample(x, plan.down_filter(), plan.down, [own.out_size for own in plans])


def _downsample(x: Array, taps: np.ndarray, down: int, sizes: Sequence[int]) -> Array:
    """Returns the correlation with `taps` at every down-th pixel.

    The result has the height and width `sizes`. One-dimensional taps are a separable
    filter. The correlation is a sum of shifted inputs. A radial filter has 144 terms.
    On a CPU its sum is still 14 times faster than a depthwise convolution (114 to 52
    px).
    """
    height, width = reaches = [(size - 1) * down + 1 for size in sizes]
    if taps.ndim == 2:
        return ops.weighted_sum(
            (tap, x[:, i : i + height : down, j : j + width : down]) for (i, j), tap in np.ndenumerate(taps)
        )
    for axis, reach in enumerate(reaches, 1):
        cut = lambda k, x=x, axis=axis, reach=reach: lax.slice_in_dim(x, k, k + reach, stride=down, axis=axis)  # noqa: E731
        x = ops.weighted_sum((tap, cut(k)) for k, tap in enumerate(taps))
    return x
