"""Checks of the arrays in a components file. Each check raises ValueError with the
array's name.
"""

from collections.abc import Mapping

import numpy as np

# The largest number in a file. A step of edits.MAX_SIGMA = 1e4 standard deviations is
# then at most 1e18 long, and its square is still a float32 number.
MAX_NUMBER = 1e7

_NEEDED = ("activation_components", "activation_mean", "activation_stdevs", "latent_components", "latent_mean",
           "latent_stdevs")  # fmt: skip


def check_numbers(name: str, array: np.ndarray) -> None:
    """Raises ValueError if a field of Components holds no numbers, or numbers that
    cannot be used.

    NaN stands for an unknown figure, but directions, means and standard deviations are
    known.
    """
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name}: must hold numbers, holds {array.dtype}")
    if not array.size:
        raise ValueError(f"{name}: has shape {array.shape}, which holds no numbers")
    known = array if name in _NEEDED else array[~np.isnan(array)]
    if not np.isfinite(known).all():
        raise ValueError(f"{name}: contains NaN or infinity")
    if known.size and np.abs(known).max() > MAX_NUMBER:
        raise ValueError(f"{name}: contains {np.abs(known).max():g}; numbers must be at most {MAX_NUMBER:g}")
    if name.endswith("stdevs") and (known < 0).any():
        raise ValueError(f"{name}: contains a negative standard deviation")


def in_float32(name: str, array: np.ndarray) -> np.ndarray:
    """Returns an array of float32 or more precise numbers in float32. Raises ValueError
    for other arrays.
    """
    if array.dtype.kind != "f" or array.dtype.itemsize < 4:
        raise ValueError(f"{name}: must hold float32 numbers, holds {array.dtype}")
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def without_axis(arrays: Mapping[str, np.ndarray], name: str, axis: int) -> np.ndarray:
    """Returns an array without an axis of length 1. Raises ValueError if the axis has
    another length.
    """
    array = arrays[name]
    if array.ndim <= axis or array.shape[axis] != 1:
        raise ValueError(f"{name}: has shape {array.shape}, must have length 1 along axis {axis}")
    return np.take(array, 0, axis)
