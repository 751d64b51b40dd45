"""Finds the latents of pictures in the content of a file, whatever program wrote it.

    NVIDIA           .npz: w [1, layers, d], dlatents [1, layers, d]
    pSp, Puzer       .npy: [layers, d]
    encoder4editing  .pt: [n, layers, d]; PTI: a parameter [1, layers, d]
    rosinality       .pt: {picture: {img, latent [layers, d] or [d], noise}}
    ReStyle          .npy: {picture: [latents [layers, d] of each step]}

The shape of an array tells how it is meant, then its key, then the user.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

_PER_LAYER = ("ws", "w_plus", "wplus", "wp")
_IN_W = (*_PER_LAYER, "projected_w", "w_pivot", "dlatents", "dlatent", "w")
_KEYS = (*_IN_W, "latents", "latent", "latent_codes", "z")  # beside dlatents, NVIDIA's latents are z
_LABELS = ("label", "labels")
_NO_LATENTS = (*_LABELS, "img", "imgs", "image", "images", "noise", "noises", "loss", "losses")
_STEPS = re.compile(r"(^|(^|_)(d?latents?|ws?)_)(path|steps|history|trajectory)$")
_FILE_NAME = re.compile(r"[/\\]|\.[A-Za-z]\w{1,4}$")
_NUM_LISTED = 6  # arrays in an error message
_MAX_LISTED = 40  # characters of a name in an error message


class Found(NamedTuple):
    """An array of a file that should hold latents.

    Attributes:
        picture: name of the picture in the file; "" if the file names none.
        key: key of the array in lower case; "" without one.
        array: the array.
        is_last_step: whether it is the last step of an optimisation.
    """

    picture: str
    key: str
    array: np.ndarray
    is_last_step: bool = False


class Space(NamedTuple):
    """What a generator needs, and the space that the user names.

    Attributes:
        latent_shape: (layers, size) of the per-layer latents.
        z_dim: size of z.
        has_mapping: whether the generator has w.
        named: "w" or "z" for arrays that tell no space; None: w.
    """

    latent_shape: tuple[int, int]
    z_dim: int
    has_mapping: bool
    named: str | None

    def text(self) -> str:
        """Returns the shapes that fit, in words."""
        (num_layers, width), space = self.latent_shape, "w" if self.has_mapping else "z"
        per_layer = f"[n, {num_layers}, {width}] ({space} of {num_layers} layers)"
        if not self.has_mapping:
            return f"[n, {self.z_dim}] (z) or {per_layer}"
        if width == self.z_dim:
            return f"{per_layer} or [n, {width}] (w or z)"
        return f"{per_layer}, [n, {width}] (w) or [n, {self.z_dim}] (z)"


class Latents(NamedTuple):
    """The latents of one found array.

    Attributes:
        kind: "z", "w" (one for all layers) or "layers".
        values: [n, z_dim], [n, d] or [n, layers, d], in float32.
        note: sentence about an assumption; "" without one.
    """

    kind: str
    values: np.ndarray
    note: str = ""


def is_array(value: Any) -> bool:
    """Returns whether a value is an array of numbers, in bfloat16 too."""
    return isinstance(value, np.ndarray) and (value.dtype.kind in "fiu" or value.dtype.name == "bfloat16")


def label_of(content: Any) -> np.ndarray | None:
    """Returns the array of labels in the content of a file; None without one."""
    if not isinstance(content, dict):
        return None
    return next((content[key] for key in _LABELS if is_array(content.get(key))), None)


def find(content: Any, stem: str = "") -> list[Found]:
    """Returns the arrays of latents in the content of a file.

    Args:
        content: array, or nested dictionaries and lists.
        stem: stem of the file's name, which may tell that a list holds the steps of an
            optimisation.

    Raises:
        ValueError: if the content holds no such array, holds both z and w, or holds
            arrays of different widths.
    """
    is_path = isinstance(content, list) and _STEPS.search(stem.lower())
    found = list(_search(content, "", "steps" if is_path else ""))
    if not found:
        raise ValueError(f"it holds no array of latents, but {_listed_content(content)}")
    if len({one.array.shape[-1] for one in found}) > 1:
        raise ValueError(
            f"it holds {len(found)} arrays of different widths, as a network or StyleSpace has, and neither w nor z: "
            f"{listed(found)}"
        )
    return found


def _search(value: Any, picture: str, key: str) -> Iterator[Found]:
    """Yields the arrays of latents in a value.

    Args:
        value: value of the file.
        picture: name of the picture to which the value belongs, or "".
        key: key of the value, or "".
    """
    if is_array(value) and value.ndim:
        is_path = bool(_STEPS.search(key)) and value.ndim > 1 and len(value) > 1
        yield Found(picture, key, value[-1] if is_path else value, is_path)
    elif isinstance(value, list | tuple):
        arrays = [one for one in value if _holds_arrays(one)]
        is_path = is_file_name(picture) or bool(_STEPS.search(key))
        for one in arrays[-1:] if is_path else arrays:
            found = _search(one, picture, "" if is_path else key)
            yield from (one._replace(is_last_step=True) for one in found) if is_path and len(arrays) > 1 else found
    elif isinstance(value, dict):
        yield from _search_dictionary(value, picture)


def _search_dictionary(value: dict[Any, Any], picture: str) -> Iterator[Found]:
    """Yields the arrays of the first known key; without one, those of every key, which
    may name a picture.
    """
    keys = [key for key in value if _holds_arrays(value[key])]
    names = {_plain(key): key for key in keys}
    known = [name for name in _KEYS if name in names]
    if "z" in known and len(known) > 1:
        raise ValueError(f"it must hold either z or {known[0]}; it holds both")
    if known:
        yield from _search(value[names[known[0]]], picture, known[0])
        return
    for key, name in zip(keys, map(_plain, keys), strict=True):
        if re.fullmatch(r"arr_\d+", name) or _STEPS.search(name):  # names no picture
            yield from _search(value[key], picture, name)
        elif name not in _NO_LATENTS:
            own = picture if picture and not is_file_name(str(key)) else str(key)
            yield from _search(value[key], own, name)


def _plain(key: Any) -> str:
    return str(key).lower().replace("w+", "w_plus")


def is_file_name(text: str) -> bool:
    """Returns whether a text is a path, or ends like the name of a file."""
    return bool(_FILE_NAME.search(text))


def _holds_arrays(value: Any) -> bool:
    return is_array(value) or (isinstance(value, dict | list | tuple) and len(value) > 0)


def _listed_content(content: Any) -> str:
    if isinstance(content, dict):
        names = [str(key)[-_MAX_LISTED:] for key in content]
        return ", ".join(names[:_NUM_LISTED]) + (", ..." if len(names) > _NUM_LISTED else "") or "nothing"
    if isinstance(content, np.ndarray):
        return f"an array of the type {content.dtype}"
    return f"a {type(content).__name__}"


def listed(found: list[Found]) -> str:
    """Returns the names and shapes of the found arrays."""
    names = [one.picture if is_file_name(one.picture) else one.key or one.picture for one in found[:_NUM_LISTED]]
    texts = [f"{name[-_MAX_LISTED:]} {list(one.array.shape)}" for name, one in zip(names, found, strict=False)]
    return ", ".join(map(str.strip, texts)) + (", ..." if len(found) > _NUM_LISTED else "")


def interpret(found: Found, space: Space, *, is_only: bool = True) -> Latents:
    """Returns the latents in an array.

    An array of as many rows as the generator has layers is one picture. It is one
    picture per row if the key or the user tells that it holds z, or without w.

    Args:
        found: the array.
        space: what the generator needs.
        is_only: whether the file holds no other such array; then a note tells that an
            array of ambiguous shape is one picture.

    Raises:
        ValueError: if the array does not fit the generator, or is not finite.
    """
    with np.errstate(over="ignore"):  # infinity is refused below
        values = np.asarray(found.array).astype(np.float32)
    if not values.size or not np.isfinite(values).all():
        raise ValueError(f"{listed([found])} {'is empty' if not values.size else 'contains NaN or infinity'}")
    values = _without_axes(values, space)
    num_layers, width = space.latent_shape
    told = "z" if found.key == "z" else "w" if found.key in _IN_W else space.named
    if values.ndim > 1 and values.shape[-2:] == (num_layers, width) and not _is_z(found, values, space, told):
        is_told = values.ndim == 3 or found.key in _PER_LAYER or num_layers == 1
        is_told = is_told or not is_only or found.is_last_step or is_file_name(found.picture)
        note = "" if is_told else f"{listed([found])} is one picture with a row per layer, not {num_layers} pictures"
        return Latents("layers", values.reshape(-1, num_layers, width), note)
    is_of_other_layers = values.ndim > 2 or (values.ndim == 2 and len(values) > 1 and found.key in _PER_LAYER)
    if is_of_other_layers or values.shape[-1] not in (space.z_dim, width if space.has_mapping else space.z_dim):
        raise ValueError(f"it holds {listed([found])}; this generator needs {space.text()}")
    return _one_per_picture(found, values.reshape(-1, values.shape[-1]), space, told)


def _is_z(found: Found, values: np.ndarray, space: Space, told: str | None) -> bool:
    """Returns whether an array with the shape of per-layer latents holds z."""
    if space.has_mapping:
        return told == "z" and (values.ndim == 2 or found.key == "z")
    is_row_per_picture = values.ndim == 2 and values.shape[1] == space.z_dim
    return is_row_per_picture and found.key not in _PER_LAYER


def _without_axes(values: np.ndarray, space: Space) -> np.ndarray:
    """Returns an array of at most three axes, if the axes of length 1 allow that.

    DCGAN's z is [n, z_dim, 1, 1]. A list of [1, layers, d] is [n, 1, layers, d].
    """
    while values.ndim > 2 and values.shape[-1] == 1 and space.z_dim != 1:
        values = values[..., 0]
    while values.ndim > 3 and 1 in values.shape[:-2]:
        values = values.squeeze(values.shape[:-2].index(1))
    if values.ndim == 3 and values.shape[1] == 1 and space.latent_shape[0] != 1:
        return values[:, 0]
    return np.atleast_1d(values)


def _one_per_picture(found: Found, values: np.ndarray, space: Space, told: str | None) -> Latents:
    """Returns latents with one row per picture, in w or z as `told` or their size
    tells.
    """
    size = values.shape[1]
    if not space.has_mapping and space.named == "w":
        raise ValueError("this generator has only z; leave --latent_space=w out")
    if not space.has_mapping:
        return Latents("z", values)
    sizes = {"w": space.latent_shape[1], "z": space.z_dim}
    fitting = [name for name in sizes if sizes[name] == size]
    if told is not None and told not in fitting:
        raise ValueError(f"it holds {listed([found])}; this generator's {told} has {sizes[told]} numbers")
    is_known = told is not None or len(fitting) == 1
    count = "latent is" if len(values) == 1 else f"{len(values)} latents are"
    note = "" if is_known else f"the file does not tell whether its {count} in w or z: w is assumed (--latent_space)"
    return Latents(told or fitting[0], values, note)
