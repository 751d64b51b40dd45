"""Directories that runs write into: all of a run's files, or none of them."""

import contextlib
import fcntl
import logging
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from ganspace_jax.errors import InputError

Result = TypeVar("Result")


@contextlib.contextmanager
def outputs(workdir: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields a scratch directory whose files move into workdir when the block succeeds, and vanish when it fails.

    Raises InputError at once, before any work, when workdir cannot be written, or another run is writing there. A workdir made
    for a run that then failed is removed again.
    """
    target = pathlib.Path(workdir)
    with claim(target):
        for left in target.glob(".writing-*"):  # by a run that was killed
            shutil.rmtree(left, ignore_errors=True)
        scratch = pathlib.Path(_written(workdir, lambda: tempfile.mkdtemp(prefix=".writing-", dir=target)))
        try:
            yield scratch
            for path in sorted(scratch.iterdir()):
                os.replace(path, target / path.name)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def claim(workdir: str | os.PathLike[str]) -> Iterator[None]:
    """While the block runs, no other run may claim the same workdir: raises InputError where one does.

    The claim ends with the process that made it, however that ends. A workdir that was made for it and stays empty is removed.
    """
    target = pathlib.Path(workdir)
    missing = [p for p in (target, *target.parents) if not p.exists()]
    _written(workdir, lambda: target.mkdir(parents=True, exist_ok=True))
    directory = _written(workdir, lambda: os.open(target, os.O_RDONLY))
    try:
        _lock(directory, workdir)
        yield
    finally:
        os.close(directory)
        _remove_empty(missing)


def _written(workdir: str | os.PathLike[str], write: Callable[[], Result]) -> Result:
    try:
        return write()
    except OSError as error:
        raise InputError(f"--workdir={workdir}: cannot be written: {error.strerror}; name another directory") from None


def _lock(directory: int, workdir: str | os.PathLike[str]) -> None:
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(f"--workdir={workdir}: another run is writing there; name another directory") from None
    except OSError:  # some network file systems cannot lock directories
        logging.getLogger(__name__).warning("%s cannot be locked; start no other run there", workdir)


@contextlib.contextmanager
def replacement(directory: str | os.PathLike[str], flag: str = "") -> Iterator[pathlib.Path]:
    """Yields the path of a directory to be made, which takes the place of `directory` when the block succeeds.

    So it is whole or absent at every moment; what was there before stays until then, and for good when the block fails. Raises
    InputError at once for a file in its place, and where nothing can be made. flag: that named it, for the message: --output=.
    """
    try:
        target = pathlib.Path(directory).resolve()
    except (OSError, RuntimeError):
        raise InputError(f"{flag}{directory}: a link that leads to itself; name another directory") from None
    if target.exists() and not target.is_dir():
        raise InputError(f"{flag}{directory}: is a file; name another directory")
    made, old = (target.with_name(f".{target.name}.{word}-{os.getpid()}") for word in ("writing", "replaced"))
    missing = [path for path in target.parents if not path.exists()]
    try:
        shutil.rmtree(made, ignore_errors=True)
        try:
            made.mkdir(parents=True)
            made.rmdir()
        except OSError as error:
            reason = f"cannot be written: {error.strerror}; name another directory"
            raise InputError(f"{flag}{directory}: {reason}") from None
        yield made
        if target.exists():
            target.rename(old)
        made.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(made, ignore_errors=True)
        _remove_empty(missing)


def _remove_empty(directories: Iterable[pathlib.Path]) -> None:
    """The innermost first; those that something is in stay."""
    for directory in directories:
        with contextlib.suppress(OSError):
            directory.rmdir()


def flagfile(flag_values: Iterable[Any]) -> str:
    """The flags of a run (absl Flag objects) as a flagfile that repeats it, one a line."""
    lines = []
    for flag in flag_values:
        if flag.value is not None:
            value = ",".join(map(str, flag.value)) if isinstance(flag.value, list) else flag.value
            lines.append(f"--{flag.name}={value}")
    return "\n".join(lines) + "\n"
