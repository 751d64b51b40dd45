"""Lists and extracts the files in archives: zip, tar, and files that gzip, bzip2 or xz
compressed.

A member's name is data. No path is made of it. Links, devices and encrypted members are
left out. Every decompression has a limit, because a small archive can expand to any
size.
"""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import pathlib
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ganspace_jax.errors import InputError, first_line, printable

MAX_MEMBERS = 20_000  # of an archive; one of more is a data set
HEAD = 4096  # bytes of a member that tell its kind
_MAX_INDEX = 1 << 22  # bytes of a zip archive's index, or of a tar archive's extended headers
_MAX_RATIO = 200  # of the extracted bytes to the archive's; weights compress to a half
_MAX_READ = 1 << 20  # bytes that one header of a tar archive may have
_BLOCK = 1 << 20
_TAR_BLOCK = 512  # bytes
_LONG_NUMBER = re.compile(rb"\d{64}")
_TAR_MAGIC = slice(257, 262)

_ERRORS = (  # of the modules for archives, on damaged ones
    ValueError, RuntimeError, EOFError, ArithmeticError, LookupError, NotImplementedError, zipfile.BadZipFile,
    tarfile.TarError, lzma.LZMAError, zlib.error,
)  # fmt: skip

# Words in the messages of tarfile and zipfile if an archive ends early.
_CUT_SHORT = ("unexpected end of data", "empty header", "truncated header", "not a zip file")

_COMPRESSIONS: dict[bytes, tuple[str, Callable[[Any], Any]]] = {
    b"\x1f\x8b\x08": ("gzip", lambda file: gzip.GzipFile(fileobj=file)),
    b"BZh": ("bzip2", bz2.BZ2File),
    b"\xfd7zXZ\x00": ("xz", lzma.LZMAFile),
}


class Member(NamedTuple):
    """A regular file in an archive.

    Attributes:
        name: Name in the archive, with the unprintable characters escaped.
        size: Size in bytes as the archive states it, None if it does not.
        head: First bytes of the file.
    """

    name: str
    size: int | None
    head: bytes


class _Entry(NamedTuple):
    name: str
    size: int | None
    open: Callable[[], Any]


def kind(start: bytes) -> str | None:
    """Returns the kind of an archive by its first 512 bytes, None for another file."""
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if start[_TAR_MAGIC] == b"ustar":
        return "tar"
    return next((name for magic, (name, _) in _COMPRESSIONS.items() if start.startswith(magic)), None)


def zip_records(path: str | os.PathLike[str]) -> dict[str, bool] | None:
    """Returns whether each record of a zip archive is compressed, by name.

    Returns None if the archive's index is damaged or too large.
    """
    try:
        with open(path, "rb") as file, zipfile.ZipFile(_Index(file)) as archive:  # type: ignore[arg-type]
            infos = archive.infolist()
    except _ERRORS:
        return None
    if len(infos) > MAX_MEMBERS:
        return None
    return {info.filename: info.compress_type != zipfile.ZIP_STORED for info in infos}


def members(path: str | os.PathLike[str]) -> tuple[Member, ...]:
    """Returns the regular files in an archive.

    Raises:
        InputError: The archive is damaged, has too many members, or expands too much.
    """
    found = []
    with _entries(path) as entries:
        for entry in entries:
            with entry.open() as content:
                found.append(Member(printable(entry.name), entry.size, content.read(HEAD)))
    return tuple(found)


def extract(path: str | os.PathLike[str], name: str, target: pathlib.Path) -> None:
    """Writes one member of an archive to the file `target`.

    Args:
        path: Archive.
        name: Name of the member, as `members` returns it.
        target: New file.

    Raises:
        InputError: The archive is damaged, has no such member, or its member is larger
            than the free space of the disk.
    """
    with _entries(path) as entries:
        for entry in entries:
            if printable(entry.name) == name:
                _copy(path, entry, target)
                return
    raise InputError(f"{path}: has no file {name}")


def _copy(path: str | os.PathLike[str], entry: _Entry, target: pathlib.Path) -> None:
    """Writes a member to a file; raises InputError if the disk has too little space."""
    total, _, free = shutil.disk_usage(target.parent)
    room = free * 9 // 10 if total else 1 << 62  # some network file systems report 0 for all
    with entry.open() as content, open(target, "xb") as file:
        while max(file.tell(), entry.size or 0) <= room:
            block = content.read(_BLOCK)
            if not block:
                return
            file.write(block)
    raise InputError(
        f"{path}: {printable(entry.name)} needs more space than {target.parent} has, {free / 1e6:,.1f} MB; "
        "set TMPDIR to a directory with more space"
    )


@contextlib.contextmanager
def _entries(path: str | os.PathLike[str]) -> Iterator[Iterator[_Entry]]:
    """Yields the regular files of an archive.

    Raises:
        InputError: The archive cannot be read. The errors of the block are included,
            because the block reads the members.
    """
    try:
        with open(path, "rb") as file:
            start = file.read(512)
            file.seek(0)
            limit = _MAX_RATIO * os.fstat(file.fileno()).st_size + _BLOCK
            yield _zip_entries(file, limit) if kind(start) == "zip" else _tar_entries(path, file, start, limit)
    except InputError:
        raise
    except MemoryError:
        raise InputError(f"{path}: an archive that needs more memory than there is") from None
    except OSError as error:
        if error.errno is not None:  # of the disk, not of the archive
            raise
        raise InputError(f"{path}: {_fault(error)}") from None
    except _ERRORS as error:
        raise InputError(f"{path}: {_fault(error)}") from None


def _fault(error: Exception) -> str:
    """Returns what is wrong with an archive whose reader raised an error."""
    if isinstance(error, EOFError) or any(words in str(error) for words in _CUT_SHORT):
        return "an archive that is cut short; download or copy it again"
    return f"an archive that cannot be read: {first_line(error)}"


class _Bounded(io.RawIOBase):
    """A file that raises ValueError when it has read more than `limit` bytes in all, or
    more than `most` at once.
    """

    def __init__(self, file: Any, limit: int, most: int | None = None):
        self._file, self._left, self._most = file, limit, most

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_SET and offset < 0:
            raise ValueError("an index that points before the file")
        before = self._file.tell()
        after = self._file.seek(offset, whence)
        self._spend(max(0, after - before))  # a compressed file decompresses what it skips
        return after

    def read(self, size: int | None = -1) -> bytes:  # type: ignore[override]
        size = -1 if size is None else size
        if self._most is not None and not 0 <= size <= self._most:
            raise ValueError(f"reads {size:,} bytes at once")
        data = self._file.read(size)
        self._spend(len(data))
        return data

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise ValueError(f"expands to more than {_MAX_RATIO} times its size")


class _Index(_Bounded):
    """A zip archive whose index is bounded, because zipfile reads it at once."""

    def __init__(self, file: Any):
        super().__init__(file, 1 << 62, _MAX_INDEX)

    def read(self, size: int | None = -1) -> bytes:  # type: ignore[override]
        return super().read(_MAX_INDEX if size is None or size < 0 else size)


class _Headers(_Bounded):
    """A tar archive whose extended headers are bounded.

    Python's tarfile reads an extended header at once. The time of its search for
    numbers grows with the square of a number's digits.

    Attributes:
        is_header: Whether the next bytes are headers and not the content of a member.
    """

    def __init__(self, file: Any, limit: int):
        super().__init__(file, limit, _MAX_READ)
        self.is_header, self._headers_left = True, _MAX_INDEX

    def read(self, size: int | None = -1) -> bytes:  # type: ignore[override]
        data = super().read(size)
        if self.is_header and len(data) > _TAR_BLOCK:
            self._headers_left -= len(data)
            if self._headers_left < 0 or _LONG_NUMBER.search(data):
                raise ValueError("its headers are too long")
        return data


def _zip_entries(file: Any, limit: int) -> Iterator[_Entry]:
    with zipfile.ZipFile(_Index(file)) as archive:  # type: ignore[arg-type]
        infos = archive.infolist()
        _check_count(len(infos))
        for info in infos:
            is_file = not info.is_dir() and (info.external_attr >> 16) & 0o170000 in (0, 0o100000)
            if is_file and not info.flag_bits & 1:  # bit 0: encrypted
                if info.file_size > limit:
                    raise ValueError(f"{info.filename[:100]} expands to more than {_MAX_RATIO} times the archive")
                yield _Entry(info.filename, info.file_size, lambda info=info: archive.open(info))


def _tar_entries(path: str | os.PathLike[str], file: Any, start: bytes, limit: int) -> Iterator[_Entry]:
    """Yields the files of a tar archive, which may be compressed; otherwise the one
    file that was compressed.
    """
    plain: Any = file
    for magic, (_, decompress) in _COMPRESSIONS.items():
        if start.startswith(magic):
            plain = decompress(file)
    first = plain.read(512)
    plain.seek(0)
    if first[_TAR_MAGIC] != b"ustar":
        name = pathlib.PurePath(path)
        name = name.stem if name.suffix.lower() in (".gz", ".bz2", ".xz") else f"{name.name} (decompressed)"
        yield _Entry(name, None, lambda: contextlib.nullcontext(_Bounded(plain, limit)))
        return
    bounded = _Headers(plain, limit)
    with tarfile.open(fileobj=bounded, mode="r:") as archive:  # type: ignore[arg-type]
        for count, info in enumerate(archive, 1):
            _check_count(count)
            if info.isreg() and not info.issparse():
                bounded.is_header = False
                yield _Entry(info.name, info.size, lambda info=info: _required(archive.extractfile(info)))
                bounded.is_header = True


def _required(content: Any) -> Any:
    if content is None:
        raise ValueError("a member that is no file")
    return content


def _check_count(count: int) -> None:
    if count > MAX_MEMBERS:
        raise ValueError(f"more than {MAX_MEMBERS:,} files")
