"""Claim: the first components change large things, later components small things.

An image changes from minus to plus one standard deviation along a component. Two
numbers describe the change: its size, and its mean spatial frequency,

    f = sum_k |k| |D(k)|^2 / sum_k |D(k)|^2,

with D the Fourier transform of the difference and |k| in cycles per image side. Both
are compared with the component's rank. Random directions of the same standard
deviations show which part of a trend is due to these alone.
"""

from typing import NamedTuple

import numpy as np

from ganspace_jax.claims import steps
from ganspace_jax.claims.findings import Figure, Finding, Table, Verdict, text
from ganspace_jax.claims.subjects import Subject, Subjects
from ganspace_jax.directions import random_directions
from ganspace_jax.directions.components import Components
from ganspace_jax.files import charts
from ganspace_jax.files.charts import Curve
from ganspace_jax.run import Run
from ganspace_jax.shapes import Float
from ganspace_jax.statistics import bootstrap

QUESTION = "Do the first components change large things, and later components small things?"
_NUM_RESAMPLES = 500
_CLEAR = 0.1  # difference of rank correlations that counts


class Changes(NamedTuple):
    """What steps along directions do to images.

    Attributes:
        size: root mean square of the change of the pixels, for each image.
        frequency: mean spatial frequency of the change, in cycles per image side.
    """

    size: Float[np.ndarray, "c n"]
    frequency: Float[np.ndarray, "c n"]


def find(subjects: Subjects, *, num_images: int = 256, seed: int = 0, run: Run = Run()) -> Finding:
    """Returns the answer for both generators.

    Args:
        subjects: the generators.
        num_images: four times the number of images that change.
        seed: seed of the images.
        run: progress and stopping.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    figures: list[Figure] = []
    rows, panels = [], {}
    for subject in subjects:
        bases = (subject.components, random_directions.random_like(subject.components, seed))
        changes = [measure(subject, basis, num_images=num_images // 4, seed=seed, run=run) for basis in bases]
        for quantity in Changes._fields:
            own, random = (getattr(one, quantity) for one in changes)
            name = f"{subject.name}: trend of {quantity}"
            trends = [_trend(f"{name}, components", [own], seed), _trend(f"{name}, random", [random], seed)]
            figures.append(_trend(f"{name}, components less random directions", [own, random], seed))
            rows.append([subject.name, quantity, *map(text, trends)])
            panels[f"{subject.name}: {quantity}"] = {
                "components": _curve(own, seed), "random, same standard deviations": _curve(random, seed)
            }  # fmt: skip
    verdict, answer = _answer(figures)
    table = Table("Trend: rank correlation with the number of the component; -1 falls, +1 rises",
                  ["generator", "of the change", "components", "random directions"], rows)  # fmt: skip
    caption = "Size (root mean square in [-1, 1]) and mean spatial frequency (cycles per side) of the change"
    return Finding(QUESTION, verdict, answer, figures, [table], {caption: charts.curves(panels, x_label="component")})


def _answer(figures: list[Figure]) -> tuple[Verdict, str]:
    """Returns the answer from the four trends, relative to random directions."""
    sizes, frequencies = figures[0::2], figures[1::2]
    falls = sum(one.high < 0 and one.value <= -_CLEAR for one in sizes)
    rises = sum(one.low > 0 and one.value >= _CLEAR for one in frequencies)
    verdict: Verdict = "yes" if falls + rises == len(figures) else "partly" if falls + rises else "no"
    return verdict, (
        "A component's standard deviation falls with its rank by definition. Random directions of the same standard "
        f"deviations show what follows from that alone. Clearly beyond it, later components change less in {falls} of "
        f"{len(sizes)} generators, and finer detail in {rises} of {len(frequencies)}."
    )


def measure(subject: Subject, basis: Components, *, num_images: int, seed: int, run: Run = Run()) -> Changes:
    """Returns what steps from -1 to +1 standard deviation do to random images."""
    parts = []
    for before, after in steps.both_ways(
        subject, basis, steps.draw(subject, num_images, seed), count=len(basis), run=run
    ):
        size = np.sqrt(np.square(after - before).mean((1, 2, 3)))
        parts.append((size, mean_frequency(after - before)))
    return Changes(*(np.stack(one) for one in zip(*parts, strict=True)))


def mean_frequency(difference: Float[np.ndarray, "n h w c"]) -> Float[np.ndarray, "n"]:
    """Returns the mean spatial frequency of each image, in cycles per side; 0 for an
    image of 0.
    """
    power = np.square(np.abs(np.fft.fft2(difference, axes=(1, 2)))).sum(-1)
    height, width = difference.shape[1:3]
    cycles = np.hypot(*np.meshgrid(np.fft.fftfreq(height) * height, np.fft.fftfreq(width) * width, indexing="ij"))
    total = power.sum((1, 2))
    return (power * cycles).sum((1, 2)) / np.where(total > 0, total, 1.0)


def _trend(name: str, bases: list[Float[np.ndarray, "c n"]], seed: int) -> Figure:
    """Returns the rank correlation of the mean over images with the direction's number.

    If there are two bases, the second's correlation is subtracted from the first's.
    """
    values = np.stack(bases, axis=-1).transpose(1, 0, 2)  # [n, c, bases]

    def figure(rows: Float[np.ndarray, "n c b"]) -> float:
        ranks = rows.mean(0).argsort(0).argsort(0)
        own, *other = (np.corrcoef(np.arange(len(ranks)), column)[0, 1] for column in ranks.T)
        return float(own - sum(other))

    low, high = bootstrap.percentile_interval(figure, [values], num_resamples=_NUM_RESAMPLES, seed=seed)
    return Figure(name, figure(values), float(low), float(high))


def _curve(values: Float[np.ndarray, "c n"], seed: int) -> Curve:
    low, high = bootstrap.percentile_interval(
        lambda rows: rows.mean(0), [values.T], num_resamples=_NUM_RESAMPLES, seed=seed
    )
    return Curve(np.arange(len(values)), values.mean(1), low, high)
