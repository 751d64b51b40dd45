"""Sprites: exact pictures of moving shapes."""

import numpy as np
import pytest

from ganspace_jax.scenes import sprites


@pytest.mark.parametrize("shape", sprites.SHAPES)
def test_a_shift_by_whole_pixels_is_a_roll(shape):
    images = sprites.draw(shape, np.array([13.3, 18.3]), y=15.7, half_height=5.4)
    np.testing.assert_allclose(images[1], np.roll(images[0], 5, axis=1), atol=1e-5)
    assert np.abs(images[1] - images[0]).max() > 1.9


@pytest.mark.parametrize(("shape", "area"), [("square", 4.0), ("disc", np.pi), ("diamond", 2.0), ("triangle", 2.0)])
def test_pixels_sum_to_the_area_of_the_shape_at_any_fraction_of_a_pixel(shape, area):
    images = sprites.draw(shape, 16.0 + np.array([0.0, 0.2, 0.71]), y=16.0, half_height=6.0)
    covered = 0.5 * (images[..., 0].astype(np.float64) + 1.0)
    np.testing.assert_allclose(covered.sum((1, 2)), area * 36.0, rtol=2e-3)
    middle = (covered * (np.arange(32) + 0.5)).sum((1, 2)) / covered.sum((1, 2))
    np.testing.assert_allclose(middle, [16.0, 16.2, 16.71], atol=5e-3)


def test_half_of_the_sprites_moves_to_each_side_and_all_stay_in_the_frame():
    images = sprites.moved(16, np.array([0.0, 8.0]))
    covered = 0.5 * (images[..., 0].astype(np.float64) + 1.0)
    middle = (covered * np.arange(32)).sum((2, 3)) / covered.sum((2, 3))
    np.testing.assert_allclose(middle[1] - middle[0], np.tile([-8.0, 8.0], 8), atol=1e-2)
    np.testing.assert_allclose(covered[0].sum((1, 2)), covered[1].sum((1, 2)), rtol=1e-5)
