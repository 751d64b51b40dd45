"""Where sliders come from: files, published edits and random directions."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ganspace_jax.directions import edits, published_edits, random_directions
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.generators import zoo
from ganspace_jax.generators.base import Generator

MAIN, NAMED, KEPT, RANDOM = "components", "named", "kept", "random"  # keys of groups
_FEWEST_STEPS = 1.0  # smallest range of a slider whose step is known
_ROW_FIELDS = (
    "activation_components", "activation_stdevs", "latent_components", "latent_stdevs",
    "variance_ratio", "random_stdevs", "r2", "stability", "latent_uncertainty", "variance_error",
)  # fmt: skip


class Source(NamedTuple):
    """Directions that become a group.

    Attributes:
        key: key of the group.
        title: name that the page shows.
        components: the directions.
        names: one name per direction.
        layers: layers of each direction; an empty tuple stands for all layers.
        reaches: largest step of each slider; an empty tuple stands for 3.
        notes: a sentence about each direction; an empty tuple stands for none.
        are_names: whether the names are those of a file or a person, and no numbers.
    """

    key: str
    title: str
    components: Components
    names: tuple[str, ...]
    layers: tuple[tuple[int, int] | None, ...] = ()
    reaches: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    are_names: bool = False


def all_sources(files: Sequence[tuple[str, Components]], name: str, generator: Generator) -> list[Source]:
    """Returns all groups: those of the files, published edits, and random directions.

    Args:
        files: name and content of each file, the main one first.
        name: name of the generator.
        generator: the generator.
    """
    main = files[0][1]
    published = published_source(main, name, generator)
    return [
        main_source(main, f"Directions of {pathlib.Path(name).name}"), *file_sources(files[1:]),
        *([] if published is None else [published]), random_source(main),
    ]  # fmt: skip


def main_source(components: Components, title: str) -> Source:
    """Returns the group of the first file, strongest direction first as in the file."""
    return _with_names(Source(MAIN, title, components, tuple(f"v{k}" for k in range(len(components)))))


def _with_names(source: Source) -> Source:
    """Returns a source with the names and layers of its named directions."""
    named = source.components.named
    if not named:
        return source
    return source._replace(names=tuple(one.name for one in named), layers=tuple(one.layers for one in named))


def random_source(components: Components) -> Source:
    """Returns random directions of equal size, the baseline."""
    made = random_directions.random_like(components, seed=0)
    unknown = np.full(len(made), np.nan, np.float32)
    made = dataclasses.replace(
        made, variance_ratio=unknown, r2=unknown, stability=unknown, latent_uncertainty=unknown, variance_error=unknown
    )
    names = tuple(f"random {k}" for k in range(len(made)))
    return Source(RANDOM, "Random directions", made, names, tuple(one.layers for one in made.named))


def file_sources(files: Sequence[tuple[str, Components]]) -> list[Source]:
    """Returns the groups of further files: one group of all single directions, and one
    group per file of several.

    Args:
        files: name and content of each file.
    """
    single = [(path, found) for path, found in files if len(found) == 1]
    sources = []
    if single:
        rows = joined([found for _, found in single])
        names = tuple(found.named[0].name if found.named else pathlib.Path(path).stem for path, found in single)
        layers = tuple(found.named[0].layers if found.named else None for _, found in single)
        if any(found.named for _, found in single):
            known = [
                found.named[0] if found.named else NamedDirection(pathlib.Path(path).stem) for path, found in single
            ]
            rows = dataclasses.replace(rows, named=tuple(known))
        sources.append(Source(NAMED, "Named directions", rows, names, layers, are_names=True))
    for number, (path, found) in enumerate((one for one in files if len(one[1]) > 1), start=2):
        title = _title(pathlib.Path(path))
        names = tuple(f"{title} {k}" for k in range(len(found)))
        sources.append(_with_names(Source(f"file{number}", title, found, names)))
    return sources


def _title(path: pathlib.Path) -> str:
    """Returns the name of a file, or of its directory: every command that finds
    directions calls its file components.
    """
    return path.resolve().parent.name if path.stem == "components" else path.stem


def published_source(components: Components, name: str, generator: Generator) -> Source | None:
    """Returns the published edits of this very network as a group; None without one.

    A network is known by its family, the decomposed layer, and the name of its data in
    the generator's name.
    """
    own = [
        edit
        for edit in published_edits.published()
        if isinstance(generator.config, zoo.FAMILIES[edit.family][0])
        and (edit.data.lower() in pathlib.Path(name).name.lower() or edit.data in generator.class_names)
        and edit.layer == str(components.spec.layer)
        and edit.latent_space == components.spec.latent_space
        and edit.edit.index < len(components)
    ]
    if not own:
        return None
    rows, num_layers = only(components, [one.edit.index for one in own]), generator.latent_shape[0]
    return Source(
        NAMED, "Named directions", rows, tuple(one.name for one in own),
        tuple(edits.layer_range(one.edit, num_layers) for one in own),
        tuple(max(_FEWEST_STEPS, abs(one.edit.sigma)) for one in own),
        tuple(f"published edit {one.edit} of {one.data}" for one in own),
        are_names=True,
    )  # fmt: skip


def joined(parts: Sequence[Components]) -> Components:
    """Returns the rows of all parts, with the means, spec and source of the first.

    The rows have no names; a Source has them.
    """
    rows = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ROW_FIELDS}
    return dataclasses.replace(parts[0], named=(), **rows)


def only(components: Components, rows: Sequence[int]) -> Components:
    """Returns the components of these rows, in this order and without names."""
    chosen = list(rows)
    found = {name: getattr(components, name)[chosen] for name in _ROW_FIELDS}
    return dataclasses.replace(components, named=(), **found)
