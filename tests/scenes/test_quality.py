"""The quality gate holds for real scenes and names the shortfalls of other images."""

import pathlib

import jax
import numpy as np
import pytest

from ganspace_jax.scenes import probe, quality
from ganspace_jax.scenes.factors import CIRCULAR, CONTINUOUS, RANGES, SHAPES, sample_factors
from ganspace_jax.scenes.rendering import render_in_chunks

SHIPPED = pathlib.Path(__file__).parents[2] / "ganspace_jax" / "models" / "scenes-probe"
PERFECT = {
    "median_psnr": 30.0,
    "coverage": dict.fromkeys(CONTINUOUS, 1.0),
    "class_share": dict.fromkeys(SHAPES, 1.0),
}


@pytest.fixture(scope="module")
def reader():
    """The shipped probe."""
    return probe.load(SHIPPED)


def _scenes(num_samples):
    return sample_factors(jax.random.key(99), num_samples)


def _missed(report):
    return [line.split(":")[0] for line in quality.shortfalls(report)]


def test_real_scenes_pass_and_look_like_their_redrawing(reader):
    """The probe is good enough that a real scene costs a generator nothing."""
    factors = _scenes(768)
    pictures = render_in_chunks(factors, resolution=32, supersampling=2)
    report = quality.measure(pictures, factors.shape, reader, supersampling=2)
    assert quality.shortfalls(report) == []
    assert report["median_psnr"] > 25.0
    assert report["sure_of_shape"]["generated"] > 0.98 and report["sure_of_shape"]["real"] > 0.98
    assert set(report["label_agreement"]) == set(SHAPES)
    assert min(report["label_agreement"].values()) >= 0.97


def test_gate_names_the_factor_and_the_shape_that_are_missing(reader):
    """Scenes of one wall hue, without cones."""
    factors = _scenes(768)
    cone, cube = SHAPES.index("cone"), SHAPES.index("cube")
    shape = np.where(np.asarray(factors.shape) == cone, cube, factors.shape)
    poor = factors._replace(shape=shape, wall_hue=np.full(768, 0.3, np.float32))
    pictures = render_in_chunks(poor, resolution=32, supersampling=2)
    report = quality.measure(pictures, None, reader, supersampling=2)
    assert _missed(report) == ["coverage of wall_hue", "share of cone"]
    assert "label_agreement" not in report
    asked = quality.measure(pictures, factors.shape, reader, supersampling=2)
    assert _missed(asked) == ["coverage of wall_hue", "share of cone", "cone where requested"]
    assert asked["label_agreement"]["cone"] < 0.05


def test_redrawing_tells_scenes_from_noise(reader):
    """Images that are no scenes are far from what the renderer makes of
    their reading.
    """
    noise = np.random.default_rng(0).uniform(-1, 1, (64, 32, 32, 3)).astype(np.float32)
    _, redrawn = quality.redraw(noise, reader, supersampling=2)
    assert np.median(quality.psnr(noise, redrawn)) < 12.0


def test_blurred_objects_leave_the_probe_in_doubt(reader):
    """At an eighth of the size and enlarged again, scenes keep their colours and lose
    their shapes.
    """
    small = render_in_chunks(_scenes(256), resolution=4, supersampling=4)
    blurred = np.asarray(small).repeat(8, axis=1).repeat(8, axis=2)
    report = quality.measure(blurred, None, reader, supersampling=2)
    assert report["sure_of_shape"]["generated"] < 0.8 * report["sure_of_shape"]["real"]


@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_gate_names_every_requirement_and_lets_no_nan_through(value):
    """One line for each figure that is too small or not a number; none for a perfect
    report.
    """
    assert quality.shortfalls(PERFECT) == []
    assert _missed({**PERFECT, "median_psnr": value}) == ["median PSNR"]
    coverage = {**PERFECT["coverage"], "depth": value, "rotation": value}
    assert _missed({**PERFECT, "coverage": coverage}) == ["coverage of depth", "coverage of rotation"]
    assert _missed({**PERFECT, "class_share": {**PERFECT["class_share"], "cone": value}}) == ["share of cone"]
    assert _missed({**PERFECT, "label_agreement": {"cube": value, "cone": 0.9}}) == ["cube where requested"]


def test_psnr_has_peak_two_and_clips():
    """A constant error of 0.2 is 20 dB; what lies beyond [-1, 1] is cut off first."""
    zeros = np.zeros((2, 4, 4, 3), np.float32)
    np.testing.assert_allclose(quality.psnr(zeros + 0.2, zeros), 20.0, atol=1e-4)
    np.testing.assert_allclose(quality.psnr(zeros + 7.0, zeros + 0.8), 20.0, atol=1e-4)


def test_interdecile_range_of_uniform_values_is_four_fifths_of_the_range():
    """For percentiles and for arcs."""
    for name, (low, high) in RANGES.items():
        values = np.linspace(low, high, 10_000, endpoint=False)
        assert quality.interdecile_range(name, values) == pytest.approx(0.8 * (high - low), rel=1e-3), name


@pytest.mark.parametrize("name", CIRCULAR)
def test_interdecile_range_of_circular_values_does_not_depend_on_where_zero_is(name):
    """A narrow bunch stays narrow when it lies across the end of the range."""
    period = RANGES[name][1]
    bunch = np.random.default_rng(1).normal(0.5, 0.03, 2000) * period
    expected = quality.interdecile_range(name, bunch)
    assert expected < 0.1 * period
    for shift in (0.25, 0.5, 0.75):
        shifted = (bunch + shift * period) % period
        assert quality.interdecile_range(name, shifted) == pytest.approx(expected, rel=1e-6)


def test_interdecile_range_of_nothing_is_nothing():
    """A generator that makes only spheres shows no rotation."""
    assert quality.interdecile_range("rotation", np.zeros(0)) == 0.0
