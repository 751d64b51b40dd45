"""Recognizes graphs of operations by their first bytes: ONNX and TensorFlow.

These files are protocol buffers without a magic number. A field begins with its number
and its wire type; a text or a nested message follows with its length. Only the fields
within the first bytes are examined.
"""

from collections.abc import Iterator
from typing import NamedTuple

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT = 10  # bytes
_MAX_FIELDS = 64  # per message
_MAX_ONNX_VERSION = 100  # of the intermediate representation; the newest is about 12

# The numbers of ModelProto's fields, and their wire types.
_ONNX = {1: _VARINT, 2: _BYTES, 3: _BYTES, 4: _BYTES, 5: _VARINT, 6: _BYTES, 7: _BYTES, 8: _BYTES, 14: _BYTES,
         20: _BYTES, 25: _BYTES, 26: _BYTES}  # fmt: skip
_ONNX_GRAPH = 7
_ONNX_TEXTS = (2, 3, 4)  # producer's name, its version, and the domain


class _Field(NamedTuple):
    """A field of a message.

    Attributes:
        number: Number of the field.
        wire: Wire type.
        value: Integer of a varint, size of the field in bytes otherwise.
        content: The field's bytes as far as they were read.
    """

    number: int
    wire: int
    value: int
    content: bytes


def recognize(start: bytes) -> str | None:
    """Returns "onnx", "saved_model", "frozen_graph" or "meta_graph" by a file's first
    bytes; None for another file.
    """
    fields = list(_fields(start))
    if not fields:
        return None
    first = fields[0]
    if first.number == 1 and first.wire == _VARINT:
        if _is_onnx(fields):
            return "onnx"
        is_saved_model = first.value == 1 and len(fields) > 1 and fields[1].number == 2
        return "saved_model" if is_saved_model and _is_meta_graph(fields[1].content) else None
    if _is_meta_graph(start):
        return "meta_graph"
    return "frozen_graph" if first.number == 1 and first.wire == _BYTES and _is_node(first.content) else None


def _is_onnx(fields: list[_Field]) -> bool:
    """Returns whether fields are those of an ONNX model.

    What follows the graph is not examined.
    """
    numbers = [field.number for field in fields]
    known = fields[: numbers.index(_ONNX_GRAPH) + 1] if _ONNX_GRAPH in numbers else []
    return (
        bool(known)
        and 0 < known[0].value <= _MAX_ONNX_VERSION
        and all(_ONNX.get(field.number) == field.wire for field in known)
        and all(_is_text(field.content) for field in known if field.number in _ONNX_TEXTS)
    )


def _is_meta_graph(message: bytes) -> bool:
    """Returns whether a message begins with the list of a graph's operations.

    The list is field 2 of the first field. Each operation begins with its name.
    """
    info = _first(message)
    operations = next(
        (field.content for field in _fields(info or b"") if (field.number, field.wire) == (2, _BYTES)), b""
    )
    operation = _first(operations)
    return operation is not None and _is_word(_first(operation))


def _is_node(message: bytes) -> bool:
    """Returns whether a message begins with a node's name and its operation."""
    parts = list(_fields(message))[:2]
    is_pair = [(part.number, part.wire) for part in parts] == [(1, _BYTES), (2, _BYTES)]
    return is_pair and all(_is_word(part.content) for part in parts)


def _first(message: bytes) -> bytes | None:
    """Returns the content of field 1, if the message begins with it."""
    field = next(_fields(message), None)
    return field.content if field is not None and (field.number, field.wire) == (1, _BYTES) else None


def _is_text(content: bytes) -> bool:
    return content.decode("utf-8", "replace").isprintable()


def _is_word(content: bytes | None) -> bool:
    return bool(content) and content.isascii() and _is_text(content) and b" " not in content


def _fields(data: bytes) -> Iterator[_Field]:
    """Yields the fields at the beginning of a message, until one is not well-formed."""
    place = 0
    for _ in range(_MAX_FIELDS):
        key, place = _varint(data, place)
        if key is None or not key >> 3:
            return
        wire = key & 7
        value: int | None = {_FIXED64: 8, _FIXED32: 4}.get(wire)
        if wire in (_VARINT, _BYTES):
            value, place = _varint(data, place)
        if value is None:
            return
        length = 0 if wire == _VARINT else value
        yield _Field(key >> 3, wire, value, data[place : place + length])
        place += length


def _varint(data: bytes, place: int) -> tuple[int | None, int]:
    """Returns an integer of seven bits a byte, and the place behind it; None at the end
    of the data.
    """
    value = 0
    for count, byte in enumerate(data[place : place + _MAX_VARINT]):
        value |= (byte & 127) << (7 * count)
        if byte < 128:
            return value, place + count + 1
    return None, place
