"""Reads pickles as plain values; imports and calls nothing that a file names.

Python's unpickler imports every name in a file, calls functions and sets attributes as
the file orders. Here a name is two words on the stack. A `Vocabulary` lists the names
of a format, and a function of this package for each call. The call of any other name
becomes a `Record`, which stores the name and the arguments.
"""

import io
import os
import pathlib
import pickletools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ganspace_jax.errors import InputError, first_line
from ganspace_jax.files.inert import limits, records
from ganspace_jax.files.inert.limits import Allowance, of_type
from ganspace_jax.files.inert.records import Name, Record

# Words in the messages of pickletools, struct, zipfile and NumPy if a file ends early.
_CUT_SHORT = (
    "but only", "pickle exhausted", "not enough data", "no newline found", "could only read", "requires a buffer",
    "not a zip file",  # because the index of a zip archive is at its end
)  # fmt: skip
_REFERENCE = Name("pickle", "persistent_id")  # of a record in place of an unknown reference


class Vocabulary(NamedTuple):
    """The names whose calls have a meaning here.

    A function that returns NotImplemented leaves the call, the state or the reference
    to a record.

    Attributes:
        calls: Function that runs in place of a call, by the callee's name. The module
            `*` stands for every module.
        states: Function (object, state) that stores an object's state, by the object's
            type.
        finished: Function (state) that returns the value that replaces a record with a
            state, by the record's name.
        refer: Function that returns the value of a reference to data outside the
            pickle, or None if such references are not allowed.
    """

    calls: Mapping[Name, Callable[..., Any]] = {}
    states: Mapping[type, Callable[[Any, Any], None]] = {}
    finished: Mapping[Name, Callable[[Any], Any]] = {}
    refer: Callable[[Any], Any] | None = None


def read_or_refuse(path: pathlib.Path, reader: Callable[[pathlib.Path], Any]) -> Any:
    """Returns reader(path).

    Raises:
        InputError: The file is damaged or cut short, so that the reader raised any
            exception. Or the path is no regular file: reading a pipe could block, and a
            device could be endless.
    """
    if os.path.lexists(path) and not path.is_file():
        raise InputError(f"{path}: is no regular file")
    try:
        return reader(path)
    except (InputError, FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except MemoryError:
        fault, reason = "damaged", "asks for more memory than there is"
    except Exception as error:
        is_cut_short = _is_cut_short(error)
        fault = "cut short" if is_cut_short else "damaged"
        default = "its end is missing" if is_cut_short else f"not a sound file ({type(error).__name__})"
        reason = first_line(error) if isinstance(error, ValueError) and str(error) else default
    raise InputError(f"{path}: {fault}: {reason}")


def _is_cut_short(error: Exception) -> bool:
    """Returns whether a reader failed because its file ends early."""
    return isinstance(error, EOFError | limits.CutShortError) or any(words in str(error) for words in _CUT_SHORT)


def load(file: io.BufferedIOBase, vocabulary: Vocabulary, allowance: Allowance) -> Any:
    """Returns the value of the pickle at the file's position, and moves to the pickle's
    end.

    Args:
        file: Open file.
        vocabulary: Names whose calls have a meaning.
        allowance: What the file may still cost.

    Raises:
        Exception: The pickle is damaged; see `read_or_refuse`.
    """
    machine = _Machine(vocabulary, allowance)
    bounded = limits.BoundedFile(file, allowance.file_size)
    for opcode, argument, _ in pickletools.genops(bounded):  # type: ignore[arg-type]
        allowance.step()
        machine.step(opcode.name, argument)
    value = machine.stack.pop()
    records.check_extent(value, allowance.file_size)
    return value


class _Machine:
    """A stack machine that follows the instructions of one pickle.

    Attributes:
        vocabulary: Names whose calls have a meaning.
        allowance: What the file may still cost.
        stack: Values above the last mark.
        below: Stacks below each mark.
        memo: Values that the pickle uses again, by number.
        places: Numbers in the memo of the records that their states may replace, by id.
    """

    def __init__(self, vocabulary: Vocabulary, allowance: Allowance):
        self.vocabulary, self.allowance = vocabulary, allowance
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.places: dict[int, list[int]] = {}

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
        of_type(self.stack[-1], list, Record).extend(items)

    def update(self, items: list[Any]) -> None:
        target = of_type(self.stack[-1], dict, Record)
        store = target.store if type(target) is Record else target.__setitem__
        for key, value in zip(items[::2], items[1::2], strict=True):
            store(records.as_key(self.allowance, key), value)

    def add_items(self, items: list[Any]) -> None:
        target = of_type(self.stack[-1], set, Record)
        add = target.extend if type(target) is Record else target.update
        add([records.as_key(self.allowance, item) for item in items])

    def push_dict(self, items: list[Any]) -> None:
        self.push({})
        self.update(items)

    def push_frozenset(self, items: list[Any]) -> None:
        self.push(frozenset(records.as_key(self.allowance, item) for item in items))

    def name(self, module: str, name: str) -> None:
        self.push(Name(of_type(module, str), of_type(name, str)))

    def call(self, callee: Any, arguments: Any, keywords: Any = None) -> None:
        """Pushes the value of a known call, or the record of an unknown one."""
        of_type(arguments, tuple)
        is_name = type(of_type(callee, Name, Record)) is Name
        calls = self.vocabulary.calls
        make = calls.get(callee) or calls.get(Name("*", callee.name)) if is_name else None
        value = NotImplemented
        if make and not keywords and len(arguments) <= limits.MAX_ARGUMENTS:
            value = make(*arguments)
        if value is NotImplemented:
            name, arguments = (callee, arguments) if is_name else (callee.name, (callee, *arguments))
            value = records.make(self.allowance, name, arguments, keywords)
        self.push(value)

    def call_first(self, callee: Any, *arguments: Any) -> None:
        self.call(callee, arguments)

    def call_by_text(self, names: str) -> None:
        self.call(Name(*names.split(" ", 1)), tuple(self.marked()))

    def call_with_keywords(self, callee: Any, arguments: Any, keywords: Any) -> None:
        self.call(callee, arguments, of_type(keywords, dict))

    def set_state(self, target: Any, state: Any) -> None:
        if type(target) is Record:
            self.push(self.finished(target, state))
            return
        if type(target) not in self.vocabulary.states:
            raise ValueError(f"sets the state of a {type(target).__name__}")
        self.vocabulary.states[type(target)](target, state)
        self.push(target)

    def finished(self, record: Record, state: Any) -> Any:
        """Returns the value that replaces a record, also in the memo, or the record."""
        finish = self.vocabulary.finished.get(record.name)
        value = finish(state) if finish else NotImplemented
        if value is NotImplemented:
            record.state = state
            return record
        for place in self.places.pop(id(record), ()):
            if self.memo.get(place) is record:
                self.memo[place] = value
        return value

    def remember(self, place: int) -> None:
        value = self.stack[-1]
        self.memo[limits.as_key(place)] = value
        if type(value) is Record and value.name in self.vocabulary.finished:
            self.places.setdefault(id(value), []).append(place)

    def refer(self, identifier: Any) -> None:
        """Pushes the value of a reference to data outside the pickle."""
        if self.vocabulary.refer is None:
            raise ValueError("refers to something outside")
        value = self.vocabulary.refer(identifier)
        self.push(records.make(self.allowance, _REFERENCE, (identifier,)) if value is NotImplemented else value)


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
    "FROZENSET": lambda machine, _: machine.push_frozenset(machine.marked()),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), lambda machine, place: machine.remember(place)),
    "MEMOIZE": lambda machine, _: machine.remember(len(machine.memo)),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), lambda machine, place: machine.push(machine.memo[place])),
    "GLOBAL": lambda machine, names: machine.name(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.name(*machine.last(2)),
    "REDUCE": lambda machine, _: machine.call(*machine.last(2)),
    "INST": lambda machine, names: machine.call_by_text(names),
    "OBJ": lambda machine, _: machine.call_first(*machine.marked()),
    "NEWOBJ": lambda machine, _: machine.call(*machine.last(2)),
    "NEWOBJ_EX": lambda machine, _: machine.call_with_keywords(*machine.last(3)),
    "BUILD": lambda machine, _: machine.set_state(*machine.last(2)),
    "PERSID": lambda machine, text: machine.refer(text),
    "BINPERSID": lambda machine, _: machine.refer(*machine.last(1)),
}
