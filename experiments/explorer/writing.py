"""Writes files into the work directory: under safe names, complete or not at all."""

import os
import pathlib
import re
import tempfile
from collections.abc import Iterable

from ganspace_jax.directions import components as components_file
from ganspace_jax.directions.components import Components
from ganspace_jax.files import disk_errors

_MAX_STEM = 60  # characters of a file's name


def safe_stem(name: str) -> str:
    """Returns a name with the characters that every file system allows."""
    return re.sub(r"[^\w-]+", "_", name, flags=re.ASCII).strip("_")[:_MAX_STEM] or "kept"


def unique(name: str, taken: set[str], gap: str) -> str:
    """Returns a name that is not taken, whatever the case of its letters."""
    number, unique = 1, name
    while unique.lower() in taken:
        number += 1
        unique = f"{name}{gap}{number}"
    return unique


def unused_path(folder: pathlib.Path, stem: str, suffixes: Iterable[str]) -> pathlib.Path:
    """Returns folder/stem without a suffix, numbered if one of its files exists."""
    names, number = list(suffixes), 1
    path = folder / safe_stem(stem)
    while any((folder / f"{path.name}{suffix}").exists() for suffix in names):
        number += 1
        path = folder / f"{safe_stem(stem)}_{number}"
    return path


def write_file(path: pathlib.Path, data: bytes) -> None:
    """Writes a file beside its target and renames it, so that it is complete or absent.

    Raises:
        InputError: if the disk refuses the file.
    """

    def write() -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name}.writing-", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            os.chmod(scratch, 0o644)  # mkstemp makes files that only their owner reads
            os.replace(scratch, path)
        except BaseException:
            pathlib.Path(scratch).unlink(missing_ok=True)
            raise

    disk_errors.refused(str(path), write, "make room, or name another --workdir")


def components_bytes(components: Components, folder: pathlib.Path) -> bytes:
    """Returns the content of a components file, which is written in a folder first."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as directory:
        path = pathlib.Path(directory) / "components.npz"
        components_file.save(path, components)
        return path.read_bytes()
