"""Pickles of objects whose classes exist nowhere, written by hand."""

import pickle
import zipfile
from typing import Any, NamedTuple


class Foreign(NamedTuple):
    """An object of a class that cannot be imported."""

    module: str
    name: str
    arguments: tuple = ()
    state: Any = None
    items: tuple = ()
    entries: dict = {}  # noqa: RUF012 - never changed


def module(name, parameters=None, buffers=None, modules=None, skipped=(), **attributes):
    """A whole PyTorch module, with the class `name` of the file model.py."""
    tables = {"_parameters": parameters or {}, "_buffers": buffers or {}, "_modules": modules or {}}
    return Foreign(
        "model", name, state={"training": True, **tables, "_non_persistent_buffers_set": set(skipped), **attributes}
    )


def dumps(value: Any) -> bytes:
    """The pickle of a value in protocol 2."""
    return b"\x80\x02" + instructions(value) + b"."


def instructions(value: Any) -> bytes:
    """The instructions that push a value."""
    if isinstance(value, Foreign):
        made = f"c{value.module}\n{value.name}\n".encode() + instructions(value.arguments) + b"R"
        made += b"(" + b"".join(map(instructions, value.items)) + b"e" if value.items else b""
        made += _entries(value.entries) if value.entries else b""
        return made + (instructions(value.state) + b"b" if value.state is not None else b"")
    if type(value) is dict:
        return b"}" + _entries(value)
    if type(value) in (list, tuple):
        start, end = (b"](", b"e") if type(value) is list else (b"(", b"t")
        return start + b"".join(map(instructions, value)) + end
    return pickle.dumps(value, 2)[2:-1]


def _entries(entries: dict) -> bytes:
    return b"(" + b"".join(instructions(key) + instructions(value) for key, value in entries.items()) + b"u"


def zip_file(path, data: bytes, records=()) -> None:
    """Writes a torch zip with a pickle and with the bytes of storages."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", data)
        for name, content in records:
            archive.writestr(f"a/data/{name}", content)
