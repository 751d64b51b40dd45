"""Named directions: what a method tells about a direction beyond its vector.

A direction has two vectors. Latents move along the component. The read-out turns
latents into a coordinate, and the curve turns this coordinate into a value:

    r = <mean over the layers of (latent - latent_mean), read>,    value = curve(r)
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ganspace_jax.directions import array_checks, sources
from ganspace_jax.shapes import Float
from ganspace_jax.statistics.monotone_curves import Curve

ARRAYS = ("readouts", "curve_knots", "curve_values")  # keys in a components file
_ENTRIES = ["name", "layers", "unit", "period"]
NAME = r"(?!v-?\d+(?![A-Za-z0-9_-]))[A-Za-z_][A-Za-z0-9_-]*"  # v3 is an index, and v-1 is a wrong one
_MOST_CHARACTERS = 80


class NamedDirection(NamedTuple):
    """Name of one component, with the facts that set a value.

    Attributes:
        name: name of the direction, which is unique in its components. It begins with a
            letter or _, and contains letters, digits, _ and - only. Because v3 is the
            component 3, it is no name.
        layers: range [start, stop) of the layers that move; None: all layers.
        read: read-out vector, of a latent's shape or with one row for all layers; None:
            no read-out.
        curve: curve from the coordinate to the value in the scorer's own unit; None: no
            curve.
        unit: unit of the value in words, such as "turns"; "" if it has none.
        period: period of a circular value; None for every other value.
    """

    name: str
    layers: tuple[int, int] | None = None
    read: Float[np.ndarray, "*latent"] | None = None
    curve: Curve | None = None
    unit: str = ""
    period: float | None = None

    def range_text(self) -> str:
        """Returns the range as an edit writes it: its last layer inclusive, or all."""
        return "all" if self.layers is None else f"{self.layers[0]}-{self.layers[1] - 1}"


def identifier(text: str, taken: Sequence[str] = ()) -> str:
    """Returns a name that an edit can contain, from any text.

    Every other character becomes _. A number is added if the name is taken.
    """
    name = re.sub(r"[^A-Za-z0-9_-]", "_", text.strip())[: _MOST_CHARACTERS - 10]
    if not re.fullmatch(NAME, name):
        name = f"_{name}"
    numbered = (f"{name}_{number}" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(one for one in numbered if one not in taken)


def check(named: Sequence[NamedDirection], latent_components: Float[np.ndarray, "c *latent"]) -> None:
    """Raises ValueError if the named directions are not those of the components.

    Components without names have no named directions.
    """
    count, shape = len(latent_components), latent_components.shape[1:]
    if named and len(named) != count:
        raise ValueError(f"named: holds {len(named)} directions, there are {count} components")
    seen: set[str] = set()
    for one in named:
        if not re.fullmatch(NAME, one.name) or len(one.name) > _MOST_CHARACTERS:
            raise ValueError(f"named: {one.name!r} is no name; must be letters, digits, _ or -, and not v0, v1, ..")
        if one.name in seen:
            raise ValueError(f"named: {one.name!r} names two directions")
        seen.add(one.name)
        _check_layers(one, shape[0] if len(shape) == 2 else None)
        if one.period is not None and not 0 < one.period < np.inf:
            raise ValueError(f"named: the period of {one.name} is {one.period}; must be above 0")
        if one.read is not None and one.read.shape not in (shape, shape[-1:]):
            raise ValueError(f"readouts: {one.name} has shape {one.read.shape}, its direction has {shape}")
        if one.read is not None and not np.isfinite(one.read).all():
            raise ValueError(f"readouts: {one.name} contains NaN or infinity")
        if one.curve is not None:
            _check_curve(one.name, one.curve, has_readout=one.read is not None)
    for name, array in to_arrays(named).items():
        array_checks.check_numbers(name, array)


def _check_layers(one: NamedDirection, num_layers: int | None) -> None:
    start, stop = (0, 1) if one.layers is None else one.layers
    if not 0 <= start < stop or (num_layers is not None and one.layers is not None and stop > num_layers):
        raise ValueError(f"named: the layers of {one.name} are {one.layers}; must be [start, stop) of the latent")


def _check_curve(name: str, curve: Curve, *, has_readout: bool) -> None:
    knots, values = curve
    if not has_readout:
        raise ValueError(f"curve_knots: {name} has a curve, but no read-out")
    if knots.ndim != 1 or len(knots) < 2 or values.shape != knots.shape:
        raise ValueError(f"curve_knots: {name} has {knots.size} knots and {values.size} values; must be at least 2")
    if not np.isfinite(knots).all() or (np.diff(knots) <= 0).any():
        raise ValueError(f"curve_knots: {name} must have knots that rise")
    if not np.isfinite(values).all() or (np.diff(values) < 0).any():
        raise ValueError(f"curve_values: {name} must have values that never fall")


def to_entries(named: Sequence[NamedDirection]) -> list[dict[str, Any]]:
    """Returns the JSON values that a components file stores."""
    return [
        {
            "name": one.name,
            "layers": None if one.layers is None else [int(layer) for layer in one.layers],
            "unit": one.unit,
            "period": None if one.period is None else float(one.period),
        }
        for one in named
    ]


def to_arrays(named: Sequence[NamedDirection]) -> dict[str, np.ndarray]:
    """Returns the arrays that a components file stores: one row per component, NaN
    where there is no read-out, no curve or no further knot.
    """
    arrays: dict[str, np.ndarray] = {}
    reads = [one.read for one in named]
    shape = max((read.shape for read in reads if read is not None), key=len, default=None)
    if shape is not None:
        arrays["readouts"] = np.stack([np.broadcast_to(np.nan if read is None else read, shape) for read in reads])
    curves = [one.curve for one in named]
    if longest := max((len(curve.knots) for curve in curves if curve is not None), default=0):
        for name, key in zip(Curve._fields, ARRAYS[1:], strict=True):
            rows = [np.empty(0) if curve is None else getattr(curve, name) for curve in curves]
            arrays[key] = np.stack([np.pad(row, (0, longest - len(row)), constant_values=np.nan) for row in rows])
    return arrays


def from_file(entries: Any, arrays: Mapping[str, np.ndarray]) -> tuple[NamedDirection, ...]:
    """Returns the named directions of the entries and arrays in a components file.

    Raises:
        ValueError: if an entry or an array cannot be one of named directions.
    """
    if not isinstance(entries, list):
        raise ValueError(f"named: must be a list, is {entries!r}")
    for name in filter(arrays.__contains__, ARRAYS):
        array = arrays[name]
        array_checks.check_numbers(name, array)
        if array.ndim not in ((2, 3) if name == "readouts" else (2,)) or len(array) != len(entries):
            raise ValueError(f"{name}: has shape {array.shape}, there are {len(entries)} named directions")
    return tuple(_checked_entry(entry)._replace(**_own_arrays(arrays, k)) for k, entry in enumerate(entries))


def _checked_entry(entry: Any) -> NamedDirection:
    """Returns a named direction without arrays. Raises ValueError for values of a wrong
    type.
    """
    sources.check_names("named", entry, _ENTRIES)
    name, layers, unit, period = (entry[key] for key in _ENTRIES)
    if not isinstance(name, str) or not isinstance(unit, str):
        raise ValueError(f"named: name and unit must be text, are {name!r} and {unit!r}")
    is_range = isinstance(layers, list) and [type(layer) for layer in layers] == [int, int]
    if layers is not None and not is_range:
        raise ValueError(f"named: the layers of {name!r} must be two whole numbers, are {layers!r}")
    if type(period) not in (int, float, type(None)):
        raise ValueError(f"named: the period of {name!r} must be a number, is {period!r}")
    return NamedDirection(name, None if layers is None else (layers[0], layers[1]), unit=unit, period=period)


def _own_arrays(arrays: Mapping[str, np.ndarray], k: int) -> dict[str, Any]:
    """Returns read-out and curve of component k; a row of NaN stands for none."""
    found: dict[str, Any] = {}
    if "readouts" in arrays and not np.isnan(arrays["readouts"][k]).all():
        found["read"] = arrays["readouts"][k]
    knots, values = (_without_padding(arrays[name][k]) if name in arrays else np.empty(0) for name in ARRAYS[1:])
    if knots.size or values.size:
        found["curve"] = Curve(knots, values)
    return found


def _without_padding(row: Float[np.ndarray, "k"]) -> Float[np.ndarray, "k"]:
    """Returns the row without the NaN at its end."""
    known = np.flatnonzero(~np.isnan(row))
    return row[: known[-1] + 1] if known.size else row[:0]
