"""Other programs' directions as Components, and ours as their files.

    GANSpace          components .npz (components.save writes what it reads), exported edits .pkl
    encoder4editing   its PCA of a StyleGAN2's w, .pt (or the same arrays as .npz): comp, mean, std
    InterFaceGAN      a boundary's unit normal in w, .npy [1, d]

What such a file does not say is NaN in the Components, and no fingerprint ties them to a generator.
"""

import os
import pathlib
import pickle
import re
from typing import Any

import numpy as np

from ganspace_jax.directions import components
from ganspace_jax.directions.components import Components, Source
from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import network_pickles, torch_files

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


def load_components(path: str | os.PathLike[str]) -> Components:
    """Components from a file of this program or of one of those above; raises InputError. Nothing in it is executed."""
    suffix = pathlib.Path(path).suffix
    readers = {".pkl": load_edit, ".pt": torch_files.read}
    arrays: Any = readers.get(suffix, components.read_arrays)(path)
    try:
        if suffix == ".pkl":
            return components_of(arrays)
        if isinstance(arrays, np.ndarray):
            return _from_boundary(path, arrays)
        if "about" in arrays:
            return components.load(path)
        if {"comp", "mean", "std"} <= arrays.keys():
            return _from_encoder4editing(path, arrays)
        return _from_ganspace(path, arrays)
    except InputError:
        raise
    except KeyError as error:
        raise InputError(f"{path}: not a components file: it has no array {error}") from None
    except (AttributeError, IndexError, OverflowError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"{path}: not a components file: {reason}") from None


def _from_ganspace(path: str | os.PathLike[str], arrays: dict[str, np.ndarray]) -> Components:
    """The layer w, where the directions are its components; else the file's name says what and where, if it was kept.

    Of any layer the original finds directions in w, and not in z, where its name ends so.
    """
    match = _FILE_NAME.fullmatch(pathlib.Path(path).stem)
    found = match.groupdict() if match else {}
    in_w = np.array_equal(arrays["act_comp"], arrays["lat_comp"])
    source = Source(
        generator=pathlib.Path(path).stem,
        fingerprint="",
        layer="w" if in_w else found.get("layer", "unknown"),
        latent_space="w" if in_w or found.get("w") else "z",
        seed=int(found.get("seed") or 0),
        num_samples=int(found.get("samples") or 0),
        estimator=found.get("estimator", "unknown"),
    )
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
        source=source,
    )


def _from_encoder4editing(path: str | os.PathLike[str], arrays: dict[str, np.ndarray]) -> Components:
    return _in_w(path, arrays["comp"][:, 0], arrays["mean"][0], arrays["std"])


def _from_boundary(path: str | os.PathLike[str], normal: np.ndarray) -> Components:
    """One direction, with a step of 1 for its standard deviation and an unknown centre, taken as 0."""
    if normal.ndim != 2 or normal.shape[0] != 1:
        raise ValueError(f"a boundary has the shape [1, d], this array has {normal.shape}")
    return _in_w(path, normal, np.zeros(normal.shape[1], normal.dtype), np.ones(1, normal.dtype))


def _in_w(path: str | os.PathLike[str], directions: np.ndarray, mean: np.ndarray, stdevs: np.ndarray) -> Components:
    return _with_unknowns(
        activation_components=directions, activation_mean=mean, activation_stdevs=stdevs,
        latent_components=directions, latent_mean=mean, latent_stdevs=stdevs,
        source=Source(pathlib.Path(path).stem, "", "w", "w", seed=0, num_samples=0, estimator="unknown"),
    )  # fmt: skip


def _with_unknowns(**known: Any) -> Components:
    """Raises ValueError for arrays that do not fit one another."""
    for name, array in known.items():
        if isinstance(array, np.ndarray) and array.dtype.kind not in "fiu":
            raise ValueError(f"{name} of the type {array.dtype}, wanted are numbers")
    count = len(known["activation_stdevs"])
    if len(known["activation_components"]) != count or len(known["latent_components"]) != count:
        raise ValueError(f"{count} standard deviations for {len(known['activation_components'])} components")
    if known["latent_components"].shape[1:] != known["latent_mean"].shape:
        raise ValueError(f"a mean of {known['latent_mean'].shape} for directions of {known['latent_components'].shape}")
    unknown = {name: np.full(count, np.nan, np.float32) for name in _FIGURES}
    return Components(**{**unknown, **known})


def load_edit(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The dictionary of an edit that the original's viewer exported; raises InputError. Nothing in the file is executed."""
    read = network_pickles.read(path)
    for name, kind in _EXPORTED.items():
        value = read.get(name) if isinstance(read, dict) else None
        if not isinstance(value, _KINDS.get(kind, (kind,))) or isinstance(value, bool):
            raise InputError(f"{path}: not an exported edit: {name} is {type(value).__name__}, not {kind.__name__}")
    return read


def save_edit(path: str | os.PathLike[str], exported: dict[str, Any]) -> None:
    """Writes such a file, for the original to read, also beside a NumPy that is older than the one here."""
    data = pickle.dumps(exported, protocol=3)  # whose names are lines of text
    pathlib.Path(path).write_bytes(data.replace(b"cnumpy._core.", b"cnumpy.core."))


def edit_of(exported: dict[str, Any]) -> Edit:
    """What an exported edit does: to its component 0 in components_of, in the layers that it names."""
    return Edit(0, (int(exported["edit_start"]), int(exported["edit_end"])), float(exported["sigma_range"]))


def components_of(exported: dict[str, Any]) -> Components:
    """The one component of an exported edit; its mean is not in the file and is taken as 0."""
    space, run = exported["latent_space"].lower(), exported["decomposition"]
    direction, latent = components.channels_last(exported["act_comp"]), exported["lat_comp"].reshape(1, -1)
    source = Source(
        generator=f"{exported['model_name']}-{exported['output_class']}",
        fingerprint="",
        layer="w" if np.array_equal(direction, latent) else str(run.get("layer", "unknown")),
        latent_space=space,
        seed=0,
        num_samples=int(run.get("samples", 0)),
        estimator=str(run.get("name", "unknown")),
    )
    return _with_unknowns(
        activation_components=direction,
        activation_mean=np.zeros(direction.shape[1:], np.float32),
        activation_stdevs=np.array([exported["act_stdev"]], np.float32),
        latent_components=latent,
        latent_mean=np.zeros(latent.shape[1], np.float32),
        latent_stdevs=np.array([exported["lat_stdev"]], np.float32),
        source=source,
    )


def export(
    found: Components,
    edit: Edit,
    *,
    name: str,
    num_layers: int,
    truncation: float,
    seed: int,
    published: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The dictionary of one of our edits, as the original's viewer would export it.

    published: the exported edit that the components are of, whose network, component and analysis then stay as they are.
    """
    start, stop = edit.layers or (0, num_layers)
    source, k = found.source, edit.component
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
    return {
        **own,
        "component_index": k,
        "act_comp": components.channels_first(found.activation_components[k : k + 1]),
        "lat_comp": found.latent_components[k : k + 1],
        "latent_space": source.latent_space.upper(),
        "act_stdev": float(found.activation_stdevs[k]),
        "lat_stdev": float(found.latent_stdevs[k]),
        "model_name": source.generator,
        "output_class": "" if source.label is None else str(source.label),
        "decomposition": {
            "name": source.estimator,
            "components": len(found),
            "samples": source.num_samples,
            "layer": source.layer,
            "class_name": "" if source.label is None else str(source.label),
        },
        "edit_type": "latent",
    }
