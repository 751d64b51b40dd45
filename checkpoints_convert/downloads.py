"""Downloads the catalogue's checkpoints into a cache, each file whole or not at all.

A file is first written to NAME.part. When it is complete, its size and SHA-256 are
compared with those in the catalogue, if the catalogue lists them. Then it is moved to
NAME.
"""

import contextlib
import hashlib
import os
import pathlib
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

from checkpoints_convert import transfers
from ganspace_jax.errors import InputError
from ganspace_jax.generators import catalogue

Report = Callable[[str], None]


def default_cache() -> pathlib.Path:
    """Returns XDG_CACHE_HOME/ganspace_jax, or ~/.cache/ganspace_jax."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ganspace_jax"


def resolve(source: str, cache: str | os.PathLike[str], report: Report = lambda message: None) -> pathlib.Path:
    """Returns the path of a source, and downloads it if it is a name in the catalogue.

    Args:
        source: Path of an existing file or directory, or a name in the catalogue. An
            existing path has precedence over a name.
        cache: Directory of all downloads.
        report: Function that receives a message before a download begins, and one after
            the download of a file without a published checksum.

    Raises:
        InputError: `source` is neither a path nor a name, or its download fails.
    """
    if os.path.lexists(source):
        return pathlib.Path(source)
    return fetch(catalogue.find(source), cache, report=report)


def fetch(
    checkpoint: catalogue.Checkpoint,
    cache: str | os.PathLike[str],
    *,
    pause: float = 1.0,
    report: Report = lambda message: None,
) -> pathlib.Path:
    """Returns the path of a checkpoint in the cache, and downloads its missing files.

    The path is a file if the checkpoint has one file. Otherwise it is a directory.

    Args:
        checkpoint: Entry of the catalogue.
        cache: Directory of all downloads.
        pause: Seconds before the second attempt at an address. The pause doubles
            before each further attempt.
        report: Function that receives a message before a download begins, and one after
            the download of a file without a published checksum.

    Raises:
        InputError: A download fails, or the cache cannot be written. Or the size or
            SHA-256 of a file in the cache differs from the catalogue's.
    """
    directory = pathlib.Path(cache).expanduser() / checkpoint.name
    if _missing_files(checkpoint, directory):
        report(f"{checkpoint.name}: downloading into {directory}; licence: {checkpoint.licence}")
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with _locked(directory), transfers.open_session() as session:
                _fetch_missing(session, checkpoint, directory, pause)
        except OSError as error:
            raise InputError(f"--cache={cache}: {error.filename or directory}: {error.strerror or error}") from None
        _report_unchecked(checkpoint, directory, report)
    return directory / checkpoint.files[0].name if len(checkpoint.files) == 1 else directory


def _report_unchecked(checkpoint: catalogue.Checkpoint, directory: pathlib.Path, report: Report) -> None:
    """Reports the SHA-256 of the files that the catalogue lists without one."""
    for file in checkpoint.files:
        if file.sha256 is None:
            report(f"{file.name}: not checked: no published SHA-256; its SHA-256 is {_sha256(directory / file.name)}")


def _sha256(path: pathlib.Path) -> str:
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _missing_files(checkpoint: catalogue.Checkpoint, directory: pathlib.Path) -> list[catalogue.File]:
    """Returns the files of a checkpoint that do not exist in its directory.

    Raises:
        InputError: An existing file has the wrong size or SHA-256.
    """
    missing = []
    for file in checkpoint.files:
        path = directory / file.name
        if not path.exists():
            missing.append(file)
        elif difference := _difference(path, file):
            raise InputError(f"{path}: {difference}; delete it, and the next run downloads it again")
    return missing


def _difference(path: pathlib.Path, file: catalogue.File) -> str | None:
    """Returns how a file differs from the one in the catalogue, None if it does not.

    The comparison is limited to the size and the SHA-256 that the catalogue lists.
    """
    size = path.stat().st_size
    if size == 0:
        return "is empty"
    if file.size is not None and size != file.size:
        return f"has {size} bytes, the catalogue lists {file.size}"
    if file.sha256 is not None:
        digest = _sha256(path)
        if digest != file.sha256:
            return f"has the sha256 {digest}, the catalogue lists {file.sha256}"
    return None


@contextlib.contextmanager
def _locked(directory: pathlib.Path) -> Iterator[None]:
    """Keeps a second process from writing to the same .part files.

    The lock ends with the process. Windows and some network file systems have no
    locks. On them the download proceeds without one.

    Raises:
        InputError: Another process holds the lock.
    """
    with open(directory / ".lock", "w") as lock:
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{directory}: another process is downloading into it; wait until it ends") from None
        except (ImportError, OSError):
            pass
        yield


def _fetch_missing(session: Any, checkpoint: catalogue.Checkpoint, directory: pathlib.Path, pause: float) -> None:
    """Downloads the missing files of a checkpoint, one after another.

    Raises:
        InputError: A download fails. The message lists the files that remain, so that
            a user can download them by hand on another network.
    """
    # Another process may have downloaded files before this one obtained the lock.
    missing = _missing_files(checkpoint, directory)
    for index, file in enumerate(missing):
        try:
            _fetch_file(session, file, directory / file.name, pause)
        except transfers.UnavailableError as error:
            remaining = [f"{file.addresses[0]} at {directory / file.name}" for file in missing[index:]]
            by_hand = f"By hand: put {', and '.join(remaining)}"
            raise InputError(f"--source={checkpoint.name}: {error}. {by_hand}") from None


def _fetch_file(session: Any, file: catalogue.File, path: pathlib.Path, pause: float) -> None:
    """Downloads a file from the first of its addresses that serves it.

    Raises:
        transfers.UnavailableError: Every address fails. The message contains the
            reason of each address.
    """
    reasons = []
    for address in file.addresses:
        try:
            _fetch_from(session, address, file, path, pause)
            return
        except transfers.UnavailableError as error:
            reasons.append(f"{urllib.parse.urlsplit(address).netloc} {error}")
    raise transfers.UnavailableError("; ".join(reasons))


def _fetch_from(session: Any, address: str, file: catalogue.File, path: pathlib.Path, pause: float) -> None:
    """Downloads a file from one address, checks it, and moves it to `path`."""
    part = path.with_name(f"{path.name}.part")
    transfers.transfer(session, address, part, file.size, pause)
    if difference := _difference(part, file):
        transfers.discard(part)
        raise transfers.UnavailableError(f"sent a file that {difference}")
    os.replace(part, path)
    transfers.discard(part)
