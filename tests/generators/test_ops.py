"""Operations of several generators: two ways to calculate one thing agree."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.generators import ops


@pytest.mark.parametrize("taps", [(1.0, 3.0, 3.0, 1.0), (1.0, 1.0), (1.0, 2.0, 1.0), (1.0, 4.0, 2.0, 5.0, 3.0), (2.0,)])
def test_wide_layers_are_up_sampled_like_narrow_ones(taps):
    """Zero insertion, correlation and filter one after the other, in float64, is what both ways calculate."""
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 3, 5, 4)), rng.standard_normal((3, 3, 4, 2))
    expected = _filtered(_correlated(x, weight), np.array(taps) * 2 / sum(taps))
    for way in (ops.upsample_conv2d_by_phases, ops.upsample_conv2d_merged):
        image = way(jnp.asarray(x, jnp.float32), jnp.asarray(weight, jnp.float32), taps)
        np.testing.assert_allclose(image, expected, atol=1e-5)


def _correlated(x, weight):
    """With zeros between the pixels, and two around them."""
    n, height, width, _ = x.shape
    spread = np.zeros((n, 2 * height + 3, 2 * width + 3, x.shape[3]))
    spread[:, 2:-2:2, 2:-2:2] = x
    y = np.zeros((n, 2 * height + 1, 2 * width + 1, weight.shape[3]))
    for row in range(3):
        for column in range(3):
            y += spread[:, row : row + y.shape[1], column : column + y.shape[2]] @ weight[row, column]
    return y


def _filtered(y, taps):
    before = (len(taps) - 1) // 2
    for axis in (1, 2):
        padded = np.pad(y, [(before, len(taps)) if a == axis else (0, 0) for a in range(4)])
        size = y.shape[axis] - 1
        y = sum(tap * np.take(padded, np.arange(t, t + size), axis) for t, tap in enumerate(taps))
    return y


def test_wide_layers_keep_their_precision_and_are_the_only_ones_up_sampled_by_phases(monkeypatch):
    x = jax.random.normal(jax.random.key(0), (1, 4, 4, 128), jnp.bfloat16)
    monkeypatch.setattr(ops, "upsample_conv2d_merged", None)
    image = ops.upsample_conv2d(x, jnp.ones((3, 3, 128, 2), jnp.bfloat16), (1.0, 3.0, 3.0, 1.0))
    assert image.dtype == jnp.bfloat16 and image.shape == (1, 8, 8, 2)
    with pytest.raises(TypeError, match="not callable"):
        ops.upsample_conv2d(x[..., :127], jnp.ones((3, 3, 127, 2), jnp.bfloat16), (1.0, 3.0, 3.0, 1.0))
