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
        for made in missing:
            with contextlib.suppress(OSError):
                made.rmdir()


def flagfile(flag_values: Iterable[Any]) -> str:
    """The flags of a run (absl Flag objects) as a flagfile that repeats it, one a line."""
    lines = []
    for flag in flag_values:
        if flag.value is not None:
            value = ",".join(map(str, flag.value)) if isinstance(flag.value, list) else flag.value
            lines.append(f"--{flag.name}={value}")
    return "\n".join(lines) + "\n"
