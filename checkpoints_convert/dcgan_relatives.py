"""Tells why a network of convolutions is no DCGAN that converts, for messages."""

import itertools
from collections.abc import Sequence

import numpy as np

from checkpoints_convert import weight_norms
from checkpoints_convert.dcgan_layers import Arrays
from checkpoints_convert.networks import Network

_IMAGE_CHANNELS = (1, 3, 4)
_CONVERT = "only DCGANs of transposed convolutions with batch norms between them convert"


def reason(networks: Sequence[Network]) -> str:
    """Returns why the largest network does not convert, "" if it is no chain of
    convolutions that ends in an image.
    """
    arrays = max((network.arrays for network in networks), key=len, default={})
    state = weight_norms.renamed(arrays)
    kernels = {name: array for name, array in state.items() if name.endswith("weight") and np.ndim(array) == 4}
    shapes = [kernel.shape for kernel in kernels.values()]
    if len(shapes) < 2:
        return ""
    transposed = all(before[1] == after[0] for before, after in itertools.pairwise(shapes))
    plain = all(before[0] == after[1] for before, after in itertools.pairwise(shapes))
    if transposed and shapes[-1][1] in _IMAGE_CHANNELS:
        return _of_transposed(state, set(kernels))
    if plain and shapes[-1][0] in _IMAGE_CHANNELS:
        return f"its layers are plain convolutions (Conv2d), as after Upsample; {_CONVERT}"
    return ""


def _of_transposed(state: Arrays, kernels: set[str]) -> str:
    """Returns what differs in a chain of transposed convolutions."""
    other = next((name for name, array in state.items() if np.ndim(array) > 1 and name not in kernels), None)
    if other is not None:
        return f"{other} is a dense layer or an embedding of labels; {_CONVERT}"
    if not any(name.endswith("running_mean") for name in state):
        return f"it has no running means, so its norms are other ones, such as InstanceNorm, or none; {_CONVERT}"
    return ""
