"""Refuses archives that expand to many times their size, or whose index hides members,
and expands nothing.
"""

import pathlib
import zipfile

MAX_GROWTH = 50  # times the file; compressed numbers of a float network grow by a tenth
_END_SIZE = 22  # bytes of the end of an archive without a comment
FREE_BYTES = 2**28  # bytes to which even a tiny archive may expand


def check(path: pathlib.Path) -> None:
    """Raises ValueError if a zip archive expands to many times its size, or lacks
    members. Other files pass.

    The archive's index contains the size of each member, and zipfile reads no more
    bytes than that. The end of the archive contains the number of members, which
    zipfile does not check.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    expanded, size = sum(info.file_size for info in members), path.stat().st_size
    count = _count(path)
    if count is not None and count != len(members):
        raise ValueError(f"an archive whose index lists {len(members)} of {count} members")
    if expanded > max(FREE_BYTES, MAX_GROWTH * size):
        raise ValueError(
            f"a file of {size / 1e6:,.1f} MB that expands to {expanded / 1e6:,.1f} MB; no such file is read"
        )


def _count(path: pathlib.Path) -> int | None:
    """Returns the number of members that the end of the archive contains, or None for
    archives with a comment or more than 65,534 members.
    """
    with open(path, "rb") as file:
        file.seek(-_END_SIZE, 2)
        end = file.read()
    count = int.from_bytes(end[10:12], "little")
    return count if end.startswith(b"PK\x05\x06") and count != 0xFFFF else None
