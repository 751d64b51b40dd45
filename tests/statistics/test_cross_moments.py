"""Sketches: streaming equals float64 NumPy, whatever the batches; merging and removing undo one another."""

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
    """In batches of `size`, the last one padded with what must not count."""
    state, padded = cross_moments.init(SIZE, BLOCK + 2, CROSSED), -len(y) % size
    y, z = (np.pad(x, ((0, padded), (0, 0)), constant_values=1e6).astype(np.float32) for x in (y, z))
    weight = np.float32(np.arange(len(y)) < len(y) - padded)
    for rows in np.split(np.arange(len(y)), len(y) // size):
        state = cross_moments.update(
            state, *(jnp.asarray(x[rows]) for x in (y, z, weight)), jnp.asarray(block, jnp.float32)
        )
    return cross_moments.to_float64(state)


def test_streaming_equals_numpy_in_batches_of_any_size():
    y, z, block = _samples()
    short = np.concatenate([y @ block.T, z], axis=1)
    centred, short_centred = y - y.mean(0), short - short.mean(0)
    for size in (7, 60):
        found = _streamed(y, z, block, size)
        assert found.count == COUNT
        np.testing.assert_allclose(found.mean, y.mean(0), rtol=1e-5)
        np.testing.assert_allclose(found.short_mean, short.mean(0), rtol=1e-5)
        np.testing.assert_allclose(found.cross, short_centred[:, :CROSSED].T @ centred, rtol=1e-4, atol=1e-2)
        np.testing.assert_allclose(found.short_scatter, short_centred.T @ short_centred, rtol=1e-4, atol=1e-2)
        np.testing.assert_allclose(found.power, np.sum(centred**2), rtol=1e-5)


def test_removing_undoes_merging():
    y, z, block = _samples()
    parts = [_streamed(y[rows], z[rows], block, 10) for rows in (slice(0, 20), slice(20, 35), slice(35, None))]
    total = functools.reduce(cross_moments.merge, parts)
    for mine, whole in zip(total, _streamed(y, z, block, 60), strict=True):
        np.testing.assert_allclose(mine, whole, rtol=1e-4, atol=1e-2)
    back = cross_moments.remove(total, parts[1])
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-8),
        back,
        cross_moments.merge(parts[0], parts[2]),
    )
