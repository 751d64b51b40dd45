"""Reads a file of arrays; the content tells the format, not the ending of the name.

The formats are NumPy's .npy and .npz, torch's two formats, safetensors, and pickles.
Values that are no arrays, numbers or text are read inertly. Nothing is executed.
"""

import os
import pathlib
import zipfile
from typing import Any

import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import file_kinds, network_pickles, numpy_files, safetensors_files, torch_files, unpickler

_NUM_LISTED = 5  # files of an archive in an error message


def read(path: str | os.PathLike[str]) -> Any:
    """Returns an array, or nested dictionaries and lists of arrays, numbers and text.

    Raises:
        FileNotFoundError: The file is missing.
        InputError: The file is damaged, or has none of the formats.
    """
    return unpickler.read_or_refuse(pathlib.Path(path), _read)


def as_array(value: Any) -> Any:
    """Returns a number, a list of numbers, or nested lists of numbers or of arrays of
    one shape, as one array. Other values are returned as they are.
    """
    if is_number(value):
        return np.array(value, np.float32)
    if not isinstance(value, list) or not value:
        return value
    if all(map(is_number, value)):
        return np.array(value, np.float32)
    arrays = [as_array(one) for one in value]
    is_one = all(isinstance(one, np.ndarray) for one in arrays) and len({one.shape for one in arrays}) == 1
    return np.stack(arrays) if is_one and len({one.dtype for one in arrays}) == 1 else value


def is_number(value: Any) -> bool:
    """Returns whether a value is a number, of Python or of NumPy, and no truth
    value.
    """
    return isinstance(value, int | float | np.number) and not isinstance(value, bool | np.complexfloating)


def _read(path: pathlib.Path) -> Any:
    with open(path, "rb") as file:
        start = file.read(9)
    if start.startswith(b"PK"):
        return _read_archive(path)
    if start.startswith(b"\x93NUMPY"):
        return numpy_files.read(path, with_objects=True)
    if torch_files.is_torch_file(path):
        return torch_files.read(path)
    if network_pickles.is_pickle(path):
        return network_pickles.read(path)
    if safetensors_files.is_safetensors(path):
        return safetensors_files.read(path)
    found = file_kinds.describe(path)
    formats = "neither an .npz nor an .npy, no torch file, no safetensors and no pickle"
    raise InputError(
        f"{path}: {found if found and 'is a pickle' in found else f'{found}; {formats}' if found else formats}"
    )


def _read_archive(path: pathlib.Path) -> Any:
    """Returns the content of a torch file or an .npz.

    A file that is cut short has no index, so its ending tells the format.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError):
        is_torch = path.suffix in (".pt", ".pth")
        return torch_files.read(path) if is_torch else numpy_files.read(path, with_objects=True)
    if any(name.endswith("data.pkl") for name in names):
        return torch_files.read(path)
    if names and not any(name.endswith(".npy") for name in names):
        listed = ", ".join(names[:_NUM_LISTED]) + (", ..." if len(names) > _NUM_LISTED else "")
        raise InputError(f"{path}: a zip archive without arrays; unpack it and give one of its files: {listed}")
    return numpy_files.read(path, with_objects=True)
