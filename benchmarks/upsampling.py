"""Times three algorithms of StyleGAN2's up-sampling convolution.

    python -m benchmarks.upsampling

Prints a table of their times, with and without gradients:

- zero insertion: a transposed convolution, then the filter, as published.
- four phases: a small kernel for each of the four phases, then the filter.
- merged: one plain convolution, with kernel and filter merged.

ops.upsample_conv2d uses four phases for wide layers, and merged for narrow layers. This
project trains networks with narrow layers only.
"""

import time

import jax
import jax.numpy as jnp
from jax import lax

from ganspace_jax.generators import ops

TAPS = (1.0, 3.0, 3.0, 1.0)
# Batch size, side of the input in pixels, input channels, output channels.
SHIPPED = ((32, 8, 64, 32), (32, 16, 80, 48))
PUBLISHED = ((4, 16, 512, 512), (4, 64, 512, 256), (4, 128, 256, 128))
CASES = SHIPPED + PUBLISHED


def zero_insertion(x, weight):
    """Returns the layer's output by the published algorithm.

    It is a convolution with lhs dilation, then a separable filter.
    """
    y = lax.conv_general_dilated(
        x, weight, (1, 1), ((2, 2), (2, 2)), lhs_dilation=(2, 2), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return _filter(y)


def four_phases(x, weight):
    """Returns the layer's output by the library's algorithm for wide layers."""
    return ops.upsample_conv2d_by_phases(x, weight, TAPS)


def merged(x, weight):
    """Returns the layer's output by the library's algorithm for narrow layers."""
    return ops.upsample_conv2d_merged(x, weight, TAPS)


def _filter(y):
    """Applies the separable filter as two sums of shifted arrays."""
    taps = [2.0 * tap / sum(TAPS) for tap in TAPS]
    y = jnp.pad(y, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = y.shape[1] - 3, y.shape[2] - 3
    y = jnp.stack([t * y[:, i : i + height] for i, t in enumerate(taps)]).sum(0)
    return jnp.stack([t * y[:, :, i : i + width] for i, t in enumerate(taps)]).sum(0)


def _milliseconds(function, *arguments, repeats=10):
    """Returns the mean time of a call, without compilation."""
    jax.block_until_ready(function(*arguments))
    start = time.perf_counter()
    for _ in range(repeats):
        jax.block_until_ready(function(*arguments))
    return (time.perf_counter() - start) / repeats * 1e3


def _times(algorithm, x, weight, with_gradients):
    """Returns a cell of the table."""

    def loss(x, weight):
        return jnp.sum(algorithm(x, weight) ** 2)

    forward = _milliseconds(jax.jit(algorithm), x, weight)
    if not with_gradients:
        return f"{forward:.1f}"
    gradients = _milliseconds(jax.jit(jax.grad(loss, (0, 1))), x, weight)
    return f"{forward:.1f} / {gradients:.1f}"


def main():
    """Prints the table."""
    print(f"Milliseconds on {jax.devices()[0].device_kind} in float32: forward; for narrow layers: forward / gradients")
    print("| case | zero insertion | four phases | merged |\n| --- | --- | --- | --- |")
    for batch, side, channels_in, channels_out in CASES:
        x = jax.random.normal(jax.random.key(0), (batch, side, side, channels_in))
        weight = jax.random.normal(jax.random.key(1), (3, 3, channels_in, channels_out))
        expected = merged(x, weight)
        # The gradients of wide layers take minutes. This project does not train them.
        with_gradients = channels_in < 128
        cells = [f"batch {batch}, {side} to {2 * side} px, {channels_in} to {channels_out} channels"]
        for algorithm in (zero_insertion, four_phases, merged):
            assert jnp.allclose(algorithm(x, weight), expected, atol=1e-3), algorithm.__name__
            cells.append(_times(algorithm, x, weight, with_gradients))
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
