"""Torch's files without torch, and without running anything that they contain.

A torch file is a pickle in which tensors refer to raw storages: records of a zip archive (torch 1.6 and later), or bytes
behind the pickle (before). The reader makes NumPy arrays of them; see pickle_machine for what a file can do, which is nothing.
"""

import functools
import io
import math
import os
import pathlib
import struct
import zipfile
from collections.abc import Callable
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from ganspace_jax.files.inert import numpy_pickles, unpickler
from ganspace_jax.files.inert.unpickler import Allowance, Name, Vocabulary

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_BYTES_PER_ITEM = 64  # of a dictionary or set
_BYTES_PER_VIEW = 256
_MAX_INDEX, _MAX_RECORDS = 1 << 22, 20_000  # bytes, and records, of an archive; published ones have hundreds
_ZIP_MAGIC = b"PK\x03\x04"
_STORAGES: dict[Name, np.dtype] = {
    Name("torch", f"{name}Storage"): np.dtype(dtype)
    for name, dtype in {
        "Double": np.float64, "Float": np.float32, "Half": np.float16, "BFloat16": ml_dtypes.bfloat16, "Long": np.int64,
        "Int": np.int32, "Short": np.int16, "Char": np.int8, "Byte": np.uint8, "Bool": np.bool_,
    }.items()
}  # fmt: skip

_DTYPES = (
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64",
)  # fmt: skip
_FACTORIES = [Name(module, kind) for module in ("builtins", "__builtin__") for kind in ("list", "dict", "int", "float")]

Numbers = Callable[[str, np.dtype, int], np.ndarray]


class Storage(NamedTuple):
    """Raw numbers, of which tensors are views."""

    values: np.ndarray


class _Storages:
    """The storages of a file by key. None is made before it is known that the file is large enough for it."""

    def __init__(self, size: int, numbers: Numbers):
        self._left, self._numbers = size, numbers
        self.by_key: dict[str, Storage] = {}

    def refer(self, identifier: Any) -> Storage:
        """("storage", type, key, location, count[, view]) -> the storage of that key."""
        kind, storage_type, key, _, count = identifier[:5]
        if kind != "storage" or not isinstance(storage_type, Name) or storage_type not in _STORAGES:
            raise ValueError("refers to an unknown kind of record")
        if type(key) not in (str, int) or type(count) is not int or any(identifier[5:6]):
            raise ValueError("refers to a storage in an unknown way")
        key, dtype = str(key), _STORAGES[storage_type]
        if key not in self.by_key:
            self._left -= count * dtype.itemsize
            if count < 0 or self._left < 0:
                raise ValueError(f"a storage of {count:,} numbers is larger than the file")
            self.by_key[key] = Storage(self._numbers(key, dtype, count))
        if (self.by_key[key].values.dtype, len(self.by_key[key].values)) != (dtype, count):
            raise ValueError(f"storage {key} is named with another type or size")
        return self.by_key[key]


def _dict(allowance: Allowance, pairs: Any = ()) -> dict[Any, Any]:
    """What stands for an ordered dictionary. Python 2 hands its pairs over; Python 3 sets them afterwards."""
    allowance.spend(_BYTES_PER_ITEM * len(pairs))
    return {unpickler.as_key(key): value for key, value in pairs}


def _default_dict(*_: Any) -> dict[Any, Any]:
    """What stands for a defaultdict: its items are set afterwards, and its factory makes nothing."""
    return {}


def _device(kind: Any, number: Any = None) -> str:
    """A torch.device as it is written: cuda:0."""
    if not isinstance(kind, str) or type(number) not in (int, type(None)):
        raise ValueError("a device that is none")
    return unpickler.as_key(kind if number is None else f"{kind[:20]}:{number}")


class _Flags(dict[str, Any]):
    """What stands for argparse.Namespace, in which training runs keep their flags: attributes and nothing else."""


def _set_flags(allowance: Allowance, flags: _Flags, attributes: Any) -> None:
    if not isinstance(attributes, dict):
        raise ValueError("flags that are in no dictionary")
    allowance.spend(_BYTES_PER_ITEM * len(attributes))
    flags.update(attributes)


def _size(sizes: Any = ()) -> tuple[int, ...]:
    return unpickler.as_sizes(sizes)


def _view(allowance: Allowance, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> np.ndarray:
    """A tensor; raises ValueError where it leaves its storage, or has more numbers than that."""
    shape, strides = unpickler.as_sizes(shape), unpickler.as_sizes(strides)
    if not isinstance(storage, Storage) or type(offset) is not int:
        raise ValueError("a tensor without a storage")
    allowance.spend(_BYTES_PER_VIEW)
    values, count = storage.values, math.prod(shape)
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if offset < 0 or count > len(values) or (count and last >= len(values)):
        raise ValueError(f"a tensor of shape {shape} reaches beyond its storage")
    if not count:
        return np.zeros(shape, values.dtype)
    steps = [stride * values.itemsize for stride in strides]
    return np.ndarray(shape, values.dtype, values.view(np.uint8), offset * values.itemsize, steps)


def _parameter(data: Any, *_: Any) -> np.ndarray:
    if not isinstance(data, np.ndarray):
        raise ValueError("a parameter that is no tensor")
    return data


def vocabulary(allowance: Allowance, record: Callable[[Any], Any] | None = None) -> Vocabulary:
    """What a pickle of tensors names, also beside them. Attributes of dictionaries, such as `_metadata`, are passed over."""
    numbers = numpy_pickles.vocabulary(allowance)
    return Vocabulary(
        calls={
            **numbers.calls,
            Name("collections", "OrderedDict"): functools.partial(_dict, allowance),
            Name("argparse", "Namespace"): _Flags,
            Name("torch", "Size"): _size,
            Name("torch._utils", "_rebuild_tensor_v2"): functools.partial(_view, allowance),
            Name("torch._utils", "_rebuild_parameter"): _parameter,
            Name("collections", "defaultdict"): _default_dict,
            Name("torch", "device"): _device,
            **dict.fromkeys([*_STORAGES, *_FACTORIES, *(Name("torch", dtype) for dtype in _DTYPES)], None),
        },
        states={
            **numbers.states,
            dict: lambda mapping, attributes: None,
            _Flags: functools.partial(_set_flags, allowance),
        },
        record=record,
    )


def is_torch_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins like one of torch's."""
    with open(path, "rb") as file:
        start = file.read(32)
    return start.startswith(_ZIP_MAGIC) or _LEGACY_MAGIC.to_bytes(10, "little") in start


def read(path: str | os.PathLike[str]) -> Any:
    """What torch.save wrote, tensors as arrays; raises InputError for damaged files and for names that are not allowed."""
    return unpickler.readably(pathlib.Path(path), _read)


def _read(path: pathlib.Path) -> Any:
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(len(_ZIP_MAGIC))
        file.seek(0)
        return (_read_zip if start == _ZIP_MAGIC else _read_legacy)(file, str(path), size, Allowance(size))


class _Archive:
    """A file as zipfile takes it, which reads the whole index when it opens: one of bounded size only."""

    def __init__(self, file: io.BufferedIOBase):
        self._file, self.is_open = file, False
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        if not self.is_open and count > _MAX_INDEX:
            raise ValueError(f"an archive whose index has {count:,} bytes")
        return self._file.read(count)


def _read_zip(file: io.BufferedIOBase, path: str, size: int, allowance: Allowance) -> Any:
    bounded = _Archive(file)
    with zipfile.ZipFile(bounded) as archive:  # type: ignore[arg-type]
        bounded.is_open, names = True, archive.namelist()
        if len(names) > _MAX_RECORDS:
            raise ValueError(f"an archive of {len(names):,} records; the most are {_MAX_RECORDS:,}")
        root = next((name.removesuffix("data.pkl") for name in names if name.endswith("data.pkl")), None)
        if root is None:
            raise ValueError("an archive, but not of torch: has no data.pkl")
        if f"{root}byteorder" in names and _stored(archive, f"{root}byteorder", size) != b"little":
            raise ValueError("numbers are big-endian")

        def numbers(key: str, dtype: np.dtype, count: int) -> np.ndarray:
            if archive.getinfo(f"{root}data/{key}").file_size != count * dtype.itemsize:
                raise ValueError(f"a storage of {count:,} numbers has another number of bytes")
            return np.frombuffer(_stored(archive, f"{root}data/{key}", size), dtype, count)

        storages = _Storages(size, numbers)
        pickled = io.BytesIO(_stored(archive, f"{root}data.pkl", size))
        return unpickler.load(pickled, path, vocabulary(allowance, storages.refer), allowance)


def _stored(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    """A record of a file of `size` bytes; raises ValueError for one that says it is larger.

    And for a compressed one, which could be of any size, and which torch never writes.
    """
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"its record {name} is compressed")
    if max(archive.getinfo(name).file_size, archive.getinfo(name).compress_size) > size:
        raise ValueError(f"its record {name} is larger than the file")
    return archive.read(name)


def _read_legacy(file: io.BufferedIOBase, path: str, size: int, allowance: Allowance) -> Any:
    """What lies in a file of the older format. size: of it in bytes; allowance: of the file that it is in, or is."""
    head = [unpickler.load(file, path, Vocabulary(), allowance) for _ in range(3)]
    if head[:2] != [_LEGACY_MAGIC, _LEGACY_PROTOCOL]:
        raise ValueError("not a file of torch.save")
    if isinstance(head[2], dict) and not head[2].get("little_endian", True):
        raise ValueError("numbers are big-endian")
    storages = _Storages(size, lambda key, dtype, count: np.empty(count, dtype))
    content = unpickler.load(file, path, vocabulary(allowance, storages.refer), allowance)
    missing = dict(storages.by_key)
    for key in unpickler.load(file, path, Vocabulary(), allowance):
        values = missing.pop(str(unpickler.as_key(key))).values
        (count,) = struct.unpack("<q", file.read(8))
        if count != len(values):
            raise ValueError(f"storage {key} has {count:,} numbers, {len(values):,} were announced")
        if file.readinto(values.view(np.uint8)) != values.nbytes:  # type: ignore[attr-defined]
            raise ValueError(f"storage {key} is cut short")
    if missing:
        raise ValueError(f"storage {next(iter(missing))} is missing")
    return content


def read_blob(path: str, allowance: Allowance, blob: Any) -> Storage:
    """A storage as an older pickle holds it: the bytes of a file of its own. path: of the pickle. Raises ValueError."""
    if not isinstance(blob, bytes):
        raise ValueError("a storage that is no bytes")
    allowance.spend(len(blob))
    content = _read_legacy(io.BytesIO(blob), path, len(blob), allowance)
    if not isinstance(content, Storage):
        raise ValueError("a storage that is none")
    return content
