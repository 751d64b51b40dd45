"""Interprets the arrays in other programs' files of directions as Components.

    GANSpace          act_comp, act_mean, act_stdev, lat_comp, lat_mean, lat_stdev, ...
    encoder4editing   PCA of a StyleGAN2's w: comp [k, d], [k, 1, d] or [k, layers, d];
                      mean; std
    rosinality        closed-form factorization: eigvec [d, k], whose columns are
                      directions in w
    one direction     [d], [1, d], or one row per layer [layers, d]: InterFaceGAN, STIT,
                      Puzer

Directions keep their length: they are not normalised. Figures that a file does not
contain are NaN, and means None. What is assumed about a file stands in
`source.assumptions`.
"""

import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ganspace_jax.directions import array_checks, components
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.sources import UNKNOWN, Source
from ganspace_jax.errors import InputError, printable
from ganspace_jax.sampling.layers import LayerSpec

Path = str | os.PathLike[str]

# {model}-{class}_{layer}_{estimator}_c{components}_n{samples}[_w][_seed{seed}]
_FILE_NAME = re.compile(
    r".+?_(?P<layer>.+)_(?P<estimator>[a-z-]+)_c\d+_n(?P<samples>\d+)(?P<w>_w)?(?:_seed(?P<seed>\d+))?"
)
_FIGURES = ("variance_ratio", "random_stdevs", "r2", "stability", "variance_error")
_KINDS = (
    "act_comp and lat_comp (GANSpace); comp, mean and std (encoder4editing); eigvec (rosinality); or one array [d], "
    "[1, d] or [layers, d]"
)


def interpret(path: Path, content: Any, latent_space: str | None) -> Components:
    """Returns the components in the arrays of a file of another program.

    Args:
        path: file, whose name may tell layer and latent space.
        content: one array, or arrays by name.
        latent_space: space of the directions, "w" or "z", as the user names it; None:
            as the file or its name tells, else w.

    Raises:
        InputError: if the file tells another space than the user.
        KeyError: if an array is missing.
        ValueError: if the content holds no directions.
    """
    if isinstance(content, np.ndarray):
        return _from_direction(path, content, latent_space)
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}; must hold {_KINDS}")
    if "act_comp" in content:
        return _from_ganspace(path, content, latent_space)
    if "comp" in content:
        return _from_encoder4editing(path, content, latent_space)
    if "eigvec" in content:
        columns = _array(content, "eigvec")
        if columns.ndim != 2:
            raise ValueError(f"eigvec has shape {columns.shape}, must be [d, k]")
        told(path, "w", latent_space)
        return in_latent_space(path, "w", columns.T, None, np.ones(columns.shape[1], np.float32))
    arrays = [value for value in content.values() if isinstance(value, np.ndarray) and value.dtype.kind in "fiu"]
    if len(arrays) != 1 or not _is_direction(arrays[0]) or any("." in str(name) for name in content):
        names = ", ".join(map(str, list(content)[:8])) or "no array"
        raise ValueError(f"it holds {names}; must hold {_KINDS}")
    return _from_direction(path, arrays[0], latent_space)


def told(path: Path, space: str | None, latent_space: str | None) -> None:
    """Raises InputError if the user names another space than the file."""
    if latent_space not in (None, space):
        raise InputError(f"--latent_space={latent_space}: the directions of {path} are in {space}")


def _array(content: Mapping[str, Any], name: str) -> np.ndarray:
    value = content[name]
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{name} is no array")
    return value


def _from_ganspace(path: Path, arrays: Mapping[str, np.ndarray], latent_space: str | None) -> Components:
    """Returns the components of the original's .npz.

    If the components equal the directions, the layer is w. Otherwise layer and space
    are parsed from the file name: it ends in "_w" if the directions are in w. In a
    renamed file, standard deviations of 1 tell z, because the original measures z in
    its own unit.
    """
    match = _FILE_NAME.fullmatch(pathlib.Path(path).stem)
    name = match.groupdict() if match else {}
    in_w, assumptions = np.array_equal(arrays["act_comp"], arrays["lat_comp"]), ()
    space = "w" if in_w or name.get("w") else "z"
    if match or in_w:
        told(path, space, latent_space)
    else:
        space = latent_space or ("z" if (arrays["lat_stdev"] == 1).all() else "w")
        if latent_space is None:
            assumptions = (f"the file's name does not tell the latent space: {space} is assumed (--latent_space)",)
    source = Source(
        printable(pathlib.Path(path).stem), "", "decomposition",
        {"seed": int(name.get("seed") or 0), "estimator": name.get("estimator", UNKNOWN)},
        num_samples=int(name.get("samples") or 0), assumptions=assumptions,
    )  # fmt: skip
    count = len(arrays["act_comp"])
    return with_unknowns(
        activation_components=components.channels_last(array_checks.without_axis(arrays, "act_comp", 1)),
        activation_mean=components.channels_last(arrays["act_mean"])[0],
        activation_stdevs=arrays["act_stdev"],
        latent_components=arrays["lat_comp"].reshape(count, -1),
        latent_mean=arrays["lat_mean"].reshape(-1),
        latent_stdevs=arrays["lat_stdev"],
        variance_ratio=arrays["var_ratio"],
        random_stdevs=arrays["random_stdevs"],
        spec=LayerSpec("w" if in_w else printable(name.get("layer", UNKNOWN)), space),
        source=source,
    )


def _from_encoder4editing(path: Path, content: Mapping[str, Any], latent_space: str | None) -> Components:
    """Returns a PCA of w, or of the space that the user names; directions by layer are
    in w.
    """
    comp, mean, std = (_array(content, name) for name in ("comp", "mean", "std"))
    directions = array_checks.without_axis({"comp": comp}, "comp", 1) if comp.ndim == 3 and comp.shape[1] == 1 else comp
    if directions.ndim not in (2, 3):
        raise ValueError(f"comp has shape {comp.shape}, must be [k, d] or [k, layers, d]")
    shape = directions.shape[1:]
    if mean.size not in (np.prod(shape), shape[-1]) or mean.shape[-1:] != shape[-1:]:
        raise ValueError(f"mean has shape {mean.shape}, must hold one number per number of a direction {shape}")
    if std.size != len(directions):
        raise ValueError(f"std has shape {std.shape}, must hold {len(directions)} numbers, one per direction")
    mean = np.broadcast_to(mean.reshape((-1, shape[-1]) if len(shape) == 2 else -1), shape)
    if len(shape) == 2:
        told(path, "w", latent_space)
    return in_latent_space(path, latent_space or "w", directions, mean, std.reshape(-1))


def _is_direction(array: np.ndarray) -> bool:
    return array.ndim >= 1 and all(length == 1 for length in array.shape[:-2])


def _from_direction(path: Path, array: np.ndarray, latent_space: str | None) -> Components:
    """Returns one direction, with a step of 1 for its standard deviation and an unknown
    mean.

    The published boundaries in w are called NAME_w_boundary.npy, those in z
    NAME_boundary.npy; the arrays do not differ. Directions by layer are in w.
    """
    if not _is_direction(array):
        raise ValueError(f"one direction has the shape [d], [1, d] or [layers, d], this array has {array.shape}")
    rows = array.reshape(-1, array.shape[-1])
    stem, assumptions = pathlib.Path(path).stem, ()
    if len(rows) > 1:
        told(path, "w", latent_space)
        latent_space = "w"
    elif latent_space is None and "boundary" in stem:
        latent_space = "w" if re.search(r"(^|_)w(p|plus|\+)?_boundary", stem) else "z"
        assumptions = (f"the file's name tells that the direction is in {latent_space}",)
    elif latent_space is None:
        latent_space = "w"
        assumptions = ("the file does not tell whether its direction is in w or z: w is assumed (--latent_space)",)
    directions = rows[None] if len(rows) > 1 else rows
    return in_latent_space(path, latent_space, directions, None, np.ones(1, np.float32), assumptions)


def in_latent_space(
    path: Path,
    space: str,
    directions: np.ndarray,
    mean: np.ndarray | None,
    stdevs: np.ndarray,
    assumptions: tuple[str, ...] = (),
) -> Components:
    """Returns components whose layer is the latent space itself."""
    return with_unknowns(
        activation_components=directions, activation_mean=mean, activation_stdevs=stdevs,
        latent_components=directions, latent_mean=mean, latent_stdevs=stdevs,
        spec=LayerSpec(space, space), source=Source(printable(pathlib.Path(path).stem), assumptions=assumptions),
    )  # fmt: skip


def with_unknowns(**known: Any) -> Components:
    """Returns components with NaN for every unknown figure. Raises ValueError for
    arrays that do not fit one another.
    """
    unknown = {name: np.full(len(known["activation_stdevs"]), np.nan, np.float32) for name in _FIGURES}
    result = Components(**{**unknown, **known})
    components.check_arrays(result)
    return result
