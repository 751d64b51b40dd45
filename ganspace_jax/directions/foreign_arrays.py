"""Interprets the arrays in other programs' files of directions as Components.

    GANSpace          act_comp, act_mean, act_stdev, lat_comp, lat_mean, lat_stdev, ...
    encoder4editing   PCA of a StyleGAN2's w: comp [k, d], [k, 1, d] or [k, layers, d];
                      mean; std
    rosinality        closed-form factorization: eigvec [d, k], whose columns are
                      directions in w
    InterFaceGAN, STIT, Puzer, and all others: directions as direction_arrays.py lists
                      them

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

from ganspace_jax.directions import array_checks, components, direction_arrays, learned_models
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.sources import UNKNOWN, Source
from ganspace_jax.errors import InputError, printable
from ganspace_jax.files.inert import array_files
from ganspace_jax.sampling.layers import LayerSpec

Path = str | os.PathLike[str]

# {model}-{class}_{layer}_{estimator}_c{components}[_{options}]_n{samples}[_w]
# [_seed{seed}]. Because a class such as red_fox contains an underscore, the beginnings
# of the original's layers are tried first.
_LAYERS = r"(?:generator\.|embeddings|g_mapping|g_synthesis|mapping|synthesis|style|conv|to_rgb|input|layer\d|output_)"
_FILE_NAMES = [
    re.compile(
        rf".+?_(?P<layer>{layer})_(?P<estimator>[a-z-]+)_c\d+(?:_(?:it\d+_l\d+|a[\d.]+|w))?"
        r"_n(?P<samples>\d+)(?P<w>_w)?(?:_seed(?P<seed>\d+))?"
    )
    for layer in (rf"{_LAYERS}.*", ".+")
]
_FIGURES = ("variance_ratio", "random_stdevs", "r2", "stability", "latent_uncertainty", "variance_error")
_SPACE_IN_NAME = re.compile(r"(^|[-_. ])(?P<space>[wz])(p|plus|\+)?([-_. ]boundary|$)")
_MAX_LISTED = 100  # names of directions
_BASES, _MEANS, _STDEVS = ("comp", "components", "components_"), ("mean", "mean_"), ("std", "stdev", "stdevs")
_VARIANCES = ("explained_variance_", "explained_variance")
_COLUMNS = ("eigvec", "eigvecs", "eig_vec", "eigenvectors", "eigen_vectors")


def interpret(
    path: Path, content: Any, latent_space: str | None, latents: direction_arrays.Latents | None = None
) -> Components:
    """Returns the components in the arrays of a file of another program.

    Args:
        path: file, whose name may tell layer and latent space.
        content: one array, or arrays by name.
        latent_space: space of the directions, "w" or "z", as the user names it; None:
            as the file or its name tells, else w.
        latents: latents of the generator that uses the directions; None: unknown.

    Raises:
        InputError: if the file tells another space than the user.
        KeyError: if an array is missing.
        ValueError: if the content holds no directions.
    """
    content = learned_models.attributes_of(content)
    if not isinstance(content, dict):
        return _from_directions(path, content, latent_space, latents)
    inner = [value for value in content.values() if isinstance(value, dict) or learned_models.is_model(value)]
    if len(inner) == 1 and not any(isinstance(value, np.ndarray) for value in content.values()):
        return interpret(path, inner[0], latent_space, latents)
    content = {name: direction_arrays.widened(value) for name, value in content.items()}
    if "act_comp" in content:
        return _from_ganspace(path, content, latent_space)
    if basis := _first(content, _BASES):
        return _from_encoder4editing(path, content, basis, latent_space, latents)
    if name := _first(content, _COLUMNS):
        columns = _array(content, name)
        columns = columns[0] if columns.ndim == 3 and len(columns) == 1 else columns
        if columns.ndim != 2:
            raise ValueError(f"{name} has shape {columns.shape}, must be [d, k]")
        told(path, "w", latent_space)
        sentence = () if name == "eigvec" else (f"the directions are the columns of {name}",)
        return in_latent_space(path, "w", columns.T, None, np.ones(columns.shape[1], np.float32), sentence)
    return _from_directions(path, content, latent_space, latents)


def _first(content: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """Returns the first of the names that the content has; "" for none."""
    return next((name for name in names if name in content), "")


def told(path: Path, space: str | None, latent_space: str | None) -> None:
    """Raises InputError if the user names another space than the file."""
    if latent_space not in (None, space):
        raise InputError(f"--latent_space={latent_space}: the directions of {path} are in {space}")


def _array(content: Mapping[str, Any], name: str) -> np.ndarray:
    value = direction_arrays.widened(array_files.as_array(content[name]))
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
    match = next(filter(None, (form.fullmatch(pathlib.Path(path).stem) for form in _FILE_NAMES)), None)
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
    count, act_comp, act_mean = len(arrays["act_comp"]), arrays["act_comp"], arrays["act_mean"]
    if act_comp.ndim in (3, 5):  # with 2 or 4 axes, the axis of length 1 is squeezed
        act_comp = array_checks.without_axis(arrays, "act_comp", 1)
    act_mean = act_mean[None] if act_mean.ndim in (1, 3) else act_mean
    return with_unknowns(
        activation_components=components.channels_last(act_comp),
        activation_mean=components.channels_last(act_mean)[0],
        activation_stdevs=arrays["act_stdev"],
        latent_components=arrays["lat_comp"].reshape(count, -1),
        latent_mean=arrays["lat_mean"].reshape(-1),
        latent_stdevs=arrays["lat_stdev"],
        variance_ratio=arrays["var_ratio"],
        random_stdevs=arrays["random_stdevs"],
        spec=LayerSpec("w" if in_w else printable(name.get("layer", UNKNOWN)), space),
        source=source,
    )


def _from_encoder4editing(
    path: Path,
    content: Mapping[str, Any],
    basis: str,
    latent_space: str | None,
    latents: direction_arrays.Latents | None,
) -> Components:
    """Returns a PCA of a latent space; directions by layer are in w.

    A file without standard deviations gets steps of 1. A file without a mean gets that
    of the generator.
    """
    comp = _array(content, basis)
    mean, std = (
        _array(content, name) if name else None for name in (_first(content, _MEANS), _first(content, _STDEVS))
    )
    if std is None and (variances := _first(content, _VARIANCES)):
        std = np.sqrt(np.maximum(_array(content, variances), 0))
    if comp.ndim == 3 and len(comp) == 1 and std is not None and std.size == comp.shape[1]:
        comp = comp[0]  # [1, k, d]
    directions = array_checks.without_axis({basis: comp}, basis, 1) if comp.ndim == 3 and comp.shape[1] == 1 else comp
    if directions.ndim not in (2, 3):
        raise ValueError(f"{basis} has shape {comp.shape}, must be [k, d] or [k, layers, d]")
    shape = directions.shape[1:]
    if mean is not None:
        if mean.size not in (np.prod(shape), shape[-1]) or mean.shape[-1:] != shape[-1:]:
            raise ValueError(f"mean has shape {mean.shape}, must hold one number per number of a direction {shape}")
        mean = np.broadcast_to(mean.reshape((-1, shape[-1]) if len(shape) == 2 else -1), shape)
    if std is not None and std.size != len(directions):
        raise ValueError(f"std has shape {std.shape}, must hold {len(directions)} numbers, one per direction")
    if len(shape) == 2:
        told(path, "w", latent_space)
    space = latent_space or (latents.space if latents is not None and len(shape) == 1 else "w")
    missing = [name for name, array in (("mean", mean), ("standard deviations", std)) if array is None]
    sentence = f"the file holds no {' and no '.join(missing)}: the generator's mean and steps of 1 are used as needed"
    stdevs = np.ones(len(directions), np.float32) if std is None else std.reshape(-1)
    return in_latent_space(path, space, directions, mean, stdevs, (sentence,) if missing else ())


def _from_directions(
    path: Path, content: Any, latent_space: str | None, latents: direction_arrays.Latents | None
) -> Components:
    """Returns directions with a step of 1 for their standard deviations and an unknown
    mean. Directions by layer are in w.
    """
    directions, names, unused = direction_arrays.find(content, latents)
    if not directions.any():
        raise ValueError("its directions are zero, so they would move nothing")
    assumptions: tuple[str, ...] = ()
    if directions.ndim == 3:
        told(path, "w", latent_space)
        latent_space = "w"
        if len(directions) == 1 and not names:
            assumptions = (f"it is one direction with a row for each of {directions.shape[1]} layers",)
    elif latent_space is None:
        latent_space, sentence = _likely_space(path, latents, content)
        assumptions = (sentence,)
    if names:
        more = f", and {len(names) - _MAX_LISTED:,} more" if len(names) > _MAX_LISTED else ""
        listed = ", ".join(f"v{k} is {printable(name)}" for k, name in enumerate(names[:_MAX_LISTED]))
        assumptions += (f"{listed}{more}",)
    elif len(directions) > 1:
        assumptions += (f"it holds {len(directions)} directions, v0 to v{len(directions) - 1}{_other_layers(latents)}",)
    if unused:
        assumptions += (f"not used: {', '.join(map(printable, unused))}",)
    stdevs = np.ones(len(directions), np.float32)
    return in_latent_space(path, latent_space, directions, None, stdevs, assumptions)


def _other_layers(latents: direction_arrays.Latents | None) -> str:
    """Returns which number of rows would be layers of one direction; "" without w."""
    if latents is None or latents.space != "w":
        return ""
    return f" (one direction by layer would have {latents.num_layers} rows)"


def _likely_space(path: Path, latents: direction_arrays.Latents | None, content: Any) -> tuple[str, str]:
    """Returns the space of directions whose file does not tell it, and a sentence that
    tells why.

    InterFaceGAN's published boundaries in w are called NAME_w_boundary.npy, those in z
    NAME_boundary.npy. A file that is called boundary.npy is in a folder of that name,
    or in a folder of that folder.
    """
    keys = {str(name).lower() for name in content} & {"z", "w", "ws"} if isinstance(content, dict) else set()
    if len(keys) == 1:
        key = keys.pop()
        return key[0], f"the key {key} tells that the direction is in {key[0]} (otherwise give --latent_space)"
    file = pathlib.Path(path).absolute()
    stem = file.stem.lower()
    if "boundary" in stem:
        names = (stem, file.parent.name.lower(), file.parent.parent.name.lower())
        found = (_SPACE_IN_NAME.search(name) for name in (names if stem.startswith("boundary") else names[:1]))
        space = next((match["space"] for match in found if match), "z")
        return space, f"the file's name tells that the direction is in {space} (otherwise give --latent_space)"
    if latents is not None and latents.space == "z":
        return "z", "the file does not tell the space of its directions: it is z, because the generator has no w"
    return "w", "the file does not tell whether its direction is in w or z: w is assumed (--latent_space)"


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
