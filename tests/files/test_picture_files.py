"""Pictures of people: every kind is read as it looks, and a bad one is named."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ganspace_jax.errors import InputError
from ganspace_jax.files import picture_files, picture_names, resampling

RGB = (8, 8, 3)
_RANDOM = np.random.RandomState(0)


def _light(values):
    """The light of sRGB values in [0, 1] in float64, by the standard's definition."""
    return np.array([v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in np.ravel(values)]).reshape(
        np.shape(values)
    )


def _pixels(*shape):
    return _RANDOM.randint(0, 256, shape, np.uint8)


def _smooth(height, width):
    """A colourful picture that survives JPEG."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    return np.uint8(np.stack([255 * x, 255 * y, 255 * (1 - x)], -1))


def _read(path, shape=RGB):
    return picture_files.read_one(path, shape)


def _image(path, shape=RGB):
    return picture_files.read_one(path, shape)[0]


def _close(image, pixels, atol):
    """Asserts that an image in [-1, 1] shows pixels 0..255."""
    np.testing.assert_allclose((image + 1.0) * 127.5, pixels, atol=atol)


def test_a_picture_of_the_generators_size_keeps_its_pixels(tmp_path):
    pixels = _pixels(8, 8, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image, description = _read(tmp_path / "a.png")
    assert image.dtype == np.float32 and description == "8 x 8"
    _close(image, pixels, 0.01)


def test_a_checkerboard_keeps_its_light(tmp_path):
    """Black and white squares of one pixel have half of white's light. A mean of their
    stored values would have a fifth.
    """
    board = np.uint8(255 * (np.indices((64, 64)).sum(0) % 2))
    Image.fromarray(board).save(tmp_path / "board.png")
    image = _image(tmp_path / "board.png", (8, 8, 3))
    light = _light(np.float64(image + 1) / 2)
    np.testing.assert_allclose(light, 0.5, atol=1e-4)
    assert _light([0.5])[0] < 0.22


@pytest.mark.parametrize("size", [(64, 64), (41, 29), (17, 100), (1000, 31)])
def test_the_mean_light_of_any_size_is_that_of_the_window(tmp_path, size):
    """Compared with the mean in float64, also where a pixel is shared by two."""
    pixels = _pixels(*size, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    window = resampling.central_window(size, (8, 8))
    side = min(size)
    assert window == ((size[0] - side) // 2, (size[1] - side) // 2, side, side)
    kept = _light(pixels[window.top :, window.left :][: window.height, : window.width] / 255.0)
    found = _light((_image(tmp_path / "a.png").astype(np.float64) + 1) / 2)
    np.testing.assert_allclose(found.mean((0, 1)), kept.mean((0, 1)), atol=2e-4)


def test_bands_of_rows_give_the_whole(tmp_path, monkeypatch):
    Image.fromarray(_pixels(100, 60, 3)).save(tmp_path / "a.png")
    whole = _image(tmp_path / "a.png")
    monkeypatch.setattr(resampling, "_BAND", 60 * 7)
    np.testing.assert_allclose(_image(tmp_path / "a.png"), whole, atol=1e-5)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_phones_picture_is_turned_upright(tmp_path, orientation):
    """The tags of all eight orientations, by EXIF's table of the first row and
    column.
    """
    upright = _smooth(32, 24)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.transpose(1, 0, 2), 6: np.rot90(upright), 7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.jpg", exif=exif, quality=98, subsampling=0)
    image, description = _read(tmp_path / "a.jpg", (32, 24, 3))
    assert ("turned upright" in description) == (orientation > 1)
    _close(image, upright, 6)


def test_what_was_done_is_one_line(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (40, 30), (10, 200, 30)).save(tmp_path / name, exif=exif)
    Image.new("RGB", (3, 1)).save(tmp_path / "c.png")
    read = picture_files.read(picture_files.find([str(tmp_path)]).paths, RGB)
    assert read.notes == [
        "a.jpg and 1 more: 40 x 30, turned upright, cropped to the middle 30 x 30, reduced to 8 x 8",
        "c.png: 3 x 1, cropped to the middle 1 x 1, enlarged to 8 x 8",
    ]
    assert read.names == ["a", "b", "c"] and read.problems == [] and read.images.shape == (3, 8, 8, 3)


def test_transparent_pixels_are_white(tmp_path):
    """Half transparent black lies on white as half of white's light."""
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, 4:, 3] = 255
    pixels[4:, :4, 3] = 128
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image, description = _read(tmp_path / "a.png")
    assert "laid on white" in description
    light = _light((image.astype(np.float64) + 1) / 2)
    np.testing.assert_allclose(light[:4, :4], 1.0, atol=1e-5)
    np.testing.assert_allclose(light[4:, :4], 1 - 128 / 255, atol=1e-5)
    np.testing.assert_allclose(light[:, 4:], 0.0, atol=1e-5)


def test_an_rgba_generator_gets_the_alpha_and_the_visible_colour(tmp_path):
    """The colour of invisible pixels has no part in the mean."""
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[..., 1] = 255
    pixels[::2] = (255, 0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = _image(tmp_path / "a.png", (8, 8, 4))
    np.testing.assert_allclose(image[0, 0], [1, -1, -1, 0], atol=1e-5)
    Image.fromarray(pixels[..., :3]).save(tmp_path / "b.png")
    np.testing.assert_array_equal(_image(tmp_path / "b.png", (8, 8, 4))[..., 3], 1.0)


def test_grey_pictures_and_grey_generators(tmp_path):
    grey = _pixels(8, 8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    _close(_image(tmp_path / "grey.png"), np.repeat(grey[..., None], 3, -1), 0.01)
    _close(_image(tmp_path / "grey.png", (8, 8, 1)), grey[..., None], 0.01)
    colour = _pixels(8, 8, 3)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    found = _light((_image(tmp_path / "colour.png", (8, 8, 1)).astype(np.float64) + 1) / 2)
    np.testing.assert_allclose(found[..., 0], _light(colour / 255.0) @ [0.2126, 0.7152, 0.0722], atol=1e-5)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "RGBX"])
def test_every_mode_looks_as_pillow_shows_it(tmp_path, mode):
    picture = Image.fromarray(_smooth(8, 8)).convert(mode if mode != "LAB" else "RGB")
    end = "jpg" if mode in ("CMYK", "YCbCr") else "tif" if mode in ("LAB", "RGBX") else "png"
    picture = picture.convert("RGB") if mode == "HSV" else picture
    picture.save(tmp_path / f"a.{end}")
    with Image.open(tmp_path / f"a.{end}") as stored:
        expected = np.asarray(stored.convert("RGB"))
    _close(_image(tmp_path / f"a.{end}"), expected, 0.01)


def test_a_palette_with_a_transparent_colour(tmp_path):
    picture = Image.new("P", (8, 8))
    picture.putpalette([0, 0, 0, 255, 0, 0] + [0] * 762)
    picture.putdata([0, 1] * 32)
    picture.save(tmp_path / "a.gif", transparency=0)
    image = _image(tmp_path / "a.gif")
    np.testing.assert_allclose(image[0, :2], [[1, 1, 1], [1, -1, -1]], atol=1e-5)


def test_deep_grey_pictures(tmp_path):
    deep = _RANDOM.randint(0, 65536, (8, 8)).astype(np.uint16)
    for name in ("a.png", "a.tif"):
        Image.fromarray(deep).save(tmp_path / name)
        np.testing.assert_allclose(_image(tmp_path / name)[..., 1], deep / 32767.5 - 1, atol=1e-4)
    values = _RANDOM.rand(8, 8).astype(np.float32)
    for scale in (1, 255):
        Image.fromarray(values * scale).save(tmp_path / "f.tif")
        np.testing.assert_allclose(_image(tmp_path / "f.tif")[..., 2], 2 * values - 1, atol=1e-5)


def test_a_picture_that_is_not_square_fits_another_shape(tmp_path):
    Image.fromarray(_smooth(100, 100)).save(tmp_path / "a.png")
    image, description = _read(tmp_path / "a.png", (16, 8, 3))
    assert image.shape == (16, 8, 3) and "cropped to the middle 50 x 100, reduced to 8 x 16" in description


def _png_of_size(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")
    )


def _bad_files(directory):
    """Files that are no good pictures, with the reason that the message must tell."""
    Image.fromarray(_pixels(64, 64, 3)).save(directory / "whole.jpg")
    data = (directory / "whole.jpg").read_bytes()
    values = np.zeros((8, 8), np.float32)
    values[3, 3] = np.nan
    Image.fromarray(values).save(directory / "nan.tif")
    Image.fromarray(np.full((8, 8), 300, np.float32)).save(directory / "bright.tif")
    return {
        "text.png": (b"hello, this is a letter\n", "is no picture"),
        "empty.png": (b"", "is empty"),
        "half.jpg": (data[: len(data) // 2], "damaged.*truncated"),
        "bomb.png": (_png_of_size(60_000, 60_000), "more than .* pixels"),
        "zero.png": (_png_of_size(0, 4), "(damaged|no picture)"),
        "post.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "PNG or JPEG"),
        "script.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "is no picture"),
        "phone.HEIC": (b"\0\0\0\x18ftypheic", "PNG or JPEG"),
        "nan.tif": (None, "NaN"),
        "bright.tif": (None, "300"),
    }


def test_bad_pictures_are_named_and_the_good_one_is_read(tmp_path):
    for name, (data, reason) in _bad_files(tmp_path).items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=f"{name}.*{reason}") as caught:
            _read(tmp_path / name)
        assert "\n" not in str(caught.value)
    found = picture_files.find([str(tmp_path)])
    read = picture_files.read(found.paths, RGB)
    assert read.names == ["whole"] and len(read.problems) == len(found.paths) - 1 == 10
    assert picture_files.read([tmp_path / "text.png"], RGB).images.shape == (0, *RGB)


def test_nothing_in_a_picture_is_executed(tmp_path, monkeypatch):
    """Pillow starts Ghostscript for PostScript; no program is started for any file."""
    monkeypatch.setattr("subprocess.Popen", pytest.fail)
    monkeypatch.setattr(os, "system", pytest.fail)
    for name, (data, _) in _bad_files(tmp_path).items():
        if data is not None:
            (tmp_path / name).write_bytes(data)
    assert picture_files.read(sorted(tmp_path.iterdir()), RGB).names == ["whole"]
    assert not {"EPS", "PSD", "FPX", "WMF", "PDF"} & set(picture_files.FORMATS)


def test_a_folder_gives_its_pictures_in_order_and_counts_the_rest(tmp_path):
    for name in ("b.png", "a.JPG", "c é.webp"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / ".hidden.png").write_bytes(b"x")
    (tmp_path / "inside.png").mkdir()
    found = picture_files.find([str(tmp_path)])
    assert [path.name for path in found.paths] == ["a.JPG", "b.png", "c é.webp"] and found.num_passed_over == 3
    files = [str(tmp_path / "b.png"), f"{tmp_path / 'a.JPG'},{tmp_path / 'c é.webp'}", str(tmp_path / "?.png")]
    assert [path.name for path in picture_files.find(files).paths] == ["b.png", "a.JPG", "c é.webp", "b.png"]
    assert picture_files.read(picture_files.find(files).paths, RGB).names == ["b_0000", "a", "c_é", "b_0001"]


def test_a_comma_may_be_in_a_name(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "me, again.png")
    assert len(picture_files.find([str(tmp_path / "me, again.png")]).paths) == 1


@pytest.mark.parametrize(
    ("name", "reason"), [("none.png", "no such file"), ("empty", "holds no picture"), ("", "empty")]
)
def test_what_cannot_be_found_is_refused(tmp_path, name, reason):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=rf"--images.*{reason}"):
        picture_files.find([str(tmp_path / name) if name else ""])


def test_a_pipe_is_not_opened(tmp_path):
    """Reading it would wait for ever."""
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(InputError, match="is no file"):
        _read(tmp_path / "a.png")


def test_names_differ_in_every_file_system():
    assert picture_names.unique(["a", "A", "b"]) == ["a_0000", "A_0001", "b"]
    assert picture_names.safe("C:\\photos\\a b?.png") == "a_b"


def test_enlarging_interpolates_between_centres():
    np.testing.assert_allclose(resampling.matrix(2, 4), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    for before, after in ((2, 4), (3, 32), (10, 7), (32, 32)):
        np.testing.assert_allclose(resampling.matrix(before, after).sum(1), 1.0)
    np.testing.assert_allclose(resampling.matrix(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])


def test_the_curve_of_srgb_is_undone():
    values = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(resampling.to_linear(values), _light(values), atol=1e-12)
    np.testing.assert_allclose(resampling.to_srgb(resampling.to_linear(values)), values, atol=1e-6)
