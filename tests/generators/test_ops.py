"""The operations of several generators compute their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.generators import ops


@pytest.mark.parametrize("taps", [(1.0, 3.0, 3.0, 1.0), (1.0, 1.0), (1.0, 2.0, 1.0), (1.0, 4.0, 2.0, 5.0, 3.0), (2.0,)])
def test_wide_layers_are_up_sampled_like_narrow_ones(taps):
    """Both functions equal zero insertion, correlation and filter in float64."""
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 3, 5, 4)), rng.standard_normal((3, 3, 4, 2))
    expected = _filtered(_correlated(x, weight), np.array(taps) * 2 / sum(taps))
    for way in (ops.upsample_conv2d_by_phases, ops.upsample_conv2d_merged):
        image = way(jnp.asarray(x, jnp.float32), jnp.asarray(weight, jnp.float32), taps)
        np.testing.assert_allclose(image, expected, atol=1e-5)


def _correlated(x, weight):
    """Correlates zero-inserted images that have two zeros around them."""
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


def test_doubling_and_convolution_are_one_operation():
    """The result equals nearest neighbours and a correlation with zeros outside."""
    rng = np.random.default_rng(1)
    x, weight = rng.standard_normal((2, 3, 5, 4)), rng.standard_normal((3, 3, 4, 2))
    padded = np.pad(x.repeat(2, 1).repeat(2, 2), ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = sum(padded[:, r : r + 6, c : c + 10] @ weight[r, c] for r in range(3) for c in range(3))
    image = ops.doubled_conv2d(jnp.asarray(x, jnp.float32), jnp.asarray(weight, jnp.float32))
    np.testing.assert_allclose(image, expected, atol=1e-5)


def test_wide_layers_keep_their_precision_and_are_the_only_ones_up_sampled_by_phases(monkeypatch):
    x = jax.random.normal(jax.random.key(0), (1, 4, 4, 128), jnp.bfloat16)
    monkeypatch.setattr(ops, "upsample_conv2d_merged", None)
    image = ops.upsample_conv2d(x, jnp.ones((3, 3, 128, 2), jnp.bfloat16), (1.0, 3.0, 3.0, 1.0))
    assert image.dtype == jnp.bfloat16 and image.shape == (1, 8, 8, 2)
    with pytest.raises(TypeError, match="not callable"):
        ops.upsample_conv2d(x[..., :127], jnp.ones((3, 3, 127, 2), jnp.bfloat16), (1.0, 3.0, 3.0, 1.0))


@pytest.mark.parametrize("cutoff", [None, 0, 2, 3])
def test_truncation_keeps_a_share_of_the_distance_to_the_mean(cutoff):
    """One program serves every psi and cutoff; it matches float64."""
    rng = np.random.default_rng(0)
    latents, mean = rng.standard_normal((2, 3, 4)), rng.standard_normal(4)
    inputs, traces = (jnp.asarray(latents, jnp.float32), jnp.asarray(mean, jnp.float32)), []

    @jax.jit
    def truncate(psi, cutoff):
        traces.append(psi)
        return ops.truncate(*inputs, psi, cutoff)

    for psi in (0.0, 0.3, 0.7, 1.0, 1.5):
        expected = np.array(latents)
        expected[:, :cutoff] = mean + psi * (latents[:, :cutoff] - mean)
        for truncated in (ops.truncate(*inputs, psi, cutoff), truncate(psi, cutoff)):
            np.testing.assert_allclose(truncated, expected, atol=1e-6)
    np.testing.assert_array_equal(truncate(1.0, cutoff), inputs[0])
    np.testing.assert_array_equal(ops.truncate(*inputs, 1.0, cutoff), inputs[0])
    if cutoff is not None:
        np.testing.assert_array_equal(truncate(0.5, cutoff)[:, cutoff:], inputs[0][:, cutoff:])
        truncate(0.5, cutoff + 1)
    assert len(traces) == 1


@pytest.mark.parametrize("up", [2, 3, 4])
@pytest.mark.parametrize("before", [-5, 0, 3])
def test_up_sampling_is_zero_insertion_and_correlation(up, before):
    """The second filter has fewer taps than some layers have phases."""
    rng = np.random.default_rng(0)
    x, size = rng.standard_normal((2, 6, 3)), 6 * up - 2
    for count in (7, 2):
        taps = rng.standard_normal(count)
        inserted = np.zeros((2, 12 * up + 12, 3))
        inserted[:, 6 : 6 + 6 * up : up] = x
        start = 6 - before
        expected = sum(tap * up * inserted[:, start + k : start + k + size] for k, tap in enumerate(taps))
        found = ops.upsample_axis(jnp.asarray(x, jnp.float32), taps, up=up, before=before, size=size, axis=1)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_batch_norm_is_its_definition_in_the_type_of_its_input():
    rng = np.random.default_rng(0)
    x, mean, variance, bias = rng.standard_normal((2, 3, 3, 4)), *np.abs(rng.standard_normal((3, 4)))
    gain = rng.standard_normal((2, 1, 1, 4))
    expected = gain * (x - mean) / np.sqrt(variance + 0.1) + bias
    as32 = [jnp.asarray(array, jnp.float32) for array in (x, mean, variance, gain, bias)]
    np.testing.assert_allclose(ops.batch_norm(*as32, 0.1), expected, rtol=1e-4, atol=1e-5)
    assert ops.batch_norm(as32[0].astype(jnp.bfloat16), *as32[1:], 0.1).dtype == jnp.bfloat16
