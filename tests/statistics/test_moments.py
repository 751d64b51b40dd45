"""Streaming moments equal float64 NumPy; merging and removing follow their algebra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.statistics import moments


def _samples(count, dimension=5, seed=0):
    generator = np.random.default_rng(seed)
    mixing = generator.standard_normal((dimension, dimension))
    return generator.standard_normal((count, dimension)) @ mixing + 100.0  # far from zero: naive sums would lose digits


def _of(samples):
    return moments.update(
        moments.init(samples.shape[1]), jnp.asarray(samples, jnp.float32), jnp.ones(len(samples), jnp.float32)
    )


def _in_float64(samples):
    centred = samples - samples.mean(0)
    return moments.Float64Moments(np.asarray(float(len(samples))), samples.mean(0), centred.T @ centred)


def test_moments_equal_numpy():
    samples = _samples(3000).astype(np.float32).astype(np.float64)
    state = moments.init(5)
    update = jax.jit(moments.update)
    for first in range(0, 3000, 100):
        state = update(state, jnp.asarray(samples[first : first + 100], jnp.float32), jnp.ones(100))
    covariance = moments.covariance(moments.to_float64(state))
    np.testing.assert_allclose(covariance, np.cov(samples.T), rtol=1e-5, atol=1e-5 * np.abs(covariance).max())
    np.testing.assert_allclose(state.mean, samples.mean(0), rtol=1e-6)


@pytest.mark.parametrize("dimension", [1, 3, 4, 23])
def test_the_scatter_is_whole_in_every_dimension(dimension):
    samples = _samples(40, dimension).astype(np.float32).astype(np.float64)
    state = moments.to_float64(_of(samples))
    expected = _in_float64(samples).scatter
    np.testing.assert_allclose(state.scatter, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_array_equal(state.scatter, state.scatter.T)


def test_merge_is_associative_and_commutative():
    a, b, c = (_of(_samples(n, seed=n)) for n in (7, 50, 400))
    left = moments.merge(moments.merge(a, b), c)
    right = moments.merge(c, moments.merge(b, a))
    for x, y in zip(left, right, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-2)
    assert float(left.count) == 457


@pytest.mark.parametrize("kept", [300, 40, 3])
def test_remove_leaves_the_moments_of_the_kept_samples(kept):
    """The jackknife removes a group in float64. The formula of merge holds for it."""
    samples = np.concatenate([_samples(kept, seed=1), _samples(340 - kept, seed=2) + 3.0])
    state = moments.remove(_in_float64(samples), _in_float64(samples[kept:]))
    expected = _in_float64(samples[:kept])
    assert state.count == kept
    np.testing.assert_allclose(state.mean, expected.mean, rtol=1e-12)
    np.testing.assert_allclose(state.scatter, expected.scatter, rtol=1e-9, atol=1e-9)


def test_remove_undoes_merge_on_a_device():
    a, b = (_of(_samples(n, seed=n)) for n in (300, 40))
    state = moments.remove(moments.merge(a, b), b)
    assert isinstance(state, moments.Moments)
    for x, y in zip(state, a, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=2e-2)


def test_zero_vectors_are_the_neutral_element():
    a = _of(_samples(9))
    for merged in (moments.merge(a, moments.init(5)), moments.merge(moments.init(5), a)):
        for x, y in zip(merged, a, strict=True):
            np.testing.assert_array_equal(x, y)


def test_padding_is_ignored():
    samples = _samples(10).astype(np.float32)
    padded = np.concatenate([samples, np.full((6, 5), 7.0, np.float32)])
    weight = jnp.asarray([1.0] * 10 + [0.0] * 6)
    state = moments.update(moments.init(5), jnp.asarray(padded), weight)
    for x, y in zip(state, _of(samples), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-4)
