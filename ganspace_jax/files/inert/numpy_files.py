"""NumPy's files, .npz and .npy, as arrays of numbers and text: whatever is in them, they are read or refused in one line."""

import os
import pathlib
from typing import Any

import numpy as np

from ganspace_jax.files.inert import unpickler

_BEGINNINGS = (b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06")  # of an .npy, an .npz, and one that is empty


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray] | np.ndarray:
    """The arrays of an .npz by name, or the one of an .npy; raises FileNotFoundError and InputError."""
    return unpickler.readably(pathlib.Path(path), _read)


def _read(path: pathlib.Path) -> dict[str, np.ndarray] | np.ndarray:
    with open(path, "rb") as file:
        if not file.read(6).startswith(_BEGINNINGS):
            raise ValueError("neither an .npz nor an .npy")
    read = np.load(path, allow_pickle=False)
    if isinstance(read, np.ndarray):
        return _checked(read)
    with read as archive:
        return {unpickler.as_key(name): _checked(archive[name]) for name in archive.files}


def _checked(array: Any) -> np.ndarray:
    """The array; raises ValueError for what is none, and for text of width 0, which is of any shape without a byte."""
    if not isinstance(array, np.ndarray) or not array.dtype.itemsize:
        raise ValueError("holds something else than arrays of numbers and text")
    return array
