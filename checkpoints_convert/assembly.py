"""Assembles a generator of this project from the arrays of a file.

Each array of the file must be used exactly once, and must have the configuration's
shape.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, zoo

_SAMPLES = 10_000  # for the mean w
_FILTER_TOLERANCE = 1e-5  # of the largest tap


class Tensors:
    """Arrays of a file, with a record of the arrays that were used."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self._arrays = {name: np.asarray(array) for name, array in arrays.items()}
        self._taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def take(self, name: str) -> np.ndarray:
        """Returns an array; arrays of floats become float32.

        Raises:
            InputError: The array is missing, or was returned before.
        """
        if name not in self._arrays:
            raise InputError(f"parameter {name}: missing from the file")
        if name in self._taken:
            raise InputError(f"parameter {name}: needed twice")
        self._taken.add(name)
        array = self._arrays[name]
        return array.astype(np.float32, copy=False) if jnp.issubdtype(array.dtype, jnp.floating) else array

    def finish(self, ignored: Callable[[str], bool] = lambda name: False) -> None:
        """Raises InputError if an array is left over.

        Args:
            ignored: Whether an array of this name may be left over.
        """
        left = sorted(name for name in self._arrays if name not in self._taken and not ignored(name))
        if left:
            raise InputError(f"parameter {left[0]}: nothing in this architecture uses it ({len(left)} such parameters)")


def check_grown(tensors: Tensors) -> None:
    """Uses up the level of detail of a progressively grown network.

    A synthesis network has a level of its own. The whole network overwrites it before
    each use, so its value in a file has no effect.

    Raises:
        InputError: The network is not fully grown.
    """
    if "lod" in tensors and (level := float(tensors.take("lod"))) > 0:
        raise InputError(f"lod={level:g}: this network is still growing; only fully grown ones convert")
    if "synthesis/lod" in tensors:
        tensors.take("synthesis/lod")


def filter_tolerance(stored: np.ndarray) -> float:
    """Returns the largest difference of a stored filter from its design, as a share of
    the largest tap.

    Half precision and bfloat16 round a filter by more than single precision.
    """
    is_number = jnp.issubdtype(stored.dtype, jnp.floating)
    return max(_FILTER_TOLERANCE, float(jnp.finfo(stored.dtype).eps)) if is_number else _FILTER_TOLERANCE


def largest_number(names: Iterable[str], pattern: str) -> int:
    """Returns the largest number in the names, or -1 if no name matches.

    Args:
        names: Names of arrays.
        pattern: Regular expression for the beginning of a name; its first group is the
            number.
    """
    return max((int(match[1]) for name in names if (match := re.match(pattern, name))), default=-1)


def shape_of(arrays: Mapping[str, np.ndarray], name: str, rank: int) -> tuple[int, ...]:
    """Returns the shape of an array.

    Raises:
        InputError: The array is missing, or the number of its axes is not `rank`.
    """
    if name not in arrays:
        raise InputError(f"parameter {name}: missing from the file")
    shape = np.shape(arrays[name])
    if len(shape) != rank:
        raise InputError(f"parameter {name}: has shape {shape}, but must have {rank} axes")
    return shape


def assemble(
    family: str,
    config: Any,
    fetch: Callable[[str], np.ndarray],
    source_name: Callable[[str], str] = lambda name: name,
) -> base.Generator:
    """Returns a generator with the arrays that `fetch` returns.

    Args:
        family: Name of the generator's family in the zoo.
        config: Configuration of the generator.
        fetch: Returns the array for a dotted name of a parameter.
        source_name: Returns the file's name of a parameter, for messages.

    Raises:
        InputError: An array has another shape than the configuration gives.
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
                f"parameter {theirs}: has shape {array.shape}{as_ours}, the configuration requires {wanted.shape}"
            )
        arrays.append(jnp.asarray(array, wanted.dtype))
    return abstract._replace(params=jax.tree.unflatten(structure, arrays))


def mean_latent(generator: base.Generator) -> jnp.ndarray:
    """Returns the mean w of 10,000 z, for a file without a mean w.

    The z have a fixed seed. A conditional network uses each class equally often.
    """
    module = generator.merge()
    z = np.random.default_rng(0).standard_normal((_SAMPLES, module.z_dim), np.float32)
    classes = module.num_classes
    label = jax.nn.one_hot(jnp.arange(_SAMPLES) % classes, classes) if classes else None
    w = np.asarray(module.map_latents(jnp.asarray(z), label)[:, 0])
    return jnp.asarray(w.mean(0, dtype=np.float64), jnp.float32)


def without_axes(array: np.ndarray, *axes: int) -> np.ndarray:
    """Returns the array without these axes, which must have size 1.

    An array with other axes is returned as it is, and `assemble` refuses it later.
    """
    fits = array.ndim > max(axes) and all(array.shape[axis] == 1 for axis in axes)
    return array.squeeze(axes) if fits else array


def convolution(weight: np.ndarray) -> np.ndarray:
    """Returns the HWIO kernel of a PyTorch convolution, which is OIHW."""
    return weight.transpose(2, 3, 1, 0)


def transposed_convolution(weight: np.ndarray) -> np.ndarray:
    """Returns the HWIO kernel of a PyTorch transposed convolution, which is IOHW.

    The kernel is rotated by 180 degrees, because ours is a correlation with the image
    with inserted zeros.
    """
    return weight[:, :, ::-1, ::-1].transpose(2, 3, 0, 1)


def divide_spectral_norm(weight: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Returns weight / (u . W v), where W is the weight as [out, inputs of one output].

    This is PyTorch's spectral norm with its stored vectors u and v. It is calculated in
    float64.
    """
    matrix = weight.reshape(len(weight), -1).astype(np.float64)
    return (weight / (u.astype(np.float64) @ matrix @ v.astype(np.float64))).astype(np.float32)
