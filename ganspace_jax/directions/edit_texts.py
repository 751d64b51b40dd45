"""The text form of edits: components by index as in the paper, or directions by name.

- E(v3, 0-4)=2.5: component 3, layers 0 to 4 inclusive, 2.5 standard deviations.
- E(v3, all)=2.5: all layers.
- E(v3)=2.5: the direction's own range, which is all layers unless it is named.
- light_intensity=2: a named direction in its own range.
- E(light_intensity, 0-4)=2: a named direction in other layers.
- horizontal:=0.5: the step that sets this value, in the scorer's own unit.
- light_intensity or E(v3): a step of the default length.
"""

import math
import re
from typing import NamedTuple

from ganspace_jax.directions.named_directions import NAME
from ganspace_jax.errors import InputError

Layers = tuple[int, int | None]  # [start, stop) as in a slice: None is the end

ALL: Layers = (0, None)
DEFAULT_SIGMA = 2.0

_FORM = re.compile(
    rf"\s*(?:E\(\s*(?:v(?P<index>\d{{1,9}})|(?P<inner>{NAME}))"
    r"\s*(?:,\s*(?P<layers>all|\d{1,9}(?:\s*-\s*\d{1,9})?)\s*)?\)"
    rf"|(?P<name>{NAME}))"
    r"\s*(?:(?P<sign>:?=)\s*(?P<number>[^\s=:]+)\s*)?"
)


class Parts(NamedTuple):
    """Parts of an edit's text.

    Attributes:
        component: index of the component, or name of a direction.
        layers: [start, stop); None if the text has no layers.
        sigma: length of the step, in standard deviations.
        value: value to set; None for a step.
    """

    component: int | str
    layers: Layers | None = None
    sigma: float = DEFAULT_SIGMA
    value: float | None = None


def parse(text: str) -> Parts:
    """Returns the parts of a text.

    Raises:
        InputError: if the text is not an edit.
    """
    match = _FORM.fullmatch(text)
    number = _number(match["number"] or str(DEFAULT_SIGMA)) if match else None
    sets_value = match is not None and match["sign"] == ":="
    if match is None or number is None or (sets_value and not math.isfinite(number)):
        raise InputError(
            f"--edit={text}: not an edit; write for example E(v3, 0-4)=2.5, E(v3, all)=-2, light_intensity=2 or "
            "horizontal:=0.5"
        )
    component = int(match["index"]) if match["index"] else match["inner"] or match["name"]
    layers = _layers(match["layers"])
    return Parts(component, layers, value=number) if sets_value else Parts(component, layers, number)


def _layers(text: str | None) -> Layers | None:
    if text is None or text == "all":
        return None if text is None else ALL
    first, _, last = text.partition("-")
    return int(first), int(last or first) + 1


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def write(parts: Parts) -> str:
    """Returns the text that `parse` turns into the same parts."""
    component, layers, sigma, value = parts
    subject = f"v{component}" if isinstance(component, int) else component
    if layers is not None:
        first, stop = layers
        last = "" if stop is None else stop - 1
        subject = f"E({subject}, {'all' if layers == ALL else f'{first}-{last}'})"
    elif isinstance(component, int):
        subject = f"E({subject})"
    return f"{subject}={number_text(sigma)}" if value is None else f"{subject}:={number_text(value)}"


def number_text(number: float) -> str:
    """Returns the shortest text of a number, without a loss of digits."""
    short = f"{number:g}"
    return short if float(short) == number or number != number else repr(float(number))
