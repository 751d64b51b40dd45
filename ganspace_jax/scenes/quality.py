"""The quality gate of generators trained on the procedural scenes: are the images scenes, and are they all of them?

The probe reads each image's factors and the renderer draws these again. An image that is a scene looks like its
redrawing (PSNR). A generator that knows all scenes spreads its factors as widely as the data do (coverage) and makes
every shape; one that is asked for a shape makes that one. Both sides of a coverage come from the probe's readings, so its
own errors do not count for the generator.

The object is a tenth of the pixels, so PSNR says little of its shape. How often the probe is sure of the shape says more: the
report has it, for generated and for real images, beside the gate.
"""

from typing import Any

import jax
import numpy as np

from ganspace_jax.scenes import probe as probes
from ganspace_jax.scenes import rendering as scenes
from ganspace_jax.shapes import Array, Float, Int

MINIMUM_PSNR = 22.0
MINIMUM_COVERAGE = 0.85
MINIMUM_CLASS_SHARE = 0.40
MINIMUM_AGREEMENT = 0.90

SURE = 0.9  # probability of the shape from which on the probe counts as sure
INNER_SHARE = 0.8  # of the samples, whose extent is the spread: the 10th to the 90th percentile, or an arc

Labels = Int[Array | np.ndarray, "n"] | None


def measure(images: probes.Images, labels: Labels, probe: probes.SplitProbe, supersampling: int) -> dict[str, Any]:
    """The report on generated images in [-1, 1]; `labels` are the shapes that the generator was asked for, if it was.

    Class shares are relative to those of real scenes, which are drawn with the same labels, or uniform without.
    """
    read, certainty = probes.read_with_certainty(probe, images)
    redrawn = probes.render_scenes(read, images.shape[1], supersampling)
    real, real_certainty = _read_real_scenes(len(images), labels, probe, supersampling)
    report = {
        "num_images": len(images),
        "median_psnr": float(np.median(psnr(images, redrawn))),
        "sure_of_shape": {"generated": _share_sure(certainty), "real": _share_sure(real_certainty)},
        "coverage": _coverages(read, real),
        "class_share": _class_shares(read, real),
    }
    if labels is not None:
        report["label_agreement"] = _label_agreement(np.asarray(labels), np.asarray(read.shape))
    return report


def passes(report: dict[str, Any]) -> list[str]:
    """Every requirement that the report misses, in words; empty if the gate holds."""
    checks = [("median PSNR", report["median_psnr"], MINIMUM_PSNR)]
    checks += [(f"coverage of {name}", value, MINIMUM_COVERAGE) for name, value in report["coverage"].items()]
    checks += [(f"share of {name}", value, MINIMUM_CLASS_SHARE) for name, value in report["class_share"].items()]
    agreement = report.get("label_agreement", {})
    checks += [(f"{name} where asked for", value, MINIMUM_AGREEMENT) for name, value in agreement.items()]
    # Not `value < bound`: images that are not numbers have to miss it.
    return [f"{name}: {value:.2f}, at least {bound:.2f} wanted" for name, value, bound in checks if not value >= bound]


def redraw(
    images: probes.Images, probe: probes.SplitProbe, supersampling: int
) -> tuple[scenes.Factors, Float[Array, "n h w 3"]]:
    """The factors that the probe reads from images, and the scenes of these factors."""
    read = probes.read_factors(probe, images)
    return read, probes.render_scenes(read, images.shape[1], supersampling)


def psnr(images: probes.Images, references: probes.Images) -> Float[np.ndarray, "n"]:
    """Peak signal-to-noise ratio of each image in decibels; images are clipped to [-1, 1], so the peak is 2."""
    clipped = np.clip(np.asarray(images, np.float64), -1.0, 1.0)
    error = np.mean(np.square(clipped - np.asarray(references, np.float64)), axis=(1, 2, 3))
    return 10.0 * np.log10(4.0 / np.maximum(error, 1e-10))


def spread(name: str, values: Float[Array | np.ndarray, "n"]) -> float:
    """How far a factor's values reach, leaving out the outermost fifth: percentiles, or for circular factors an arc."""
    values = np.asarray(values, np.float64)
    if len(values) == 0:
        return 0.0
    if name in scenes.CIRCULAR:
        return _shortest_arc(values, scenes.RANGES[name][1] - scenes.RANGES[name][0])
    margin = 0.5 * (1.0 - INNER_SHARE)
    low, high = np.quantile(values, [margin, 1.0 - margin])
    return float(high - low)


def _shortest_arc(values: np.ndarray, period: float) -> float:
    """Length of the shortest arc that holds INNER_SHARE of the values."""
    ordered = np.sort(values % period)
    held = int(np.ceil(INNER_SHARE * len(ordered)))
    ends = np.concatenate([ordered, ordered + period])[held - 1 : held - 1 + len(ordered)]
    return float(np.min(ends - ordered))


def _share_sure(certainty: Float[Array | np.ndarray, "n"]) -> float:
    return float(np.mean(np.asarray(certainty) > SURE))


def _read_real_scenes(
    count: int, labels: Labels, probe: probes.SplitProbe, supersampling: int
) -> tuple[scenes.Factors, Float[Array, "real"]]:
    """As many as were generated, for the shortest arc of few samples is shorter than that of many."""
    factors = scenes.sample_factors(jax.random.key(0), count)
    if labels is not None:
        factors = factors._replace(shape=np.asarray(labels))
    images = probes.render_scenes(factors, probe.merge().config.resolution, supersampling)
    return probes.read_with_certainty(probe, images)


def _coverages(read: scenes.Factors, real: scenes.Factors) -> dict[str, float]:
    """The spread of each factor relative to that of real scenes; without those that real scenes do not vary."""
    spreads = {name: [spread(name, _values(name, f)) for f in (read, real)] for name in scenes.CONTINUOUS}
    return {name: generated / wanted for name, (generated, wanted) in spreads.items() if wanted > 0}


def _values(name: str, factors: scenes.Factors) -> np.ndarray:
    values = np.asarray(getattr(factors, name))
    return values[np.asarray(probes.shows_rotation(factors.shape))] if name == "rotation" else values


def _class_shares(read: scenes.Factors, real: scenes.Factors) -> dict[str, float]:
    """How often each shape that real scenes have was made, relative to them."""
    made, wanted = (np.bincount(np.asarray(f.shape), minlength=len(scenes.SHAPES)) for f in (read, real))
    made, wanted = made / made.sum(), wanted / wanted.sum()
    return {name: float(m / w) for name, m, w in zip(scenes.SHAPES, made, wanted, strict=True) if w > 0}


def _label_agreement(asked: Int[np.ndarray, "n"], read: Int[np.ndarray, "n"]) -> dict[str, float]:
    """For each shape that was asked for: how often the probe sees it."""
    return {scenes.SHAPES[shape]: float(np.mean(read[asked == shape] == shape)) for shape in np.unique(asked)}
