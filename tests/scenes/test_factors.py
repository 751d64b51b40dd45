"""Factors of scenes: samples have the stated ranges, and are independent."""

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.scenes.factors import CONTINUOUS, RANGES, SHAPES, SHOWS_ROTATION, sample_factors, shows_rotation


def test_samples_are_in_range_and_independent():
    factors = sample_factors(jax.random.key(0), 4000)
    for name, (low, high) in RANGES.items():
        values = np.asarray(getattr(factors, name))
        assert values.min() >= low and values.max() <= high
        deciles = (np.percentile(values, [10, 90]) - low) / (high - low)
        np.testing.assert_allclose(deciles, [0.1, 0.9], atol=0.05)
    correlations = np.corrcoef(np.stack([np.asarray(getattr(factors, name)) for name in CONTINUOUS]))
    assert np.abs(correlations - np.eye(len(correlations))).max() < 0.08
    assert np.bincount(factors.shape, minlength=len(SHAPES)).min() > 500


def test_rotation_shows_for_the_named_shapes():
    shows = shows_rotation(jnp.arange(len(SHAPES)))
    assert [name for name, shown in zip(SHAPES, shows, strict=True) if shown] == list(SHOWS_ROTATION)
