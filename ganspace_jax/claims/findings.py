"""Findings: a question, its answer, and the numbers and pictures behind the answer."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from ganspace_jax.shapes import UInt8

Verdict = Literal["yes", "no", "partly", "open"]
VERDICTS: tuple[str, ...] = ("yes", "no", "partly", "open")


class Figure(NamedTuple):
    """One number with its 95 % interval.

    Attributes:
        name: the measured quantity in words, with its unit.
        value: the number.
        low: lower bound of the interval; NaN without an interval.
        high: upper bound of the interval; NaN without an interval.
    """

    name: str
    value: float
    low: float = np.nan
    high: float = np.nan


class Table(NamedTuple):
    """A table of texts.

    Attributes:
        title: description of the rows.
        header: titles of the columns.
        rows: texts of the cells.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


class Finding(NamedTuple):
    """The answer to one question.

    Attributes:
        question: the claim as a question.
        verdict: "yes", "no", "partly", or "open" if the numbers do not decide.
        answer: one to four sentences.
        figures: the numbers on which the answer stands.
        tables: further numbers.
        pictures: pixels of each picture, by its caption.
    """

    question: str
    verdict: Verdict
    answer: str
    figures: Sequence[Figure]
    tables: Sequence[Table] = ()
    pictures: Mapping[str, UInt8[np.ndarray, "h w c"]] = {}


def text(figure: Figure) -> str:
    """Returns a number with its interval, such as "0.94 (0.92 to 0.95)"."""
    if not np.isfinite(figure.value):
        return "unknown"
    if not np.isfinite([figure.low, figure.high]).all():
        return f"{figure.value:.3g}"
    return f"{figure.value:.3g} ({figure.low:.3g} to {figure.high:.3g})"


def to_json(finding: Finding) -> dict[str, Any]:
    """Returns the JSON values of a finding without its pictures."""
    return {
        "question": finding.question,
        "verdict": finding.verdict,
        "answer": finding.answer,
        "figures": [[one.name, *(float(x) if np.isfinite(x) else None for x in one[1:])] for one in finding.figures],
        "tables": [[one.title, list(one.header), [list(row) for row in one.rows]] for one in finding.tables],
        "captions": list(finding.pictures),
    }


def from_json(values: Mapping[str, Any], pictures: Sequence[UInt8[np.ndarray, "h w c"]]) -> Finding:
    """Returns the finding of JSON values, with the pictures in the captions' order.

    Raises:
        ValueError: if the values are not those of a finding.
    """
    try:
        figures = [Figure(name, *(np.nan if x is None else x for x in numbers)) for name, *numbers in values["figures"]]
        tables = [Table(*one) for one in values["tables"]]
        captions = dict(zip(values["captions"], pictures, strict=True))
        question, verdict, answer = (values[key] for key in ("question", "verdict", "answer"))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a finding: {error!r}") from None
    if verdict not in VERDICTS:
        raise ValueError(f"verdict: must be one of {', '.join(VERDICTS)}, is {verdict!r}")
    return Finding(question, verdict, answer, figures, tables, captions)
