"""Finds the directions in the bare arrays of a file: one array, a list of arrays, or
arrays by name.

    [d], [1, d]          one direction
    [layers, d]          one direction with a row per layer, if the generator has as
                         many layers
    [k, d], [k, 1, d]    k directions
    [k, layers, d]       k directions with a row per layer

The files of StyleSpace and StyleCLIP contain no directions in w or z. They are refused
by name.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ganspace_jax.files.inert import array_files

_MAX_LAYERS = 100  # of a network; published networks have up to 26
_NUM_LISTED = 8  # names or shapes in a message
_FILE_ENDING = re.compile(r"\.(npy|npz|pt|pth|pkl|pickle)$")
_BESIDE = re.compile(  # arrays that programs store beside directions
    r"(w_|z_|d?latents?_)?(mean|avg|center|centre|intercept|eigen_?values?|eig_?vals?|values|layers)_?",
    re.IGNORECASE,
)
_NETWORKS = {
    "mapper": "the network of StyleCLIP's latent mapper, which is no direction",
    "log_mat_half": "log_mat_half, the parameters of GANLatentDiscovery's deformator, which are no directions",
}  # by the first part of a parameter's name
_STYLE_SPACE = "StyleSpace's and StyleCLIP's arrays of styles, one per layer; styles are neither w nor z"
_CLIP_WIDTH = 512
_CHANNEL_EFFECTS = "; StyleCLIP's channel effects (fs3), which are no directions, have one such row per style channel"
FORMS = "one array [d], [1, d], [layers, d], [k, d] or [k, layers, d], or several by name"


class Latents(NamedTuple):
    """The latents of the generator that uses the directions.

    Attributes:
        space: "w" with a mapping network, else "z".
        num_layers: number of layers whose latents can differ.
        sizes: size of a latent in each space that the generator has.
    """

    space: str
    num_layers: int
    sizes: Mapping[str, int]


class Directions(NamedTuple):
    """The directions of a file.

    Attributes:
        array: directions [k, d], or [k, layers, d] with a row per layer.
        names: names of the directions in the file; () without names.
        unused: names of arrays beside the directions, such as a mean.
    """

    array: np.ndarray
    names: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()


def find(content: Any, latents: Latents | None = None) -> Directions:
    """Returns the directions of one array, of a list, or of arrays by name.

    Args:
        content: the file's content. Values that are no arrays of numbers are ignored.
        latents: the generator's latents; None: any number of rows is one per layer.

    Raises:
        ValueError: if the content holds no directions.
    """
    if isinstance(content, list | tuple):
        return Directions(_of_array(_stacked(content), latents))
    if not isinstance(content, dict):
        return Directions(_of_array(content, latents))
    content = {name: array_files.as_array(value) for name, value in content.items()}
    for name in _nested(content):
        if network := _NETWORKS.get(str(name).split(".")[0]):
            raise ValueError(f"it holds {network}")
    arrays = {str(name): widened(value) for name, value in content.items() if _is_vector(value)}
    named = {name: array for name, array in arrays.items() if not _BESIDE.fullmatch(name)}
    unused = tuple(name for name in arrays if named and name not in named)
    arrays = named or arrays
    inner = [value for value in content.values() if isinstance(value, dict)]
    if not arrays and len(inner) == 1:
        return find(inner[0], latents)
    if not arrays or any("." in _FILE_ENDING.sub("", str(name)) for name in content):
        raise ValueError(f"it holds {_listed(content) or 'no array'}; must hold {FORMS}")
    if len(arrays) == 1:
        return Directions(_of_array(next(iter(arrays.values())), latents), unused=unused)
    return Directions(_of_names(arrays, latents), tuple(_FILE_ENDING.sub("", name) for name in arrays), unused)


def widened(value: Any) -> Any:
    """Returns an array of whole numbers, or of floats narrower than float32, as
    float32. Other values are returned as they are.
    """
    if not isinstance(value, np.ndarray):
        return value
    narrow = value.dtype.kind in "iu" or value.dtype == np.float16 or value.dtype.name == "bfloat16"
    return value.astype(np.float32) if narrow else value


def _is_vector(value: Any) -> bool:
    return isinstance(value, np.ndarray) and widened(value).dtype.kind == "f" and value.size > 1


def _nested(content: Mapping[Any, Any]) -> list[Any]:
    """Returns the names in a dictionary and in its state dict."""
    inner = content.get("state_dict")
    return [*content, *(inner if isinstance(inner, dict) else ())]


def _listed(names: Any) -> str:
    return ", ".join(map(str, list(names)[:_NUM_LISTED]))


def _stacked(values: Sequence[Any]) -> np.ndarray:
    """Returns a list of numbers, or of arrays of one shape, as one array."""
    if values and all(isinstance(value, int | float) for value in values):
        return np.asarray(values, np.float32)
    if values and all(isinstance(value, list | tuple) for value in values):
        if any(isinstance(part, np.ndarray | str) for value in values for part in value):
            raise ValueError(f"it holds lists of arrays: {_STYLE_SPACE}")
        values = [_stacked(value) for value in values]
    if not values or not all(isinstance(value, np.ndarray) for value in values):
        kinds = _listed(dict.fromkeys(type(value).__name__ for value in values)) or "nothing"
        styles = f": {_STYLE_SPACE}" if any(isinstance(value, list | tuple) for value in values) else ""
        raise ValueError(f"it holds a list of {kinds}{styles}; must hold {FORMS}")
    shapes = dict.fromkeys(value.shape for value in values)
    if len({len(shape) for shape in shapes}) > 1:
        raise ValueError(f"it holds {len(values)} arrays of shapes {_listed(shapes)}; must hold {FORMS}")
    if len(shapes) > 1:
        raise ValueError(f"it holds {len(values)} arrays of shapes {_listed(shapes)}: {_STYLE_SPACE}")
    return np.stack(values) if len(values) > 1 else values[0]


def _of_array(array: Any, latents: Latents | None) -> np.ndarray:
    """Returns directions [k, d] or [k, layers, d]. Raises ValueError for another
    array.
    """
    array = widened(array)
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        found = array.dtype if isinstance(array, np.ndarray) else f"a {type(array).__name__}"
        raise ValueError(f"it holds {found}; must hold {FORMS}")
    rows = array
    while rows.ndim > 1 and rows.shape[-1] == 1 and rows.size > 1:  # a column, or DCGAN's z [k, z_dim, 1, 1]
        rows = rows[..., 0]
    has_no_layers = rows.ndim == 3 and rows.shape[1] == 1
    rows = np.squeeze(rows, 1) if rows.ndim > 2 and rows.shape[1] == 1 else rows
    while rows.ndim > 2 and len(rows) == 1:
        rows = rows[0]
    if not 1 <= rows.ndim <= 3 or not rows.size:
        raise ValueError(f"it holds an array of shape {array.shape}; must hold {FORMS}")
    rows = np.atleast_2d(rows)
    if rows.ndim == 3 or len(rows) == 1:
        return rows
    if not has_no_layers and (latents is None or len(rows) == latents.num_layers):
        return rows[None]
    _check_rows(rows, latents)
    return rows


def _check_rows(rows: np.ndarray, latents: Latents | None) -> None:
    """Raises ValueError if several rows can be no directions in a latent space."""
    count, width = rows.shape
    found = f"it holds {count} rows of {width} numbers, shape {rows.shape}"
    hint = _CHANNEL_EFFECTS if width == _CLIP_WIDTH else ""
    if count > width:
        raise ValueError(f"{found}, but there are at most {width} directions of {width} numbers{hint}")
    if latents is not None and width not in latents.sizes.values():
        sizes = " and ".join(f"{space} has {size}" for space, size in latents.sizes.items())
        raise ValueError(f"{found}, but this generator's {sizes}{hint}")


def _of_names(arrays: Mapping[str, np.ndarray], latents: Latents | None) -> np.ndarray:
    """Returns one direction for each name. If one has a row per layer, all have."""
    directions: list[np.ndarray] = []
    for name, array in arrays.items():
        own = _of_array(array, latents)
        if len(own) != 1 or own.shape[-1] != next(iter(arrays.values())).shape[-1]:
            shapes = ", ".join(f"{other} {value.shape}" for other, value in list(arrays.items())[:_NUM_LISTED])
            raise ValueError(
                f"it holds {shapes}; several names must hold one direction each, of one size, unlike {name}"
            )
        directions.append(own[0])
    shape = max((own.shape for own in directions), key=len)
    if len(shape) == 2 and shape[0] > _MAX_LAYERS:  # each name would get as many rows
        raise ValueError(
            f"it holds a direction of {shape[0]:,} layers beside others; networks have up to {_MAX_LAYERS}"
        )
    return np.stack([np.broadcast_to(own, shape) for own in directions])
