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
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.explorer import messages, sources
from experiments.explorer.sources import Source
from experiments.explorer.state import Move
from ganspace_jax import errors
from ganspace_jax.directions import edited_images, named_directions, readouts
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.edits import ALL, Edit
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.errors import InputError
from ganspace_jax.generators.base import Generator

_RANGE = 3.0  # standard deviations on both sides of 0
_LOW_R2 = 0.5  # below it a direction in latent space moves little of its component


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
        has_name: whether a file or a person named the direction.
    """

    name: str
    row: int
    layers: tuple[int, int] | None = None
    reach: float = _RANGE
    moves: tuple[str, ...] = ()
    note: str = ""
    moves_activation: bool = True
    has_name: bool = False


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


@dataclasses.dataclass(frozen=True)
class Directions:
    """All groups of sliders.

    Attributes:
        components: the rows of all groups, each with a name that an edit can contain.
            Its spec, source and means are those of the first file.
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

    def has_names(self, rows: Collection[int]) -> bool:
        """Returns whether one of the rows has the name that a file or a person gave."""
        return any(one.has_name and one.row in rows for group in self.groups for one in group.sliders)

    def rows(self, rows: Sequence[int]) -> Components:
        """Returns the components of these rows alone, with their names if one of them
        has a name.
        """
        found = sources.only(self.components, rows)
        if not self.has_names(rows):
            return found
        return dataclasses.replace(found, named=_distinct([self.components.named[row] for row in rows]))

    def edits(self, moves: Sequence[Move], mode: str) -> list[Edit]:
        """Returns the edits of sliders, along rows of `components`.

        Raises:
            InputError: if there is no such slider, if its direction sets no value, or
                if it has no activation in the mode "activation".
        """
        found = []
        for move in moves:
            slider = self.slider(move.group, move.number)
            if mode == "activation" and not slider.moves_activation:
                raise InputError(f"{slider.name}: its direction in the activation is unknown; use the mode latent")
            if mode == "activation" and move.value is not None:
                raise InputError(f"{slider.name}: a value is set by moving latents; use the mode latent")
            found.append(Edit(slider.row, move.layers or ALL, move.sigma, move.value))
        return found


def combine(given: Sequence[Source], generator: Generator) -> Directions:
    """Returns all groups. Sources with one key become one group.

    Raises:
        InputError: if directions do not fit the first file or the generator.
    """
    main = given[0].components
    has_layers = any(source.components.latent_components.ndim == 3 for source in given)
    fitted = [_fitted(source, main, generator, has_layers) for source in given]
    components, keys, sliders, row, named = sources.joined(fitted), {}, {}, 0, []
    for source, found in zip(given, fitted, strict=True):
        keys.setdefault(source.key, source.title)
        is_known = _knows_activation(source.components, main)
        own = source.components.named or tuple(map(NamedDirection, source.names))
        named += [one._replace(layers=None) if one.read is None else one for one in own]
        has_name = source.key != sources.RANDOM and bool(source.components.named or source.are_names)
        for k, name in enumerate(source.names):
            sliders.setdefault(source.key, []).append(
                Slider(
                    name, row + k,
                    layers=source.layers[k] if source.layers else None,
                    reach=source.reaches[k] if source.reaches else _RANGE,
                    note=source.notes[k] if source.notes else "",
                    moves_activation=is_known,
                    has_name=has_name,
                )
            )  # fmt: skip
        row += len(found)
    components = dataclasses.replace(components, named=_distinct(named))
    return Directions(components, tuple(Group(key, title, tuple(sliders[key])) for key, title in keys.items()))


def _distinct(named: Sequence[NamedDirection]) -> tuple[NamedDirection, ...]:
    """Returns named directions under names that an edit can contain, all different."""
    names: list[str] = []
    for one in named:
        names.append(named_directions.identifier(one.name, names))
    return tuple(one._replace(name=name) for one, name in zip(named, names, strict=True))


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
        "value": _value_to_json(slider.row, components),
    }


def _value_to_json(row: int, components: Components) -> dict[str, Any] | None:
    """Returns range and unit of the value that a direction sets; None without one."""
    if not readouts.has_curve(components, row):
        return None
    low, high = readouts.reach(components, row)
    return {"range": [low, high], "unit": components.named[row].unit} if low < high else None
