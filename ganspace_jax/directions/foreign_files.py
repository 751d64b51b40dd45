"""Reads the directions of other programs as Components, and writes their files.

    GANSpace          components .npz (components.save writes what it reads), exported edits .pkl
    encoder4editing   PCA of a StyleGAN2's w, .pt, or the same arrays as .npz: comp, mean, std
    InterFaceGAN      unit normal of a boundary, .npy [1, d]

Figures that a file does not contain are NaN, and means None. No fingerprint ties the
components to a generator. What is assumed about a file stands in `source.assumptions`.
"""

import os
import pathlib
import pickle
import re
from typing import Any, Literal

import numpy as np

from ganspace_jax import errors
from ganspace_jax.directions import components
from ganspace_jax.directions.components import UNKNOWN, Components, Source
from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import network_pickles, torch_files
from ganspace_jax.sampling.layers import LayerSpec

# {model}-{class}_{layer}_{estimator}_c{components}_n{samples}[_w][_seed{seed}]
_FILE_NAME = re.compile(
    r".+?_(?P<layer>.+)_(?P<estimator>[a-z-]+)_c\d+_n(?P<samples>\d+)(?P<w>_w)?(?:_seed(?P<seed>\d+))?"
)
_EXPORTED = {
    "name": str, "sigma_range": float, "component_index": int, "act_comp": np.ndarray, "lat_comp": np.ndarray,
    "latent_space": str, "act_stdev": float, "lat_stdev": float, "model_name": str, "output_class": str,
    "decomposition": dict, "edit_type": str, "truncation": float, "edit_start": int, "edit_end": int, "example_seed": int,
}  # fmt: skip
_KINDS: dict[type, tuple[type, ...]] = {
    float: (float, int, np.floating, np.integer), int: (int, np.integer),
}  # fmt: skip
_FIGURES = ("variance_ratio", "random_stdevs", "r2", "stability", "variance_error")

LatentSpace = Literal["w", "z"]


def load_components(path: str | os.PathLike[str], latent_space: str | None = None) -> Components:
    """Returns components from a file of this program or of one of those above. Nothing in it is executed.

    Args:
        path: the file.
        latent_space: space of the directions, "w" or "z", if the file does not tell it;
            None: as the file's name tells, else w.

    Raises:
        InputError: if the file is missing, damaged, holds no components, or tells
            another latent space.
    """
    suffix = pathlib.Path(path).suffix
    readers = {".pkl": load_edit, ".pt": torch_files.read}
    content: Any = readers.get(suffix, components.read_arrays)(path)
    try:
        return _interpret(path, content, latent_space)
    except InputError:
        raise
    except KeyError as error:
        raise InputError(f"{path}: not a components file: it has no array {error}") from None
    except (AttributeError, IndexError, OverflowError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a components file: {errors.first_line(error)}") from None


def _interpret(path: str | os.PathLike[str], content: Any, latent_space: str | None) -> Components:
    if pathlib.Path(path).suffix == ".pkl":
        return _told(path, components_of(content), latent_space)
    if isinstance(content, np.ndarray):
        return _from_boundary(path, content, latent_space)
    if "about" in content:
        return _told(path, components.load(path), latent_space)
    if {"comp", "mean", "std"} <= content.keys():
        return _told(path, _from_encoder4editing(path, content), latent_space)
    return _told(path, _from_ganspace(path, content), latent_space)


def _told(path: str | os.PathLike[str], loaded: Components, latent_space: str | None) -> Components:
    """Returns components whose file tells the space. Raises InputError if the user names another one."""
    if latent_space not in (None, loaded.spec.latent_space):
        raise InputError(f"--latent_space={latent_space}: the directions of {path} are in {loaded.spec.latent_space}")
    return loaded


def _from_ganspace(path: str | os.PathLike[str], arrays: dict[str, np.ndarray]) -> Components:
    """Returns the components of the original's .npz.

    If the components equal the directions, the layer is w. Otherwise layer and space are
    parsed from the file name: it ends in "_w" if the directions are in w.
    """
    match = _FILE_NAME.fullmatch(pathlib.Path(path).stem)
    name = match.groupdict() if match else {}
    in_w = np.array_equal(arrays["act_comp"], arrays["lat_comp"])
    options = {"seed": int(name.get("seed") or 0), "estimator": name.get("estimator", UNKNOWN)}
    source = Source(pathlib.Path(path).stem, "", "decomposition", options, num_samples=int(name.get("samples") or 0))
    count = len(arrays["act_comp"])
    return _with_unknowns(
        activation_components=components.channels_last(arrays["act_comp"][:, 0]),
        activation_mean=components.channels_last(arrays["act_mean"])[0],
        activation_stdevs=arrays["act_stdev"],
        latent_components=arrays["lat_comp"].reshape(count, -1),
        latent_mean=arrays["lat_mean"].reshape(-1),
        latent_stdevs=arrays["lat_stdev"],
        variance_ratio=arrays["var_ratio"],
        random_stdevs=arrays["random_stdevs"],
        spec=LayerSpec("w" if in_w else name.get("layer", UNKNOWN), "w" if in_w or name.get("w") else "z"),
        source=source,
    )


def _from_encoder4editing(path: str | os.PathLike[str], arrays: dict[str, np.ndarray]) -> Components:
    """Returns a PCA of w: comp [k, d] or [k, 1, d]; or one basis per layer, comp [k, layers, d]."""
    directions = arrays["comp"]
    if directions.ndim == 3 and directions.shape[1] == 1:
        directions = directions[:, 0]
    if directions.ndim not in (2, 3):
        raise ValueError(f"comp has shape {arrays['comp'].shape}, must be [k, d] or [k, layers, d]")
    shape, mean = directions.shape[1:], arrays["mean"]
    mean = np.broadcast_to(mean, shape) if mean.shape == shape[-1:] else mean.reshape(shape)
    stdevs = arrays["std"].reshape(len(directions))
    return _in_latent_space(path, "w", directions, mean, stdevs)


def _from_boundary(path: str | os.PathLike[str], normal: np.ndarray, latent_space: str | None) -> Components:
    """Returns the one direction of a boundary, with a step of 1 for its standard deviation and an unknown mean.

    The published boundaries in w are called NAME_w_boundary.npy, those in z
    NAME_boundary.npy; the arrays do not differ.
    """
    if normal.ndim != 2 or normal.shape[0] != 1:
        raise ValueError(f"a boundary has the shape [1, d], this array has {normal.shape}")
    stem, assumptions = pathlib.Path(path).stem, ()
    if latent_space is None and "boundary" in stem:
        latent_space = "w" if re.search(r"(^|_)w(p|plus|\+)?_boundary", stem) else "z"
        assumptions = (f"the file's name tells that the direction is in {latent_space}",)
    elif latent_space is None:
        latent_space = "w"
        assumptions = ("the file does not tell whether its direction is in w or z: w is assumed (--latent_space)",)
    return _in_latent_space(path, latent_space, normal, None, np.ones(1, normal.dtype), assumptions)


def _in_latent_space(
    path: str | os.PathLike[str],
    space: str,
    directions: np.ndarray,
    mean: np.ndarray | None,
    stdevs: np.ndarray,
    assumptions: tuple[str, ...] = (),
) -> Components:
    return _with_unknowns(
        activation_components=directions, activation_mean=mean, activation_stdevs=stdevs,
        latent_components=directions, latent_mean=mean, latent_stdevs=stdevs,
        spec=LayerSpec(space, space), source=Source(pathlib.Path(path).stem, assumptions=assumptions),
    )  # fmt: skip


def _with_unknowns(**known: Any) -> Components:
    """Returns components with NaN for every unknown figure. Raises ValueError for arrays that do not fit one another."""
    count = len(known["activation_stdevs"])
    unknown = {name: np.full(count, np.nan, np.float32) for name in _FIGURES}
    result = Components(**{**unknown, **known})
    components.check_arrays(result)
    return result


def load_edit(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the dictionary of an edit that the original's viewer exported. Nothing in the file is executed.

    Raises:
        InputError: if the file is missing, damaged or no exported edit.
    """
    exported = network_pickles.read(path)
    for name, kind in _EXPORTED.items():
        value = exported.get(name) if isinstance(exported, dict) else None
        if not isinstance(value, _KINDS.get(kind, (kind,))) or isinstance(value, bool):
            raise InputError(f"{path}: not an exported edit: {name} is {type(value).__name__}, not {kind.__name__}")
    return exported


def save_edit(path: str | os.PathLike[str], exported: dict[str, Any]) -> None:
    """Writes an exported edit such that the original reads it, also with an older NumPy."""
    data = pickle.dumps(exported, protocol=3)  # protocol 3 stores module names as lines of text
    pathlib.Path(path).write_bytes(data.replace(b"cnumpy._core.", b"cnumpy.core."))


def edit_of(exported: dict[str, Any]) -> Edit:
    """Returns the edit of an exported file: along component 0 of components_of, in the layers that it names."""
    return Edit(0, (int(exported["edit_start"]), int(exported["edit_end"])), float(exported["sigma_range"]))


def components_of(exported: dict[str, Any]) -> Components:
    """Returns the one component of an exported edit. The file does not contain its mean."""
    run = exported["decomposition"]
    direction, latent = components.channels_last(exported["act_comp"]), exported["lat_comp"].reshape(1, -1)
    layer = "w" if np.array_equal(direction, latent) else str(run.get("layer", UNKNOWN))
    return _with_unknowns(
        activation_components=direction,
        activation_mean=None,
        activation_stdevs=np.array([exported["act_stdev"]], np.float32),
        latent_components=latent,
        latent_mean=None,
        latent_stdevs=np.array([exported["lat_stdev"]], np.float32),
        spec=LayerSpec(layer, exported["latent_space"].lower()),
        source=Source(
            f"{exported['model_name']}-{exported['output_class']}", "", "decomposition",
            {"estimator": str(run.get("name", UNKNOWN))}, num_samples=int(run.get("samples", 0)),
        ),
    )  # fmt: skip


def export(
    source: Components,
    edit: Edit,
    *,
    name: str,
    num_layers: int,
    truncation: float,
    seed: int,
    published: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns the dictionary of an edit, as the original's viewer would export it.

    Args:
        source: components of the edit.
        edit: the edit.
        name: name of the exported edit.
        num_layers: number of the generator's layers.
        truncation: truncation of the example image.
        seed: published seed of the example image.
        published: exported edit from which the components come. Its network, component
            and analysis are kept.
    """
    start, stop = edit.layers or (0, num_layers)
    own = {
        "name": name,
        "sigma_range": float(edit.sigma),
        "edit_start": start,
        "edit_end": stop,
        "truncation": float(truncation),
        "example_seed": seed,
    }
    if published is not None:
        return {**published, **own}
    k, label = edit.component, "" if source.spec.label is None else str(source.spec.label)
    return {
        **own,
        "component_index": k,
        "act_comp": components.channels_first(source.activation_components[k : k + 1]),
        "lat_comp": source.latent_components[k : k + 1],
        "latent_space": str(source.spec.latent_space).upper(),
        "act_stdev": float(source.activation_stdevs[k]),
        "lat_stdev": float(source.latent_stdevs[k]),
        "model_name": source.source.generator,
        "output_class": label,
        "decomposition": {
            "name": source.source.estimator,
            "components": len(source),
            "samples": source.source.num_samples,
            "layer": source.spec.layer,
            "class_name": label,
        },
        "edit_type": "latent",
    }
