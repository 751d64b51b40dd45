"""The percentile interval: its definition, its coverage, and degenerate samples."""

import math

import numpy as np
import pytest
import scipy.stats

from ganspace_jax.statistics import bootstrap


def _mean(sample):
    return sample.mean(0)


def test_the_bounds_are_percentiles_over_resampled_rows():
    """All arrays draw indices from one random stream, in their order."""
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((9, 2)), rng.standard_normal((5, 2))
    draws = np.random.default_rng(7)
    ratios = []
    for _ in range(50):
        rows_a = draws.integers(0, 9, 9)
        rows_b = draws.integers(0, 5, 5)
        ratios.append(np.exp(a[rows_a]).mean(0) / np.exp(b[rows_b]).mean(0))
    low, high = bootstrap.percentile_interval(
        lambda x, y: np.exp(x).mean(0) / np.exp(y).mean(0), [a, b], num_resamples=50, seed=7
    )
    np.testing.assert_array_equal(low, np.percentile(ratios, 2.5, axis=0))
    np.testing.assert_array_equal(high, np.percentile(ratios, 97.5, axis=0))


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_interval_of_a_normal_mean_covers_the_truth_as_often_as_theory_predicts(level):
    """The bootstrap distribution of the mean is nearly normal with variance s_0^2 / n.

    s_0^2 is the sample variance with divisor n. Student's t then gives the exact
    coverage, which is slightly below the level. Every column is one data set.
    """
    count = 30
    samples = 5.0 + np.random.default_rng(0).standard_normal((count, 2500))
    low, high = bootstrap.percentile_interval(_mean, [samples], num_resamples=600, level=level)
    quantile = scipy.stats.norm.ppf(0.5 + level / 2) * math.sqrt((count - 1) / count)
    expected = 1 - 2 * scipy.stats.t.sf(quantile, count - 1)
    assert abs(np.mean((low < 5.0) & (high > 5.0)) - expected) < 0.02
    assert abs(np.mean(low > 5.0) - np.mean(high < 5.0)) < 0.02  # both sides miss equally often


def test_arrays_are_resampled_independently():
    """The difference of a sample and its copy varies with variance 2 s^2 / n."""
    sample = np.random.default_rng(0).standard_normal(400)
    low, high = bootstrap.percentile_interval(lambda x, y: x.mean() - y.mean(), [sample, sample])
    np.testing.assert_allclose((high - low) / 2, 1.96 * sample.std() * math.sqrt(2 / 400), rtol=0.1)


def test_rows_of_one_array_stay_whole():
    """Two columns that are equal in every row are equal in every resample."""
    column = np.random.default_rng(0).standard_normal(20)
    sample = np.stack([column, column], axis=1)
    low, high = bootstrap.percentile_interval(lambda x: np.abs(x[:, 0] - x[:, 1]).max(), [sample])
    assert low == high == 0.0


@pytest.mark.parametrize("sample", [np.full((6, 2, 3), 4.25), np.full((1, 2, 3), 4.25)])
def test_equal_rows_give_an_interval_of_width_zero(sample):
    low, high = bootstrap.percentile_interval(_mean, [sample], num_resamples=20)
    np.testing.assert_array_equal(low, np.full((2, 3), 4.25))
    np.testing.assert_array_equal(high, np.full((2, 3), 4.25))


def test_an_array_without_rows_is_refused():
    with pytest.raises(ValueError, match=r"samples have \[3, 0\] rows"):
        bootstrap.percentile_interval(lambda x, y: 0.0, [np.zeros(3), np.zeros((0, 2))])


def test_the_seed_alone_decides_the_interval():
    sample = np.random.default_rng(0).standard_normal((25, 4))
    first, again, other = (
        bootstrap.percentile_interval(_mean, [sample], num_resamples=40, seed=seed) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert (first.low != other.low).all()


def test_a_nested_interval_draws_groups_then_rows():
    draws, random = [], np.random.default_rng(3)
    groups = [[np.arange(5.0), np.ones(2)], [10.0 + np.arange(4.0), np.ones(3)]]
    for _ in range(40):
        means = []
        for number in random.integers(0, 2, 2):
            first, second = (one[random.integers(0, len(one), len(one))] for one in groups[number])
            means.append(first.mean() * second.sum())
        draws.append(np.mean(means))
    low, high = bootstrap.nested_interval(lambda x, y: x.mean() * y.sum(), groups, num_resamples=40, seed=3)
    np.testing.assert_allclose([low, high], np.percentile(draws, [2.5, 97.5]))


def test_a_nested_interval_counts_the_variance_between_groups_and_within():
    random = np.random.default_rng(0)
    offsets = 3 * random.standard_normal(60)
    groups = [[offset + random.standard_normal(8)] for offset in offsets]
    low, high = bootstrap.nested_interval(np.mean, groups)
    np.testing.assert_allclose((high - low) / 2, 1.96 * math.sqrt((9 + 1 / 8) / 60), rtol=0.25)
    flat = [[np.full(8, 2.0) + np.arange(8)]]  # one group: the plain bootstrap
    low, high = bootstrap.nested_interval(np.mean, flat)
    np.testing.assert_allclose((high - low) / 2, 1.96 * np.arange(8).std() / math.sqrt(8), rtol=0.1)
