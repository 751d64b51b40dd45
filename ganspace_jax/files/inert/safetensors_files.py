"""Reads safetensors: the length of a JSON header, the header, and the numbers of all
arrays.
"""

import json
import math
import os
import pathlib
import struct
from typing import Any

import ml_dtypes
import numpy as np

from ganspace_jax.files.inert import limits, unpickler
from ganspace_jax.files.inert.limits import Allowance

_LENGTH = struct.Struct("<Q")
_DTYPES = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16, "I64": np.int64,
    "I32": np.int32, "I16": np.int16, "I8": np.int8, "U64": np.uint64, "U32": np.uint32, "U16": np.uint16,
    "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip


def is_safetensors_file(path: str | os.PathLike[str]) -> bool:
    """Returns whether a file begins like safetensors: a length within the file, then
    a JSON object.
    """
    with open(path, "rb") as file:
        start, size = file.read(_LENGTH.size + 1), os.fstat(file.fileno()).st_size
    return start[_LENGTH.size :] == b"{" and _LENGTH.unpack(start[:-1])[0] <= size - _LENGTH.size


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Returns the arrays of a file by name.

    Raises:
        InputError: The file is damaged.
    """
    return unpickler.read_or_refuse(pathlib.Path(path), _read)


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
    data = memoryview(path.read_bytes())
    end = _LENGTH.size + _LENGTH.unpack(data[: _LENGTH.size])[0]
    header, allowance = json.loads(bytes(data[_LENGTH.size : end])), Allowance(len(data))
    limits.of_type(header, dict).pop("__metadata__", None)
    numbers = data[end:]
    return {limits.as_key(name): _array(numbers, entry, allowance) for name, entry in header.items()}


def _array(numbers: memoryview, entry: Any, allowance: Allowance) -> np.ndarray:
    """Returns the array of one entry of the header."""
    shape, dtype = limits.as_sizes(entry["shape"]), np.dtype(_DTYPES[entry["dtype"]])
    first, last = limits.as_sizes(entry["data_offsets"])
    if last - first != math.prod(shape) * dtype.itemsize or last > len(numbers):
        raise ValueError(f"an array of shape {shape} has bytes {first:,} to {last:,} of {len(numbers):,}")
    allowance.spend(last - first)
    return np.frombuffer(numbers[first:last], dtype).reshape(shape)
