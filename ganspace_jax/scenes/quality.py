"""The quality gate for generators that were trained on the procedural scenes.

The probe reads each image's factors and the renderer draws the scene of these factors.
An image of a scene resembles its redrawing (PSNR). A good generator varies every
factor as widely as the data (coverage) and makes every shape. A conditional generator
also makes the requested shape. A coverage compares readings of the probe with readings
of the probe, so the probe's own errors cancel.

Because the object covers a tenth of the pixels, PSNR depends little on its shape. The
report therefore also states how often the probe is certain of the shape, for generated
and for real images. The gate ignores this figure.
"""

from typing import Any

import jax
import numpy as np

from ganspace_jax.sampling.inversion_losses import psnr
from ganspace_jax.scenes.factors import (
    CIRCULAR,
    CONTINUOUS,
    RANGES,
    SHAPES,
    Factors,
    sample_factors,
    shows_rotation,
)
from ganspace_jax.scenes.probe import Images, Probe, read_factors, read_with_certainty
from ganspace_jax.scenes.rendering import render_in_chunks
from ganspace_jax.shapes import Array, Float, Int

MINIMUM_PSNR = 22.0
MINIMUM_COVERAGE = 0.85
MINIMUM_CLASS_SHARE = 0.40
MINIMUM_AGREEMENT = 0.90

CERTAIN = 0.9  # probability of the shape above which the probe counts as certain
INNER_FRACTION = 0.8  # fraction of the samples between the 10th and the 90th percentile

Labels = Int[Array | np.ndarray, "n"] | None


def measure(images: Images, labels: Labels, probe: Probe, supersampling: int) -> dict[str, Any]:
    """Returns the report on generated images in [-1, 1].

    The class shares are relative to real scenes. Real scenes have the shapes `labels`,
    or uniformly random shapes without labels.

    Args:
        labels: shapes that a conditional generator was given, or None.
        supersampling: rays per pixel and axis.
    """
    read, certainty = read_with_certainty(probe, images)
    redrawn = render_in_chunks(read, images.shape[1], supersampling)
    real, real_certainty = _read_real_scenes(len(images), labels, probe, supersampling)
    report = {
        "num_images": len(images),
        "median_psnr": float(np.median(psnr(images, redrawn))),
        "sure_of_shape": {"generated": _fraction_certain(certainty), "real": _fraction_certain(real_certainty)},
        "coverage": _coverages(read, real),
        "class_share": _class_shares(read, real),
    }
    if labels is not None:
        report["label_agreement"] = _label_agreement(np.asarray(labels), np.asarray(read.shape))
    return report


def shortfalls(report: dict[str, Any]) -> list[str]:
    """Returns one line for each requirement that the report misses.

    The gate holds if the list is empty.
    """
    checks = [("median PSNR", report["median_psnr"], MINIMUM_PSNR)]
    checks += [(f"coverage of {name}", value, MINIMUM_COVERAGE) for name, value in report["coverage"].items()]
    checks += [(f"share of {name}", value, MINIMUM_CLASS_SHARE) for name, value in report["class_share"].items()]
    agreement = report.get("label_agreement", {})
    checks += [(f"{name} where requested", value, MINIMUM_AGREEMENT) for name, value in agreement.items()]
    # `value < minimum` would be false for NaN.
    return [
        f"{name}: {value:.2f}, must be at least {minimum:.2f}"
        for name, value, minimum in checks
        if not value >= minimum
    ]


def redraw(images: Images, probe: Probe, supersampling: int) -> tuple[Factors, Float[Array, "n h w 3"]]:
    """Reads the factors of images, and returns them with the scenes they describe."""
    read = read_factors(probe, images)
    return read, render_in_chunks(read, images.shape[1], supersampling)


def interdecile_range(name: str, values: Float[Array | np.ndarray, "n"]) -> float:
    """Returns the distance from the 10th to the 90th percentile of a factor's values.

    For a circular factor, returns the length of the shortest arc that contains as many
    values. Returns 0 without values.
    """
    values = np.asarray(values, np.float64)
    if len(values) == 0:
        return 0.0
    if name in CIRCULAR:
        return _shortest_arc(values, RANGES[name][1] - RANGES[name][0])
    margin = 0.5 * (1.0 - INNER_FRACTION)
    low, high = np.quantile(values, [margin, 1.0 - margin])
    return float(high - low)


def _shortest_arc(values: np.ndarray, period: float) -> float:
    """Returns the length of the shortest arc with INNER_FRACTION of the values."""
    ordered = np.sort(values % period)
    contained = int(np.ceil(INNER_FRACTION * len(ordered)))
    ends = np.concatenate([ordered, ordered + period])[contained - 1 : contained - 1 + len(ordered)]
    return float(np.min(ends - ordered))


def _fraction_certain(certainty: Float[Array | np.ndarray, "n"]) -> float:
    return float(np.mean(np.asarray(certainty) > CERTAIN))


def _read_real_scenes(
    count: int, labels: Labels, probe: Probe, supersampling: int
) -> tuple[Factors, Float[Array, "real"]]:
    """Reads as many real scenes as there are generated images.

    Equal counts are necessary: the shortest arc of a small sample is shorter than that
    of a large sample.
    """
    factors = sample_factors(jax.random.key(0), count)
    if labels is not None:
        factors = factors._replace(shape=np.asarray(labels))
    images = render_in_chunks(factors, probe.config.resolution, supersampling)
    return read_with_certainty(probe, images)


def _coverages(read: Factors, real: Factors) -> dict[str, float]:
    """Returns each factor's interdecile range, relative to that of real scenes.

    A factor that real scenes do not vary has no coverage.
    """
    ranges = {
        name: [interdecile_range(name, _visible_values(name, factors)) for factors in (read, real)]
        for name in CONTINUOUS
    }
    return {name: generated / wanted for name, (generated, wanted) in ranges.items() if wanted > 0}


def _visible_values(name: str, factors: Factors) -> np.ndarray:
    """Returns a factor's values; the rotation only of shapes that show it."""
    values = np.asarray(getattr(factors, name))
    return values[np.asarray(shows_rotation(factors.shape))] if name == "rotation" else values


def _class_shares(read: Factors, real: Factors) -> dict[str, float]:
    """Returns the frequency of each shape, relative to its frequency in real scenes."""
    made, wanted = (np.bincount(np.asarray(f.shape), minlength=len(SHAPES)) for f in (read, real))
    made, wanted = made / made.sum(), wanted / wanted.sum()
    return {name: float(m / w) for name, m, w in zip(SHAPES, made, wanted, strict=True) if w > 0}


def _label_agreement(requested: Int[np.ndarray, "n"], read: Int[np.ndarray, "n"]) -> dict[str, float]:
    """Returns how often the probe reads each requested shape."""
    return {SHAPES[shape]: float(np.mean(read[requested == shape] == shape)) for shape in np.unique(requested)}
