"""Streaming moments against float64 NumPy, and the algebra of merging."""

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


def test_moments_are_those_of_numpy():
    samples = _samples(3000).astype(np.float32).astype(np.float64)
    state = moments.init(5)
    update = jax.jit(moments.update)
    for first in range(0, 3000, 100):
        state = update(state, jnp.asarray(samples[first : first + 100], jnp.float32), jnp.ones(100))
    covariance = moments.covariance(moments.to_float64(state))
    np.testing.assert_allclose(covariance, np.cov(samples.T), rtol=1e-5, atol=1e-5 * np.abs(covariance).max())
    np.testing.assert_allclose(state.mean, samples.mean(0), rtol=1e-6)


@pytest.mark.parametrize("dimension", [1, 3, 4, 23])
def test_the_scatter_is_whole_whatever_the_dimension(dimension):
    samples = _samples(40, dimension).astype(np.float32).astype(np.float64)
    found = moments.to_float64(_of(samples))
    centred = samples - samples.mean(0)
    expected = centred.T @ centred
    np.testing.assert_allclose(found.scatter, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_array_equal(found.scatter, found.scatter.T)


def test_merge_is_associative_and_commutative():
    a, b, c = (_of(_samples(n, seed=n)) for n in (7, 50, 400))
    left = moments.merge(moments.merge(a, b), c)
    right = moments.merge(c, moments.merge(b, a))
    for x, y in zip(left, right, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-2)
    assert float(left.count) == 457


def test_remove_undoes_merge():
    """In float64, where the jackknife uses it."""
    a, b = (moments.to_float64(_of(_samples(n, seed=n))) for n in (300, 40))
    rest = moments.remove(moments.merge(a, b), b)
    for x, y in zip(rest, a, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-6)


def test_nothing_is_the_neutral_element():
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
