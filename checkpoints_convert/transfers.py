"""Transfers a file from a web address to a .part file, in several attempts.

NAME.part.json describes NAME.part: it stores the address and the server's version mark
(ETag or Last-Modified). An attempt resumes a transfer only if both still match.
Otherwise it starts again.
"""

import json
import os
import pathlib
import shutil
import time
from typing import Any, NamedTuple

from tqdm import tqdm

from ganspace_jax.errors import InputError, first_line

ATTEMPTS = 5
_CHUNK = 1 << 16  # bytes; a broken connection loses at most this many
_TIMEOUT = (15, 60)  # seconds to connect, and seconds between two packets
_TEMPORARY = (408, 429, 500, 502, 503, 504)  # status codes that may change in a moment


class UnavailableError(Exception):
    """An address that does not serve the file; the message contains the reason."""


class _BrokenError(Exception):
    """An attempt that ended before the file was complete; the next may succeed."""


class _UnreachableError(_BrokenError):
    """A request without an answer.

    In the first attempt, this usually is a machine without a network. After an answer
    of the server, it is a broken connection.
    """


class _Note(NamedTuple):
    """The description of a .part file.

    Attributes:
        address: Web address of the file.
        version: Version mark of the server, None if it sends no strong mark.
        size: Size of the whole file in bytes, None if unknown.
    """

    address: str
    version: str | None
    size: int | None


def open_session() -> Any:
    """Returns a session of the package requests.

    The package is imported here. So the conversion of a local file works without it.

    Raises:
        InputError: The package is not installed.
    """
    try:
        import requests
    except ImportError:
        raise InputError("a download needs requests: .venv/bin/pip install -r requirements-convert.txt") from None
    session = requests.Session()
    # Without compression, sizes and ranges are those of the file.
    session.headers["Accept-Encoding"] = "identity"
    return session


def transfer(session: Any, address: str, part: pathlib.Path, size: int | None, pause: float) -> None:
    """Completes a .part file with the content of an address.

    Args:
        session: Session of `open_session`.
        address: Web address of the file.
        part: Path of the .part file. It may contain the start of an earlier transfer.
        size: Expected size of the file in bytes, None if unknown.
        pause: Seconds before the second attempt. The pause doubles before each
            further attempt.

    Raises:
        UnavailableError: The address does not serve the file, or all attempts fail.
        InputError: The disk has not enough space.
    """
    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt > 0:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            _attempt(session, address, part, size)
            return
        except _BrokenError as error:
            if attempt == 0 and isinstance(error, _UnreachableError):
                raise UnavailableError(str(error)) from None
            reason = str(error)
    next_run = "resumes the download" if _read_note(part, address) else "starts the download again"
    raise UnavailableError(f"{reason}, in the last of {ATTEMPTS} attempts; a later run {next_run}")


def discard(part: pathlib.Path) -> None:
    """Deletes a .part file and its description, if they exist."""
    _note_path(part).unlink(missing_ok=True)
    part.unlink(missing_ok=True)


def _attempt(session: Any, address: str, part: pathlib.Path, expected_size: int | None) -> None:
    """Sends one request, for the whole file or for its missing end.

    Raises:
        _BrokenError: The .part file is not complete after the request.
        UnavailableError: The address does not serve the file.
        InputError: The disk has not enough space.
    """
    note = _read_note(part, address)
    offset = part.stat().st_size if note else 0
    if note and offset == note.size:
        return  # The earlier process ended after the last byte and before the move.
    with _request(session, address, note, offset) as response:
        _check_status(response)
        if response.status_code == 206 and note and _continues(response, note, offset):
            size = note.size
        elif response.status_code == 200:
            offset = 0
            size = _begin(response, address, part, expected_size)
        else:
            discard(part)
            raise _BrokenError("does not resume at the end of the last attempt")
        _append(response, part, offset, size)
    received = part.stat().st_size
    if size is not None and received != size:
        raise _BrokenError(f"sent {received} of {size} bytes")


def _request(session: Any, address: str, note: _Note | None, offset: int) -> Any:
    """Returns the response to a request for the bytes from `offset`.

    Raises:
        _UnreachableError: The server does not answer.
    """
    import requests

    headers = {"Range": f"bytes={offset}-", "If-Range": note.version} if note and offset else {}
    try:
        return session.get(address, headers=headers, stream=True, timeout=_TIMEOUT)
    except requests.RequestException as error:
        raise _UnreachableError(f"cannot be reached ({_innermost_reason(error)})") from None


def _check_status(response: Any) -> None:
    """Raises an error if a response contains no file, except for status 416.

    Status 416 means that the server has no bytes from the requested offset. Its body
    is a web page in most cases, and the caller starts the transfer again.

    Raises:
        _BrokenError: The status is a temporary failure.
        UnavailableError: The status is a permanent failure, or the body is a web page.
    """
    if response.status_code == 416:
        return
    if response.status_code in _TEMPORARY:
        raise _BrokenError(f"answered {response.status_code} {response.reason}")
    if response.status_code not in (200, 206):
        raise UnavailableError(f"answered {response.status_code} {response.reason}")
    if "text/html" in response.headers.get("Content-Type", ""):
        raise UnavailableError("answered with a web page in place of the file; open it in a browser")


def _continues(response: Any, note: _Note, offset: int) -> bool:
    """Returns whether a partial response continues the same file at `offset`."""
    content_range = response.headers.get("Content-Range", "")
    total = "*" if note.size is None else str(note.size)
    is_at_offset = content_range.startswith(f"bytes {offset}-")
    return is_at_offset and content_range.endswith(f"/{total}") and _version(response) == note.version


def _begin(response: Any, address: str, part: pathlib.Path, expected_size: int | None) -> int | None:
    """Creates an empty .part file with its description, and returns the file's size.

    The size is in bytes. It is None if neither server nor catalogue states it.

    Raises:
        UnavailableError: The server announces a size that is not the expected one.
        InputError: The disk has not enough space.
    """
    announced = response.headers.get("Content-Length")
    size = int(announced) if announced is not None else expected_size
    if expected_size is not None and size != expected_size:
        raise UnavailableError(f"announces {size} bytes, the catalogue lists {expected_size}")
    part.write_bytes(b"")
    free = shutil.disk_usage(part.parent).free
    if size is not None and size > free:
        discard(part)
        raise InputError(f"{part.parent}: the download needs {size / 1e6:.0f} MB, {free / 1e6:.0f} MB are free")
    _note_path(part).write_text(json.dumps(_Note(address, _version(response), size)._asdict()))
    return size


def _append(response: Any, part: pathlib.Path, offset: int, size: int | None) -> None:
    """Writes the body of a response to the .part file from `offset` on.

    Raises:
        _BrokenError: The connection breaks.
    """
    import requests

    bar = tqdm(desc=part.stem, initial=offset, total=size, unit="B", unit_scale=True, disable=None)
    with open(part, "r+b") as output, bar:
        output.seek(offset)
        try:
            for chunk in response.iter_content(_CHUNK):
                output.write(chunk)
                bar.update(len(chunk))
        except requests.RequestException as error:
            raise _BrokenError(f"broke the connection ({_innermost_reason(error)})") from None
        output.flush()
        os.fsync(output.fileno())


def _read_note(part: pathlib.Path, address: str) -> _Note | None:
    """Returns the description of a .part file, None if the transfer cannot resume.

    A transfer can resume if the .part file is from the same address, and its
    description contains a version mark.
    """
    try:
        note = _Note(**json.loads(_note_path(part).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return note if note.address == address and note.version and part.exists() else None


def _version(response: Any) -> str | None:
    """Returns the version mark of a response, None if it has none.

    The header If-Range requires a strong mark, so a weak ETag is not used.
    """
    mark = response.headers.get("ETag", "")
    return mark if mark and not mark.startswith("W/") else response.headers.get("Last-Modified")


def _note_path(part: pathlib.Path) -> pathlib.Path:
    return part.with_name(f"{part.name}.json")


def _innermost_reason(error: BaseException) -> str:
    """Returns the first line of the innermost cause.

    The package requests wraps the errors of urllib3, which wrap those of the socket.
    """
    while error.__context__ is not None:
        error = error.__context__
    return first_line(error)
