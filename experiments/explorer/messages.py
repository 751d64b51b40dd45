r"""Reads and writes the messages between page and program, and bounds all of them.

A message is one line of JSON, and after it the bytes of a payload, if there is one:

    {"id": 7, "kind": "picture", "state": {...}}\n<bytes>
"""

import json
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from ganspace_jax import errors
from ganspace_jax.errors import InputError

MAX_BYTES = 32_000_000  # of a message with its payload, which is an uploaded picture
MAX_LINE = 256_000  # bytes of the line of JSON
MAX_TEXT = 2_000  # characters of a note
_MAX_ID = 2**53  # beyond it JavaScript's numbers are not exact
_MAX_DEPTH = 16  # of lists and dictionaries within one another

Item = TypeVar("Item")


class MessageError(InputError):
    """A message that no page of this program sends."""


def read(body: bytes) -> tuple[dict[str, Any], bytes]:
    """Returns the entries and the payload of a message.

    Raises:
        MessageError: if the message is too long, or is no dictionary in JSON.
    """
    if len(body) > MAX_BYTES:
        raise MessageError(f"message: has {len(body):,} bytes; at most {MAX_BYTES:,} are read")
    line, _, payload = body.partition(b"\n")
    if len(line) > MAX_LINE:
        raise MessageError(f"message: its line of JSON has {len(line):,} bytes; at most {MAX_LINE:,} are read")
    try:
        content = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise MessageError("message: its JSON is nested too deeply") from None
    except ValueError as error:
        raise MessageError(f"message: is not JSON: {errors.first_line(error)}") from None
    if not isinstance(content, dict):
        raise MessageError(f"message: must be a dictionary, is {_kind_of(content)}")
    _check_depth(content)
    return content, payload


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _check_depth(content: Any) -> None:
    """Raises MessageError for JSON that is nested deeper than any message."""
    level = [content]
    for _ in range(_MAX_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise MessageError("message: its JSON is nested too deeply")


def write(answer: Mapping[str, Any], payload: bytes = b"") -> bytes:
    """Returns an answer as bytes. Raises ValueError for NaN, which JSON lacks."""
    return json.dumps(answer, allow_nan=False).encode() + b"\n" + payload


def finite_or_none(value: Any) -> float | None:
    """Returns a figure as a number of JSON; None for NaN and infinity."""
    number = float(value)
    return number if math.isfinite(number) else None


def id_of(content: Mapping[str, Any]) -> int | None:
    """Returns the number of a message; None without a usable one."""
    value = content.get("id")
    return value if type(value) is int and abs(value) <= _MAX_ID else None


def integer(value: Any, name: str, lowest: int, highest: int) -> int:
    """Returns a whole number within bounds. Raises MessageError for another value."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if type(value) is not int or not lowest <= value <= highest:
        raise MessageError(f"{name}: must be a whole number from {lowest} to {highest}, is {_shown(value)}")
    return value


def number(value: Any, name: str, largest: float) -> float:
    """Returns a number of at most `largest` on both sides of 0. Raises MessageError for
    another value.
    """
    if type(value) not in (int, float) or not abs(value) <= largest:
        raise MessageError(f"{name}: must be a number from {-largest:g} to {largest:g}, is {_shown(value)}")
    return float(value)


def boolean(value: Any, name: str) -> bool:
    """Returns true or false. Raises MessageError for another value."""
    if not isinstance(value, bool):
        raise MessageError(f"{name}: must be true or false, is {_shown(value)}")
    return value


def text(value: Any, name: str, longest: int = MAX_TEXT) -> str:
    """Returns a printable text without spaces around it.

    Raises MessageError for another value.
    """
    if not isinstance(value, str) or len(value) > longest:
        raise MessageError(f"{name}: must be a text of at most {longest:,} characters, is {_shown(value)}")
    return errors.printable(value.strip())


def note(value: Any, name: str) -> str:
    """Returns a text of several printable lines. Raises MessageError for another
    value.
    """
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        return text(value, name)
    return "\n".join(errors.printable(line) for line in value.strip().splitlines())


def choice(value: Any, name: str, allowed: Collection[str]) -> str:
    """Returns one of the allowed texts. Raises MessageError for another value."""
    if not isinstance(value, str) or value not in allowed:
        hint = errors.nearest(value, allowed) if isinstance(value, str) else ""
        raise MessageError(f"{name}: {hint}must be one of {', '.join(allowed)}, is {_shown(value)}")
    return value


def entries(value: Any, name: str, allowed: Collection[str]) -> dict[str, Any]:
    """Returns a dictionary that has only the allowed names. Raises MessageError for
    another value.
    """
    if not isinstance(value, dict):
        raise MessageError(f"{name}: must be a dictionary, is {_shown(value)}")
    for key in value:
        if key not in allowed:
            raise MessageError(f"{name}: {errors.nearest(key, allowed)}{_shown(key)} is no entry of it")
    return value


def items(value: Any, name: str, most: int, read_one: Callable[[Any], Item]) -> tuple[Item, ...]:
    """Returns what `read_one` makes of each value in a list. Raises MessageError for
    another value, or a longer list.
    """
    if not isinstance(value, list) or len(value) > most:
        raise MessageError(f"{name}: must be a list of at most {most}, is {_shown(value)}")
    return tuple(read_one(one) for one in value)


def _shown(value: Any) -> str:
    """Returns a value in a few characters; lists and dictionaries by their kind."""
    if isinstance(value, dict | list):
        return f"{_kind_of(value)} of {len(value)}"
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number with many digits"
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:40]}..."


def _kind_of(value: Any) -> str:
    kinds = {dict: "a dictionary", list: "a list", str: "a text", bool: "true or false", int: "a number"}
    return kinds.get(type(value), "a number" if isinstance(value, float) else "null")
