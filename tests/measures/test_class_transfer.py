"""Transfer: equal effects correlate, independent ones do not, and the interval is as
wide as the noise.
"""

import numpy as np

from ganspace_jax.measures import class_transfer


def _changes(effect, noise, num_images, seed):
    return effect[:, None, :] + noise * np.random.default_rng(seed).standard_normal(
        (len(effect), num_images, effect.shape[1])
    )


EFFECT = np.random.default_rng(0).standard_normal((5, 10))


def test_equal_effects_transfer_and_opposite_ones_do_the_contrary():
    same = class_transfer.between(_changes(EFFECT, 0.1, 200, 1), _changes(2.0 * EFFECT, 0.1, 300, 2))
    assert np.all(same.correlation > 0.99) and np.all(same.low > 0.98)
    opposite = class_transfer.between(_changes(EFFECT, 0.1, 200, 1), _changes(-EFFECT, 0.1, 200, 2))
    assert np.all(opposite.high < -0.98)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Over data sets: the correlation of the true effects lies in nearly all intervals,
    and these are not all wide.
    """
    other = 0.6 * EFFECT + 0.8 * np.random.default_rng(9).standard_normal(EFFECT.shape)
    truth = np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(EFFECT, other, strict=True)])
    inside, widths = [], []
    for seed in range(20):
        found = class_transfer.between(_changes(EFFECT, 2.0, 100, seed), _changes(other, 2.0, 100, 1000 + seed))
        # The noise of the means draws correlations towards 0, by less than its share of
        # the variance.
        inside.append((found.low - 0.06 <= truth) & (truth <= found.high + 0.06))
        widths.append(found.high - found.low)
    assert np.mean(inside) > 0.88
    assert 0.02 < np.mean(widths) < 0.5


def test_factors_that_do_not_show_are_left_out():
    source, target = _changes(EFFECT, 0.1, 50, 1), _changes(EFFECT, 0.1, 60, 2)
    without = class_transfer.between(source[..., :9], target[..., :9])
    target[..., 9] = np.nan
    source[:, ::2, 9] = 100.0
    np.testing.assert_array_equal(class_transfer.between(source, target).correlation, without.correlation)


def test_no_effect_no_correlation():
    nothing = np.zeros((2, 10, 4))
    np.testing.assert_array_equal(class_transfer.between(nothing, nothing).correlation, 0.0)
