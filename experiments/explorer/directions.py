"""The sliders of the explorer: groups of directions, whose rows lie in one Components.

    components    the directions of the first file
    named         single directions of further files, and published edits
    file2, ...    further files of several directions
    kept          kept directions that no other group has
    random        random directions of equal size

Because all rows lie in one Components, sliders of several groups move one picture
together. The means of centred edits are those of the first file.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.explorer import messages
from experiments.explorer.state import Move
from ganspace_jax import errors
from ganspace_jax.directions import edited_images, published_edits, random_directions
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError
from ganspace_jax.generators import zoo
from ganspace_jax.generators.base import Generator

MAIN, NAMED, KEPT, RANDOM = "components", "named", "kept", "random"
_RANGE = 3.0  # standard deviations on both sides of 0
_FEWEST_STEPS = 1.0  # smallest range of a slider whose step is known
_LOW_R2 = 0.5  # below it a direction in latent space moves little of its component
_ROW_FIELDS = (
    "activation_components", "activation_stdevs", "latent_components", "latent_stdevs",
    "variance_ratio", "random_stdevs", "r2", "stability", "variance_error",
)  # fmt: skip


class Slider(NamedTuple):
    """A slider.

    Attributes:
        name: name that the page shows.
        row: row of the direction in the Components of all groups.
        layers: [start, stop) of the layers that it moves at first; None for all layers.
        reach: largest step of the slider, in standard deviations.
        moves: what the direction changes, largest first.
        note: sentence about the direction.
        moves_activation: whether the direction is known in the activation of the first
            file's layer.
    """

    name: str
    row: int
    layers: tuple[int, int] | None = None
    reach: float = _RANGE
    moves: tuple[str, ...] = ()
    note: str = ""
    moves_activation: bool = True


class Group(NamedTuple):
    """Sliders that the page shows together.

    Attributes:
        key: name of the group in the state.
        title: name that the page shows.
        sliders: the sliders.
    """

    key: str
    title: str
    sliders: tuple[Slider, ...]


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
    """

    key: str
    title: str
    components: Components
    names: tuple[str, ...]
    layers: tuple[tuple[int, int] | None, ...] = ()
    reaches: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Directions:
    """All groups of sliders.

    Attributes:
        components: the rows of all groups. Its spec, source and means are those of the
            first file.
        groups: the groups in the page's order.
    """

    components: Components
    groups: tuple[Group, ...]

    def group(self, key: str) -> Group:
        """Returns a group. Raises InputError if there is none."""
        keys = [one.key for one in self.groups]
        if key not in keys:
            raise InputError(f"group {key}: {errors.nearest(key, keys)}must be one of {', '.join(keys)}")
        return self.groups[keys.index(key)]

    def slider(self, group: str, number: int) -> Slider:
        """Returns a slider. Raises InputError if there is none."""
        sliders = self.group(group).sliders
        if not number < len(sliders):
            raise InputError(f"{group} {number}: there is none; they go from 0 to {len(sliders) - 1}")
        return sliders[number]

    def edits(self, moves: Sequence[Move], mode: str) -> list[Edit]:
        """Returns the edits of sliders, along rows of `components`.

        Raises:
            InputError: if there is no such slider, or if it has no activation in the
                mode "activation".
        """
        found = []
        for move in moves:
            slider = self.slider(move.group, move.number)
            if mode == "activation" and not slider.moves_activation:
                raise InputError(f"{slider.name}: its direction in the activation is unknown; use the mode latent")
            found.append(Edit(slider.row, move.layers, move.sigma))
        return found


def main_source(components: Components, title: str) -> Source:
    """Returns the group of the first file, strongest direction first as in the file."""
    return Source(MAIN, title, components, tuple(f"v{k}" for k in range(len(components))))


def random_source(components: Components) -> Source:
    """Returns random directions of equal size, the baseline."""
    made = random_directions.random_like(components, seed=0)
    unknown = np.full(len(made), np.nan, np.float32)
    made = dataclasses.replace(made, variance_ratio=unknown, r2=unknown, stability=unknown, variance_error=unknown)
    return Source(RANDOM, "Random directions", made, tuple(f"random {k}" for k in range(len(made))))


def file_sources(files: Sequence[tuple[str, Components]]) -> list[Source]:
    """Returns the groups of further files: one group of all single directions, and one
    group per file of several.

    Args:
        files: name and content of each file.
    """
    single = [(path, found) for path, found in files if len(found) == 1]
    sources = []
    if single:
        rows, names = joined([found for _, found in single]), tuple(pathlib.Path(path).stem for path, _ in single)
        sources.append(Source(NAMED, "Named directions", rows, names))
    for number, (path, found) in enumerate((one for one in files if len(one[1]) > 1), start=2):
        stem = pathlib.Path(path).stem
        names = tuple(f"{stem} {k}" for k in range(len(found)))
        sources.append(Source(f"file{number}", stem, found, names))
    return sources


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
        and edit.edit.component < len(components)
    ]
    if not own:
        return None
    rows = only(components, [one.edit.component for one in own])
    return Source(
        NAMED, "Named directions", rows, tuple(one.name for one in own), tuple(one.edit.layers for one in own),
        tuple(max(_FEWEST_STEPS, abs(one.edit.sigma)) for one in own),
        tuple(f"published edit {one.edit} of {one.data}" for one in own),
    )  # fmt: skip


def combine(sources: Sequence[Source], generator: Generator) -> Directions:
    """Returns all groups. Sources with one key become one group.

    Raises:
        InputError: if directions do not fit the first file or the generator.
    """
    main = sources[0].components
    has_layers = any(source.components.latent_components.ndim == 3 for source in sources)
    fitted = [_fitted(source, main, generator, has_layers) for source in sources]
    components, keys, sliders, row = joined(fitted), {}, {}, 0
    for source, found in zip(sources, fitted, strict=True):
        keys.setdefault(source.key, source.title)
        is_known = _knows_activation(source.components, main)
        for k, name in enumerate(source.names):
            sliders.setdefault(source.key, []).append(
                Slider(
                    name, row + k,
                    layers=source.layers[k] if source.layers else None,
                    reach=source.reaches[k] if source.reaches else _RANGE,
                    note=source.notes[k] if source.notes else "",
                    moves_activation=is_known,
                )
            )  # fmt: skip
        row += len(found)
    return Directions(components, tuple(Group(key, title, tuple(sliders[key])) for key, title in keys.items()))


def _knows_activation(components: Components, main: Components) -> bool:
    """Returns whether directions have a known direction in the first file's layer."""
    return (
        components.spec.layer == main.spec.layer
        and components.activation_components.shape[1:] == main.activation_components.shape[1:]
    )


def _fitted(source: Source, main: Components, generator: Generator, has_layers: bool) -> Components:
    """Returns the directions of a source in the shapes of all sources.

    The direction in an unknown activation becomes zero.
    """
    found = source.components
    edited_images.check_latents(found, generator)
    if found.spec.latent_space != main.spec.latent_space:
        raise InputError(
            f"--components: the directions of {source.title} are in {found.spec.latent_space}, those of the first "
            f"file in {main.spec.latent_space}; open them in two explorers"
        )
    changes: dict[str, Any] = {}
    if has_layers and found.latent_components.ndim == 2:
        changes["latent_components"] = _by_layer(found.latent_components, generator)
        if found.latent_mean is not None:
            changes["latent_mean"] = _by_layer(found.latent_mean[None], generator)[0]
    if not _knows_activation(found, main):
        shape = (len(found), *main.activation_components.shape[1:])
        changes |= {"activation_components": np.zeros(shape, np.float32), "activation_mean": main.activation_mean}
    return dataclasses.replace(found, **changes)


def _by_layer(rows: np.ndarray, generator: Generator) -> np.ndarray:
    num_layers = generator.latent_shape[0]
    return np.ascontiguousarray(np.broadcast_to(rows[:, None], (len(rows), num_layers, rows.shape[-1])))


def joined(parts: Sequence[Components]) -> Components:
    """Returns the rows of all parts, with the means, spec and source of the first."""
    rows = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ROW_FIELDS}
    return dataclasses.replace(parts[0], **rows)


def only(components: Components, rows: Sequence[int]) -> Components:
    """Returns the components of these rows, in this order."""
    chosen = list(rows)
    return dataclasses.replace(components, **{name: getattr(components, name)[chosen] for name in _ROW_FIELDS})


def with_moves(directions: Directions, moves: Sequence[Sequence[str]]) -> Directions:
    """Returns the directions with what each of the first rows changes."""
    groups = tuple(
        group._replace(
            sliders=tuple(
                slider._replace(moves=tuple(moves[slider.row])) if slider.row < len(moves) else slider
                for slider in group.sliders
            )
        )
        for group in directions.groups
    )
    return dataclasses.replace(directions, groups=groups)


def to_json(directions: Directions) -> list[dict[str, Any]]:
    """Returns the groups as JSON values. Unknown figures are None."""
    return [
        {
            "key": group.key,
            "title": group.title,
            "sliders": [_slider_to_json(k, one, directions.components) for k, one in enumerate(group.sliders)],
        }
        for group in directions.groups
    ]


def _slider_to_json(number: int, slider: Slider, components: Components) -> dict[str, Any]:
    figures = {
        "variance": components.variance_ratio,
        "stability": components.stability,
        "r2": components.r2,
        "latent_stdev": components.latent_stdevs,
    }
    known = {name: messages.finite_or_none(values[slider.row]) for name, values in figures.items()}
    return {
        "number": number,
        "name": slider.name,
        **known,
        "low_r2": known["r2"] is not None and known["r2"] < _LOW_R2,
        "range": [-slider.reach, slider.reach],
        "layers": None if slider.layers is None else list(slider.layers),
        "moves": list(slider.moves),
        "note": slider.note,
        "moves_activation": slider.moves_activation,
    }
