"""Claim: later components have a larger usable range.

A step is usable while the images look like the generator's own samples. The renderer
redraws the scene that the probe reads. In at least half of the images, the PSNR of
image and redrawing must reach the 10th percentile of unedited samples. The range is
the largest usable step, in standard deviations of the component.
"""

import numpy as np

from ganspace_jax.claims import steps
from ganspace_jax.claims.findings import Figure, Finding, Table, Verdict, text
from ganspace_jax.claims.subjects import Subject, Subjects
from ganspace_jax.directions.edits import Edit
from ganspace_jax.files import charts
from ganspace_jax.files.charts import Curve
from ganspace_jax.run import Run
from ganspace_jax.sampling import scored_images
from ganspace_jax.sampling.inversion_losses import psnr
from ganspace_jax.scenes import probe, quality
from ganspace_jax.shapes import Bool, Float
from ganspace_jax.statistics import bootstrap

QUESTION = "Do later components have a larger usable range?"
STEPS = np.array([1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0])
_SHARE = 0.5  # of the images that must stay within the samples' band
_PERCENTILE = 10
_NUM_RESAMPLES = 500


def find(subjects: Subjects, *, num_images: int = 256, seed: int = 0, run: Run = Run()) -> Finding:
    """Returns the answer for both generators.

    Args:
        subjects: the generators.
        num_images: eight times the number of images that are moved both ways.
        seed: seed of the images.
        run: progress and stopping.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    figures, tables, panels = [], [], {}
    for subject in subjects:
        usable = measure(subject, num_images=max(4, num_images // 8), seed=seed, run=run)
        ranges = _curve(usable, seed)
        figures.append(_trend(f"{subject.name}: rank correlation of range and component", usable, seed))
        panels[subject.name] = {"usable range": ranges}
        cells = [
            [f"v{k}", text(Figure("", ranges.y[k], ranges.low[k], ranges.high[k])), f"{ranges.y[k] * scale:.2f}"]
            for k, scale in enumerate(_scales(subject))
        ]
        header = ["component", "in its standard deviations", "in those of v0"]
        tables.append(Table(f"{subject.name}: the largest usable step", header, cells))
    rises = sum(one.low > 0 for one in figures)
    verdict: Verdict = "yes" if rises == len(figures) else "partly" if rises else "no"
    answer = (
        f"In {rises} of {len(figures)} generators, later components can be followed for more of their own standard deviations "
        "before the images stop looking like samples. Their standard deviations are smaller, so this need not be farther."
    )
    picture = charts.curves(panels, x_label="component", y_label="standard deviations")
    return Finding(QUESTION, verdict, answer, figures, tables, {"The largest usable step of each component": picture})


def measure(subject: Subject, *, num_images: int, seed: int, run: Run = Run()) -> Bool[np.ndarray, "n c s"]:
    """Returns whether each image stays within the samples' band, for every component
    and step. Rows are images with a sign.
    """
    reader, at = probe.load(probe.SHIPPED), steps.draw(subject, num_images, seed)
    own = np.concatenate(list(scored_images.images(subject.generator, at.layers, at.weights, run)))
    lowest = np.percentile(_redrawing(own, reader), _PERCENTILE)
    usable = np.zeros((2 * num_images, len(subject.components), len(STEPS)), bool)
    for k in range(len(subject.components)):
        for s, step in enumerate(STEPS):
            made = [steps.images(subject, subject.components, Edit(k, sigma=sign * step), at, run) for sign in (-1, 1)]
            usable[:, k, s] = _redrawing(np.concatenate(made), reader) >= lowest
    return usable


def _redrawing(images: Float[np.ndarray, "n h w c"], reader: probe.Probe) -> Float[np.ndarray, "n"]:
    return np.asarray(psnr(images, np.clip(quality.redraw(images, reader, 1)[1], -1.0, 1.0)))


def usable_range(usable: Bool[np.ndarray, "n c s"]) -> Float[np.ndarray, "c"]:
    """Returns the step at which the share of usable images falls to one half, between
    the measured steps linearly.
    """
    share = np.concatenate([np.ones((usable.shape[1], 1)), usable.mean(0)], axis=1)
    at = np.concatenate([[0.0], STEPS])
    ranges = []
    for row in share:
        below = np.flatnonzero(row < _SHARE)
        if not below.size:
            ranges.append(at[-1])
            continue
        k = below[0]
        ranges.append(at[k - 1] + (at[k] - at[k - 1]) * (row[k - 1] - _SHARE) / (row[k - 1] - row[k]))
    return np.array(ranges)


def _trend(name: str, usable: Bool[np.ndarray, "n c s"], seed: int) -> Figure:
    def figure(rows: np.ndarray) -> float:
        ranks = usable_range(rows).argsort(kind="stable").argsort()
        return float(np.corrcoef(np.arange(len(ranks)), ranks)[0, 1])

    low, high = bootstrap.percentile_interval(figure, [usable], num_resamples=_NUM_RESAMPLES, seed=seed)
    return Figure(name, figure(usable), float(low), float(high))


def _curve(usable: Bool[np.ndarray, "n c s"], seed: int) -> Curve:
    low, high = bootstrap.percentile_interval(usable_range, [usable], num_resamples=_NUM_RESAMPLES, seed=seed)
    return Curve(np.arange(usable.shape[1]), usable_range(usable), low, high)


def _scales(subject: Subject) -> Float[np.ndarray, "c"]:
    stdevs = subject.components.activation_stdevs
    return stdevs / stdevs[0]
