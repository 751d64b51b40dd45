"""Brings the catalogue's checkpoints into a cache: a file is there whole, or not at all.

What arrives lies in NAME.part, and beside it, in NAME.part.json, the address and the server's own mark for this version of the
file (ETag or Last-Modified). Only where both still hold is a broken download gone on with; otherwise it begins anew.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any, NamedTuple

from tqdm import tqdm

from checkpoints_convert import catalogue
from ganspace_jax.errors import InputError

ATTEMPTS = 5
_CHUNK = 1 << 16  # what a broken connection can cost, beside the time
_TIMEOUT = (15, 60)  # seconds to connect, and between two packets
_BUSY = (408, 429, 500, 502, 503, 504)  # answers that may be others a moment later


class _UnavailableError(Exception):
    """An address does not have the file; the message says why."""


class _BrokenError(Exception):
    """An attempt ended too early; the next may do better."""


class _UnreachableError(_BrokenError):
    """Nothing answered. At first sight that is a machine without a network; after an answer, a connection that broke."""


class _Progress(NamedTuple):
    """What is known of the bytes in a .part file; `version` is the server's mark, size the whole file's."""

    address: str
    version: str | None
    size: int | None


def default_cache() -> pathlib.Path:
    """XDG_CACHE_HOME/ganspace_jax, or ~/.cache/ganspace_jax."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ganspace_jax"


def resolve(source: str, cache: str | os.PathLike[str]) -> pathlib.Path:
    """The path of a source: itself where something is there, else that of the catalogue's checkpoint; raises InputError."""
    if os.path.lexists(source):
        return pathlib.Path(source)
    return fetch(catalogue.find(source), cache)


def fetch(checkpoint: catalogue.Checkpoint, cache: str | os.PathLike[str], pause: float = 1.0) -> pathlib.Path:
    """The checkpoint's file in the cache, or its directory if it has several; what is missing is downloaded.

    pause: seconds before the second attempt at an address, doubled before each further one. Raises InputError.
    """
    directory = pathlib.Path(cache).expanduser() / checkpoint.name
    if _missing(checkpoint, directory):
        print(f"{checkpoint.name}: downloading into {directory}; licence: {checkpoint.licence}")
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with _locked(directory), _session() as session:
                _fetch_missing(session, checkpoint, directory, pause)
        except OSError as error:
            raise InputError(f"--cache={cache}: {error.filename or directory}: {error.strerror or error}") from None
    return directory / checkpoint.files[0].name if len(checkpoint.files) == 1 else directory


def _missing(checkpoint: catalogue.Checkpoint, directory: pathlib.Path) -> list[catalogue.File]:
    """The files that are not there; raises InputError for one that is there and is not what was published."""
    missing = [file for file in checkpoint.files if not (directory / file.name).exists()]
    for file in checkpoint.files:
        fault = None if file in missing else _fault(directory / file.name, file)
        if fault:
            raise InputError(f"{directory / file.name}: {fault}; delete it, and it is downloaded again")
    return missing


def _fault(path: pathlib.Path, file: catalogue.File) -> str | None:
    """What distinguishes a file from the published one, as far as size and sha256 are known."""
    size = path.stat().st_size
    if size == 0:
        return "is empty"
    if file.size is not None and size != file.size:
        return f"has {size} bytes, the published file {file.size}"
    if file.sha256 is not None:
        with open(path, "rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        if digest != file.sha256:
            return f"has the sha256 {digest}, the published file {file.sha256}"
    return None


def _session() -> Any:
    """Imported here, so that a conversion of a local file needs nothing of it."""
    try:
        import requests
    except ImportError:
        raise InputError("a download needs requests: .venv/bin/pip install -r requirements-convert.txt") from None
    session = requests.Session()
    session.headers["Accept-Encoding"] = "identity"  # sizes and ranges are then those of the file
    return session


@contextlib.contextmanager
def _locked(directory: pathlib.Path) -> Iterator[None]:
    """Keeps a second process from writing to the same .part files; the lock ends with the process."""
    with open(directory / ".lock", "w") as lock:
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{directory}: another process is downloading into it; wait for that one") from None
        except (ImportError, OSError):
            pass  # Windows has none, and some network file systems neither
        yield


def _fetch_missing(session: Any, checkpoint: catalogue.Checkpoint, directory: pathlib.Path, pause: float) -> None:
    """One file after the other; raises InputError with what a person without this network has to fetch."""
    missing = _missing(checkpoint, directory)
    for index, file in enumerate(missing):
        try:
            _fetch_file(session, file, directory / file.name, pause)
        except _UnavailableError as error:
            wanted = ", and ".join(f"{file.addresses[0]} at {directory / file.name}" for file in missing[index:])
            raise InputError(f"--source={checkpoint.name}: {error}. By hand: put {wanted}") from None


def _fetch_file(session: Any, file: catalogue.File, path: pathlib.Path, pause: float) -> None:
    """Takes a file from the first address that has it; raises _UnavailableError with what each of them did."""
    reasons = []
    for address in file.addresses:
        try:
            _fetch_from(session, address, file, path, pause)
            return
        except _UnavailableError as error:
            reasons.append(f"{urllib.parse.urlsplit(address).netloc} {error}")
    raise _UnavailableError("; ".join(reasons))


def _fetch_from(session: Any, address: str, file: catalogue.File, path: pathlib.Path, pause: float) -> None:
    """Downloads, in several attempts where it must be, and moves the whole file to its place."""
    part = path.with_name(f"{path.name}.part")
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            _attempt(session, address, file, part)
            break
        except _BrokenError as error:
            if attempt == 0 and isinstance(error, _UnreachableError):
                raise _UnavailableError(str(error)) from None
            reason = error
    else:
        hope = "a later run goes on from there" if _progress(part, address) else "a later run starts anew"
        raise _UnavailableError(f"{reason}, in the last of {ATTEMPTS} attempts; {hope}")
    if fault := _fault(part, file):
        _discard(part)
        raise _UnavailableError(f"sent a file that {fault}")
    os.replace(part, path)
    _discard(part)


def _attempt(session: Any, address: str, file: catalogue.File, part: pathlib.Path) -> None:
    """One request, for all or for the rest; raises _BrokenError if it is not whole after that."""
    import requests

    before = _progress(part, address)
    offset = part.stat().st_size if before else 0
    if before and offset == before.size:
        return  # the process ended between the last byte and the move
    headers = {"Range": f"bytes={offset}-", "If-Range": before.version} if before and offset else {}
    try:
        response = session.get(address, headers=headers, stream=True, timeout=_TIMEOUT)
    except requests.RequestException as error:
        raise _UnreachableError(f"cannot be reached ({_reason(error)})") from None
    with response:
        _check_status(response)
        if response.status_code == 206 and before and _continues(response, before, offset):
            size = before.size
        elif response.status_code == 200:
            offset, size = 0, _begin(response, address, file, part)
        else:
            _discard(part)
            raise _BrokenError("does not go on where the last attempt ended")
        try:
            _write(response, part, offset, size)
        except requests.RequestException as error:
            raise _BrokenError(f"broke the connection ({_reason(error)})") from None
    received = part.stat().st_size
    if size is not None and received != size:
        raise _BrokenError(f"sent {received} of {size} bytes")


def _check_status(response: Any) -> None:
    if response.status_code in _BUSY:
        raise _BrokenError(f"answered {response.status_code} {response.reason}")
    if response.status_code == 416:
        return  # there is nothing behind what was received; its page says no more
    if response.status_code not in (200, 206):
        raise _UnavailableError(f"answered {response.status_code} {response.reason}")
    if "text/html" in response.headers.get("Content-Type", ""):
        raise _UnavailableError("answered with a web page in place of the file; open it in a browser")


def _continues(response: Any, before: _Progress, offset: int) -> bool:
    """Whether a partial answer is the rest of the same file."""
    span = f"bytes {offset}-"
    total = "*" if before.size is None else str(before.size)
    content = response.headers.get("Content-Range", "")
    return content.startswith(span) and content.endswith(f"/{total}") and _version(response) == before.version


def _begin(response: Any, address: str, file: catalogue.File, part: pathlib.Path) -> int | None:
    """Makes an empty .part and notes what will be in it; the announced size. Raises where that cannot be right, or not fit."""
    announced = response.headers.get("Content-Length")
    size = int(announced) if announced is not None else file.size
    if file.size is not None and size != file.size:
        raise _UnavailableError(f"announces {size} bytes, the published file has {file.size}")
    part.write_bytes(b"")
    free = shutil.disk_usage(part.parent).free
    if size is not None and size > free:
        _discard(part)
        raise InputError(f"{part.parent}: {size / 1e6:.0f} MB are needed there, {free / 1e6:.0f} MB are free")
    _note(part).write_text(json.dumps(_Progress(address, _version(response), size)._asdict()))
    return size


def _write(response: Any, part: pathlib.Path, offset: int, size: int | None) -> None:
    """Appends what comes, and shows how far it is."""
    bar = tqdm(desc=part.stem, initial=offset, total=size, unit="B", unit_scale=True, disable=None)
    with open(part, "r+b") as output, bar:
        output.seek(offset)
        for chunk in response.iter_content(_CHUNK):
            output.write(chunk)
            bar.update(len(chunk))
        output.flush()
        os.fsync(output.fileno())


def _progress(part: pathlib.Path, address: str) -> _Progress | None:
    """What is known of a .part file, if it can be gone on with: of this address, and with a mark to ask for."""
    try:
        noted = _Progress(**json.loads(_note(part).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return noted if noted.address == address and noted.version and part.exists() else None


def _version(response: Any) -> str | None:
    """A strong mark, which If-Range wants."""
    mark = response.headers.get("ETag", "")
    return mark if mark and not mark.startswith("W/") else response.headers.get("Last-Modified")


def _note(part: pathlib.Path) -> pathlib.Path:
    return part.with_name(f"{part.name}.json")


def _discard(part: pathlib.Path) -> None:
    _note(part).unlink(missing_ok=True)
    part.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    """The innermost cause: requests wraps urllib3's errors, and these the socket's."""
    while error.__context__ is not None:
        error = error.__context__  # type: ignore[assignment]
    return (str(error) or type(error).__name__).splitlines()[0]
