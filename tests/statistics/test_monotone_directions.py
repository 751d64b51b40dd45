"""statistics/monotone_directions: a planted direction and curve are found from
differences.
"""

import numpy as np

from ganspace_jax.statistics import monotone_curves, monotone_directions

SIZE = 6
DIRECTION = np.array([3.0, -1.0, 0.0, 2.0, 0.5, 0.0]) / np.linalg.norm([3.0, -1.0, 0.0, 2.0, 0.5, 0.0])


def _pairs(count, curve):
    random = np.random.default_rng(0)
    before = random.normal(size=(count, SIZE))
    after = before + 0.7 * random.normal(size=(count, SIZE))
    return before, after, curve(after @ DIRECTION) - curve(before @ DIRECTION)


def _saturating(x):
    return 2.0 * np.clip(x, -0.75, 0.75)  # corners at knots of 9


def test_a_planted_direction_and_its_curve_are_found():
    before, after, change = _pairs(600, _saturating)
    found = monotone_directions.fit(before, after, change)
    assert found.unit @ DIRECTION > 0.995
    assert found.error < 0.1 * np.std(change)
    x = np.array([-1.5, -0.75, 0.0, 0.75, 1.5])
    np.testing.assert_allclose(monotone_curves.evaluate(found.curve, x), _saturating(x), atol=0.15)


def test_the_worst_tenth_of_the_pairs_is_dropped():
    before, after, change = _pairs(600, lambda x: x)
    spoilt = change.copy()
    spoilt[::12] += 20.0
    found = monotone_directions.fit(before, after, spoilt, 2)
    assert found.unit @ DIRECTION > 0.98 and found.error < 0.3


def test_a_curve_with_knots_explains_more_than_a_line():
    pairs = _pairs(400, _saturating)
    assert monotone_directions.fit(*pairs).error < 0.5 * monotone_directions.fit(*pairs, 2).error
