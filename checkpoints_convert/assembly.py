"""Arrays of a source file -> a generator of ours: every array used exactly once, every shape as the configuration asks."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, zoo

_SAMPLES = 10_000


class Tensors:
    """The arrays of a file; remembers which were taken."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self._arrays = {name: np.asarray(array) for name, array in arrays.items()}
        self._taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def take(self, name: str) -> np.ndarray:
        """An array, in float32 where it is a float; raises InputError when it is missing or was taken before."""
        if name not in self._arrays:
            raise InputError(f"parameter {name}: missing from the file")
        if name in self._taken:
            raise InputError(f"parameter {name}: wanted twice")
        self._taken.add(name)
        array = self._arrays[name]
        return array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array

    def finish(self, ignored: Callable[[str], bool] = lambda name: False) -> None:
        """Raises InputError for arrays that nothing took, but for those that are known to have no effect."""
        left = sorted(name for name in self._arrays if name not in self._taken and not ignored(name))
        if left:
            raise InputError(f"parameter {left[0]}: nothing in this architecture uses it ({len(left)} such parameters)")


def check_grown(tensors: Tensors) -> None:
    """Takes the level of detail of a progressively grown network; raises InputError where that is still growing.

    A synthesis network's own is left from whenever it last ran: each time it is set anew, to that of the whole network.
    """
    if "lod" in tensors and (level := float(tensors.take("lod"))) > 0:
        raise InputError(f"lod={level:g}: this network is still growing; only fully grown ones convert")
    if "synthesis/lod" in tensors:
        tensors.take("synthesis/lod")


def largest_number(names: Iterable[str], pattern: str) -> int:
    """The largest number that the pattern's first group finds, from the beginning of a name; -1 where it finds none."""
    return max((int(match[1]) for name in names if (match := re.match(pattern, name))), default=-1)


def shape_of(arrays: Mapping[str, np.ndarray], name: str, rank: int) -> tuple[int, ...]:
    """The shape of an array of a file; raises InputError when it is missing or has not `rank` axes."""
    if name not in arrays:
        raise InputError(f"parameter {name}: missing from the file")
    shape = np.shape(arrays[name])
    if len(shape) != rank:
        raise InputError(f"parameter {name}: has shape {shape}, wanted are {rank} axes")
    return shape


def assemble(
    family: str,
    config: Any,
    fetch: Callable[[str], np.ndarray],
    source_name: Callable[[str], str] = lambda name: name,
) -> base.Generator:
    """A generator whose arrays are `fetch(dotted name)`; raises InputError for a shape that does not fit.

    source_name: what the file calls an array, for the message.
    """
    abstract = zoo.abstract_generator(family, config)
    leaves, structure = jax.tree_util.tree_flatten_with_path(abstract.params)
    arrays = []
    for path, wanted in leaves:
        name = ".".join(key.key for key in path)
        array = fetch(name)
        if array.shape != wanted.shape:
            theirs = source_name(name)
            as_ours = "" if theirs == name else f" as {name}"
            raise InputError(
                f"parameter {theirs}: has shape {array.shape}{as_ours}, the configuration asks for {wanted.shape}"
            )
        arrays.append(jnp.asarray(array, wanted.dtype))
    return abstract._replace(params=jax.tree.unflatten(structure, arrays))


def mean_latent(generator: base.Generator) -> jnp.ndarray:
    """The mean w over 10,000 z, always the same, for a file that has none; with labels, over all classes alike."""
    module = generator.merge()
    z = np.random.default_rng(0).standard_normal((_SAMPLES, module.z_dim), np.float32)
    classes = module.num_classes
    label = jax.nn.one_hot(jnp.arange(_SAMPLES) % classes, classes) if classes else None
    w = np.asarray(module.map_latents(jnp.asarray(z), label)[:, 0])
    return jnp.asarray(w.mean(0, dtype=np.float64), jnp.float32)


def without_axes(array: np.ndarray, *axes: int) -> np.ndarray:
    """Without these axes of size 1; an array that has them otherwise stays as it is, for `assemble` to refuse."""
    fits = array.ndim > max(axes) and all(array.shape[axis] == 1 for axis in axes)
    return array.squeeze(axes) if fits else array


def convolution(weight: np.ndarray) -> np.ndarray:
    """PyTorch's OIHW, a correlation -> HWIO."""
    return weight.transpose(2, 3, 1, 0)


def transposed_convolution(weight: np.ndarray) -> np.ndarray:
    """PyTorch's transposed IOHW -> HWIO, turned: what a correlation with the zero-inserted image needs."""
    return weight[:, :, ::-1, ::-1].transpose(2, 3, 0, 1)


def divide_spectral_norm(weight: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """weight / (u . W v), W the weight as [out, rest]: PyTorch's spectral norm with its stored vectors, in float64."""
    matrix = weight.reshape(len(weight), -1).astype(np.float64)
    return (weight / (u.astype(np.float64) @ matrix @ v.astype(np.float64))).astype(np.float32)
