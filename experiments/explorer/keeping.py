"""Kept directions and states: files in workdir/kept, one .json and one .npz for each.

The .npz is a components file, which every command reads. It holds the directions of the
edits in their order. So a kept direction outlives the file that it came from.
"""

import dataclasses
import json
import os
import pathlib
import re
import tempfile
import threading
from collections.abc import Iterable
from typing import Any

import numpy as np

from experiments.explorer import messages, sources, state
from experiments.explorer.directions import Directions
from experiments.explorer.sources import Source
from experiments.explorer.state import Move, State
from ganspace_jax import errors
from ganspace_jax.directions import components as components_file
from ganspace_jax.directions import foreign_files
from ganspace_jax.directions.components import Components
from ganspace_jax.errors import InputError
from ganspace_jax.files import disk_errors

MAX_KEPT = 1_000
_MAX_STEM = 60  # characters of a file's name


@dataclasses.dataclass(frozen=True)
class Kept:
    """A kept direction, or a kept state.

    Attributes:
        stem: name of its files.
        name: name that a person gave.
        note: note that a person wrote; may be empty.
        direction: the direction as a slider's position; None for a state.
        state: the state; None for a direction.
        rows: the directions of all edits, in their order; None without edits.
    """

    stem: str
    name: str
    note: str = ""
    direction: Move | None = None
    state: State | None = None
    rows: Components | None = None

    @property
    def moves(self) -> tuple[Move, ...]:
        """The edits."""
        if self.state is not None:
            return self.state.edits
        return () if self.direction is None else (self.direction,)

    def with_moves(self, moves: tuple[Move, ...]) -> "Kept":
        """Returns the kept thing with other edits."""
        if self.state is not None:
            return dataclasses.replace(self, state=dataclasses.replace(self.state, edits=moves))
        return dataclasses.replace(self, direction=moves[0])

    def to_json(self) -> dict[str, Any]:
        """Returns JSON values for the page and for the file."""
        return {
            "name": self.name,
            "note": self.note,
            "direction": None if self.direction is None else state.move_to_json(self.direction),
            "state": None if self.state is None else state.to_json(self.state),
        }


def read_folder(folder: pathlib.Path) -> tuple[list[Kept], list[str]]:
    """Returns what a folder keeps, and a sentence about each file that cannot be
    read.
    """
    kept, sentences = [], []
    for path in sorted(folder.glob("*.json"))[:MAX_KEPT] if folder.is_dir() else ():
        try:
            kept.append(_read(path))
        except (InputError, OSError) as error:
            sentences.append(f"{path.name}: is left out: {errors.first_line(error)}")
    return kept, sentences


def _read(path: pathlib.Path) -> Kept:
    if path.stat().st_size > messages.MAX_LINE:
        raise InputError(f"has more than {messages.MAX_LINE:,} bytes")
    content, _ = messages.read(b" ".join(path.read_bytes().splitlines()))
    kept = read_entries(content, path.stem)
    rows = path.with_suffix(".npz")
    if not kept.moves:
        return kept
    loaded = foreign_files.load_components(rows)
    if len(loaded) != len(kept.moves):
        raise InputError(f"has {len(kept.moves)} edits, but {rows.name} has {len(loaded)} directions")
    return dataclasses.replace(kept, rows=loaded)


def read_entries(content: Any, stem: str = "") -> Kept:
    """Returns a kept thing of JSON values, without its rows.

    Raises:
        MessageError: if an entry is missing, unknown, of a wrong type or out of range.
    """
    given = messages.entries(content, "kept", ("name", "note", "direction", "state"))
    direction = given.get("direction")
    found = Kept(
        stem,
        messages.text(given.get("name", ""), "name", state.MAX_NAME),
        messages.note(given.get("note", ""), "note"),
        None if direction is None else state.read_move(direction),
        None if given.get("state") is None else state.read(given["state"]),
    )
    if (found.direction is None) == (found.state is None):
        raise messages.MessageError("kept: must have one of direction and state")
    return found


def unknown_source(kept: Iterable[Kept], directions: Directions) -> Source | None:
    """Returns the kept directions that no slider has as a group; None without one."""
    missing = {
        (_content(one.rows, k)): (one, k)
        for one in kept
        if one.rows is not None
        for k in range(len(one.rows))
        if _find(one.rows, k, directions) is None
    }
    parts = [(one, sources.only(one.rows, [k])) for one, k in missing.values() if one.rows is not None]
    if not parts:
        return None
    names = tuple(one.name for one, _ in parts)
    joined = sources.joined([rows for _, rows in parts])
    return Source(sources.KEPT, "Kept directions", joined, names, notes=tuple(one.note for one, _ in parts))


def placed(kept: Kept, directions: Directions) -> Kept:
    """Returns a kept thing whose edits name the sliders that have its directions now.

    Raises:
        InputError: if no slider has one of the directions.
    """
    if kept.rows is None:
        return kept
    found = [_find(kept.rows, k, directions) for k in range(len(kept.rows))]
    if None in found:
        raise InputError(f"{kept.stem}: its directions do not fit this generator")
    moves = tuple(
        dataclasses.replace(move, group=place[0], number=place[1])
        for move, place in zip(kept.moves, found, strict=True)
        if place is not None
    )
    return kept.with_moves(moves)


def _find(rows: Components, k: int, directions: Directions) -> tuple[str, int] | None:
    """Returns group and number of the slider with a direction; None without one."""
    own, content = directions.components, _content(rows, k)
    if rows.latent_components.shape[1:] != own.latent_components.shape[1:]:
        return None
    near = np.flatnonzero(own.latent_stdevs == rows.latent_stdevs[k])
    same = {int(row) for row in near if _content(own, int(row)) == content}
    places = (
        (group.key, number, slider.row) for group in directions.groups for number, slider in enumerate(group.sliders)
    )
    return next(((key, number) for key, number, row in places if row in same), None)


def _content(rows: Components | None, k: int) -> bytes:
    """Returns a direction and its step as bytes."""
    if rows is None:
        return b""
    return np.asarray(rows.latent_components[k], np.float32).tobytes() + np.float32(rows.latent_stdevs[k]).tobytes()


class Shelf:
    """What a workdir keeps. Several threads may use it.

    Attributes:
        folder: folder of the files.
    """

    def __init__(self, folder: pathlib.Path, kept: Iterable[Kept] = ()):
        self.folder = folder
        self._kept = {one.stem: one for one in kept}
        self._lock = threading.Lock()

    def list(self) -> list[dict[str, Any]]:
        """Returns all that is kept as JSON values."""
        with self._lock:
            return [one.to_json() for one in self._kept.values()]

    def find(self, name: str) -> Kept:
        """Returns what is kept under a name. Raises InputError if there is none."""
        with self._lock:
            return self._find(name)

    def _find(self, name: str) -> Kept:
        found = next((one for one in self._kept.values() if one.name == name), None)
        if found is None:
            hint = errors.nearest(name, [one.name for one in self._kept.values()])
            raise InputError(f"kept {name}: {hint}none has this name")
        return found

    def keep(self, kept: Kept) -> str:
        """Writes a kept thing at once, under a name that differs from all others, and
        returns the name.

        Raises:
            InputError: if too many are kept, or if the disk refuses the files.
        """
        with self._lock:
            if len(self._kept) >= MAX_KEPT:
                raise InputError(f"kept: there are {MAX_KEPT:,} already; forget some first")
            name = unique(kept.name or "direction", {one.name.lower() for one in self._kept.values()}, " ")
            stem = unique(safe_stem(name), {one.lower() for one in self._kept}, "_")
            kept = dataclasses.replace(kept, name=name, stem=stem)
            if kept.rows is not None:
                write_file(self.folder / f"{stem}.npz", components_bytes(kept.rows, self.folder))
            write_file(self.folder / f"{stem}.json", (json.dumps(kept.to_json(), indent=1) + "\n").encode())
            self._kept[stem] = kept
            return name

    def forget(self, name: str) -> None:
        """Removes what is kept under a name. Raises InputError if there is none."""
        with self._lock:
            stem = self._find(name).stem
            for suffix in (".json", ".npz"):
                (self.folder / f"{stem}{suffix}").unlink(missing_ok=True)
            del self._kept[stem]


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
