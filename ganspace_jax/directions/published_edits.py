"""The edits that the original GANSpace published, by name, as data
(published_edits.csv).

The data come from notebooks/figure_edit_zoo.ipynb of harskish/ganspace, (c) 2020 Erik
Härkönen, Apache-2.0: numbers and spelling as written. The components were computed for
those networks with the original's sign convention, which this project keeps.
"""

import csv
import functools
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from ganspace_jax import errors
from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError
from ganspace_jax.files import tables

PREFIX = "ganspace:"
_PATH = pathlib.Path(__file__).with_name("published_edits.csv")
_FAMILIES = {"StyleGAN": "stylegan", "StyleGAN2": "stylegan2", "BigGAN-512": "biggan_deep"}
_NUM_PUBLISHED = 80  # components that the original computes by default
_TRUNCATIONS = {"stylegan2": 0.7, "biggan_deep": 0.6}  # the notebook sets none for StyleGAN
_IMAGENET = {"husky": 248, "red_fox": 277, "leopard": 288, "barn": 425}  # classes of the edits of BigGAN
_NUM_IMAGENET = 1000


class NamedEdit(NamedTuple):
    """A published edit.

    Attributes:
        name: the original's name.
        family: family of the network, as in generators/zoo.py.
        data: training data of the network, or the class.
        layer: the original's name of the decomposed layer.
        latent_space: space of the direction.
        edit: component, layers [start, stop) and step.
        seeds: seeds of the published images.
        in_paper: whether the paper shows the edit.
    """

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
    """Returns all published edits in the original's order."""
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


def is_published(text: str) -> bool:
    """Returns whether a text names a published edit. `ganspace:=2` sets a value."""
    return text.startswith(PREFIX) and not text.startswith(f"{PREFIX}=")


def find(text: str) -> NamedEdit:
    """Returns the edit of `ganspace:NAME`, or of `ganspace:DATA/NAME` if several have
    the name.

    If one network has a name twice, `NAME` is the first edit and `NAME #2` the second.

    Raises:
        InputError: if there is no such edit, or several.
    """
    asked = text.removeprefix(PREFIX)
    matches = {path: edit for path, edit in _paths().items() if asked in (path, _name_of(path))}
    if len(matches) == 1:
        return next(iter(matches.values()))
    if matches:
        raise InputError(f"--edit={text}: there are several; write {' or '.join(PREFIX + path for path in matches)}")
    # Names are compared without the prefix, which would make all of them alike.
    near = [name for path in _paths() for name in (path, _name_of(path)) if errors.nearest(asked, [name])]
    hint = errors.nearest(PREFIX + asked, [PREFIX + name for name in near])
    raise InputError(f"--edit={text}: no such published edit; {hint}--list shows all")


def check(named: NamedEdit, num_components: int, latent_space: str | None) -> None:
    """Raises InputError if a components file cannot contain the component
    of the edit.
    """
    if named.latent_space != latent_space:
        raise InputError(
            f"--edit={PREFIX}{named.name}: its direction is in {named.latent_space}, those of the components are in "
            f"{latent_space}"
        )
    if named.edit.index >= num_components:
        needed = max(_NUM_PUBLISHED, named.edit.index + 1)
        raise InputError(
            f"--edit={PREFIX}{named.name}: needs component {named.edit.index}, --components has {num_components}; "
            f"run experiments.decompose with --num_components={needed}"
        )


def settings(edits: Sequence[NamedEdit], class_names: Sequence[str], num_classes: int) -> dict[str, Any]:
    """Returns the values of the flags with which the original drew edits of one
    network: centred, truncation_psi, seeds and label.

    A setting that the publication does not contain is left out. The class is left out
    as well if the edits have several, or if the generator does not have it.

    Args:
        edits: the edits.
        class_names: names of the generator's classes, if they are known.
        num_classes: number of the generator's classes.
    """
    values: dict[str, Any] = {"centred": True}
    if edits[0].family in _TRUNCATIONS:
        values["truncation_psi"] = _TRUNCATIONS[edits[0].family]
    values["seeds"] = list(dict.fromkeys(str(seed) for edit in edits for seed in edit.seeds))
    classes = {edit.data for edit in edits}
    if len(classes) == 1:
        name = classes.pop()
        if name in class_names:
            values["label"] = name
        elif num_classes == _NUM_IMAGENET and name in _IMAGENET:
            values["label"] = str(_IMAGENET[name])
    return values


def table(edits: Sequence[NamedEdit]) -> str:
    """Returns a table for a terminal, one edit per line."""
    paths = {id(edit): path for path, edit in _paths().items()}
    header = ["name", "generator", "edit", "seeds", "in the paper"]
    rows = [
        [
            PREFIX + paths[id(one)], one.family, str(one.edit),
            " ".join(map(str, one.seeds[:3])), "yes" if one.in_paper else "",
        ]
        for one in edits
    ]  # fmt: skip
    return tables.aligned(header, rows)


def _name_of(path: str) -> str:
    return path.partition("/")[2]


@functools.cache
def _paths() -> dict[str, NamedEdit]:
    """Returns the edits by DATA/NAME, each once."""
    paths: dict[str, NamedEdit] = {}
    for edit in published():
        path, count = f"{edit.data}/{edit.name}", 1
        while path in paths:
            count += 1
            path = f"{edit.data}/{edit.name} #{count}"
        paths[path] = edit
    return paths
