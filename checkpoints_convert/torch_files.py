"""Torch's files without torch, and without running anything that they contain.

A torch file is a pickle in which tensors refer to raw storages: records of a zip archive (torch 1.6 and later), or bytes
behind the pickle (before). The reader makes NumPy arrays of them. It calls only the few harmless constructors in `_ALLOWED`;
any other name in the file ends the reading with that name.
"""

import collections
import os
import pathlib
import pickle
import struct
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import ml_dtypes
import numpy as np

from ganspace_jax.failures import InputError

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES: dict[str, Any] = {
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}


class _StorageType(NamedTuple):
    """What stands for torch.FloatStorage and its kin."""

    dtype: Any


class _Storage:
    """Raw numbers, filled in after the pickle was read."""

    def __init__(self, dtype: Any, count: int):
        self.dtype, self.count = np.dtype(dtype), count
        self.values: np.ndarray | None = None

    def fill(self, data: bytes) -> None:
        """Takes little-endian bytes; raises ValueError when they are not as many as announced."""
        if len(data) != self.count * self.dtype.itemsize:
            raise ValueError(f"a storage of {self.count} numbers has {len(data)} bytes")
        self.values = np.frombuffer(data, self.dtype)


class _Tensor(NamedTuple):
    """A view of a storage, to become an array once that is filled."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> np.ndarray:
        """The numbers; raises ValueError for a view that leaves its storage."""
        values = self.storage.values
        assert values is not None
        last = self.offset + sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
        if min((self.offset, *self.shape, *self.strides)) < 0 or (0 not in self.shape and last >= len(values)):
            raise ValueError(f"a tensor of shape {self.shape} reaches beyond its storage")
        if 0 in self.shape:
            return np.zeros(self.shape, values.dtype)
        bytes_between = [stride * values.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, bytes_between).copy()


def _rebuild_tensor(storage: _Storage, offset: int, shape: Any, strides: Any, *_: Any) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(data: _Tensor, *_: Any) -> _Tensor:
    return data


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch", "Size"): tuple,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    **{("torch", name): _StorageType(dtype) for name, dtype in _DTYPES.items()},
}


class _Reader(pickle.Unpickler):
    """Knows the allowed names and nothing else; collects the storages that it meets."""

    def __init__(self, file: BinaryIO, path: str):
        super().__init__(file)
        self.path = path
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Refuses, by name, everything that is not on the list."""
        if (module, name) not in _ALLOWED:
            raise InputError(f"{self.path}: wants to use {module}.{name}, which no checkpoint needs; not loaded")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        """("storage", type, key, location, count[, view]) -> the storage of that key."""
        kind, storage_type, key, _, count = pid[:5]
        if kind != "storage" or not isinstance(storage_type, _StorageType) or (len(pid) > 5 and pid[5] is not None):
            raise ValueError(f"an unknown kind of record, {kind!r}")
        return self.storages.setdefault(str(key), _Storage(storage_type.dtype, int(count)))


def is_torch_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins like one of torch's."""
    with open(path, "rb") as file:
        start = file.read(32)
    if start[:2] == b"PK":
        return zipfile.is_zipfile(path)
    return _LEGACY_MAGIC.to_bytes(10, "little") in start


def read(path: str | os.PathLike[str]) -> Any:
    """What torch.save wrote, tensors as arrays; raises InputError for damaged files and for names that are not allowed."""
    return _readably(path, _read_zip if zipfile.is_zipfile(path) else _read_legacy)


def _readably(path: str | os.PathLike[str], reader: Callable[[pathlib.Path], Any]) -> Any:
    try:
        return _as_arrays(reader(pathlib.Path(path)))
    except (InputError, FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # damaged pickles raise whatever their bytes lead to
        raise InputError(f"{path}: damaged: {(str(error) or type(error).__name__).splitlines()[0]}") from None


def _read_zip(path: pathlib.Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        root = next(name for name in archive.namelist() if name.endswith("data.pkl")).removesuffix("data.pkl")
        if f"{root}byteorder" in archive.namelist() and archive.read(f"{root}byteorder") != b"little":
            raise ValueError("numbers are big-endian")
        with archive.open(f"{root}data.pkl") as file:
            reader = _Reader(file, str(path))  # type: ignore[arg-type]
            content = reader.load()
        for key, storage in reader.storages.items():
            storage.fill(archive.read(f"{root}data/{key}"))
    return content


def _read_legacy(path: pathlib.Path) -> Any:
    with open(path, "rb") as file:
        if _Reader(file, str(path)).load() != _LEGACY_MAGIC or _Reader(file, str(path)).load() != 1001:
            raise ValueError("not a file of torch.save")
        _Reader(file, str(path)).load()  # word sizes of the machine that wrote it
        reader = _Reader(file, str(path))
        content = reader.load()
        for key in _Reader(file, str(path)).load():
            storage = reader.storages[str(key)]
            (count,) = struct.unpack("<q", file.read(8))
            if count != storage.count:
                raise ValueError(f"storage {key} has {count} numbers, {storage.count} were announced")
            storage.fill(file.read(count * storage.dtype.itemsize))
    return content


def _as_arrays(content: Any) -> Any:
    """Tensors become arrays, wherever they are."""
    if isinstance(content, _Tensor):
        return content.array()
    if isinstance(content, dict):
        return {key: _as_arrays(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return type(content)(map(_as_arrays, content))
    return content
