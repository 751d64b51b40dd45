"""Kept directions and states: files in workdir/kept, one .json and one .npz for each.

The .npz is a components file, which every command reads. It holds the directions of the
edits in their order. So a kept direction outlives the file that it came from.
"""

import contextlib
import dataclasses
import json
import pathlib
import threading
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from experiments.explorer import directions, messages, sources, state, writing
from experiments.explorer.directions import Directions
from experiments.explorer.sources import Source
from experiments.explorer.state import Move, State
from ganspace_jax import errors
from ganspace_jax.directions import foreign_files
from ganspace_jax.directions.components import Components
from ganspace_jax.errors import InputError
from ganspace_jax.generators.base import Generator

MAX_KEPT = 1_000


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


def unknown_sources(kept: Iterable[Kept], found: Directions) -> list[Source]:
    """Returns one source for each kept direction that no slider has."""
    unknown = {}
    for one in kept:
        for k in range(0 if one.rows is None else len(one.rows)):
            if one.rows is not None and _find(one.rows, k, found) is None:
                rows = sources.only(one.rows, [k])
                rows = dataclasses.replace(rows, named=one.rows.named[k : k + 1])
                unknown[_content(one.rows, k)] = Source(
                    sources.KEPT, "Kept directions", rows, (one.name,), notes=(one.note,), are_names=True
                )
    return list(unknown.values())


def with_unknown(kept: Iterable[Kept], parts: Sequence[Source], generator: Generator) -> Directions:
    """Returns all groups of sliders, and before the last one a group of the kept
    directions that no other group has. Directions that do not fit are left out.

    Raises:
        InputError: if a part does not fit the first one or the generator.
    """
    found = directions.combine(parts, generator)
    for missing in unknown_sources(kept, found):
        with contextlib.suppress(InputError):
            found = directions.combine([*parts[:-1], missing, parts[-1]], generator)
            parts = [*parts[:-1], missing, parts[-1]]
    return found


def placed_all(kept: Iterable[Kept], sliders: Directions) -> tuple[list[Kept], list[str]]:
    """Returns the kept things that fit the sliders, and a sentence about each other
    one.
    """
    found, sentences = [], []
    for one in kept:
        try:
            found.append(placed(one, sliders))
        except InputError as error:
            sentences.append(str(error))
    return found, sentences


def placed(kept: Kept, sliders: Directions) -> Kept:
    """Returns a kept thing whose edits name the sliders that have its directions now.

    Raises:
        InputError: if no slider has one of the directions.
    """
    if kept.rows is None:
        return kept
    found = [_find(kept.rows, k, sliders) for k in range(len(kept.rows))]
    if None in found:
        raise InputError(f"{kept.stem}: its directions do not fit this generator")
    moves = tuple(
        dataclasses.replace(move, group=place[0], number=place[1])
        for move, place in zip(kept.moves, found, strict=True)
        if place is not None
    )
    return kept.with_moves(moves)


def _find(rows: Components, k: int, sliders: Directions) -> tuple[str, int] | None:
    """Returns group and number of the slider with a direction; None without one."""
    own, content = sliders.components, _content(rows, k)
    if rows.latent_components.shape[1:] != own.latent_components.shape[1:]:
        return None
    near = np.flatnonzero(own.latent_stdevs == rows.latent_stdevs[k])
    same = {int(row) for row in near if _content(own, int(row)) == content}
    places = (
        (group.key, number, slider.row) for group in sliders.groups for number, slider in enumerate(group.sliders)
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
            name = writing.unique(kept.name or "direction", {one.name.lower() for one in self._kept.values()}, " ")
            stem = writing.unique(writing.safe_stem(name), {one.lower() for one in self._kept}, "_")
            kept = dataclasses.replace(kept, name=name, stem=stem)
            if kept.rows is not None:
                writing.write_file(self.folder / f"{stem}.npz", writing.components_bytes(kept.rows, self.folder))
            writing.write_file(self.folder / f"{stem}.json", (json.dumps(kept.to_json(), indent=1) + "\n").encode())
            self._kept[stem] = kept
            return name

    def forget(self, name: str) -> None:
        """Removes what is kept under a name. Raises InputError if there is none."""
        with self._lock:
            stem = self._find(name).stem
            for suffix in (".json", ".npz"):
                (self.folder / f"{stem}{suffix}").unlink(missing_ok=True)
            del self._kept[stem]
