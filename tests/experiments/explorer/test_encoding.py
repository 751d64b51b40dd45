"""Files of pictures: exact at rest, quick in motion."""

import io

import numpy as np
import pytest
from PIL import Image

from experiments.explorer import encoding


@pytest.mark.parametrize(
    ("moving", "size", "mime"), [(False, 64, "png"), (True, 64, "png"), (True, 300, "jpeg"), (False, 300, "png")]
)
def test_a_picture_at_rest_is_exact_and_a_large_moving_one_is_quick(moving, size, mime):
    pixels = np.random.default_rng(0).integers(0, 255, (size, size + 8, 3), np.uint8)
    file = encoding.encode(pixels, moving=moving)
    assert (file.mime, file.width, file.height) == (f"image/{mime}", size + 8, size)
    decoded = Image.open(io.BytesIO(file.data))
    assert decoded.format.lower() == mime
    if mime == "png":
        np.testing.assert_array_equal(np.asarray(decoded), pixels)


def test_transparency_is_kept_while_a_slider_moves():
    pixels = np.full((300, 300, 4), 90, np.uint8)
    file = encoding.encode(pixels, moving=True)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(file.data))), pixels)


def test_small_pictures_are_averages():
    pixels = np.arange(4 * 8 * 3, dtype=np.uint8).reshape(4, 8, 3)
    small = encoding.resized(pixels, 4)
    assert small.shape == (2, 4, 3)
    np.testing.assert_allclose(small, pixels.reshape(2, 2, 4, 2, 3).mean((1, 3)), atol=1)
