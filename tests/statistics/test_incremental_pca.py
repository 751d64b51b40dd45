"""Incremental PCA is exact with all rows, and accurate for falling variances."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.statistics import cross_moments, incremental_pca

NUM_SAMPLES, DIMENSION = 600, 12


@pytest.fixture(scope="module")
def data():
    """Returns samples y, the latents z that they depend on, and a fixed block.

    The variances of y fall, and its mean is far from zero.
    """
    generator = np.random.default_rng(0)
    z = generator.standard_normal((NUM_SAMPLES, 3)).astype(np.float32)
    stdevs = 2.0 ** -np.arange(DIMENSION)
    rotation = np.linalg.qr(generator.standard_normal((DIMENSION, DIMENSION)))[0]
    y = (generator.standard_normal((NUM_SAMPLES, DIMENSION)) * stdevs + z @ np.eye(3, DIMENSION)) @ rotation + 5.0
    return y.astype(np.float32), z, jnp.asarray(generator.standard_normal((2, DIMENSION)), jnp.float32)


def _streamed(data, num_rows, sizes):
    y, z, block = data
    state, first = incremental_pca.init(DIMENSION, num_rows, 5), 0
    for size in sizes:
        rows = slice(first, first + size)
        pad = [(0, 3), (0, 0)]  # padding of weight 0
        weight = jnp.concatenate([jnp.ones(size), jnp.zeros(3)])
        state = incremental_pca.update(
            state, jnp.pad(y[rows], pad), jnp.pad(z[rows], pad, constant_values=7.0), weight, block
        )
        first += size
    return incremental_pca.to_float64(state)


def _exact(y):
    centred = y.astype(np.float64) - y.astype(np.float64).mean(0)
    return centred.T @ centred


def test_with_all_rows_the_state_gives_the_scatter(data):
    state = _streamed(data, DIMENSION, [100, 1, 250, 249])
    np.testing.assert_allclose(state.rows.T @ state.rows, _exact(data[0]), rtol=1e-4, atol=1e-2)


def test_the_leading_directions_survive_truncation(data):
    """A state of six of twelve rows is tested in batches of two kinds.

    The first three directions are within a hundredth of a radian of the truth.
    """
    variances, vectors = np.linalg.eigh(_exact(data[0]))
    for sizes in ([100] * 6, [7, 193, 400]):
        rows = _streamed(data, 6, sizes).rows[:3]
        leading = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        outside = leading - leading @ vectors[:, -3:] @ vectors[:, -3:].T
        assert np.linalg.norm(outside, 2) < 0.01
        np.testing.assert_allclose(np.sum(rows**2, 1), variances[::-1][:3], rtol=1e-3)


def test_the_sketch_is_exact(data):
    y, z, block = data
    sketch = _streamed(data, 4, [200] * 3).sketch
    short = np.concatenate([y @ block.T, z], axis=1).astype(np.float64)
    assert sketch.count == NUM_SAMPLES
    np.testing.assert_allclose(sketch.mean, y.mean(0, np.float64), rtol=1e-5)
    np.testing.assert_allclose(
        sketch.cross / (NUM_SAMPLES - 1), np.cov(y.T, short.T)[DIMENSION:, :DIMENSION], atol=1e-3
    )
    np.testing.assert_allclose(sketch.power, np.trace(_exact(y)), rtol=1e-5)


def test_merging_equals_streaming(data):
    y, z, block = data
    parts = [
        _streamed((y[start : start + 200], z[start : start + 200], block), DIMENSION, [200])
        for start in range(0, NUM_SAMPLES, 200)
    ]
    merged = functools.reduce(incremental_pca.merge, parts)
    whole = _streamed(data, DIMENSION, [200] * 3)
    np.testing.assert_allclose(merged.rows.T @ merged.rows, whole.rows.T @ whole.rows, rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(merged.sketch.mean, whole.sketch.mean, rtol=1e-6)
    assert isinstance(merged.sketch, cross_moments.Float64Sketch)
