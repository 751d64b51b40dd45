"""The latents from which images are made. They come from published seeds or from a
file.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import numpy_files
from ganspace_jax.generators import synthesis
from ganspace_jax.generators.base import Generator
from ganspace_jax.sampling import labels, latents
from ganspace_jax.sampling.labels import Label
from ganspace_jax.shapes import Float


class Inputs(NamedTuple):
    """Inputs of image generation.

    Attributes:
        latents: per-layer latents.
        w: mapped latents; None without a mapping network, or if they differ by layer.
        label: class weights; None for an unconditional generator.
        names: stems of the output files.
    """

    latents: Float[np.ndarray, "n layers d"]
    w: Float[np.ndarray, "n d"] | None
    label: Float[np.ndarray, "n classes"] | None
    names: list[str]


def from_seeds(generator: Generator, seeds: Sequence[int], label: Label, truncation_psi: float) -> Inputs:
    """Returns the inputs of published seeds. For the label "all" the classes take
    turns.
    """
    network = generator.merge()
    z = latents.from_seeds(seeds, network.z_dim, network.prior, truncation_psi)
    weights = None
    if network.num_classes:
        classes = np.arange(len(seeds)) % network.num_classes if label == "all" else np.full(len(seeds), label)
        weights = np.eye(network.num_classes, dtype=np.float32)[classes]
    return _map(generator, z, weights, [f"seed{seed:04d}" for seed in seeds])


def from_file(generator: Generator, path: str | os.PathLike[str], label: str | int | None) -> Inputs:
    """Returns the inputs of an .npz file.

    Args:
        generator: the generator.
        path: file with `z` [n, z_dim] or `ws` [n, layers, latent_dim], and `label` [n,
            classes] if the generator is conditional.
        label: class of all samples, if the file has no label.

    Raises:
        InputError: if the file is damaged, or does not fit the generator.
    """
    network, arrays = generator.merge(), _read(path)
    if ("z" in arrays) == ("ws" in arrays):
        raise InputError(f"--latents={path}: must hold either z or ws; it holds {', '.join(arrays) or 'nothing'}")
    name, shape = ("z", (network.z_dim,)) if "z" in arrays else ("ws", network.latent_shape)
    given = arrays[name]
    if given.shape[1:] != shape or not len(given):
        needed = ", ".join(map(str, ("n", *shape)))
        raise InputError(f"--latents={path}: {name} has shape {given.shape}, this generator needs [{needed}]")
    weights = _weights(generator, path, arrays.get("label"), len(given), label)
    names = [f"latent{i:04d}" for i in range(len(given))]
    return _map(generator, given, weights, names) if name == "z" else Inputs(given, None, weights, names)


def _weights(
    generator: Generator, path: str | os.PathLike[str], weights: np.ndarray | None, count: int, label: str | int | None
) -> Float[np.ndarray, "n classes"] | None:
    """Returns the class weights of a file, or of the label for all samples."""
    num_classes = generator.num_classes
    if weights is None and num_classes:
        index = labels.resolve(label, generator) if label is not None else "all"
        if not isinstance(index, int):
            raise InputError(f"--latents={path}: holds no label; this generator is conditional, give --label as well")
        weights = np.tile(np.eye(num_classes, dtype=np.float32)[index], (count, 1))
    needed = (count, num_classes)
    if weights is not None and (weights.shape != needed or not num_classes):
        raise InputError(f"--latents={path}: label has shape {weights.shape}, this generator needs {needed}")
    return weights


def _map(generator: Generator, z: np.ndarray, label: np.ndarray | None, names: list[str]) -> Inputs:
    weights = None if label is None else jnp.asarray(label)
    mapped = np.asarray(synthesis.map_latents(generator, jnp.asarray(z), weights))
    return Inputs(mapped, mapped[:, 0] if generator.has_mapping else None, label, names)


def _read(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    try:
        content = numpy_files.read(path)
    except FileNotFoundError:
        raise InputError(f"--latents={path}: no such file") from None
    except InputError as error:
        raise InputError(f"--latents={error}") from None
    if isinstance(content, np.ndarray):
        raise InputError(f"--latents={path}: is one array, an .npy; must be an .npz with z or ws")
    arrays = {}
    for name, array in content.items():
        if array.dtype.kind not in "fiub":
            raise InputError(f"--latents={path}: not an .npz of numbers: {name} has the type {array.dtype}")
        arrays[name] = array.astype(np.float32)
        if not np.isfinite(arrays[name]).all():
            raise InputError(f"--latents={path}: {name} contains NaN or infinity")
    return arrays
