"""Walks of images, for a reader whose values are known at every step."""

import numpy as np
import pytest

from ganspace_jax.measures import walks
from ganspace_jax.measures.scorers import Scorer

SCORER = Scorer(("turn", "other", "kind"), np.array([0.25, 1.0, 1.0]), (1.0, None, None), ("kind",),
                read=lambda images: images)  # fmt: skip
SIGNS = np.array([1.0, -1.0])  # the turn of the second image falls with its latent


def read(latents):
    x = latents[:, 0, 0]
    return np.stack([(SIGNS * x) % 1.0, 2.0 * x, np.abs(x) > 0.9], axis=1)


def test_a_walk_counts_turns_beyond_a_period_and_sums_all_else():
    x = np.arange(0.0, 1.5, 0.2)
    walked = walks.walk(read, SCORER, 0, np.broadcast_to(x[:, None, None, None], (len(x), 2, 1, 1)))
    np.testing.assert_allclose(walked.gone, x[:, None] * SIGNS / 0.25, atol=1e-9)
    np.testing.assert_allclose(walked.others, np.tile(4 * x[:, None] ** 2, 2), atol=1e-9)
    np.testing.assert_array_equal(walked.flips, np.tile(x[:, None] > 0.9, 2))


def test_a_straight_line_goes_to_the_side_on_which_the_value_rises():
    walked = walks.straight_line(read, SCORER, 0, np.zeros((2, 1, 1), np.float32), np.full((1, 1), 0.4))
    reach = 0.4 * walks.LINEAR_REACH / 0.25
    np.testing.assert_allclose(walked.gone[-1], reach, rtol=1e-5)


def test_an_arrival_is_the_first_image_that_is_near_enough():
    x = np.array([0.0, 0.2, 0.49, 1.0])  # a change of 2 standard deviations is 0.5 turns
    walked = walks.walk(read, SCORER, 0, np.broadcast_to(x[:, None, None, None], (4, 2, 1, 1)))
    one = walks.arrival(walked, 2.0)
    assert one.arrived == 0.5  # the second image turns the other way
    assert one.others == pytest.approx(2 * 0.49) and one.purity == pytest.approx(4 / (4 + 0.98**2)) and one.flips == 0
    nobody = walks.arrival(walked, 9.0)
    assert nobody.arrived == 0.0 and np.isnan(nobody.purity)
