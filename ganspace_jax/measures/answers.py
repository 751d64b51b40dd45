"""Answers to a question: rows of figures, each with a 95 % interval over images."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ganspace_jax.files import tables
from ganspace_jax.statistics.bootstrap import Figure


class Answer(NamedTuple):
    """One row of a table.

    Attributes:
        case: conditions of the measurement, by the titles of their columns.
        figures: figures by the titles of their columns.
    """

    case: Mapping[str, str]
    figures: Mapping[str, Figure]


def markdown(answers: Sequence[Answer]) -> str:
    """Returns a Markdown table; all answers have the same columns."""
    return tables.markdown(*cells(answers))


def cells(answers: Sequence[Answer]) -> tuple[list[str], list[list[str]]]:
    """Returns the titles of a table's columns, and the texts of its rows."""
    rows = [[*one.case.values(), *map(_text, one.figures.values())] for one in answers]
    return [*answers[0].case, *answers[0].figures], rows


def as_json(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Returns the rows as JSON values."""
    return [{**one.case, **{name: figure._asdict() for name, figure in one.figures.items()}} for one in answers]


def _text(figure: Figure) -> str:
    digits = 2 if abs(figure.value) < 10 else 1
    value, low, high = (f"{number:.{digits}f}" for number in figure)
    return f"{value} ({low} to {high})"
