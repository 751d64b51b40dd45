"""Finds the latents of pictures in the content of a file, whatever program wrote it.

    NVIDIA           .npz: w [1, layers, d], dlatents [1, layers, d]
    pSp, Puzer       .npy: [layers, d]
    encoder4editing  .pt: [n, layers, d]; PTI: a parameter [1, layers, d]
    rosinality       .pt: {picture: {img, latent [layers, d] or [d], noise}}
    ReStyle          .npy: {picture: [latents [layers, d] of each step]}

latent_shapes.py tells how the shape of an array is meant.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ganspace_jax.files.inert import array_files
from ganspace_jax.files.inert.records import Record

PER_LAYER = ("ws", "w_plus", "wplus", "wp")
IN_W = (*PER_LAYER, "projected_w", "w_opt", "w_pivot", "dlatents", "dlatent", "w")
_KEYS = (*IN_W, "latents", "latent", "latent_in", "latent_codes", "z")  # beside dlatents, NVIDIA's latents are z
_LABELS = ("label", "labels", "y", "class", "classes", "class_idx", "class_index", "class_id", "class_name")
IN_Z = re.compile(r"(^|_)zs?($|_)")  # in a key that tells its space
_NO_LATENTS = re.compile(r"(label|img|image|noise|loss)(s|es|_.*)?|class(es)?(_.*)?|ys?|optimi[sz]er")
_AVERAGES = re.compile(r"(^|_)(avg|mean|std)$")
_LAYER_PARTS = re.compile(
    r"(^|[._/])(weight|bias|affine|conv\d*|to_?rgb\d*|style[._]?\d+|G_synthesis\w*)([._/]|$)", re.IGNORECASE
)
_STEPS = re.compile(r"(^|(^|_)(d?latents?|ws?)_)(path|steps|history|trajectory)$")
_FILE_NAME = re.compile(r"[/\\]|\.[A-Za-z]\w{1,4}$")
_PICTURE = re.compile(r"\.(png|jpe?g|webp|bmp|gif|tiff?)$", re.IGNORECASE)
_NUM_LISTED = 6  # arrays in an error message
_MAX_LISTED = 40  # characters of a name in an error message


class Found(NamedTuple):
    """An array of a file that should hold latents.

    Attributes:
        picture: name of the picture in the file; "" if the file names none.
        key: key of the array in lower case; "" without one.
        array: the array.
        is_last_step: whether it is the last step of an optimisation.
        label: label beside it, in any form; None without one.
    """

    picture: str
    key: str
    array: np.ndarray
    is_last_step: bool = False
    label: Any = None


def is_array(value: Any) -> bool:
    """Returns whether a value is an array of numbers, in bfloat16 too."""
    return isinstance(value, np.ndarray) and (value.dtype.kind in "fiu" or value.dtype.name == "bfloat16")


def label_of(content: Any) -> Any:
    """Returns the label in a dictionary: a class, a name, or a list or an array of
    them; None without one.
    """
    if not isinstance(content, dict):
        return None
    values = {_plain(key): value for key, value in content.items() if not isinstance(value, dict | Record)}
    return next((values[key] for key in _LABELS if values.get(key) is not None), None)


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
    is_path = (isinstance(content, list) or (is_array(content) and content.ndim > 2)) and _STEPS.search(stem.lower())
    if _is_style_space(content):
        raise ValueError("it holds StyleSpace's names and arrays of styles by layer, which are neither w nor z")
    found = list(_search(content, "", "steps" if is_path else ""))
    if not found:
        raise ValueError(f"it holds no array of latents, but {_listed_content(content)}")
    if all(_LAYER_PARTS.search(one.key) for one in found):
        raise ValueError(f"it holds arrays of a network or StyleSpace, and neither w nor z: {listed(found)}")
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
    value = array_files.as_array(value) if _is_numbers(value) else value
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
        label = label_of(value)
        for found in _search_dictionary(value, picture):
            yield found if found.label is not None else found._replace(label=label)


def _search_dictionary(value: dict[Any, Any], picture: str) -> Iterator[Found]:
    """Yields the arrays of the first known key; without one, those of every key, which
    may name a picture.
    """
    keys = [key for key in value if _holds_arrays(value[key])]
    named = [key for key in keys if not _AVERAGES.search(_plain(key))]
    keys = named or keys  # a mean beside latents is no picture
    names = {_plain(key): key for key in keys}
    known = [name for name in _KEYS if name in names]
    if "z" in known and len(known) > 1:
        raise ValueError(f"it must hold either z or {known[0]}; it holds both")
    if known:
        yield from _search(value[names[known[0]]], picture, known[0])
        return
    keys = [key for key in keys if not _is_beside(value[key])] or keys
    for key, name in zip(keys, map(_plain, keys), strict=True):
        if re.fullmatch(r"arr_\d+", name) or _STEPS.search(name):  # names no picture
            yield from _search(value[key], picture, name)
        elif not _NO_LATENTS.fullmatch(name):
            own = picture if picture and not is_file_name(str(key)) else str(key)
            yield from _search(value[key], own, name)


def _plain(key: Any) -> str:
    return str(key).lower().replace("w+", "w_plus")


def is_file_name(text: str) -> bool:
    """Returns whether a text is a path, or ends like the name of a file."""
    return bool(_FILE_NAME.search(text))


def _is_numbers(value: Any) -> bool:
    """Returns whether a value is a list of numbers, or of lists of numbers."""
    while isinstance(value, list) and value and isinstance(value[0], list):
        value = value[0]
    return isinstance(value, list) and len(value) > 0 and array_files.is_number(value[0])


def _is_beside(value: Any) -> bool:
    """Returns whether a value is a list of numbers or a row of whole numbers, such as
    losses or seeds, which programs store beside latents.
    """
    return _is_numbers(value) or (is_array(value) and value.ndim == 1 and value.dtype.kind in "iu")


def _is_style_space(content: Any) -> bool:
    """Returns whether a content is StyleCLIP's [names of layers, arrays by layer].

    Names of pictures end like those of files.
    """
    if not isinstance(content, list | tuple) or len(content) < 2:
        return False
    names, arrays = content[:2]
    is_pair = isinstance(names, list | tuple) and isinstance(arrays, list | tuple) and len(names) == len(arrays) > 0
    return is_pair and all(isinstance(name, str) and not _PICTURE.search(name) for name in names)


def _holds_arrays(value: Any) -> bool:
    return (is_array(value) and value.size != 1) or (isinstance(value, dict | list | tuple) and len(value) > 0)


def _listed_content(content: Any) -> str:
    if isinstance(content, dict):
        names = [str(key)[-_MAX_LISTED:] for key in content]
        return ", ".join(names[:_NUM_LISTED]) + (", ..." if len(names) > _NUM_LISTED else "") or "nothing"
    if isinstance(content, np.ndarray):
        return f"an array of the type {content.dtype}"
    return f"an object of the class {content.name}" if isinstance(content, Record) else f"a {type(content).__name__}"


def listed(found: list[Found]) -> str:
    """Returns the names and shapes of the found arrays."""
    names = [one.picture if is_file_name(one.picture) else one.key or one.picture for one in found[:_NUM_LISTED]]
    texts = [f"{name[-_MAX_LISTED:]} {list(one.array.shape)}" for name, one in zip(names, found, strict=False)]
    return ", ".join(map(str.strip, texts)) + (", ..." if len(found) > _NUM_LISTED else "")
