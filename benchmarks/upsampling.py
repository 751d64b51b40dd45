"""Times three ways to compute StyleGAN2's up-sampling convolution, with and without gradients.

    python -m benchmarks.upsampling

Zero insertion (a transposed convolution, then the filter, as published), one small kernel for each of the four phases and
then the filter, and filter and kernels merged into one plain convolution. ops.upsample_conv2d takes the second way for wide
layers and the third for narrow ones, which are those that are trained here.
"""

import time

import jax
import jax.numpy as jnp
from jax import lax

from ganspace_jax.generators import ops

TAPS = (1.0, 3.0, 3.0, 1.0)
# batch, size before, channels in, channels out: of the shipped generator, and of the published ones
CASES = ((32, 8, 64, 32), (32, 16, 80, 48), (4, 16, 512, 512), (4, 64, 512, 256), (4, 128, 256, 128))


def zero_insertion(x, weight):
    """As published: lhs dilation, then a separable filter as two depthwise convolutions."""
    y = lax.conv_general_dilated(
        x, weight, (1, 1), ((2, 2), (2, 2)), lhs_dilation=(2, 2), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return _filter(y)


def four_phases(x, weight):
    """The library's way for wide layers."""
    return ops.upsample_conv2d_by_phases(x, weight, TAPS)


def merged(x, weight):
    """The library's way for narrow layers."""
    return ops.upsample_conv2d_merged(x, weight, TAPS)


def _filter(y):
    taps = [2.0 * tap / sum(TAPS) for tap in TAPS]
    y = jnp.pad(y, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = y.shape[1] - 3, y.shape[2] - 3
    y = jnp.stack([t * y[:, i : i + height] for i, t in enumerate(taps)]).sum(0)
    return jnp.stack([t * y[:, :, i : i + width] for i, t in enumerate(taps)]).sum(0)


def _milliseconds(function, *arguments, repeats=10):
    jax.block_until_ready(function(*arguments))
    start = time.perf_counter()
    for _ in range(repeats):
        jax.block_until_ready(function(*arguments))
    return (time.perf_counter() - start) / repeats * 1e3


def main():
    """One table."""
    print(f"{jax.devices()[0].device_kind}, float32, milliseconds: forward, of narrow layers also / with gradients")
    print("| case | zero insertion | four phases | merged |\n| --- | --- | --- | --- |")
    for batch, size, channels_in, channels_out in CASES:
        x = jax.random.normal(jax.random.key(0), (batch, size, size, channels_in))
        weight = jax.random.normal(jax.random.key(1), (3, 3, channels_in, channels_out))
        expected, cells = merged(x, weight), []
        for way in (zero_insertion, four_phases, merged):
            assert jnp.allclose(way(x, weight), expected, atol=1e-3), way.__name__
            forward = _milliseconds(jax.jit(way), x, weight)
            loss = lambda x, w, way=way: jnp.sum(way(x, w) ** 2)  # noqa: E731
            is_trained = channels_in < 128  # here; the gradients of wide layers take minutes
            gradients = _milliseconds(jax.jit(jax.grad(loss, (0, 1))), x, weight) if is_trained else None
            cells.append(f"{forward:.1f}" + (f" / {gradients:.1f}" if gradients else ""))
        print(f"| batch {batch}, {size} to {2 * size} px, {channels_in} to {channels_out} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
