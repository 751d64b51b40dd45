"""Factors of scenes: samples have the stated ranges, and are independent."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.scenes.factors import (
    CONTINUOUS,
    RANGES,
    SHAPES,
    SHOWS_ROTATION,
    parse_fixed,
    parse_tied,
    restrict,
    sample_factors,
    shows_rotation,
)


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


def test_fixed_factors_are_constant_and_tied_factors_follow():
    independent = sample_factors(jax.random.key(1), 50)
    limits = parse_fixed(["light_intensity=0.7"]), parse_tied(["horizontal=light_direction"])
    limited = restrict(independent, *limits)
    np.testing.assert_array_equal(limited.light_intensity, np.float32(0.7))
    np.testing.assert_allclose(limited.light_direction, limited.horizontal / 0.75 * 1.1, atol=1e-5)
    same = set(CONTINUOUS) - {"light_intensity", "light_direction"}
    for name in (*same, "shape"):
        np.testing.assert_array_equal(getattr(limited, name), getattr(independent, name))


@pytest.mark.parametrize(
    ("parse", "text", "said"),
    [
        (parse_fixed, "size=2", "--fixed_factors=size=2: the value must be a number from 0.6 to 0.95"),
        (parse_fixed, "size", "--fixed_factors=size: the value must be a number"),
        (parse_fixed, "sise=0.7", "--fixed_factors=sise=0.7: 'sise' is no factor; did you mean 'size'"),
        (parse_tied, "size", "--tied_factors=size: '' is no factor"),
        (parse_tied, "size=size", "--tied_factors=size=size: must be two factors"),
    ],
)
def test_wrong_limits_are_named(parse, text, said):
    with pytest.raises(InputError, match=re.escape(said)):
        parse([text])


def test_rotation_shows_for_the_named_shapes():
    shows = shows_rotation(jnp.arange(len(SHAPES)))
    assert [name for name, shown in zip(SHAPES, shows, strict=True) if shown] == list(SHOWS_ROTATION)
