"""Confidence intervals of any statistic by the bootstrap."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ganspace_jax.shapes import Float


class Interval(NamedTuple):
    """Confidence interval of each entry of a statistic.

    Attributes:
        low: lower bounds, in the shape of the statistic.
        high: upper bounds, in the shape of the statistic.
    """

    low: Float[np.ndarray, "*shape"]
    high: Float[np.ndarray, "*shape"]


class Figure(NamedTuple):
    """A figure with its 95 % bootstrap interval.

    Attributes:
        value: the figure.
        low: lower bound.
        high: upper bound.
    """

    value: float
    low: float
    high: float


def figure(statistic: Callable[[np.ndarray], Any], rows: np.ndarray) -> Figure:
    """Returns a number that a statistic finds in rows, with its interval."""
    interval = percentile_interval(statistic, [rows])
    return Figure(float(statistic(rows)), float(interval.low), float(interval.high))


def percentile_interval(
    statistic: Callable[..., Any],
    samples: Sequence[np.ndarray],
    *,
    num_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Returns the bootstrap's percentile interval (Efron and Tibshirani 1993, ch. 13).

    A resample draws rows of every array with replacement, as many as the array has. The
    rows of one array are drawn independently of the rows of the next array. The bounds
    are the quantiles (1 - level) / 2 and (1 + level) / 2 of the resamples' statistics.
    The bounds are NaN if the statistic of any resample is NaN.

    Args:
        statistic: function of the resampled arrays, in the order of `samples`. It
            returns a number or an array of fixed shape.
        samples: arrays whose first axis counts the samples.
        num_resamples: number of resamples.
        level: nominal probability that the interval contains the true value.
        seed: seed of the random draws.

    Raises:
        ValueError: if an array has no rows.
    """
    if not all(len(sample) for sample in samples):
        raise ValueError(f"samples have {[len(sample) for sample in samples]} rows; the bootstrap needs at least one")
    random = np.random.default_rng(seed)
    replicates = [statistic(*(_resample(sample, random) for sample in samples)) for _ in range(num_resamples)]
    # In this form 2.5 and 97.5 percent are exact.
    low, high = np.percentile(replicates, (50 - 50 * level, 50 + 50 * level), axis=0)
    return Interval(np.asarray(low), np.asarray(high))


def nested_interval(
    statistic: Callable[..., Any],
    groups: Sequence[Sequence[np.ndarray]],
    *,
    num_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Returns the percentile interval of a statistic's mean over groups.

    A resample draws groups with replacement, then rows of every array of each drawn
    group (Davison and Hinkley 1997, section 3.8). With S groups, the variance between
    groups comes out too small by the factor (S - 1) / S.

    Args:
        statistic: function of one group's resampled arrays. It returns a number or an
            array of fixed shape.
        groups: arrays of each group, whose first axis counts the samples.
        num_resamples: number of resamples.
        level: nominal probability that the interval contains the true value.
        seed: seed of the random draws.
    """
    random = np.random.default_rng(seed)

    def replicate() -> Any:
        drawn = [groups[number] for number in random.integers(0, len(groups), len(groups))]
        return np.mean([statistic(*(_resample(one, random) for one in arrays)) for arrays in drawn], axis=0)

    replicates = [replicate() for _ in range(num_resamples)]
    low, high = np.percentile(replicates, (50 - 50 * level, 50 + 50 * level), axis=0)
    return Interval(np.asarray(low), np.asarray(high))


def _resample(sample: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return sample[random.integers(0, len(sample), len(sample))]
