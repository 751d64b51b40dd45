"""The renderer: its geometry, and that every factor does what its name states."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.scenes import rendering
from ganspace_jax.scenes.factors import CIRCULAR, CONTINUOUS, RANGES, SHAPES, SHOWS_ROTATION, Factors, sample_factors


@pytest.fixture(scope="module")
def render():
    return jax.jit(rendering.render, static_argnums=(1, 2))


@pytest.fixture(scope="module")
def middle():
    """A cube in the middle of the room, all factors in the middle of their ranges."""
    centre = {name: jnp.asarray((low + high) / 2, jnp.float32) for name, (low, high) in RANGES.items()}
    return Factors(shape=jnp.asarray(SHAPES.index("cube")), **centre)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_every_factor_changes_the_picture(render, middle, name):
    low, high = RANGES[name]
    other = middle._replace(**{name: jnp.asarray(low + 0.75 * (high - low), jnp.float32)})
    assert float(jnp.abs(render(middle, 32, 2) - render(other, 32, 2)).mean()) > 2e-3


@pytest.mark.parametrize("name", CIRCULAR)
def test_circular_factors_close(render, middle, name):
    low, high = RANGES[name]
    ends = [render(middle._replace(**{name: jnp.asarray(v, jnp.float32)}), 32, 2) for v in (low, high)]
    np.testing.assert_allclose(ends[0], ends[1], atol=2e-2)


@pytest.mark.parametrize("shape", SHAPES)
def test_rotation_shows_just_where_it_is_said_to(render, middle, shape):
    turned = [
        render(middle._replace(shape=jnp.asarray(SHAPES.index(shape)), rotation=jnp.asarray(angle)), 32, 2)
        for angle in (0.1, 0.6)
    ]
    difference = float(jnp.abs(turned[0] - turned[1]).mean())
    assert (difference > 2e-3) == (shape in SHOWS_ROTATION)


def test_a_batch_is_its_scenes_one_by_one(render):
    factors = sample_factors(jax.random.key(1), 3)
    together = render(factors, 16, 2)
    assert together.shape == (3, 16, 16, 3)
    for i in range(3):
        one = render(jax.tree.map(lambda x, i=i: x[i], factors), 16, 2)
        np.testing.assert_allclose(together[i], one, atol=1e-4)


def test_the_picture_does_not_depend_on_the_resolution(render, middle):
    fine = render(middle, 64, 4).reshape(32, 2, 32, 2, 3).mean((1, 3))
    assert float(jnp.abs(fine - render(middle, 32, 8)).max()) < 1e-4


def test_the_sphere_is_where_the_projection_of_its_centre_is(render, middle):
    """An independent check of camera and ray casting: project the centre by hand,
    compare with the centroid of its mask.
    """
    plain = middle._replace(shape=jnp.asarray(0), light_intensity=jnp.asarray(0.4), object_hue=jnp.asarray(0.0))
    for x, depth in ((-0.8, 0.0), (0.5, 1.0)):
        moved = plain._replace(horizontal=jnp.asarray(x), depth=jnp.asarray(depth))
        red, green, blue = np.moveaxis(np.asarray(render(moved, 128, 2)), -1, 0)
        mask = (red - np.maximum(green, blue)) > 0.15 * 2
        column = np.where(mask)[1].mean()
        height, radius = float(plain.camera_height), float(plain.size)
        pitch = np.arctan2(height - rendering.CAMERA_TARGET_HEIGHT, rendering.CAMERA_DISTANCE)
        down, forward = height - radius, rendering.CAMERA_DISTANCE + depth
        along_axis = forward * np.cos(pitch) + down * np.sin(pitch)
        expected = (x / along_axis / rendering.HALF_FIELD + 1) / 2 * 128 - 0.5
        assert abs(column - expected) < 1.5


def test_chunks_are_the_scenes_of_one_call(render):
    factors = sample_factors(jax.random.key(2), 300)
    chunked = rendering.render_in_chunks(factors, 8, 1)
    np.testing.assert_allclose(chunked, render(factors, 8, 1), atol=1e-5)
