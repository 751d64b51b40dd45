"""Scenes that move sideways by a known number of pixels."""

import jax.numpy as jnp
import numpy as np

from ganspace_jax.scenes import moved_scenes, rendering
from ganspace_jax.scenes.factors import RANGES


def _column(factors, number, fine=512):
    """Returns the column at which a ray meets the middle of an object, of 32 pixels."""
    one = type(factors)(*(np.asarray(field)[number] for field in factors))
    origin, directions = rendering._camera_rays(jnp.asarray(one.camera_height), fine)
    away = np.array([one.horizontal, one.size, one.depth]) - np.asarray(origin)[:, 0, 0]
    directions = np.asarray(directions, np.float64)
    cosine = np.einsum("i,ijk->jk", away, directions) / np.linalg.norm(directions, axis=0)
    return (np.unravel_index(cosine.argmax(), cosine.shape)[1] + 0.5) * 32 / fine


def test_objects_move_by_the_pixels_asked_for_along_the_renderers_rays():
    factors, side = moved_scenes.draw(6, 8.0, 32, seed=2)
    after = moved_scenes.move(factors, 8.0 * side, 32)
    moved = [_column(after, k) - _column(factors, k) for k in range(6)]
    np.testing.assert_allclose(moved, 8.0 * np.array([-1, 1] * 3), atol=0.13)  # two rays
    low, high = RANGES["horizontal"]
    for one in (factors, after):
        assert (np.asarray(one.horizontal) >= low).all() and (np.asarray(one.horizontal) <= high).all()


def test_the_frame_cuts_most_objects_at_its_edge():
    factors, side = moved_scenes.draw_cut(8, 32, seed=3)
    pixels = np.asarray(moved_scenes.pixels_per_unit(factors, 32))
    nearest = 16 + pixels * np.asarray(factors.horizontal) * side - pixels * np.asarray(factors.size)
    assert (nearest < 2).all() and (nearest < 0).mean() > 0.5
    for name in ("size", "depth", "horizontal"):
        low, high = RANGES[name]
        values = np.asarray(getattr(factors, name))
        assert (values >= low).all() and (values <= high).all()
