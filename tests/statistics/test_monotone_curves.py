"""Monotone curves equal a general solver's fit, never fall, and invert."""

import numpy as np
import pytest
import scipy.optimize

from ganspace_jax.statistics import monotone_curves
from ganspace_jax.statistics.monotone_curves import Curve


@pytest.fixture(scope="module")
def samples():
    random = np.random.default_rng(0)
    x = random.normal(2.0, 3.0, 700)
    return x, np.tanh((x - 2.0) / 3.0) + 0.1 * random.normal(size=700)


def test_knots_are_even_and_reach_three_standard_deviations(samples):
    x, _ = samples
    for count, number in ((700, 9), (499, 5)):
        knots = monotone_curves.even_knots(x[:count])
        assert len(knots) == number
        np.testing.assert_allclose(np.ptp(knots), 6 * np.std(x[:count]))
        np.testing.assert_allclose(np.diff(knots, 2), 0, atol=1e-9)


def test_fit_is_the_best_curve_that_never_falls(samples):
    x, y = samples
    knots = monotone_curves.even_knots(x)
    curve = monotone_curves.fit(x, y, knots)
    hats = np.stack([np.interp(x, knots, row) for row in np.eye(len(knots))], axis=1)
    rises = np.tril(np.ones((len(knots), len(knots))))
    best = scipy.optimize.lsq_linear(hats @ rises, y, ([-np.inf] + [0] * 8, np.inf), tol=1e-14)
    np.testing.assert_allclose(curve.values, rises @ best.x, atol=1e-6)
    assert np.all(np.diff(monotone_curves.fit(x, -y, knots).values) >= 0)


def test_a_line_is_fitted_exactly():
    x = np.linspace(-3.0, 3.0, 50)
    curve = monotone_curves.fit(x, 2 * x + 5, np.linspace(-3.0, 3.0, 9))
    np.testing.assert_allclose(curve.values, 2 * curve.knots + 5, atol=1e-9)


def test_differences_give_the_curve_up_to_its_level(samples):
    x, _ = samples
    true = Curve(np.linspace(-9.0, 13.0, 9), np.array([0.0, 0.5, 0.5, 1.5, 4.0, 6.0, 6.2, 6.2, 7.0]))
    before, after = x[:350], x[350:]
    change = monotone_curves.evaluate(true, after) - monotone_curves.evaluate(true, before)
    found = monotone_curves.fit_differences(before, after, change, true.knots)
    level = monotone_curves.evaluate(true, np.zeros(1))
    seen = (true.knots > x.min()) & (true.knots < x.max())
    np.testing.assert_allclose(found.values[seen], true.values[seen] - level, atol=1e-6)
    assert abs(monotone_curves.evaluate(found, np.zeros(1))[0]) < 1e-9


def test_inversion_returns_the_coordinate_of_each_value():
    curve = Curve(np.arange(6.0), np.array([0.0, 0.0, 1.0, 1.0, 2.0, 2.0]))
    values = np.array([-1.0, 0.0, 0.25, 1.0, 1.5, 2.0, 9.0])
    np.testing.assert_allclose(monotone_curves.invert(curve, values), [1, 1, 1.25, 2.5, 3.5, 4, 4])
    level = Curve(np.arange(3.0), np.ones(3))
    assert np.isfinite(monotone_curves.invert(level, np.array([1.0, 2.0]))).all()
