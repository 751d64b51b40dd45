"""Reads pickles as plain values; imports and calls nothing that a file names.

Python's unpickler imports every name in a file, calls functions and sets attributes as
the file orders. Here a name is two words on the stack. A `Vocabulary` lists the names
of a format, and a function of this package for each call. Any other name ends the
reading.
"""

import io
import os
import pathlib
import pickletools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ganspace_jax.errors import InputError, first_line
from ganspace_jax.files.inert import limits
from ganspace_jax.files.inert.limits import Allowance, as_key, of_type


class Name(NamedTuple):
    """The name of a class or a function in a file."""

    module: str
    name: str

    def __str__(self) -> str:
        text = f"{self.module}.{self.name}"
        return text if text.isprintable() and len(text) <= 100 else f"{text[:100]!r}"


class Vocabulary(NamedTuple):
    """The names that a pickle may contain.

    Attributes:
        calls: Function that runs in place of a call, by the callee's name. None allows
            the name as an argument only.
        states: Function (object, state) that stores an object's state, by the object's
            type.
        record: Function that returns the value of a reference to data outside the
            pickle, or None if such references are not allowed.
    """

    calls: Mapping[Name, Callable[..., Any] | None] = {}
    states: Mapping[type, Callable[[Any, Any], None]] = {}
    record: Callable[[Any], Any] | None = None


def read_or_refuse(path: pathlib.Path, reader: Callable[[pathlib.Path], Any]) -> Any:
    """Returns reader(path).

    Raises:
        InputError: The file is damaged, so that the reader raised any exception. Or the
            path is no regular file: reading a pipe could block, and a device could be
            endless.
    """
    if os.path.lexists(path) and not path.is_file():
        raise InputError(f"{path}: is no regular file")
    try:
        return reader(path)
    except (InputError, FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except MemoryError:
        reason = "asks for more memory than there is"
    except Exception as error:
        has_reason = isinstance(error, ValueError) and str(error)
        reason = first_line(error) if has_reason else f"not a sound file ({type(error).__name__})"
    raise InputError(f"{path}: damaged: {reason}")


def load(file: io.BufferedIOBase, path: str, vocabulary: Vocabulary, allowance: Allowance) -> Any:
    """Returns the value of the pickle at the file's position, and moves to the pickle's
    end.

    Args:
        file: Open file.
        path: Path of the file, for messages.
        vocabulary: Names that the pickle may contain.
        allowance: What the file may still cost.

    Raises:
        InputError: The pickle contains another name.
        Exception: The pickle is damaged; see `read_or_refuse`.
    """
    machine = _Machine(path, vocabulary)
    bounded = limits.BoundedFile(file, allowance.file_size)
    for opcode, argument, _ in pickletools.genops(bounded):  # type: ignore[arg-type]
        allowance.step()
        machine.step(opcode.name, argument)
    value = machine.stack.pop()
    limits.check_extent(value, allowance.file_size)
    return value


class _Machine:
    """A stack machine that follows the instructions of one pickle.

    Attributes:
        path: Path of the file, for messages.
        vocabulary: Names that the pickle may contain.
        stack: Values above the last mark.
        below: Stacks below each mark.
        memo: Values that the pickle uses again, by number.
    """

    def __init__(self, path: str, vocabulary: Vocabulary):
        self.path, self.vocabulary = path, vocabulary
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def step(self, instruction: str, argument: Any) -> None:
        """Follows one instruction; raises ValueError for instructions that no
        checkpoint contains.
        """
        if instruction in _LITERALS:
            self.push(argument)
        elif instruction in _CONSTANTS:
            self.push(_CONSTANTS[instruction]())
        elif instruction in _ACTIONS:
            _ACTIONS[instruction](self, argument)
        else:
            raise ValueError(f"has the instruction {instruction}, which no checkpoint needs")

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def protocol(self, number: int) -> None:
        if number > limits.MAX_PROTOCOL:
            raise ValueError(f"pickle protocol {number}; the highest known one is {limits.MAX_PROTOCOL}")

    def integer(self, number: int) -> None:
        if number.bit_length() > limits.MAX_BITS:
            raise ValueError(f"an integer of {number.bit_length():,} bits")
        self.push(number)

    def mark(self, _: None) -> None:
        self.below.append(self.stack)
        self.stack = []

    def marked(self) -> list[Any]:
        """Removes the last mark, and returns the values above it."""
        items, self.stack = self.stack, self.below.pop()
        return items

    def last(self, count: int) -> list[Any]:
        """Removes and returns the last values of the stack."""
        if len(self.stack) < count:
            raise IndexError
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def extend(self, items: list[Any]) -> None:
        of_type(self.stack[-1], list).extend(items)

    def update(self, items: list[Any]) -> None:
        mapping = of_type(self.stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            mapping[as_key(key)] = value

    def add_items(self, items: list[Any]) -> None:
        of_type(self.stack[-1], set).update(map(as_key, items))

    def push_dict(self, items: list[Any]) -> None:
        self.push({})
        self.update(items)

    def name(self, module: str, name: str) -> None:
        found = Name(of_type(module, str), of_type(name, str))
        if found not in self.vocabulary.calls:
            raise InputError(f"{self.path}: wants to use {found}, which no checkpoint needs; not loaded")
        self.push(found)

    def call(self, callee: Any, arguments: Any) -> None:
        make = self.vocabulary.calls[of_type(callee, Name)]
        if make is None or len(of_type(arguments, tuple)) > limits.MAX_ARGUMENTS:
            raise ValueError(f"calls {callee} in a way that no checkpoint needs")
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
_CONSTANTS: dict[str, Callable[[], Any]] = {
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
    "DICT": lambda machine, _: machine.push_dict(machine.marked()),
    "SETITEM": lambda machine, _: machine.update(machine.last(2)),
    "SETITEMS": lambda machine, _: machine.update(machine.marked()),
    "ADDITEMS": lambda machine, _: machine.add_items(machine.marked()),
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
