"""Writes output directories, so that a run leaves all of its files or none of them."""

import contextlib
import fcntl
import logging
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator

from ganspace_jax.errors import InputError
from ganspace_jax.files import disk_errors

Directory = str | os.PathLike[str]

_OLD = "old"  # name of the older directory within a scratch directory
_RANDOM = "[a-z0-9_]{8}"  # what tempfile appends to a name


@contextlib.contextmanager
def outputs(workdir: Directory, names: Iterable[str] = ()) -> Iterator[pathlib.Path]:
    """Yields a scratch directory, and moves its files into the work directory at the
    end.

    If the block fails, removes the files, and the work directory if it was made for
    this run.

    Args:
        workdir: Work directory.
        names: Names of files that the block writes in any case.

    Raises:
        InputError: The work directory cannot be written, another run writes there, or a
            directory has the name of a file. These are found before the block starts.
            Or its disk is full during the block. Then the older files remain.
    """
    target = pathlib.Path(workdir)
    with claim(workdir):
        check_files(target, names)
        _remove_scratch(target)
        name = f"--workdir={workdir}"
        scratch = pathlib.Path(disk_errors.refused(name, lambda: tempfile.mkdtemp(prefix=".writing-", dir=target)))
        try:
            with disk_errors.named_full(name, scratch):
                yield scratch
                made = sorted(scratch.iterdir())
                check_files(target, (path.name for path in made if not path.is_dir()))
                for path in made:
                    _move(path, target / path.name)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _move(path: pathlib.Path, target: pathlib.Path) -> None:
    """Moves a file or directory; files of a directory go into an existing one."""
    if not (path.is_dir() and target.is_dir()):
        os.replace(path, target)
        return
    for inner in sorted(path.iterdir()):
        _move(inner, target / inner.name)


def check_files(target: pathlib.Path, names: Iterable[str]) -> None:
    """Raises InputError if a directory has the name of a file that a run writes.

    The run would otherwise write some of its files, and then fail.
    """
    for name in names:
        if (target / name).is_dir():
            raise InputError(f"{target / name}: is a directory; move it, or name another --workdir")


def _remove_scratch(target: pathlib.Path) -> None:
    """Removes the scratch directories of killed runs. The caller holds the lock, so no
    living run owns them.
    """
    for left in target.iterdir():
        is_ours = re.fullmatch(rf"\.writing-{_RANDOM}", left.name) and left.is_dir() and not left.is_symlink()
        if is_ours and left.stat().st_uid == os.geteuid():
            shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def claim(workdir: Directory) -> Iterator[None]:
    """Locks the work directory while the block runs.

    The lock ends with the process, even if the process is killed. A work directory that
    was made for the claim and is still empty is removed.

    Raises:
        InputError: The name is empty, another run holds the lock, or the work directory
            cannot be made.
    """
    target, name = pathlib.Path(workdir), f"--workdir={workdir}"
    if not os.fspath(workdir):
        raise InputError(f"{name}: is empty; name a directory")
    missing = [p for p in (target, *target.parents) if not p.exists()]
    disk_errors.refused(name, lambda: target.mkdir(parents=True, exist_ok=True))
    descriptor = disk_errors.refused(name, lambda: os.open(target, os.O_RDONLY))
    try:
        is_locked = _lock(descriptor)
        if is_locked is False:
            raise InputError(f"{name}: another run is writing there; name another directory")
        if is_locked is None:
            logging.getLogger(__name__).warning("%s cannot be locked; start no other run there", workdir)
        yield
    finally:
        os.close(descriptor)
        _remove_empty(missing)


def _lock(descriptor: int) -> bool | None:
    """Locks an open directory, and returns whether that succeeded.

    Returns False if another process holds the lock. Returns None if the file system has
    no such locks, like some network file systems.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextlib.contextmanager
def replacement(directory: Directory, flag: str = "", own: Collection[str] = ()) -> Iterator[pathlib.Path]:
    """Yields a path where the block makes a directory, which then replaces `directory`.

    If the block fails, the older directory remains. A killed process leaves a hidden
    scratch directory beside the target. The next replacement of the same target removes
    it, and moves the older directory back if the process was killed between the two
    renames.

    Args:
        directory: Target; a link is followed.
        flag: Prefix of error messages that names the flag, such as "--output=".
        own: Names of files that belong to what is replaced. Files of the older
            directory with other names are copied. Without names, nothing is copied.

    Raises:
        InputError: The target is a file or cannot be written. Both are found before the
            block starts. Or the disk is full during the block.
    """
    name = f"{flag}{directory}"
    target = _checked_target(directory, name)
    missing = [path for path in target.parents if not path.exists()]
    try:
        disk_errors.refused(name, lambda: target.parent.mkdir(parents=True, exist_ok=True))
        _remove_leftovers(target)
        with _scratch(target, name) as scratch, disk_errors.named_full(name, scratch):
            made = scratch / "new"
            with _named_target(made, str(directory)):
                yield made
            if own and target.is_dir():
                _copy_others(target, made, own)
            if target.exists():
                target.rename(scratch / _OLD)
            made.rename(target)
    finally:
        _remove_empty(missing)


def _copy_others(target: pathlib.Path, made: pathlib.Path, own: Collection[str]) -> None:
    """Copies the user's files, such as notes, from the older directory."""
    for path in target.iterdir():
        if path.name in own or os.path.lexists(made / path.name):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, made / path.name, symlinks=True)
        else:
            shutil.copy2(path, made / path.name, follow_symlinks=False)


def _checked_target(directory: Directory, name: str) -> pathlib.Path:
    if not os.fspath(directory):
        raise InputError(f"{name}: is empty; name a directory")
    try:
        target = pathlib.Path(directory).resolve()
    except (OSError, RuntimeError):
        raise InputError(f"{name}: a link that leads to itself; name another directory") from None
    if target.exists() and not target.is_dir():
        raise InputError(f"{name}: is a file; name another directory")
    return target


@contextlib.contextmanager
def _scratch(target: pathlib.Path, name: str) -> Iterator[pathlib.Path]:
    """Yields an empty locked directory beside the target, and discards it
    at the end.
    """
    path, descriptor = _locked_directory(target, name)
    try:
        yield path
    finally:
        try:
            _discard(path, target)
        finally:
            os.close(descriptor)


def _locked_directory(target: pathlib.Path, name: str) -> tuple[pathlib.Path, int]:
    """Returns the path and the descriptor of a new directory beside the target.

    Until the directory is locked, another process may remove it as a leftover. Then
    this function makes another one.
    """
    while True:
        path = disk_errors.refused(name, lambda: tempfile.mkdtemp(prefix=_scratch_prefix(target), dir=target.parent))
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        if _lock(descriptor) is not False and os.path.exists(path):
            return pathlib.Path(path), descriptor
        os.close(descriptor)


def _scratch_prefix(target: pathlib.Path) -> str:
    return f".{target.name}.writing-"


def _discard(scratch: pathlib.Path, target: pathlib.Path) -> None:
    """Removes a scratch directory, but moves the older directory back if the target is
    missing.

    The older directory changes its name before it is removed. So a half removed
    directory never becomes the target.
    """
    old = scratch / _OLD
    if old.exists():
        old.rename(scratch / "removed" if target.exists() else target)
    shutil.rmtree(scratch, ignore_errors=True)


def _remove_leftovers(target: pathlib.Path) -> None:
    """Discards the scratch directories of killed processes that wrote the
    same target.
    """
    pattern = re.compile(re.escape(_scratch_prefix(target)) + _RANDOM)
    with contextlib.suppress(OSError):  # a parent that cannot be listed
        for path in sorted(target.parent.iterdir()):
            if pattern.fullmatch(path.name):
                _remove_leftover(path, target)


def _remove_leftover(path: pathlib.Path, target: pathlib.Path) -> None:
    """Discards one scratch directory, unless it belongs to a living process or to
    another user.

    A living process holds the lock. Another user's files must never become the target.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        if os.fstat(descriptor).st_uid == os.geteuid() and _lock(descriptor):
            _discard(path, target)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _named_target(made: pathlib.Path, directory: str) -> Iterator[None]:
    """Makes errors name the target in place of the scratch path, which the user never
    sees.
    """
    try:
        yield
    except InputError as error:
        error.args = tuple(str(text).replace(str(made), directory) for text in error.args)
        raise


def _remove_empty(directories: Iterable[pathlib.Path]) -> None:
    """Removes the directories that are empty, in the given order, innermost first."""
    for directory in directories:
        with contextlib.suppress(OSError):
            directory.rmdir()
