"""Reads the directions of other programs as Components, and writes exported edits.

foreign_arrays.py lists the kinds of arrays. The content of a file tells its format, not
the ending of its name. An exported edit (.pkl) is a file of the original's viewer; the
original also reads the .npz that components.save writes. No fingerprint ties the
components to a generator.
"""

import os
import pathlib
import pickle
from typing import Any

import numpy as np

from ganspace_jax.directions import components, edits, foreign_arrays, named_directions
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.direction_arrays import Latents
from ganspace_jax.directions.edits import Edit
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.directions.sources import UNKNOWN, Source
from ganspace_jax.errors import InputError, printable
from ganspace_jax.files.inert import array_files, network_pickles
from ganspace_jax.sampling.layers import LayerSpec

_EXPORTED = {
    "name": str, "sigma_range": float, "component_index": int, "act_comp": np.ndarray, "lat_comp": np.ndarray,
    "latent_space": str, "act_stdev": float, "lat_stdev": float, "model_name": str, "output_class": str,
    "decomposition": dict, "edit_type": str, "truncation": float, "edit_start": int, "edit_end": int, "example_seed": int,
}  # fmt: skip
_KINDS: dict[type, tuple[type, ...]] = {
    float: (float, int, np.floating, np.integer), int: (int, np.integer),
}  # fmt: skip


def load_components(
    path: str | os.PathLike[str], latent_space: str | None = None, latents: Latents | None = None
) -> Components:
    """Returns components from a file of this program or of another one. Nothing in it
    is executed.

    Args:
        path: the file.
        latent_space: space of the directions, "w" or "z", if the file does not tell it;
            None: as the file's name tells, else w.
        latents: latents of the generator that uses the components. Its number of
            layers tells whether rows are layers or directions. None: rows are layers.

    Raises:
        InputError: if the file is missing, damaged, holds no components, or tells
            another latent space.
    """
    content = _read(path)
    with components.refused_by_name(path):
        if isinstance(content, dict) and ("about" in content or components.CHECKSUM in content):
            loaded = components.from_arrays(content)
        elif isinstance(content, dict) and "sigma_range" in content:
            loaded = components_of(_checked_edit(content))
        else:
            return foreign_arrays.interpret(path, content, latent_space, latents)
    foreign_arrays.told(path, loaded.spec.latent_space, latent_space)
    return loaded


def _read(path: str | os.PathLike[str]) -> Any:
    """Returns the content of a file of arrays, whose content tells its format."""
    try:
        return array_files.read(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such components file; make one with python -m experiments.decompose") from None


def load_edit(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the dictionary of an edit that the original's viewer exported. Nothing in
    the file is executed.

    Raises:
        InputError: if the file is missing, damaged or no exported edit.
    """
    try:
        exported = network_pickles.read(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    try:
        return _checked_edit(exported)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def _checked_edit(exported: Any) -> dict[str, Any]:
    """Returns an exported edit. Raises ValueError for another value."""
    for name, kind in _EXPORTED.items():
        value = exported.get(name) if isinstance(exported, dict) else None
        if not isinstance(value, _KINDS.get(kind, (kind,))) or isinstance(value, bool):
            raise ValueError(f"not an exported edit: {name} is {type(value).__name__}, not {kind.__name__}")
    return exported


def save_edit(path: str | os.PathLike[str], exported: dict[str, Any]) -> None:
    """Writes an exported edit such that the original reads it, also with an older
    NumPy.
    """
    pathlib.Path(path).write_bytes(edit_bytes(exported))


def edit_bytes(exported: dict[str, Any]) -> bytes:
    """Returns the content of the file that `save_edit` writes."""
    data = pickle.dumps(exported, protocol=3)  # protocol 3 stores module names as lines of text
    return data.replace(b"cnumpy._core.", b"cnumpy.core.")


def edit_of(exported: dict[str, Any]) -> Edit:
    """Returns the edit of an exported file: along component 0 of components_of, in the
    layers that it names.
    """
    return Edit(0, (int(exported["edit_start"]), int(exported["edit_end"])), float(exported["sigma_range"]))


def components_of(exported: dict[str, Any]) -> Components:
    """Returns the one component of an exported edit, with its name and its layers. The
    file does not contain its mean.
    """
    run = exported["decomposition"]
    direction, latent = components.channels_last(exported["act_comp"]), exported["lat_comp"].reshape(1, -1)
    layer = "w" if np.array_equal(direction, latent) else printable(str(run.get("layer", UNKNOWN)))
    start, stop = int(exported["edit_start"]), int(exported["edit_end"])
    name = named_directions.identifier(exported["name"] or "edit")
    return foreign_arrays.with_unknowns(
        activation_components=direction,
        activation_mean=None,
        activation_stdevs=np.array([exported["act_stdev"]], np.float32),
        latent_components=latent,
        latent_mean=None,
        latent_stdevs=np.array([exported["lat_stdev"]], np.float32),
        spec=LayerSpec(layer, exported["latent_space"].lower()),
        source=Source(
            printable(f"{exported['model_name']}-{exported['output_class']}"), "", "decomposition",
            {"estimator": str(run.get("name", UNKNOWN))}, num_samples=int(run.get("samples", 0)),
        ),
        named=(NamedDirection(name, (start, stop) if 0 <= start < stop else None),),
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

    Raises:
        InputError: if the edit sets a value, or if there is no such direction.
    """
    if edit.value is not None:
        raise InputError(
            f"--edit={edit}: sets a value, by another step in each image; export a step, such as {edit.component}=2"
        )
    edit = edits.resolve(edit, source)
    start, stop = edits.layer_range(edit, num_layers)
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
    k, label = edit.index, "" if source.spec.label is None else str(source.spec.label)
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
