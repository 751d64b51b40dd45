"""Reads NumPy's .npz and .npy files as arrays of numbers and text.

Objects are refused, or read as inert values: np.save pickles everything that is no
array, such as a dictionary of arrays.
"""

import functools
import math
import os
import pathlib
import zipfile
from collections.abc import Callable, Sequence
from typing import IO, Any

import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import archive_sizes, file_kinds, limits, network_pickles, unpickler
from ganspace_jax.files.inert.limits import Allowance
from ganspace_jax.files.inert.records import Name, Record

_NPY = b"\x93NUMPY"
_BEGINNINGS = (_NPY, b"PK\x03\x04", b"PK\x05\x06")  # of an .npy, an .npz, and an empty .npz
_OBJECTS = np.dtype(object)
_MAX_MEMBERS = 20_000  # arrays of an .npz
_MAX_RATIO = 64  # of the arrays' bytes to the file's; one latent repeated for 18 layers is 18
_FREE_BYTES = 1 << 26  # of the arrays of a small file


def read(path: str | os.PathLike[str], *, with_objects: bool = False) -> Any:
    """Returns the arrays of an .npz by name, or the array of an .npy.

    Args:
        path: The file.
        with_objects: Whether an array of objects becomes the list of its inert values,
            and a single object its inert value.

    Raises:
        FileNotFoundError: The file is missing.
        InputError: The file is damaged, contains objects that are not allowed, or is
            another kind of file. The message tells its kind.
    """
    return unpickler.read_or_refuse(pathlib.Path(path), functools.partial(_read, with_objects=with_objects))


def _read(path: pathlib.Path, with_objects: bool) -> Any:
    archive_sizes.check(path)
    allowance = Allowance(path.stat().st_size)
    read_objects = functools.partial(_objects, path=path, allowance=allowance) if with_objects else _refuse
    with open(path, "rb") as file:
        start = file.read(6)
        if not start.startswith(_BEGINNINGS):
            found = file_kinds.describe(path, ("npy", "npz"))
            raise InputError(f"{path}: {f'{found}; ' if found else ''}neither an .npz nor an .npy")
        file.seek(0)
        if start == _NPY:
            return _value(file, read_objects)
        with zipfile.ZipFile(file) as archive:
            _check_size(archive.infolist(), path.stat().st_size)
            values = {}
            for name in archive.namelist():
                with archive.open(name) as member:
                    values[limits.as_key(name.removesuffix(".npy"))] = _value(member, read_objects)
            return values


def _check_size(members: Sequence[zipfile.ZipInfo], file_size: int) -> None:
    """Raises ValueError if the members of an .npz are too many or expand too much."""
    if len(members) > _MAX_MEMBERS:
        raise ValueError(f"{len(members):,} arrays; the most are {_MAX_MEMBERS:,}")
    total = sum(member.file_size for member in members)
    if total > _MAX_RATIO * file_size + _FREE_BYTES:
        raise ValueError(f"its arrays expand to {total:,} bytes, more than {_MAX_RATIO} times the file")


def _value(file: IO[bytes], read_objects: Callable[[IO[bytes]], Any]) -> Any:
    """Returns the array of an .npy, or what `read_objects` returns of its pickle.

    Raises:
        ValueError: The file is no .npy. Or it is an array of empty texts, which can
            have any shape without a byte in the file.
    """
    is_npy = file.read(6) == _NPY
    file.seek(0)
    if not is_npy:
        raise ValueError("holds something else than arrays of numbers and text")
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    dtype = read_header(file)[2]
    if dtype == _OBJECTS:
        return read_objects(file)
    if not dtype.itemsize:
        raise ValueError("holds something else than arrays of numbers and text")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def _refuse(_: IO[bytes]) -> Any:
    raise ValueError("Object arrays cannot be loaded here")


def _objects(file: IO[bytes], path: pathlib.Path, allowance: Allowance) -> Any:
    """Returns the inert values in the pickle of an array of objects, as a list, or the
    inert value of a single object.
    """
    array = unpickler.load(file, network_pickles.vocabulary(path, allowance), allowance)  # type: ignore[arg-type]
    state = array.state if isinstance(array, Record) and array.name == Name("numpy", "ndarray") else None
    if not isinstance(state, tuple) or len(state) != 5:
        raise ValueError("holds something else than arrays of numbers, text and objects")
    _, shape, _, is_fortran, values = state
    shape = limits.as_sizes(shape)
    if len(limits.of_type(values, list)) != math.prod(shape):
        raise ValueError(f"an array of shape {shape} has {len(values):,} objects")
    allowance.spend(8 * len(values))
    objects = np.empty(len(values), object)
    for index, value in enumerate(values):  # one by one, because NumPy would stack arrays
        objects[index] = value
    return objects.reshape(shape, order="F" if is_fortran is True else "C").tolist()
