"""methods/image_transforms: known transformations of images, and where they are
defined.
"""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from ganspace_jax.errors import InputError
from ganspace_jax.methods import image_transforms
from ganspace_jax.methods.image_transforms import TRANSFORMS

SIZE = (12, 16)


@pytest.fixture(scope="module")
def images():
    """Two smooth pictures in [-.8, .8]."""
    noise = np.random.default_rng(0).normal(size=(2, *SIZE, 3))
    smooth = ndimage.gaussian_filter(noise, (0, 2.5, 2.5, 0))
    return (0.8 * smooth / np.abs(smooth).max()).astype(np.float32)


def _inner(margin):
    inner = np.zeros((*SIZE, 1), bool)
    inner[margin:-margin, margin:-margin] = True
    return inner


@pytest.mark.parametrize("name", TRANSFORMS)
def test_zero_is_the_identity_and_defines_every_pixel(name, images):
    same, mask = TRANSFORMS[name].apply(images, 0.0)
    np.testing.assert_allclose(same, images, atol=1e-5)
    assert np.all(mask == 1.0) and mask.shape[1:] == (*SIZE, 1)


@pytest.mark.parametrize(("name", "axis"), [("horizontal", 2), ("vertical", 1)])
@pytest.mark.parametrize("t", [3, -2])
def test_a_whole_shift_is_a_roll_and_the_mask_leaves_out_what_came_around(name, axis, t, images):
    moved, mask = TRANSFORMS[name].apply(images, t)
    defined = np.moveaxis(np.ones((1, *SIZE, 1)), axis, 0).copy()
    defined[:t] = 0.0 if t > 0 else 1.0
    defined[t:] = 0.0 if t < 0 else defined[t:]
    defined = np.moveaxis(defined, 0, axis)
    np.testing.assert_array_equal(mask, defined)
    np.testing.assert_allclose(moved * mask, np.roll(images, t, axis) * defined, atol=1e-5)


def test_half_a_pixel_is_the_mean_of_two_pixels(images):
    moved, mask = image_transforms.horizontal(images, 0.5)
    np.testing.assert_allclose(moved[:, :, 1:], (images[:, :, 1:] + images[:, :, :-1]) / 2, atol=1e-5)
    assert not np.any(mask[:, :, 0]) and np.all(mask[:, :, 1:] == 1.0)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_opposite_amount_undoes_a_transformation(name, images):
    transform = TRANSFORMS[name]
    there, mask = transform.apply(images, transform.step)
    back, mask_back = transform.apply(there, -transform.step)
    # A pixel must be defined on the way back, and come from defined pixels only.
    whole = np.asarray(mask_back * (transform.apply(jnp.broadcast_to(mask, images.shape), -transform.step)[0] > 0.999))
    if name in ("brightness", "hue"):
        whole = np.asarray(mask)
    assert np.mean(whole) > 0.4
    error = np.abs(np.asarray(back) - images) * whole
    assert error.max() < (0.05 if name in ("zoom", "rotate") else 1e-5)
    assert np.abs(np.asarray(there) - images).max() > 0.1


def test_zoom_enlarges_and_rotate_turns_counterclockwise():
    y, x = np.meshgrid(np.arange(12) - 5.5, np.arange(16) - 7.5, indexing="ij")
    plane = np.broadcast_to((0.05 * x)[None, :, :, None], (1, 12, 16, 1)).astype(np.float32)
    enlarged, mask = image_transforms.zoom(plane, 1.0)
    np.testing.assert_allclose(enlarged[0, :, :, 0], 0.025 * x, atol=1e-5)
    assert np.all(mask == 1.0)
    turned, mask = image_transforms.rotate(plane, 90.0)  # what was right is now above
    np.testing.assert_allclose(turned[0, :, :, 0] * mask[0, :, :, 0], -0.05 * y * mask[0, :, :, 0], atol=1e-5)
    assert np.all(mask[0, :, 2:14] == 1.0) and not np.any(mask[0, :, :2]) and not np.any(mask[0, :, 14:])
    _, mask = image_transforms.zoom(plane, -1.0)
    np.testing.assert_array_equal(mask[0, 3:9, 4:12], 1.0)
    assert mask.sum() == 6 * 8


def test_brightness_multiplies_and_leaves_out_what_is_too_bright():
    values = jnp.asarray([-1.0, -0.5, 0.0, 0.5]).reshape(1, 1, 4, 1)
    moved, mask = image_transforms.brightness(values, 1.0)
    np.testing.assert_allclose(moved.ravel(), [-1.0, 0.0, 1.0, 2.0], atol=1e-6)
    np.testing.assert_array_equal(mask.ravel(), [1, 1, 1, 0])


def test_a_third_of_a_turn_makes_red_green_and_leaves_grey():
    colours = jnp.asarray([[0.6, -0.2, 0.0], [0.3, 0.3, 0.3]]).reshape(2, 1, 1, 3)
    moved, _ = image_transforms.hue(colours, 1 / 3)
    np.testing.assert_allclose(moved[:, 0, 0], [[0.0, 0.6, -0.2], [0.3, 0.3, 0.3]], atol=1e-5)
    with pytest.raises(ValueError, match="channels"):
        image_transforms.hue(colours[..., :1], 0.1)


def test_the_tangent_of_a_shift_is_minus_the_slope_of_the_image():
    x = np.linspace(-0.5, 0.5, 16, dtype=np.float32)
    plane = np.broadcast_to(x[None, None, :, None], (1, 12, 16, 1))
    found, mask = image_transforms.tangent(TRANSFORMS["horizontal"], plane)
    np.testing.assert_allclose(found[:, :, 1:-1], -1 / 15, atol=1e-5)
    np.testing.assert_array_equal(mask[0, 0, :, 0], [0.0, *[1.0] * 14, 0.0])


def test_low_pass_reads_nothing_outside_the_mask():
    mask = jnp.zeros((1, *SIZE, 1)).at[:, 4:8].set(1.0)
    ones, spoilt = np.ones((1, *SIZE, 3)), np.where(mask > 0, 1.0, 99.0) * np.ones((1, 1, 1, 3))
    np.testing.assert_allclose(image_transforms.low_pass(ones, mask), image_transforms.low_pass(spoilt, mask))


def test_shifts_grow_with_the_image_and_wrong_names_are_one_line():
    assert image_transforms.for_images("horizontal", (256, 128, 3)).step == 16.0
    assert image_transforms.for_images("zoom", (256, 128, 3)).step == TRANSFORMS["zoom"].step
    np.testing.assert_allclose(image_transforms.amounts(TRANSFORMS["vertical"]), [2.0, 4.0, 6.0, 8.0])
    with pytest.raises(InputError, match="--transformation=zom: no such one; did you mean 'zoom'"):
        image_transforms.for_images("zom", (32, 32, 3))
    with pytest.raises(InputError, match="needs images with 3 channels, these have 1"):
        image_transforms.for_images("hue", (32, 32, 1))
