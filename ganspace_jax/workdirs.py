"""Directories that runs write into: all of a run's files, or none of them."""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

from ganspace_jax.failures import InputError


@contextlib.contextmanager
def outputs(workdir: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields a scratch directory whose files move into workdir when the block succeeds, and vanish when it fails.

    Raises InputError at once, before any work, when workdir cannot be written. A workdir made for a run that then failed is
    removed again.
    """
    target = pathlib.Path(workdir)
    missing = [p for p in (target, *target.parents) if not p.exists()]
    try:
        target.mkdir(parents=True, exist_ok=True)
        scratch = pathlib.Path(tempfile.mkdtemp(prefix=".writing-", dir=target))
    except OSError as error:
        raise InputError(f"--workdir={workdir}: cannot be written: {error.strerror}; name another directory") from None
    try:
        yield scratch
        for path in sorted(scratch.iterdir()):
            os.replace(path, target / path.name)
        missing = []
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        _remove_empty(missing)


@contextlib.contextmanager
def replacement(directory: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """Yields the path of a directory to be made, which takes the place of `directory` when the block succeeds.

    So it is whole or absent at every moment; what was there before stays until then, and for good when the block fails. Raises
    InputError for a file in its place.
    """
    target = pathlib.Path(directory).resolve()
    if target.exists() and not target.is_dir():
        raise InputError(f"{directory}: is a file; name another directory")
    made, old = (target.with_name(f".{target.name}.{word}-{os.getpid()}") for word in ("writing", "replaced"))
    missing = [path for path in target.parents if not path.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(made, ignore_errors=True)
    try:
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
