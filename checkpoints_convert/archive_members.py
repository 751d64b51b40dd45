"""Finds the checkpoint in an archive, and extracts it into a temporary directory."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ganspace_jax.errors import InputError, nearest
from ganspace_jax.files.inert import archives, file_kinds

_MAX_LISTED = 5  # members in a message
_MAX_ENTRY = 160  # characters about a member in a message
_FILE = "member"  # name of the extracted file; a member's own name never becomes a path


class Opened(NamedTuple):
    """A checkpoint that can be read.

    Attributes:
        path: Path of the file or the directory.
        member: Name in its archive, "" if the checkpoint is in no archive.
    """

    path: pathlib.Path
    member: str = ""


@contextlib.contextmanager
def opened(path: pathlib.Path, wanted: str | None = None) -> Iterator[Opened]:
    """Yields the one checkpoint in an archive, extracted while the block runs.

    Yields the path itself if it is no archive. Errors of the block name the archive and
    the member in place of the extracted file.

    Args:
        path: Archive, or any other path.
        wanted: Name of a member, None for the only checkpoint.

    Raises:
        InputError: The archive is damaged, or has no checkpoint or several ones. Or
            `path` is no archive, although a member is wanted.
    """
    kind = file_kinds.recognize(path)
    if kind is None or kind.name not in file_kinds.ARCHIVES:
        if wanted is not None:
            raise InputError(f"--member={wanted}: {path} is no archive that can be read; leave --member out")
        yield Opened(path)
        return
    with _named(path):
        name = _chosen(path, archives.members(path), kind.words.partition(" with ")[0], wanted)
    with tempfile.TemporaryDirectory(prefix="ganspace_jax-") as directory:
        target = pathlib.Path(directory) / _FILE
        with _named(path):
            archives.extract(path, name, target)
        try:
            yield Opened(target, name)
        except InputError as error:
            raise InputError(str(error).replace(str(target), f"{path}, {name}")) from None


def _chosen(path: os.PathLike[str], members: Sequence[archives.Member], words: str, wanted: str | None) -> str:
    """Returns the name of the wanted member or of the only checkpoint; raises
    InputError.
    """
    names = [member.name for member in members]
    if wanted is not None:
        if wanted not in names:
            raise InputError(f"--member={wanted}: no such file in it; {nearest(wanted, names)}it has: {_listed(names)}")
        return wanted
    candidates = [member.name for member in members if file_kinds.is_checkpoint(member.head)]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise InputError(
            f"{path}: is {words} with {len(candidates):,} checkpoints; choose one with --member=NAME: {_listed(candidates)}"
        )
    held = f"it has: {_listed([*map(_described, members)])}" if names else "it has no readable file"
    raise InputError(f"{path}: is {words} without a checkpoint in it; {held}")


def _described(member: archives.Member) -> str:
    """Returns a member's name, and what the file is if that explains the failure."""
    kind = file_kinds.of_start(member.head)
    return f"{member.name} ({kind.words})" if kind is not None and kind.advice else member.name


@contextlib.contextmanager
def _named(path: os.PathLike[str]) -> Iterator[None]:
    """Makes errors name the flag --source."""
    try:
        yield
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith("--") else f"--source={text}") from None
    except OSError as error:
        raise InputError(f"--source={path}: cannot be extracted: {error.strerror or error}") from None


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_LISTED:,} more" if len(names) > _MAX_LISTED else ""
    return ", ".join(name[:_MAX_ENTRY] for name in names[:_MAX_LISTED]) + more
