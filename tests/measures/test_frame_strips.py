"""Strips that a shift leaves undefined, and who fills them well."""

import numpy as np
import pytest

from ganspace_jax.measures import frame_strips
from ganspace_jax.measures.frame_strips import Moved
from ganspace_jax.measures.scorers import Scorer

SHIFTS = np.array([3, -2, 5, -5])
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.uniform(-0.9, 0.9, (4, 6, 8, 3))


def _read(images):
    """Reads the mean of each half, and whether the picture is bright."""
    images = np.asarray(images, np.float64)
    return np.stack([images[:, :, :4].mean((1, 2, 3)), images[:, :, 4:].mean((1, 2, 3)), images.mean((1, 2, 3)) > 0], 1)


SCORER = Scorer(("place", "other", "kind"), np.array([0.5, 0.25, 1.0]), (None,) * 3, ("kind",), _read)


def test_the_strip_is_as_wide_as_the_shift_and_on_the_side_that_it_leaves():
    strip = frame_strips.undefined(SHIFTS, 8)[:, 0, :, 0]
    np.testing.assert_array_equal(strip.sum(1), np.abs(SHIFTS))
    for row, shift in zip(strip, SHIFTS, strict=True):
        assert row[0 if shift > 0 else -1] == 1 and row[-1 if shift > 0 else 0] == 0


@pytest.mark.parametrize("padding", ["reflect", "edge"])
def test_a_shift_is_a_roll_outside_the_strip_and_padding_inside(padding):
    moved = frame_strips.shift(IMAGES, SHIFTS, padding)
    strip = frame_strips.undefined(SHIFTS, 8)
    rolled = np.stack([np.roll(image, shift, axis=1) for image, shift in zip(IMAGES, SHIFTS, strict=True)])
    np.testing.assert_array_equal(moved * (1 - strip), rolled * (1 - strip))
    inside = IMAGES[0, :, 3:0:-1] if padding == "reflect" else np.repeat(IMAGES[0, :, :1], 3, axis=1)
    np.testing.assert_array_equal(moved[0, :, :3], inside)


def test_what_differs_outside_the_strip_does_not_count_in_it():
    strip = frame_strips.undefined(SHIFTS, 8)
    outside = IMAGES + 0.1 * (1 - strip)
    inside = IMAGES + 0.1 * strip
    moved = Moved(IMAGES, SHIFTS, np.full(4, 2.0), "place")
    rows = frame_strips.measure({"truth": IMAGES, "outside": outside, "inside": inside}, moved, SCORER)
    figures = {row.case["way"]: {name: one.value for name, one in row.figures.items()} for row in rows}
    strip_psnr, picture_psnr = "strip, median PSNR (dB)", "picture, median PSNR (dB)"
    alone, others = "strip alone: position read wrongly by (px)", "strip alone: others changed"
    assert figures["truth"][strip_psnr] > 100 and max(figures["truth"][alone], figures["truth"][others]) < 1e-6
    assert figures["outside"][strip_psnr] > 100 > figures["outside"][picture_psnr]
    assert figures["outside"][alone] < 1e-6 < figures["outside"]["picture: position missed by (px)"]
    np.testing.assert_allclose(figures["inside"][strip_psnr], 10 * np.log10(4 / 0.01), atol=1e-3)
    # The strip raises the left half's mean by 0.1 of its share of that half.
    shares = strip[:, 0, :4, 0].mean(1)
    np.testing.assert_allclose(figures["inside"][alone], np.mean(0.1 * shares / 0.5 * 2.0), atol=1e-5)
