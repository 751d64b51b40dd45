"""Reads NumPy's .npz and .npy files as arrays of numbers and text; refuses objects."""

import os
import pathlib
from typing import Any

import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import file_kinds, limits, unpickler

_OTHER = "something else than arrays of numbers and text"
_BEGINNINGS = (b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06")  # of an .npy, an .npz, and an empty .npz


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray] | np.ndarray:
    """Returns the arrays of an .npz by name, or the array of an .npy.

    Raises:
        FileNotFoundError: The file is missing.
        InputError: The file is damaged, contains objects, or is another kind of file.
            The message tells its kind.
    """
    return unpickler.read_or_refuse(pathlib.Path(path), _read)


def _read(path: pathlib.Path) -> dict[str, np.ndarray] | np.ndarray:
    with open(path, "rb") as file:
        start = file.read(6)
    if other := file_kinds.describe(path, ("npy", "npz")):
        lack = f"holds {_OTHER}" if start.startswith(_BEGINNINGS) else "neither an .npz nor an .npy"
        raise InputError(f"{path}: {other}; {lack}")
    if not start.startswith(_BEGINNINGS):
        raise InputError(f"{path}: neither an .npz nor an .npy")
    read = np.load(path, allow_pickle=False)
    if isinstance(read, np.ndarray):
        return _checked(read)
    with read as archive:
        return {limits.as_key(name): _checked(_array(path, archive, name)) for name in archive.files}


def _array(path: pathlib.Path, archive: Any, name: str) -> Any:
    """Returns an array of an .npz; raises InputError if it holds Python objects."""
    try:
        return archive[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):  # NumPy's message for objects contains this word
            raise
        raise InputError(f"{path}: array {name}: Object arrays cannot be loaded; numbers and text are read") from None


def _checked(array: Any) -> np.ndarray:
    """Returns the array.

    Raises:
        ValueError: The value is no array. Or it is an array of empty texts, which can
            have any shape without a byte in the file.
    """
    if not isinstance(array, np.ndarray) or not array.dtype.itemsize:
        raise ValueError(f"holds {_OTHER}")
    return array
