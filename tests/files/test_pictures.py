"""Pictures: pixels go where they should and come back from the files."""

import numpy as np
from PIL import Image

from ganspace_jax.files import pictures


def test_to_uint8_spans_the_range_and_clips():
    values = np.array([-1.5, -1.0, 0.0, 1.0, 3.0]).reshape(1, 1, 5, 1)
    np.testing.assert_array_equal(pictures.to_uint8(values)[0, 0, :, 0], [0, 0, 128, 255, 255])
    assert pictures.to_uint8(values).shape == (1, 1, 5, 3)


def test_grid_reads_like_a_page():
    """Image i is at row i // columns, column i % columns; what is missing is white."""
    values = np.linspace(-1, 1, 5).reshape(5, 1, 1, 1) * np.ones((5, 2, 3, 3))
    page = pictures.grid(values, 3)
    assert page.shape == (4, 9, 3)
    for i, value in enumerate(pictures.to_uint8(values)[:, 0, 0, 0]):
        row, column = divmod(i, 3)
        assert np.all(page[2 * row : 2 * row + 2, 3 * column : 3 * column + 3] == value)
    assert np.all(page[2:, 6:] == 255)


def test_labelled_rows_keep_every_image_whole():
    rows = np.random.RandomState(0).uniform(-1, 1, (2, 3, 8, 8, 3))
    picture = pictures.labelled_rows(rows, ["v0", "v1"], ["-2", "0", "2"], cell=16, title="title")
    pixels = pictures.to_uint8(rows).repeat(2, axis=2).repeat(2, axis=3)
    found = np.lib.stride_tricks.sliding_window_view(picture, (16, 16, 3))[:, :, 0]
    for row in pixels:
        for cell in row:
            assert np.any(np.all(found == cell, axis=(2, 3, 4)))


def test_png_comes_back_enlarged(tmp_path):
    pixels = np.random.RandomState(0).randint(0, 256, (4, 5, 3), np.uint8)
    pictures.save_png(tmp_path / "a.png", pixels, scale=3)
    back = np.asarray(Image.open(tmp_path / "a.png"))
    assert back.shape == (12, 15, 3)
    np.testing.assert_array_equal(back[1::3, 1::3], pixels)


def test_gif_goes_there_and_back(tmp_path):
    frames = np.linspace(-1, 1, 5).reshape(5, 1, 1, 1) * np.ones((5, 8, 8, 3))
    pictures.save_gif(tmp_path / "a.gif", frames, seconds=1.6)
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 8 and animation.info["loop"] == 0 and animation.size == (128, 128)
        levels = []
        for i in range(8):
            animation.seek(i)
            levels.append(np.asarray(animation.convert("L")).mean())
    np.testing.assert_allclose(levels, [0, 64, 128, 191, 255, 191, 128, 64], atol=3)
