"""Defines records: objects of classes that are not known here, kept as data.

A record stores what a file contains about an object: the name of its class, arguments,
state and items. Neither the class nor anything else is imported or called.
"""

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ganspace_jax.files.inert import limits
from ganspace_jax.files.inert.limits import Allowance

_BYTES_PER_RECORD = 128  # of memory
_MAX_PARTS = 4  # items of a tuple that is a key
_MAX_PART_BITS = 16  # per integer in such a tuple; more bits could give many tuples one hash
_MAX_NAME = 100  # characters of a name in a message


class Name(NamedTuple):
    """The name of a class or a function in a file."""

    module: str
    name: str

    def __str__(self) -> str:
        text = f"{self.module}.{self.name}"
        return text if text.isprintable() and len(text) <= _MAX_NAME else f"{text[:_MAX_NAME]!r}"


_NO_ENTRIES: Mapping[Any, Any] = types.MappingProxyType({})
_KEY = Name("pickle", "key")  # of a record in place of a key that is not safe as one


class Record:
    """An object of an unknown class, or the result of an unknown function.

    A record equals only itself, so it can be a key of a dictionary.

    Attributes:
        name: Name of the class or function.
        arguments: Positional arguments. A call of another record has the name of that
            record, and the record before its arguments.
        keywords: Keyword arguments.
        state: State that the file gives to the object, None if it gives none.
        items: Items that the file appends or adds to the object.
        entries: Entries that the file stores in the object, by key.
    """

    __slots__ = ("arguments", "entries", "items", "keywords", "name", "state")

    def __init__(
        self, name: Name, arguments: tuple[Any, ...] = (), keywords: Mapping[Any, Any] | None = None, state: Any = None
    ):
        self.name, self.arguments, self.keywords, self.state = name, arguments, keywords or _NO_ENTRIES, state
        self.items: Sequence[Any] = ()
        self.entries = _NO_ENTRIES

    def extend(self, items: Sequence[Any]) -> None:
        """Adds items."""
        if type(self.items) is not list:
            self.items = []
        self.items.extend(items)

    def store(self, key: Any, value: Any) -> None:
        """Stores a value under a key that is safe; see `as_key`."""
        if type(self.entries) is not dict:
            self.entries = {}
        self.entries[key] = value

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Attributes by name, empty if the state is neither a dictionary nor a pair of
        dictionaries.

        The second dictionary of a pair contains the attributes in slots.
        """
        if isinstance(self.state, dict):
            return self.state
        parts = self.state if type(self.state) is tuple and len(self.state) == 2 else ()
        if not all(isinstance(part, dict | None) for part in parts):
            return {}
        return {name: value for part in parts if part for name, value in part.items()}


def make(allowance: Allowance, name: Name, arguments: tuple[Any, ...] = (), keywords: Any = None) -> Record:
    """Returns a record; raises ValueError if the allowance is used up."""
    allowance.spend(_BYTES_PER_RECORD)
    return Record(name, arguments, keywords)


def as_key(allowance: Allowance, value: Any) -> Any:
    """Returns a value that is safe as a key of a dictionary or an item of a set.

    This is the value itself if it is plain, a name, a record, or a short tuple of plain
    values. Any other value becomes the only argument of a new record.
    """
    if type(value) in (Name, Record) or (
        type(value) is tuple and len(value) <= _MAX_PARTS and all(map(_is_part, value))
    ):
        return value
    try:
        return limits.as_key(value)
    except ValueError:
        return make(allowance, _KEY, (value,))


def _is_part(value: Any) -> bool:
    if type(value) is int:
        return value.bit_length() <= _MAX_PART_BITS
    return type(value) in (str, bool, type(None)) and (type(value) is not str or len(value) <= limits.MAX_NAME)


class _Extent(NamedTuple):
    """How far a value reaches.

    Attributes:
        depth: Number of levels of containers, 0 for a value that is no container.
        size: Number of values plus the number of bytes of arrays.
    """

    depth: int
    size: int


def check_extent(value: Any, file_size: int) -> None:
    """Raises ValueError if a visit of all nested values would be too deep or too long.

    A value in several places counts in each of them, because a visitor meets it there.
    A record counts once, and may contain itself. So code that reads the value
    afterwards may use recursion, if it enters no record, or each record once.
    """
    known: dict[int, _Extent] = {}
    records: dict[int, Record] = {}
    left = limits.MAX_GROWTH * file_size - _extent(value, 0, known, records).size
    while records and left >= 0:
        _, record = records.popitem()
        known[id(record)] = _Extent(0, 1)
        left -= sum(_extent(part, 1, known, records).size for part in _parts_of(record))
    if left < 0:
        raise ValueError("the same values in so many places that they are many times the file")


def _parts_of(record: Record) -> Iterable[Any]:
    return record.arguments, record.keywords, record.state, record.items, record.entries


def _extent(value: Any, level: int, known: dict[int, _Extent], records: dict[int, Record]) -> _Extent:
    """Returns the extent of a value that is nested `level` deep, with records as single
    values.

    Args:
        value: Any value.
        level: Number of containers around the value.
        known: Extents of the containers and records that were visited before, by id.
        records: Records that were met but not visited, by id. New ones are added.
    """
    if not isinstance(value, dict | list | tuple | set | frozenset):
        if type(value) is Record and id(value) not in known:
            records[id(value)] = value
        return _Extent(0, getattr(value, "nbytes", 0) + 1)
    depth = known[id(value)].depth if id(value) in known else 0
    if level + depth > limits.MAX_DEPTH:
        raise ValueError(f"values nested more than {limits.MAX_DEPTH} deep, or within themselves")
    if id(value) not in known:
        extents = [_extent(item, level + 1, known, records) for item in _items(value)]
        depth = max((extent.depth for extent in extents), default=0)
        known[id(value)] = _Extent(1 + depth, 1 + sum(extent.size for extent in extents))
    return known[id(value)]


def _items(container: Any) -> Iterator[Any]:
    """Yields the items of a container, and those keys that are records."""
    if isinstance(container, dict):
        yield from (key for key in container if type(key) is Record)
        yield from container.values()
    elif isinstance(container, set | frozenset):
        yield from (item for item in container if type(item) is Record)
    else:
        yield from container
