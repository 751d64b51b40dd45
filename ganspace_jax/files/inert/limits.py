"""Bounds the memory, the time and the nesting that reading a hostile file can cost.

Python's own reader reserves the memory that a file announces, and hashes and visits
nested values by recursion. The checks here come first.
"""

import io
from typing import Any, NamedTuple

MAX_PROTOCOL = 5
MAX_INSTRUCTIONS = 2_000_000  # per file; StyleGAN3's have 23,500; one instruction can make an empty set of 216 bytes
MAX_GROWTH = 4  # ratio of the bytes of the values to the bytes of their file
MAX_DEPTH = 100  # levels of nested values; files of networks have 16
MAX_ARGUMENTS = 16  # per call
MAX_DIMENSIONS = 32  # per array
MAX_NAME = 400  # characters of a key; projectors use the paths of pictures
MAX_BITS = 128  # per integer; multiplying long integers takes very long
MAX_KEY_BITS = 60  # per integer that is a key; arbitrarily many longer integers share one hash
BYTES_PER_ITEM = 64  # of memory, per item of a dictionary or a set


class Allowance:
    """The instructions and the bytes that reading one file may still cost.

    All pickles in the file share one allowance, however often the file repeats them.
    The bytes are a few times the size of the file, so a file cannot have a part copied
    forever.
    """

    def __init__(self, file_size: int):
        self.file_size = file_size
        self._bytes, self._instructions = MAX_GROWTH * file_size, MAX_INSTRUCTIONS

    def spend(self, count: int) -> None:
        """Subtracts bytes; raises ValueError if none are left."""
        self._bytes -= count
        if self._bytes < 0:
            raise ValueError("its values are many times the file")

    def step(self) -> None:
        """Subtracts an instruction; raises ValueError if none are left."""
        self._instructions -= 1
        if self._instructions < 0:
            raise ValueError(f"pickles of more than {MAX_INSTRUCTIONS:,} instructions")


class BoundedFile:
    """A file that reads at most `size` bytes at once.

    A file object reserves the requested number of bytes before it reads.
    """

    def __init__(self, file: io.BufferedIOBase, size: int):
        self._file, self._size = file, size
        self.readline = file.readline

    def read(self, count: int) -> bytes:
        return self._file.read(min(count, self._size))


def as_key(value: Any) -> Any:
    """Returns a value that is safe as a key of a dictionary or an item of a set.

    Raises:
        ValueError: The value is nested, because its hash is computed by recursion. Or
            it is an unprintable or long text, because keys appear in messages. Or it is
            a long integer, because many of these share one hash.
    """
    if isinstance(value, str) and not (value.isprintable() and len(value) <= MAX_NAME):
        raise ValueError("has a key that is no name")
    if type(value) is int and value.bit_length() > MAX_KEY_BITS:
        raise ValueError(f"has a number of more than {MAX_KEY_BITS} bits as a key")
    return of_type(value, str, int, float, bool, bytes, type(None))


def as_sizes(values: Any) -> tuple[int, ...]:
    """Returns a shape or strides; raises ValueError for other values."""
    if not isinstance(values, tuple | list) or len(values) > MAX_DIMENSIONS:
        raise ValueError(f"an array whose sizes are no row of up to {MAX_DIMENSIONS}")
    if any(type(n) is not int or n < 0 for n in values):
        raise ValueError("an array with sizes that are no counts")
    return tuple(values)


def of_type(value: Any, *types: type) -> Any:
    """Returns the value; raises ValueError if it has none of the types."""
    if type(value) not in types:
        raise ValueError(f"has a {type(value).__name__} where a {' or '.join(x.__name__ for x in types)} belongs")
    return value


def check_extent(value: Any, file_size: int) -> None:
    """Raises ValueError if a visit of all nested values would be too deep or too long.

    A value in several places counts in each of them, because a visitor meets it there.
    So code that reads the value afterwards may use recursion.
    """
    if _extent(value, 0, {}).size > MAX_GROWTH * file_size:
        raise ValueError("the same values in so many places that they are many times the file")


class _Extent(NamedTuple):
    """How far a value reaches.

    Attributes:
        depth: Number of levels of containers, 0 for a value that is no container.
        size: Number of values plus the number of bytes of arrays.
    """

    depth: int
    size: int


def _extent(value: Any, level: int, known: dict[int, _Extent]) -> _Extent:
    """Returns the extent of a value that is nested `level` deep.

    Args:
        value: Any value.
        level: Number of containers around the value.
        known: Extents of the containers that were visited before, by id.
    """
    if not isinstance(value, dict | list | tuple):
        return _Extent(0, getattr(value, "nbytes", 0) + 1)
    depth = known[id(value)].depth if id(value) in known else 0
    if level + depth > MAX_DEPTH:
        raise ValueError(f"values nested more than {MAX_DEPTH} deep, or within themselves")
    if id(value) not in known:
        items = value.values() if isinstance(value, dict) else value
        extents = [_extent(item, level + 1, known) for item in items]
        depth = max((extent.depth for extent in extents), default=0)
        known[id(value)] = _Extent(1 + depth, 1 + sum(extent.size for extent in extents))
    return known[id(value)]
