"""Reads and writes safetensors files: named arrays and a dictionary of texts.

The file begins with the size of its header, as eight bytes. The header is JSON, and the
numbers follow it. The package safetensors parses and checks the header. Here its size
and its number of arrays are bounded first.
"""

import json
import os
import pathlib
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import ml_dtypes  # gives NumPy the dtype bfloat16, which the package returns
import numpy as np

from ganspace_jax.errors import InputError, first_line
from ganspace_jax.files.inert import limits, unpickler

_SIZE_BYTES = 8
_MAX_HEADER = 1 << 24  # bytes; 10,000 arrays need 1 MB
_MAX_ARRAYS = 20_000  # arrays of a file; published files have hundreds
_HALVES = (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))


class Content(NamedTuple):
    """The content of a safetensors file.

    Attributes:
        arrays: Arrays by name, with the file's own dtypes.
        metadata: Texts that the header stores beside the arrays.
    """

    arrays: dict[str, np.ndarray]
    metadata: dict[str, str]


def is_safetensors(path: str | os.PathLike[str]) -> bool:
    """Returns whether a file begins like a safetensors file."""
    with open(path, "rb") as file:
        return begins(file.read(_SIZE_BYTES + 2))


def begins(start: bytes) -> bool:
    """Returns whether the first ten bytes are those of a safetensors file.

    They are the size of a header of JSON, and the beginning of a dictionary. A header
    of more than 4 GB is not plausible.
    """
    return len(start) >= _SIZE_BYTES + 2 and start[4:8] == bytes(4) and start[8:9] == b"{" and start[9:10] in b'"} \n'


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Returns the arrays of a state dict by name, numbers of 16 bits as float32.

    Raises:
        InputError: The file is damaged, or contains numbers of another type.
    """
    arrays = read_content(path).arrays
    return {
        name: array.astype(np.float32) if array.dtype in _HALVES else array
        for name, array in arrays.items()
    }  # fmt: skip


def read_content(path: str | os.PathLike[str]) -> Content:
    """Returns the arrays and the metadata of a file; raises InputError as `read`."""
    return unpickler.read_or_refuse(pathlib.Path(path), _read)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Returns the metadata of a file without its arrays; raises InputError as
    `read`.
    """
    return unpickler.read_or_refuse(pathlib.Path(path), lambda checked: _opened(checked).metadata() or {})


def write(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Writes a file; raises OSError if it cannot be written."""
    from safetensors import SafetensorError, numpy

    plain = {name: np.ascontiguousarray(array).reshape(np.shape(array)) for name, array in arrays.items()}
    try:
        numpy.save_file(plain, path, dict(metadata))
    except SafetensorError as error:  # the package's error for a full disk
        raise OSError(first_line(error)) from None


def _read(path: pathlib.Path) -> Content:
    opened = _opened(path)
    names = list(opened.keys())
    if len(names) > _MAX_ARRAYS:
        raise ValueError(f"{len(names):,} arrays; the most are {_MAX_ARRAYS:,}")
    arrays = {limits.as_key(name): _array(path, opened, name) for name in names}
    return Content(arrays, opened.metadata() or {})


def _opened(path: pathlib.Path) -> Any:
    """Returns the package's view of a file, whose arrays are read on request.

    Raises:
        CutShortError: The file is shorter than its header describes.
        ValueError: The header is too large, or does not describe the file.
    """
    from safetensors import SafetensorError, safe_open

    _check_size(path)
    try:
        return safe_open(path, framework="np")
    except SafetensorError as error:
        reason = first_line(error).removeprefix("Error while deserializing header: ")
        if "not fully covered" not in reason:
            raise ValueError(reason) from None
        if _is_short(path):
            raise limits.CutShortError("its header describes more bytes than it has") from None
        raise ValueError("longer than its header describes") from None


def _check_size(path: pathlib.Path) -> None:
    """Raises CutShortError if the header ends early, ValueError if it is huge."""
    with open(path, "rb") as file:
        start = file.read(_SIZE_BYTES)
        size = os.fstat(file.fileno()).st_size
    header = struct.unpack("<Q", start)[0] if len(start) == _SIZE_BYTES else 0
    if header > _MAX_HEADER:
        raise ValueError(f"a header of {header:,} bytes; the largest has {_MAX_HEADER:,}")
    if size < _SIZE_BYTES + header:
        raise limits.CutShortError("its header is not complete")


def _is_short(path: pathlib.Path) -> bool:
    """Returns whether a file with a complete header ends before its last array."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(_SIZE_BYTES))
        header = json.loads(file.read(length))
        size = os.fstat(file.fileno()).st_size - file.tell()
    ends = (entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")
    return size < max(ends, default=0)


def _array(path: pathlib.Path, opened: Any, name: str) -> np.ndarray:
    try:
        return opened.get_tensor(name)
    except AttributeError:  # NumPy has no such dtype
        kind = opened.get_slice(name).get_dtype()
        raise InputError(
            f"{path}: array {name} has numbers of the type {kind}; give numbers of 16, 32 or 64 bits"
        ) from None
