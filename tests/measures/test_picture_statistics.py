"""Statistics of pictures: their definitions in float64, and what they do when a picture
is changed in a known way.
"""

import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.measures import picture_statistics, scorers

RANDOM = np.random.default_rng(0)


def _smooth(count, height, width, channels):
    """Returns images with few, wide waves, partly outside [-1, 1]."""
    rows, columns = np.mgrid[:height, :width] / max(height, width)
    weights = RANDOM.normal(size=(4, count, 1, 1, channels))
    waves = [np.sin(5 * rows), np.cos(7 * columns), np.sin(3 * rows + 4 * columns), np.ones_like(rows)]
    images = sum(0.5 * weight * wave[..., None] for weight, wave in zip(weights, waves, strict=True))
    return np.asarray(images, np.float32)


def _defined(image):
    """Returns the statistics of one image by the formulas of the module's docstring."""
    pixels = np.clip((np.asarray(image, np.float64) + 1) / 2, 0, 1)
    if pixels.shape[-1] == 4:
        pixels = pixels[..., :3] * pixels[..., 3:] + 1 - pixels[..., 3:]
    height, width, channels = pixels.shape
    grey = pixels[..., 0] if channels == 1 else pixels @ [0.299, 0.587, 0.114]
    found = {"brightness": grey.mean(), "contrast": grey.std()}
    if channels != 1:
        r, g, b = pixels.transpose(2, 0, 1)
        found["saturation"] = (np.max(pixels, -1) - np.min(pixels, -1)).mean()
        found["warmth"] = (r - b).mean()
        vector = (r - (g + b) / 2).mean() + 1j * (np.sqrt(3) / 2 * (g - b)).mean()
        found["hue"] = np.degrees(np.angle(vector)) % 360 if abs(vector) >= 5 / 255 else np.nan
    steps = sum(np.square(np.diff(grey, axis=axis)).mean() for axis in (0, 1))
    found["sharpness"] = np.sqrt(steps) / grey.std()
    inside = np.zeros((height, width), bool)
    inside[1:-1, 1:-1] = True
    weights = np.sqrt(np.square(pixels - np.median(pixels[~inside], axis=0)).sum(-1))
    x = np.array([-1 + (2 * j + 1) / width for j in range(width)])
    y = np.array([1 - (2 * i + 1) / height for i in range(height)])
    found["horizontal_centre"] = (weights * x).sum() / weights.sum()
    found["vertical_centre"] = (weights.T * y).sum() / weights.sum()
    centred = pixels - pixels.mean((0, 1))  # whose mean over all channels is 0
    found["left_right_symmetry"] = np.corrcoef(centred.ravel(), centred[:, ::-1].ravel())[0, 1]
    return found


@pytest.mark.parametrize("shape", [(6, 9, 3), (9, 6, 1), (5, 5, 4), (128, 96, 3)])
def test_statistics_are_their_definitions(shape):
    images = _smooth(3, *shape)
    found, expected = picture_statistics.read(images), [_defined(image) for image in images]
    assert tuple(found) == tuple(expected[0]) == tuple(n for n in picture_statistics.NAMES if n in found)
    assert len(found) == (6 if shape[-1] == 1 else 9)
    for name, values in found.items():
        np.testing.assert_allclose(values, [one[name] for one in expected], rtol=1e-3, atol=2e-4, err_msg=name)


def _statistics(*images):
    found = picture_statistics.read(np.stack(images).astype(np.float32))
    return {name: values.tolist() for name, values in found.items()}


IMAGE = 0.5 * np.tanh(_smooth(1, 12, 10, 3)[0])


def test_a_brighter_image_is_brighter_and_else_the_same():
    found = _statistics(IMAGE, IMAGE + 0.2)
    assert found.pop("brightness")[1] == pytest.approx(_statistics(IMAGE)["brightness"][0] + 0.1)
    for name, (before, after) in found.items():
        assert after == pytest.approx(before, rel=1e-3, abs=1e-4), name


def test_a_mirror_turns_the_horizontal_centre_only():
    image = IMAGE.copy()
    image[3:6, 1:4] += 0.4
    found = _statistics(image, image[:, ::-1])
    before, after = found.pop("horizontal_centre")
    assert after == pytest.approx(-before, abs=1e-5) and abs(before) > 0.01
    for name, (one, other) in found.items():
        assert other == pytest.approx(one, rel=1e-4, abs=1e-5), name


def test_symmetry_is_1_for_a_mirrored_image_and_minus_1_for_an_opposite_one():
    symmetric, opposite = IMAGE + IMAGE[:, ::-1], IMAGE - IMAGE[:, ::-1]
    found = _statistics(symmetric, opposite, IMAGE)["left_right_symmetry"]
    assert found[:2] == pytest.approx([1, -1], abs=1e-4) and -0.99 < found[2] < 0.99


@pytest.mark.parametrize("degrees", [30, 120, 200])
def test_the_hue_turns_with_the_colours(degrees):
    """A turn about the axis of greys, by Rodrigues' formula."""
    axis, angle = np.ones(3) / np.sqrt(3), np.radians(degrees)
    cross = np.cross(np.eye(3), axis)
    turn = np.eye(3) * np.cos(angle) - np.sin(angle) * cross + (1 - np.cos(angle)) * np.outer(axis, axis)
    small = 0.4 * IMAGE + [0.1, 0, 0]
    before, after = _statistics(small, small @ turn)["hue"]
    away = (after - before - degrees + 180) % 360 - 180
    assert away == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(("colour", "hue"), [((1, 0, 0), 0), ((1, 1, 0), 60), ((0, 1, 0), 120), ((0, 0, 1), 240)])
def test_named_colours_have_the_known_hue(colour, hue):
    found = _statistics(np.broadcast_to(2.0 * np.array(colour) - 1, (4, 4, 3)))
    assert found["hue"][0] == pytest.approx(hue, abs=1e-3) and found["saturation"][0] == pytest.approx(1)
    assert found["warmth"][0] == pytest.approx(colour[0] - colour[2])


def test_a_moved_blob_moves_the_centre_by_as_much():
    image = np.full((20, 40, 3), 0.6)
    image[10:14, 4:8] = [0.9, -0.5, 0.3]
    moved = np.roll(image, (-5, 12), (0, 1))
    found = _statistics(image, moved)
    assert found["horizontal_centre"] == pytest.approx([6 / 20 - 1, 18 / 20 - 1], abs=1e-5)
    assert found["vertical_centre"] == pytest.approx([1 - 12 / 10, 1 - 7 / 10], abs=1e-5)


def test_a_blurred_image_is_less_sharp_whatever_its_contrast():
    noise = 0.5 * RANDOM.uniform(-1, 1, (32, 32, 3))
    blurred = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1) + np.roll(noise, (1, 1), (0, 1))) / 4
    sharp, weak, blunt = _statistics(noise, noise / 4, blurred)["sharpness"]
    assert weak == pytest.approx(sharp, rel=1e-4) and blunt < 0.8 * sharp


def test_a_plain_image_shows_no_hue_sharpness_centre_or_symmetry():
    found = picture_statistics.read(np.full((2, 5, 4, 3), 0.25, np.float32))
    unseen = {name for name, values in found.items() if np.isnan(values).all()}
    assert unseen == {"hue", "sharpness", "horizontal_centre", "vertical_centre", "left_right_symmetry"}


def test_transparent_pixels_are_white():
    image = np.concatenate([IMAGE, np.full((12, 10, 1), -1.0)], -1)
    assert _statistics(image)["brightness"][0] == pytest.approx(1)


def test_other_channels_are_refused():
    with pytest.raises(InputError, match=r"\[2, 5, 5, 2\]; must be \[n, height, width, 1, 3 or 4\]"):
        picture_statistics.read(np.zeros((2, 5, 5, 2), np.float32))


def test_the_scorer_measures_in_standard_deviations_of_its_images():
    images = _smooth(40, 6, 7, 3)  # more than a batch
    scorer, values = picture_statistics.scorer(images), picture_statistics.read(images)
    assert scorer.names == picture_statistics.NAMES and not scorer.categories and not scorer.left_out
    assert scorer.periods == tuple(360.0 if name == "hue" else None for name in scorer.names)
    for name, scale in zip(scorer.names, scorer.scales, strict=True):
        if name != "hue":
            assert scale == pytest.approx(np.nanstd(values[name]), rel=1e-4)
    found = scorers.changes(scorer, scorer.read(images[:1]), scorer.read(images[1:2]))
    assert found.shape == (1, 9) and np.isfinite(found).all()
