"""Arrays of a source file -> a generator of ours: every array used exactly once, every shape as the configuration asks."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.failures import InputError
from ganspace_jax.generators import base, zoo


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
        return array.astype(np.float32) if array.dtype.kind == "f" else array

    def finish(self, ignored: Callable[[str], bool] = lambda name: False) -> None:
        """Raises InputError for arrays that nothing took, but for those that are known to have no effect."""
        left = sorted(name for name in self._arrays if name not in self._taken and not ignored(name))
        if left:
            raise InputError(f"parameter {left[0]}: nothing in this architecture uses it ({len(left)} such parameters)")


def assemble(family: str, config: Any, fetch: Callable[[str], np.ndarray]) -> base.SplitGenerator:
    """A generator whose arrays are `fetch(dotted name)`; raises InputError for a shape that does not fit."""
    abstract = zoo.abstract_generator(family, config)
    leaves, structure = jax.tree_util.tree_flatten_with_path(abstract.params)
    arrays = []
    for path, wanted in leaves:
        name = ".".join(key.key for key in path)
        array = fetch(name)
        if array.shape != wanted.shape:
            raise InputError(
                f"parameter for {name}: has shape {array.shape}, the configuration asks for {wanted.shape}"
            )
        arrays.append(jnp.asarray(array, wanted.dtype))
    return abstract._replace(params=jax.tree.unflatten(structure, arrays))


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
