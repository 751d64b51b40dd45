"""Turns the errors of disks that are full or cannot be written into one line."""

import contextlib
import errno
import pathlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from ganspace_jax.errors import InputError

Result = TypeVar("Result")

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def refused(name: str, write: Callable[[], Result], advice: str = "name another directory") -> Result:
    """Returns write(), or raises InputError if the file system refuses."""
    try:
        return write()
    except OSError as error:
        raise InputError(f"{name}: cannot be written: {error.strerror}; {advice}") from None


@contextlib.contextmanager
def named_full(name: str, scratch: pathlib.Path) -> Iterator[None]:
    """Turns the error of a full disk into an InputError that names the file.

    The error often has no file name. The file is then the one that was written last.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        written = sorted(scratch.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        file = pathlib.Path(error.filename).name if error.filename else written[-1].name if written else "its files"
        raise InputError(
            f"{name}: cannot be written: {error.strerror}, at {file}; what was there before remains; free space, or "
            "name another directory"
        ) from None
