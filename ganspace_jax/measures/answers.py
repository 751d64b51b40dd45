"""Answers to a question: rows of figures, each with a 95 % interval over images."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ganspace_jax.files import tables
from ganspace_jax.shapes import Float
from ganspace_jax.statistics import bootstrap

NUM_RESAMPLES = 1000


class Estimate(NamedTuple):
    """One figure with its 95 % bootstrap interval.

    Attributes:
        value: the figure.
        low: lower bound.
        high: upper bound.
    """

    value: float
    low: float
    high: float


class Answer(NamedTuple):
    """One row of a table.

    Attributes:
        case: conditions of the measurement, by the titles of their columns.
        figures: figures by the titles of their columns.
    """

    case: Mapping[str, str]
    figures: Mapping[str, Estimate]


def estimate(
    values: Float[np.ndarray, "n *m"], statistic: Callable[[np.ndarray], Any] = np.mean, *, seed: int = 0
) -> Estimate:
    """Returns a statistic of values per image, by default their mean, with its interval
    over images.

    Args:
        values: values, one row per image.
        statistic: function of rows that returns a number.
        seed: seed of the bootstrap.
    """
    interval = bootstrap.percentile_interval(statistic, [values], num_resamples=NUM_RESAMPLES, seed=seed)
    return Estimate(float(statistic(values)), float(interval.low), float(interval.high))


def markdown(answers: Sequence[Answer]) -> str:
    """Returns a Markdown table; all answers have the same columns."""
    header = [*answers[0].case, *answers[0].figures]
    rows = [[*one.case.values(), *map(_text, one.figures.values())] for one in answers]
    return tables.markdown(header, rows)


def as_json(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Returns the rows as JSON values."""
    return [{**one.case, **{name: figure._asdict() for name, figure in one.figures.items()}} for one in answers]


def _text(figure: Estimate) -> str:
    digits = 2 if abs(figure.value) < 10 else 1
    value, low, high = (f"{number:.{digits}f}" for number in figure)
    return f"{value} ({low} to {high})"
