"""Scorers: changes against their definition, with an invented scorer."""

import numpy as np
import pytest

from ganspace_jax.measures import scorers
from ganspace_jax.measures.scorers import Scorer

NAMES = ("kind", "width", "angle")
SCORER = Scorer(NAMES, np.array([1.0, 0.5, 45.0]), (None, None, 90.0), ("kind",), lambda images: np.zeros((0, 3)))


def _changes(before, after):
    return scorers.changes(SCORER, np.array(before, np.float64), np.array(after, np.float64))


def test_a_change_is_in_standard_deviations():
    np.testing.assert_array_equal(_changes([[0, 1.0, 10.0]], [[0, 1.25, 55.0 - 9.0]]), [[0.0, 0.5, 0.8]])


@pytest.mark.parametrize(
    ("before", "after", "way"), [(80.0, 10.0, 20.0), (10.0, 80.0, -20.0), (0.0, 180.0, 0.0), (5.0, 49.0, 44.0)]
)
def test_circular_values_go_the_shorter_way(before, after, way):
    np.testing.assert_allclose(_changes([[0, 0, before]], [[0, 0, after]])[0, 2], way / 45.0)


def test_a_category_changes_by_one_whatever_the_distance():
    found = _changes([[0, 0, 0], [0, 0, 0], [5, 0, 0]], [[1, 0, 0], [5, 0, 0], [5, 0, 0]])
    np.testing.assert_array_equal(found[:, 0], [1.0, 1.0, 0.0])


@pytest.mark.parametrize("column", [0, 1, 2])
def test_nan_on_either_side_stays_nan(column):
    with_nan = np.array([[1.0, 2.0, 3.0]])
    with_nan[0, column] = np.nan
    for found in (_changes(with_nan, [[0, 0, 0]]), _changes([[0, 0, 0]], with_nan), _changes(with_nan, with_nan)):
        np.testing.assert_array_equal(np.isnan(found[0]), np.arange(3) == column)
