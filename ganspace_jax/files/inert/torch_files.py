"""Reads the files of torch.save without torch; executes nothing in them.

A torch file is a pickle with references to storages. Since torch 1.6 the storages are
records of a zip archive. Before, they are bytes behind the pickle. See unpickler.py for
the pickle.
"""

import io
import os
import pathlib
import struct
import zipfile
from typing import Any

import numpy as np

from ganspace_jax.files.inert import limits, torch_tensors, unpickler
from ganspace_jax.files.inert.limits import Allowance
from ganspace_jax.files.inert.torch_tensors import Storage, Storages
from ganspace_jax.files.inert.unpickler import Vocabulary

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_ZIP_MAGIC = b"PK\x03\x04"
_MAX_INDEX = 1 << 22  # bytes of an archive's index
_MAX_RECORDS = 20_000  # records of an archive; published files have hundreds


def is_torch_file(path: str | os.PathLike[str]) -> bool:
    """Returns whether a file begins like a torch file."""
    with open(path, "rb") as file:
        start = file.read(32)
    return start.startswith(_ZIP_MAGIC) or _LEGACY_MAGIC.to_bytes(10, "little") in start


def read(path: str | os.PathLike[str]) -> Any:
    """Returns the content of a torch file, with tensors as arrays, and with objects of
    unknown classes as records.

    Raises:
        InputError: The file is damaged.
    """
    return unpickler.read_or_refuse(pathlib.Path(path), _read)


def _read(path: pathlib.Path) -> Any:
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        is_zip = file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC
        file.seek(0)
        if is_zip:
            return _read_zip(file, size)
        return _read_legacy(file, size, Allowance(size))


class _Archive:
    """A file for zipfile, which reads the whole index as it opens; refuses a large
    index.
    """

    def __init__(self, file: io.BufferedIOBase):
        self._file, self.is_open = file, False
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        if not self.is_open and count > _MAX_INDEX:
            raise ValueError(f"an archive whose index has {count:,} bytes")
        return self._file.read(count)


def _read_zip(file: io.BufferedIOBase, size: int) -> Any:
    """Returns the content of a file of the newer format, which has `size` bytes."""
    bounded = _Archive(file)
    with zipfile.ZipFile(bounded) as archive:  # type: ignore[arg-type]
        bounded.is_open = True
        root = _root(archive.namelist())
        if f"{root}byteorder" in archive.namelist() and _stored(archive, f"{root}byteorder", size) != b"little":
            raise ValueError("numbers are big-endian")

        def read_numbers(key: str, dtype: np.dtype, count: int) -> np.ndarray:
            if archive.getinfo(f"{root}data/{key}").file_size != count * dtype.itemsize:
                raise ValueError(f"a storage of {count:,} numbers has another number of bytes")
            return np.frombuffer(_stored(archive, f"{root}data/{key}", size), dtype, count)

        allowance, storages = Allowance(size), Storages(size, read_numbers)
        pickled = io.BytesIO(_stored(archive, f"{root}data.pkl", size))
        return unpickler.load(pickled, torch_tensors.vocabulary(allowance, storages.refer), allowance)


def _root(names: list[str]) -> str:
    """Returns the folder of torch's records within an archive, such as `archive/`."""
    if len(names) > _MAX_RECORDS:
        raise ValueError(f"an archive of {len(names):,} records; the most are {_MAX_RECORDS:,}")
    for name in names:
        if name.endswith("data.pkl"):
            return name.removesuffix("data.pkl")
    raise ValueError("an archive, but not of torch: has no data.pkl")


def _stored(archive: zipfile.ZipFile, name: str, size: int) -> bytes:
    """Returns a record of an archive of `size` bytes.

    Raises:
        ValueError: The record is larger than the archive. Or it is compressed: torch
            writes no such records, and they could expand to any size.
    """
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"its record {name} is compressed")
    if max(archive.getinfo(name).file_size, archive.getinfo(name).compress_size) > size:
        raise ValueError(f"its record {name} is larger than the file")
    return archive.read(name)


def _read_legacy(file: io.BufferedIOBase, size: int, allowance: Allowance) -> Any:
    """Returns the content of a file of the older format.

    Args:
        file: Open file, or the bytes of a file that is embedded in another one.
        size: Size of `file` in bytes.
        allowance: What the outer file may still cost.
    """
    head = [unpickler.load(file, Vocabulary(), allowance) for _ in range(3)]
    if head[:2] != [_LEGACY_MAGIC, _LEGACY_PROTOCOL]:
        raise ValueError("not a file of torch.save")
    if isinstance(head[2], dict) and not head[2].get("little_endian", True):
        raise ValueError("numbers are big-endian")
    storages = Storages(size, lambda key, dtype, count: np.empty(count, dtype), is_at_end=True)
    content = unpickler.load(file, torch_tensors.vocabulary(allowance, storages.refer), allowance)
    missing = dict(storages.by_key)
    for key in unpickler.load(file, Vocabulary(), allowance):
        _fill(missing.pop(str(limits.as_key(key))).values, file, key)
    if missing:
        raise ValueError(f"storage {next(iter(missing))} is missing")
    return content


def _fill(values: np.ndarray, file: io.BufferedIOBase, key: Any) -> None:
    """Reads the numbers of one storage: a count, then the bytes."""
    (count,) = struct.unpack("<q", file.read(8))
    if count != len(values):
        raise ValueError(f"storage {key} has {count:,} numbers, {len(values):,} were announced")
    if file.readinto(values.view(np.uint8)) != values.nbytes:  # type: ignore[attr-defined]
        raise limits.CutShortError(f"storage {key} has fewer than {count:,} numbers")


def read_blob(allowance: Allowance, blob: Any) -> Storage:
    """Returns a storage that a pickle contains as the bytes of a whole older torch
    file.

    Args:
        allowance: What the pickle may still cost.
        blob: Bytes of the embedded file.

    Raises:
        ValueError: The bytes are no file with one storage.
    """
    if not isinstance(blob, bytes):
        raise ValueError("a storage that is no bytes")
    allowance.spend(len(blob))
    content = _read_legacy(io.BytesIO(blob), len(blob), allowance)
    if not isinstance(content, Storage):
        raise ValueError("a storage that is none")
    return content
