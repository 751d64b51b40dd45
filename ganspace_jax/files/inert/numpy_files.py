"""Reads NumPy's .npz and .npy files as arrays of numbers and text; refuses objects."""

import os
import pathlib
from typing import Any

import numpy as np

from ganspace_jax.files.inert import archive_sizes, limits, unpickler

_BEGINNINGS = (b"\x93NUMPY", b"PK\x03\x04", b"PK\x05\x06")  # of an .npy, an .npz, and an empty .npz


def read(path: str | os.PathLike[str]) -> dict[str, np.ndarray] | np.ndarray:
    """Returns the arrays of an .npz by name, or the array of an .npy.

    Raises:
        FileNotFoundError: The file is missing.
        InputError: The file is damaged, or contains objects.
    """
    return unpickler.read_or_refuse(pathlib.Path(path), _read)


def _read(path: pathlib.Path) -> dict[str, np.ndarray] | np.ndarray:
    archive_sizes.check(path)
    with open(path, "rb") as file:
        if not file.read(6).startswith(_BEGINNINGS):
            raise ValueError("neither an .npz nor an .npy")
        file.seek(0)
        read = np.load(file, allow_pickle=False)
        if isinstance(read, np.ndarray):
            return _checked(read)
        with read as archive:
            return {limits.as_key(name): _checked(archive[name]) for name in archive.files}


def _checked(array: Any) -> np.ndarray:
    """Returns the array.

    Raises:
        ValueError: The value is no array. Or it is an array of empty texts, which can
            have any shape without a byte in the file.
    """
    if not isinstance(array, np.ndarray) or not array.dtype.itemsize:
        raise ValueError("holds something else than arrays of numbers and text")
    return array
