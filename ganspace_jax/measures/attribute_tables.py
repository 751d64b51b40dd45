"""Tables of wanted attributes: Markdown for reports, JSON for programs, and warnings in
words.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ganspace_jax.files import tables
from ganspace_jax.measures.purity import FIGURES, Measured, Purity
from ganspace_jax.measures.wanted_attributes import Attribute

_LEAST_SIGNED = 0.25  # signed purity below which one direction does not control a score
_HEADER = ["attribute", "layers", "R2", "R2 of curve", "slope", "purity", "signed", "flips", "purity, equal effect",
           "best component", "best random"]  # fmt: skip


def markdown(report: Sequence[Attribute]) -> str:
    """Returns one row per attribute: the direction that was found, then the purities of
    the baselines.

    Intervals are 95 % bootstrap intervals over images.
    """
    return tables.markdown(_HEADER, [_row(one) for one in report])


def _row(one: Attribute) -> list[str]:
    found, readout = one.found, one.readout
    return [
        one.name.replace("_", " "),
        _layers(found),
        "" if readout is None else _number(readout.r2),
        "" if readout is None else _number(readout.curve_r2),
        _number(found.at_sigma.slope),
        f"**{_with_interval(found.at_sigma, 1)}**",
        _number(found.at_sigma.signed_purity),
        _with_interval(found.at_sigma, 3),
        _with_interval(found.at_equal, 1),
        *(_baseline(one, method) for method in ("component", "random")),
    ]


def _layers(found: Measured) -> str:
    start, stop = found.choice.layers
    return str(start) if stop == start + 1 else f"{start}-{stop - 1}"


def _baseline(one: Attribute, method: str) -> str:
    found = next((other for other in (one.found, *one.others) if other.choice.method == method), None)
    if found is None:
        return ""
    name = f"v{found.choice.candidate}, layers {_layers(found)}: " if method == "component" else ""
    return name + _number(found.at_sigma.purity)


def _figure(figures: Purity, number: int) -> float:
    return float(getattr(figures, FIGURES[number]))


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}"


def _with_interval(figures: Purity, number: int) -> str:
    value, low, high = _figure(figures, number), figures.low[number], figures.high[number]
    return "" if math.isnan(value) else f"{value:.2f} ({low:.2f}-{high:.2f})"


def compared(report: Sequence[Attribute]) -> str:
    """Returns one row per method: slope and purities, as means over the attributes that
    are not circular, in size.

    The first columns are for a step of one sigma, the last ones for equal effect.
    """
    linear = [one for one in report if one.period is None] or list(report)
    methods = [found.choice.method for found in (linear[0].found, *linear[0].others)]
    rows = []
    for number, method in enumerate(methods):
        each = [(one.found, *one.others)[number] for one in linear]
        sigma, equal = (
            np.mean([np.abs(getattr(one, step)[:4]) for one in each], axis=0) for step in ("at_sigma", "at_equal")
        )
        rows.append([method, *map(_number, sigma), *map(_number, equal)])
    names = ["slope", "purity", "signed", "flips"]
    return tables.markdown(["method", *names, *(f"{name}, equal effect" for name in names)], rows)


def as_json(report: Sequence[Attribute]) -> list[dict[str, Any]]:
    """Returns the figures of every attribute and direction. Unknown figures are
    None.
    """
    return [
        {
            "attribute": one.name,
            "period": one.period,
            "r2": None if one.readout is None else _known(one.readout.r2),
            "curve_r2": None if one.readout is None else _known(one.readout.curve_r2),
            "accuracy": None if one.readout is None else _known(one.readout.accuracy),
            "directions": [_direction(found) for found in (one.found, *one.others)],
        }
        for one in report
    ]


def _direction(found: Measured) -> dict[str, Any]:
    return {
        "method": found.choice.method,
        "layers": list(found.choice.layers),
        "candidate": found.choice.candidate,
        "expected_effect": _known(found.choice.effect),
        "expected_signed_purity": _known(found.choice.signed_purity),
        "at_sigma": _figures(found.at_sigma),
        "at_equal_effect": {"step": found.equal_step, **_figures(found.at_equal)},
    }


def _figures(figures: Purity) -> dict[str, Any]:
    return {
        name: {"value": _known(_figure(figures, i)), "low": _known(figures.low[i]), "high": _known(figures.high[i])}
        for i, name in enumerate(FIGURES)
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def warnings(report: Sequence[Attribute]) -> list[str]:
    """Returns one sentence for each attribute that no single direction controls."""
    sentences = []
    for one in report:
        signed = one.found.at_sigma.signed_purity
        if one.period is not None:
            told = "" if one.readout is None else f" (R2 {one.readout.r2:.2f})"
            sentences.append(
                f"{one.name}: is circular, so no single direction turns it all the way{told}; "
                "experiments.edit --edit=NAME:=VALUE --scorer=... follows the local gradient"
            )
        elif signed < _LEAST_SIGNED:
            sentences.append(
                f"{one.name}: its direction moves it by little or to both sides (signed purity {signed:.2f}); "
                "experiments.edit --edit=NAME:=VALUE --scorer=... may do better"
            )
    return sentences
