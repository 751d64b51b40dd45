"""The latents from which images are made. They come from published seeds or from a
file.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.files import picture_names
from ganspace_jax.files.inert import array_files
from ganspace_jax.generators import synthesis
from ganspace_jax.generators.base import Generator
from ganspace_jax.sampling import labels, latent_arrays, latent_shapes, latents
from ganspace_jax.sampling.labels import Label
from ganspace_jax.shapes import Array, Float

NAMES = "names"  # key of the pictures' names


class Inputs(NamedTuple):
    """Inputs of image generation.

    Attributes:
        latents: per-layer latents.
        w: mapped latents; None without a mapping network, or if they differ by layer.
        label: class weights; None for an unconditional generator, and for given w, on
            which a label has no effect.
        names: stems of the output files, which differ from one another.
        z: latents before the mapping network; None if they are unknown.
        notes: sentences about what a file does not tell.
    """

    latents: Float[np.ndarray, "n layers d"]
    w: Float[np.ndarray, "n d"] | None
    label: Float[np.ndarray, "n classes"] | None
    names: list[str]
    z: Float[np.ndarray, "n z"] | None = None
    notes: tuple[str, ...] = ()


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


def load(
    generator: Generator,
    path: str | os.PathLike[str],
    *,
    latent_space: str | None = None,
    label: str | int | None = None,
) -> Float[Array, "n layers d"]:
    """Returns the per-layer latents of the pictures in a file of another program.

    Args:
        generator: generator of the pictures.
        path: file of latents; see `from_file`.
        latent_space: space of latents [n, d], "w" or "z", if the file does not tell it;
            None: w.
        label: class of the pictures, if z are mapped and the file has no label.

    Raises:
        InputError: if the file is damaged, or does not fit the generator.
    """
    return jnp.asarray(from_file(generator, path, label, latent_space).latents)


def from_file(
    generator: Generator, path: str | os.PathLike[str], label: str | int | None, latent_space: str | None = None
) -> Inputs:
    """Returns the inputs in a file of latents, of this program or of another one.

    Args:
        generator: the generator.
        path: file of per-layer latents [n, layers, d], of w [n, d] or of z [n, z_dim];
            latent_arrays.py lists the kinds. Classes may be beside them, under a key
            such as `label`.
        label: class of all samples, if the file has no label.
        latent_space: space of latents [n, d], "w" or "z", if the file does not tell it;
            None: w.

    Raises:
        InputError: if the file is damaged, or does not fit the generator.
    """
    network, stem = generator.merge(), pathlib.Path(path).stem
    space = latent_shapes.Space(network.latent_shape, network.z_dim, network.has_mapping, latent_space)
    with _refused_by_name(path):
        content = array_files.read(path)
        found = latent_arrays.find(content, stem)
        read = [latent_shapes.interpret(one, space, is_only=len(found) == 1) for one in found]
        values, kind = _joined(read, network.latent_shape[0])
    stems = [name for name, one in zip(_stems(found, stem), read, strict=True) for _ in one.values]
    names = picture_names.unique(_named(content, len(stems)) or stems)
    notes = tuple(dict.fromkeys(filter(None, [*(one.note for one in read), _step_note(found)])))
    acts = kind == "z" or not network.has_mapping  # elsewhere the label acts in the mapping network alone
    with _refused_by_name(path):
        weights = _file_weights(generator, content, found, [len(one.values) for one in read]) if acts else None
    if acts and weights is None:
        weights = _weights(generator, path, len(values), label)
    if kind == "z":
        return _map(generator, values, weights, names)._replace(notes=notes)
    return Inputs(values, values[:, 0] if kind == "w" else None, weights, names, None, notes)


@contextlib.contextmanager
def _refused_by_name(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns the errors of a file into an InputError that names the flag and the
    file.
    """
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"--latents={path}: no such file") from None
    except InputError as error:
        raise InputError(f"--latents={error}") from None
    except ValueError as error:
        raise InputError(f"--latents={path}: {error}") from None


def _joined(read: Sequence[latent_shapes.Latents], num_layers: int) -> tuple[np.ndarray, str]:
    """Returns z, or per-layer latents, of several arrays, and their kind."""
    kinds = {one.kind for one in read}
    if "z" in kinds and len(kinds) > 1:
        raise ValueError("it holds z of some pictures and w of others; give them in two files")
    kind = kinds.pop() if len(kinds) == 1 else "layers"
    if kind == "z":
        return np.concatenate([one.values for one in read]), kind
    layers = [one.values if one.values.ndim == 3 else one.values[:, None] for one in read]
    return np.concatenate([np.repeat(one, num_layers // one.shape[1], axis=1) for one in layers]), kind


def _step_note(found: Sequence[latent_arrays.Found]) -> str:
    is_path = any(one.is_last_step for one in found)
    return "it holds the steps of an optimisation: the last one is used" if is_path else ""


def _stems(found: Sequence[latent_arrays.Found], stem: str) -> list[str]:
    """Returns the stem of each array's picture, else that of the file.

    The key of the only array names no picture, unless it is the name of a file.
    """
    named = [one.picture if len(found) > 1 or latent_arrays.is_file_name(one.picture) else "" for one in found]
    return [picture_names.safe(name) or picture_names.safe(stem) or "picture" for name in named]


def _named(content: Any, count: int) -> list[str]:
    """Returns the names of all pictures in a file of experiments.invert; empty without
    them.
    """
    names = content.get(NAMES) if isinstance(content, dict) else None
    if not isinstance(names, np.ndarray) or names.dtype.kind != "U" or names.shape != (count,):
        return []
    return [picture_names.safe(f"{name}.png") or "picture" for name in names.tolist()]


def _file_weights(
    generator: Generator, content: Any, found: Sequence[latent_arrays.Found], counts: Sequence[int]
) -> Float[np.ndarray, "n classes"] | None:
    """Returns the class weights in a file, which are beside all pictures or beside each
    one; None without them.
    """
    label = latent_arrays.label_of(content)
    if label is not None:
        return labels.weights(label, sum(counts), generator)
    if any(one.label is None for one in found):
        return None
    return np.concatenate([labels.weights(one.label, n, generator) for one, n in zip(found, counts, strict=True)])


def _weights(
    generator: Generator, path: str | os.PathLike[str], count: int, label: str | int | None
) -> Float[np.ndarray, "n classes"] | None:
    """Returns the class weights of the user's label for all samples."""
    num_classes = generator.num_classes
    if not num_classes:
        return None
    index = labels.resolve(label, generator) if label is not None else "all"
    if not isinstance(index, int):
        raise InputError(f"--latents={path}: holds no label; this generator is conditional, give --label as well")
    return np.tile(np.eye(num_classes, dtype=np.float32)[index], (count, 1))


def _map(generator: Generator, z: np.ndarray, label: np.ndarray | None, names: list[str]) -> Inputs:
    weights = None if label is None else jnp.asarray(label)
    mapped = np.asarray(synthesis.map_latents(generator, jnp.asarray(z), weights))
    return Inputs(mapped, mapped[:, 0] if generator.has_mapping else None, label, names, z)
