"""The pickle language without its powers: a file becomes plain values, and nothing that it names is imported or called.

Python's unpickler looks up every name that a file mentions, calls what the file tells it to call, sets attributes where it is
told to, and reserves the memory that it is promised. Here a name is two words on the stack. A `Vocabulary` says what is made
where the file would call it; any other name ends the reading. No Python object is ever reached by a name.
"""

import io
import os
import pathlib
import pickletools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ganspace_jax.errors import InputError

_MAX_PROTOCOL = 5
_MAX_INSTRUCTIONS = 2_000_000  # of a file; StyleGAN3's have 23,500; an empty set, of 216 bytes, can be had with one
_MAX_GROWTH = 4  # of values against their file
_MAX_DEPTH = 100  # the networks' files have 16
_MAX_ARGUMENTS = 16
_MAX_DIMENSIONS = 32
_MAX_NAME = 100
_MAX_BITS = 128  # of an integer: products of long ones take for ever
_MAX_KEY_BITS = 60  # of an integer as a key: any number of longer ones have one hash


class Name(NamedTuple):
    """What a file calls a class or a function."""

    module: str
    name: str

    def __str__(self) -> str:
        text = f"{self.module}.{self.name}"
        return text if text.isprintable() and len(text) <= 100 else f"{text[:100]!r}"


class Vocabulary(NamedTuple):
    """All that a pickle may name.

    calls: what is made in place of a call, or None for names that are only passed on. states: how an object of a type takes
    the state that the file sets. record: what a reference to outside the pickle stands for.
    """

    calls: Mapping[Name, Callable[..., Any] | None] = {}
    states: Mapping[type, Callable[[Any, Any], None]] = {}
    record: Callable[[Any], Any] | None = None


class Allowance:
    """What the reading of a file may cost, all pickles in it together, however often one is read.

    That is a number of instructions, and of bytes copied: a few times the file, so that no part is copied for ever.
    """

    def __init__(self, file_size: int):
        self.file_size = file_size
        self._bytes, self._instructions = _MAX_GROWTH * file_size, _MAX_INSTRUCTIONS

    def spend(self, count: int) -> None:
        """Counts bytes; raises ValueError when there are no more."""
        self._bytes -= count
        if self._bytes < 0:
            raise ValueError("what it asks for is many times the file")

    def step(self) -> None:
        """Counts an instruction; raises ValueError when there are no more."""
        self._instructions -= 1
        if self._instructions < 0:
            raise ValueError(f"pickles of more than {_MAX_INSTRUCTIONS:,} instructions")


def readably(path: pathlib.Path, reader: Callable[[pathlib.Path], Any]) -> Any:
    """reader(path); whatever a damaged file leads to, or what is no file, becomes an InputError of one line."""
    if os.path.lexists(path) and not path.is_file():  # a pipe would be waited for, a device read without end
        raise InputError(f"{path}: is no regular file")
    try:
        return reader(path)
    except (InputError, FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except MemoryError:
        reason = "asks for more memory than there is"
    except ValueError as error:
        reason = (str(error).splitlines() or ["not a sound file"])[0][:200]
        reason = reason if reason.isprintable() else ascii(reason)
    except Exception as error:
        reason = f"not a sound file ({type(error).__name__})"
    raise InputError(f"{path}: damaged: {reason}")


def load(file: io.BufferedIOBase, path: str, vocabulary: Vocabulary, allowance: Allowance) -> Any:
    """The value of the pickle that begins here, behind which the file is left.

    allowance: of the file. Raises InputError for a name that is not in the vocabulary; for damaged pickles see `readably`.
    """
    machine = _Machine(path, vocabulary)
    instructions = pickletools.genops(_Bounded(file, allowance.file_size))  # type: ignore[arg-type]
    for opcode, argument, _ in instructions:
        allowance.step()
        machine.step(opcode.name, argument)
    value = machine.stack.pop()
    if _extent(value, 0, {})[1] > _MAX_GROWTH * allowance.file_size:
        raise ValueError("the same values in so many places that they are many times the file")
    return value


class _Bounded:
    """A file that is never asked for more than it can hold: a file object reserves what it is asked for."""

    def __init__(self, file: io.BufferedIOBase, size: int):
        self._file, self._size = file, size
        self.readline = file.readline

    def read(self, count: int) -> bytes:
        return self._file.read(min(count, self._size))


class _Machine:
    """The stack, the stacks below each mark, and the values that are referred to again."""

    def __init__(self, path: str, vocabulary: Vocabulary):
        self.path, self.vocabulary = path, vocabulary
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def step(self, instruction: str, argument: Any) -> None:
        """Does what one instruction says; raises ValueError for those that no checkpoint has."""
        if instruction in _LITERALS:
            self.push(argument)
        elif instruction in _FRESH:
            self.push(_FRESH[instruction]())
        elif instruction in _ACTIONS:
            _ACTIONS[instruction](self, argument)
        else:
            raise ValueError(f"has the instruction {instruction}, which no checkpoint needs")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def protocol(self, number: int) -> None:
        if number > _MAX_PROTOCOL:
            raise ValueError(f"pickle protocol {number}; known are those up to {_MAX_PROTOCOL}")

    def integer(self, number: int) -> None:
        if number.bit_length() > _MAX_BITS:
            raise ValueError(f"an integer of {number.bit_length():,} bits")
        self.push(number)

    def mark(self, _: None) -> None:
        self.below.append(self.stack)
        self.stack = []

    def marked(self) -> list[Any]:
        """All above the last mark, which goes with it."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def last(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise IndexError
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def extend(self, items: list[Any]) -> None:
        _of_type(self.stack[-1], list).extend(items)

    def update(self, items: list[Any]) -> None:
        mapping = _of_type(self.stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            mapping[as_key(key)] = value

    def unite(self, items: list[Any]) -> None:
        _of_type(self.stack[-1], set).update(map(as_key, items))

    def fresh_dict(self, items: list[Any]) -> None:
        self.push({})
        self.update(items)

    def name(self, module: str, name: str) -> None:
        found = Name(_of_type(module, str), _of_type(name, str))
        if found not in self.vocabulary.calls:
            raise InputError(f"{self.path}: wants to use {found}, which no checkpoint needs; not loaded")
        self.push(found)

    def call(self, callee: Any, arguments: Any) -> None:
        make = self.vocabulary.calls[_of_type(callee, Name)]
        if make is None or len(_of_type(arguments, tuple)) > _MAX_ARGUMENTS:
            raise ValueError(f"calls {callee} as it cannot be called")
        self.push(make(*arguments))

    def call_first(self, callee: Any, *arguments: Any) -> None:
        self.call(callee, arguments)

    def call_with_keywords(self, callee: Any, arguments: Any, keywords: Any) -> None:
        if keywords != {}:
            raise ValueError("calls something with keyword arguments")
        self.call(callee, arguments)

    def set_state(self, target: Any, state: Any) -> None:
        if type(target) not in self.vocabulary.states:
            raise ValueError(f"sets the state of a {type(target).__name__}")
        self.vocabulary.states[type(target)](target, state)
        self.push(target)

    def remember(self, place: int) -> None:
        self.memo[as_key(place)] = self.stack[-1]

    def refer(self, identifier: Any) -> None:
        if self.vocabulary.record is None:
            raise ValueError("refers to something outside")
        self.push(self.vocabulary.record(identifier))


_LITERALS = {
    "INT", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE",
    "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
_FRESH: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set,
}  # fmt: skip
_ACTIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    "PROTO": _Machine.protocol,
    **dict.fromkeys(("LONG", "LONG1", "LONG4"), _Machine.integer),
    "FRAME": lambda machine, _: None,
    "STOP": lambda machine, _: None,
    "MARK": _Machine.mark,
    "POP": lambda machine, _: machine.stack.pop() if machine.stack else machine.marked(),
    "POP_MARK": lambda machine, _: machine.marked(),
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.marked())),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.last(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.last(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.last(3))),
    "LIST": lambda machine, _: machine.push(machine.marked()),
    "APPEND": lambda machine, _: machine.extend(machine.last(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.marked()),
    "DICT": lambda machine, _: machine.fresh_dict(machine.marked()),
    "SETITEM": lambda machine, _: machine.update(machine.last(2)),
    "SETITEMS": lambda machine, _: machine.update(machine.marked()),
    "ADDITEMS": lambda machine, _: machine.unite(machine.marked()),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda machine, place: machine.remember(place)),
    "MEMOIZE": lambda machine, _: machine.memo.update({len(machine.memo): machine.stack[-1]}),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, place: machine.push(machine.memo[place])),
    "GLOBAL": lambda machine, names: machine.name(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.name(*machine.last(2)),
    "REDUCE": lambda machine, _: machine.call(*machine.last(2)),
    "OBJ": lambda machine, _: machine.call_first(*machine.marked()),
    "NEWOBJ": lambda machine, _: machine.call(*machine.last(2)),
    "NEWOBJ_EX": lambda machine, _: machine.call_with_keywords(*machine.last(3)),
    "BUILD": lambda machine, _: machine.set_state(*machine.last(2)),
    "BINPERSID": lambda machine, _: machine.refer(*machine.last(1)),
}


def as_key(value: Any) -> Any:
    """A value that may be a key; raises ValueError for others, for the hash of a nested one is made by recursion."""
    if isinstance(value, str) and not (value.isprintable() and len(value) <= _MAX_NAME):
        raise ValueError("has a key that is no name")  # names find their way into messages
    if type(value) is int and value.bit_length() > _MAX_KEY_BITS:
        raise ValueError(f"has a number of more than {_MAX_KEY_BITS} bits as a key")
    return _of_type(value, str, int, float, bool, bytes, type(None))


def as_sizes(values: Any) -> tuple[int, ...]:
    """A shape, or strides; raises ValueError for what is none."""
    if not isinstance(values, tuple | list) or len(values) > _MAX_DIMENSIONS:
        raise ValueError(f"an array whose sizes are no row of up to {_MAX_DIMENSIONS}")
    if any(type(n) is not int or n < 0 for n in values):
        raise ValueError("an array with sizes that are no counts")
    return tuple(values)


def _of_type(value: Any, *types: type) -> Any:
    if type(value) not in types:
        raise ValueError(f"has a {type(value).__name__} where a {' or '.join(x.__name__ for x in types)} belongs")
    return value


def _extent(value: Any, above: int, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
    """Levels of nesting, and array bytes and values as one who visits them all would count; so all that follows may do that.

    Raises ValueError where the nesting is too deep, as of a value that is within itself. known: of containers by id.
    """
    if not isinstance(value, dict | list | tuple):
        return 0, getattr(value, "nbytes", 0) + 1
    if above + known.get(id(value), (0, 0))[0] > _MAX_DEPTH:
        raise ValueError(f"values nested more than {_MAX_DEPTH} deep, or within themselves")
    if id(value) not in known:
        extents = [_extent(item, above + 1, known) for item in (value.values() if isinstance(value, dict) else value)]
        known[id(value)] = 1 + max((x[0] for x in extents), default=0), 1 + sum(x[1] for x in extents)
    return known[id(value)]
