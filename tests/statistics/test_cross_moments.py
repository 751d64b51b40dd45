"""Sketches of streams equal float64 NumPy; removing undoes merging."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.statistics import cross_moments

COUNT, SIZE, BLOCK, CROSSED = 60, 7, 3, 4


def _samples():
    rng = np.random.default_rng(0)
    y = 50.0 + rng.standard_normal((COUNT, SIZE)) @ rng.standard_normal((SIZE, SIZE))  # far from the origin
    z = rng.standard_normal((COUNT, 2)) + y[:, :2]
    return y, z, np.linalg.qr(rng.standard_normal((SIZE, BLOCK)))[0].T


def _streamed(y, z, block, size):
    """Returns the sketch from batches of `size`, the last of them padded."""
    state, num_padded = cross_moments.init(SIZE, BLOCK + 2, CROSSED), -len(y) % size
    y, z = (np.pad(x, ((0, num_padded), (0, 0)), constant_values=1e6).astype(np.float32) for x in (y, z))
    weight = np.float32(np.arange(len(y)) < len(y) - num_padded)
    for rows in np.split(np.arange(len(y)), len(y) // size):
        state = cross_moments.update(
            state, *(jnp.asarray(x[rows]) for x in (y, z, weight)), jnp.asarray(block, jnp.float32)
        )
    return cross_moments.to_float64(state)


def _in_float64(y, z, block):
    short = np.concatenate([y @ block.T, z], axis=1)
    centred, short_centred = y - y.mean(0), short - short.mean(0)
    return cross_moments.Float64Sketch(
        count=np.asarray(float(len(y))),
        mean=y.mean(0),
        short_mean=short.mean(0),
        cross=short_centred[:, :CROSSED].T @ centred,
        short_scatter=short_centred.T @ short_centred,
        power=np.sum(centred**2),
    )


def test_streaming_equals_numpy_in_batches_of_any_size():
    y, z, block = _samples()
    expected = _in_float64(y, z, block)
    for size in (7, 60):
        sketch = _streamed(y, z, block, size)
        assert sketch.count == COUNT
        np.testing.assert_allclose(sketch.mean, expected.mean, rtol=1e-5)
        np.testing.assert_allclose(sketch.short_mean, expected.short_mean, rtol=1e-5)
        np.testing.assert_allclose(sketch.cross, expected.cross, rtol=1e-4, atol=1e-2)
        np.testing.assert_allclose(sketch.short_scatter, expected.short_scatter, rtol=1e-4, atol=1e-2)
        np.testing.assert_allclose(sketch.power, expected.power, rtol=1e-5)


def test_remove_leaves_the_sketch_of_the_kept_samples():
    """The jackknife removes a group in float64. The formula of merge holds for it."""
    y, z, block = _samples()
    for kept in (5, 45):
        sketch = cross_moments.remove(_in_float64(y, z, block), _in_float64(y[kept:], z[kept:], block))
        for mine, expected in zip(sketch, _in_float64(y[:kept], z[:kept], block), strict=True):
            np.testing.assert_allclose(mine, expected, rtol=1e-10, atol=1e-9)


def test_removing_undoes_merging():
    y, z, block = _samples()
    parts = [_streamed(y[rows], z[rows], block, 10) for rows in (slice(0, 20), slice(20, 35), slice(35, None))]
    total = functools.reduce(cross_moments.merge, parts)
    for mine, whole in zip(total, _streamed(y, z, block, 60), strict=True):
        np.testing.assert_allclose(mine, whole, rtol=1e-4, atol=1e-2)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-8),
        cross_moments.remove(total, parts[1]),
        cross_moments.merge(parts[0], parts[2]),
    )
