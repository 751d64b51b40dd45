"""Pictures: pixels go where they should and come back from the files."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ganspace_jax.errors import InputError
from ganspace_jax.files import pictures

CHANNELS = pytest.mark.parametrize("channels", [1, 3, 4])


def test_to_uint8_spans_the_range_and_clips():
    values = np.array([-1e300, -1.5, -1.0, 0.0, 1.0, 3.0]).reshape(1, 1, 6, 1)
    np.testing.assert_array_equal(pictures.to_uint8(values)[0, 0, :, 0], [0, 0, 0, 128, 255, 255])
    assert pictures.to_uint8(values).shape == (1, 1, 6, 3)


def test_grey_becomes_rgb_and_other_channels_stay():
    values = np.linspace(-1, 1, 24).reshape(2, 3, 4)
    expected = np.round((values + 1) * 127.5)
    np.testing.assert_array_equal(pictures.to_uint8(values), expected)
    np.testing.assert_array_equal(pictures.to_uint8(values[..., :3]), expected[..., :3])
    np.testing.assert_array_equal(pictures.to_uint8(values[..., :1]), expected[..., [0, 0, 0]])
    narrow = np.asarray(jnp.asarray(values, jnp.bfloat16))
    np.testing.assert_allclose(pictures.to_uint8(narrow), expected, atol=1)


@pytest.mark.parametrize("channels", [0, 2, 5])
def test_other_numbers_of_channels_are_refused(channels):
    with pytest.raises(InputError, match=rf"images: have {channels} channels; a picture has 1 \(grey\), 3 .* or 4"):
        pictures.to_uint8(np.zeros((2, 4, 4, channels)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_images_that_are_not_finite_never_become_a_picture(value):
    images = np.zeros((4, 16, 16, 3), np.float32)
    images[1, 2, 3:8, 1] = value
    calls = (
        lambda: pictures.to_uint8(images),
        lambda: pictures.grid(images, 2),
        lambda: pictures.labelled_rows(images[None], ["a"], list("abcd")),
    )
    for call in calls:
        with pytest.raises(InputError, match="images: 5 of 3,072 values are NaN or infinite"):
            call()


@CHANNELS
def test_grid_reads_like_a_page(channels):
    """Image i is at row i // columns, column i % columns; the rest is opaque white."""
    values = np.random.RandomState(0).uniform(-1, 1, (5, 2, 3, channels))
    page = pictures.grid(values, 3)
    assert page.shape == (4, 9, 4 if channels == 4 else 3)
    for i, pixels in enumerate(pictures.to_uint8(values)):
        row, column = divmod(i, 3)
        np.testing.assert_array_equal(page[2 * row : 2 * row + 2, 3 * column : 3 * column + 3], pixels)
    assert np.all(page[2:, 6:] == 255)


@CHANNELS
@pytest.mark.parametrize("size", [(8, 8), (12, 8), (4, 10)])
def test_labelled_rows_keep_every_image_whole(size, channels):
    rows = np.random.RandomState(0).uniform(-1, 1, (2, 3, *size, channels))
    picture = pictures.labelled_rows(rows, ["v0", "v1"], ["-2", "0", "2"], cell=16, title="title")
    pixels = pictures.enlarged(pictures.to_uint8(rows), 2)
    found = np.lib.stride_tricks.sliding_window_view(picture, pixels.shape[2:])[:, :, 0]
    for row in pixels:
        for cell in row:
            assert np.any(np.all(found == cell, axis=(2, 3, 4)))


def test_labels_beside_transparent_images_are_opaque():
    rows = np.full((1, 1, 16, 16, 4), -1.0)
    picture = pictures.labelled_rows(rows, ["v0"], ["0"], cell=16)
    opaque = pictures.labelled_rows(rows[..., :3], ["v0"], ["0"], cell=16)
    np.testing.assert_array_equal(picture[..., :3], opaque)
    transparent = picture[..., 3] == 0
    assert transparent.sum() == 16 * 16 and np.all(picture[..., 3][~transparent] == 255)
    assert np.any(opaque[~transparent] < 128)  # the labels' ink


@pytest.mark.parametrize("channels", [3, 4])
def test_png_comes_back_enlarged(tmp_path, channels):
    pixels = np.random.RandomState(0).randint(0, 256, (4, 5, channels), np.uint8)
    pictures.save_png(tmp_path / "a.png", pixels, scale=3)
    back = np.asarray(Image.open(tmp_path / "a.png"))
    np.testing.assert_array_equal(back, pixels.repeat(3, axis=0).repeat(3, axis=1))
