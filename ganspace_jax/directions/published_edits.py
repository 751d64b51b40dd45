"""The edits that the original GANSpace published, by name, as data (named_edits.csv).

From notebooks/figure_edit_zoo.ipynb of harskish/ganspace, (c) 2020 Erik Härkönen, Apache-2.0: numbers and spelling as written.
They are of components that were computed for those networks with the original's sign convention, which is ours.
"""

import csv
import difflib
import functools
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError

PREFIX = "ganspace:"
_PATH = pathlib.Path(__file__).with_name("published_edits.csv")
_FAMILIES = {"StyleGAN": "stylegan", "StyleGAN2": "stylegan2", "BigGAN-512": "biggan_deep"}


class NamedEdit(NamedTuple):
    """family: as in generators/zoo.py. data: what the network was trained on, or the class. layer: the original's name of what
    was decomposed. edit: with the layers as [start, stop). seeds: those that were shown."""

    name: str
    family: str
    data: str
    layer: str
    latent_space: str
    edit: Edit
    seeds: tuple[int, ...]
    in_paper: bool


@functools.cache
def published() -> tuple[NamedEdit, ...]:
    """All of them, in the original's order."""
    with open(_PATH, newline="", encoding="utf-8") as file:
        return tuple(_parse(row) for row in csv.DictReader(file))


def _parse(row: dict[str, str]) -> NamedEdit:
    layers = (int(row["layer_start"]), int(row["layer_end_exclusive"]))
    return NamedEdit(
        name=row["name"],
        family=_FAMILIES[row["model"]],
        data=row["class"],
        layer=row["layer"],
        latent_space=row["latent_space"],
        edit=Edit(int(row["component"]), layers, float(row["sigma"])),
        seeds=tuple(map(int, row["seeds"].split())),
        in_paper=row["in_paper"] == "yes",
    )


def find(text: str) -> NamedEdit:
    """The edit of `ganspace:NAME`, or `ganspace:DATA/NAME` where several have the name; raises InputError.

    A name that one network has twice is that of the first; the second is `NAME #2`.
    """
    wanted = text.removeprefix(PREFIX)
    found = {path: edit for path, edit in _paths().items() if wanted in (path, path.partition("/")[2])}
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise InputError(f"--edit={text}: there are several; write {' or '.join(PREFIX + path for path in found)}")
    names = [*_paths(), *(path.partition("/")[2] for path in _paths())]
    near = difflib.get_close_matches(wanted, dict.fromkeys(names), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(PREFIX + name for name in near)}? " if near else ""
    raise InputError(f"--edit={text}: no such published edit; {hint}--list shows all")


def check(named: NamedEdit, num_components: int, latent_space: str) -> None:
    """Raises InputError where a components file cannot have what the edit means."""
    if named.latent_space != latent_space:
        raise InputError(
            f"--edit={PREFIX}{named.name}: its direction lives in {named.latent_space}, these components' in {latent_space}"
        )
    if named.edit.component >= num_components:
        raise InputError(
            f"--edit={PREFIX}{named.name}: is of component {named.edit.component}, --components has {num_components}; "
            f"run experiments.decompose with --num_components={max(80, named.edit.component + 1)}"
        )


def table(edits: Sequence[NamedEdit]) -> str:
    """For a terminal: a line an edit."""
    paths = {id(edit): path for path, edit in _paths().items()}
    rows = [("name", "generator", "edit", "seeds", "in the paper")]
    for one in edits:
        seeds = " ".join(map(str, one.seeds[:3]))
        rows.append((PREFIX + paths[id(one)], one.family, str(one.edit), seeds, "yes" if one.in_paper else ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


@functools.cache
def _paths() -> dict[str, NamedEdit]:
    """DATA/NAME -> edit, each once."""
    paths: dict[str, NamedEdit] = {}
    for edit in published():
        path, count = f"{edit.data}/{edit.name}", 1
        while path in paths:
            count += 1
            path = f"{edit.data}/{edit.name} #{count}"
        paths[path] = edit
    return paths
