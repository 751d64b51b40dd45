"""DCGAN of the PyTorch tutorial: its generator's state dict -> ours."""

import re
from collections.abc import Mapping

import numpy as np

from checkpoints_convert import assembly
from ganspace_jax.failures import InputError
from ganspace_jax.generators import base, dcgan


def convert(state: Mapping[str, np.ndarray]) -> base.SplitGenerator:
    """The generator of a state dict; raises InputError for parameters that are missing, left over or of another shape."""
    tensors = assembly.Tensors({name.removeprefix("module."): array for name, array in state.items()})
    kernels = [array for name, array in sorted(state.items(), key=_number) if array.ndim == 4]
    if len(kernels) < 2 or any(kernel.shape[2:] != (4, 4) for kernel in kernels):
        raise InputError("not a DCGAN of the tutorial's layout: its kernels main.0, main.3, ... are 4x4")
    config = dcgan.Config(
        z_dim=kernels[0].shape[0],
        channels=tuple(kernel.shape[1] for kernel in kernels[:-1]),
        image_channels=kernels[-1].shape[1],
    )

    def fetch(name: str) -> np.ndarray:
        array = tensors.take(name.replace("main_", "main."))
        return assembly.transposed_convolution(array) if array.ndim == 4 else array

    generator = assembly.assemble("dcgan", config, fetch)
    tensors.finish(ignored=lambda name: name.endswith("num_batches_tracked"))
    return generator


def _number(item: tuple[str, np.ndarray]) -> int:
    found = re.search(r"\d+", item[0])
    return int(found[0]) if found else -1
