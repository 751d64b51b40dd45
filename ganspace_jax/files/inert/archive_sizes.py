"""Refuses archives that expand to many times their size, and expands nothing."""

import pathlib
import zipfile

MAX_GROWTH = 50  # times the file; compressed numbers of a float network grow by a tenth
FREE_BYTES = 2**28  # bytes to which even a tiny archive may expand


def check(path: pathlib.Path) -> None:
    """Raises ValueError if a zip archive expands to many times its size. Other files
    pass.

    The archive's index contains the size of each member, and zipfile reads no more
    bytes than that.
    """
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        expanded = sum(info.file_size for info in archive.infolist())
    size = path.stat().st_size
    if expanded > max(FREE_BYTES, MAX_GROWTH * size):
        raise ValueError(
            f"a file of {size / 1e6:,.1f} MB that expands to {expanded / 1e6:,.1f} MB; no such file is read"
        )
