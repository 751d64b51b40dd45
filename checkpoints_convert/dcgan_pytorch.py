"""DCGAN of the PyTorch tutorial: its generator's state dict -> ours."""

import re
from collections.abc import Mapping

import numpy as np

from checkpoints_convert import assembly
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, dcgan

_MAX_LAYERS = 16  # the tutorial's network has 5


def convert(state: Mapping[str, np.ndarray]) -> base.Generator:
    """The generator of a state dict; raises InputError for parameters that are missing, left over or of another shape.

    The bias of a convolution before a batch norm goes into its mean: so such a layer's own activation is without it.
    """
    tensors = assembly.Tensors({name.removeprefix("module."): array for name, array in state.items()})
    kernels = [array for name, array in sorted(state.items(), key=_number) if array.ndim == 4]
    if len(kernels) < 2 or any(kernel.shape[2:] != (4, 4) for kernel in kernels):
        raise InputError("not a DCGAN of the tutorial's layout: its kernels main.0, main.3, ... are 4x4")
    if len(kernels) > _MAX_LAYERS:
        raise InputError(f"main: has {len(kernels):,} convolutions; networks of up to {_MAX_LAYERS} are converted")
    last, image_channels = f"main.{3 * len(kernels) - 3}", kernels[-1].shape[1]
    if image_channels not in (1, 3):
        raise InputError(f"parameter {last}.weight: makes {image_channels} channels; an image has 1 or 3")
    config = dcgan.Config(
        z_dim=kernels[0].shape[0],
        channels=tuple(kernel.shape[1] for kernel in kernels[:-1]),
        image_channels=image_channels,
        output_bias=f"{last}.bias" in tensors,
    )

    def fetch(name: str) -> np.ndarray:
        layer, leaf = name.removeprefix("main_").split(".")
        array = tensors.take(f"main.{layer}.{leaf}")
        if leaf == "running_mean":
            return _without_bias(array, tensors, f"main.{int(layer) - 1}.bias")
        return assembly.transposed_convolution(array) if array.ndim == 4 else array

    generator = assembly.assemble("dcgan", config, fetch)
    tensors.finish(ignored=lambda name: name.endswith("num_batches_tracked"))
    return generator


def _without_bias(mean: np.ndarray, tensors: assembly.Tensors, name: str) -> np.ndarray:
    """The mean of what a batch norm is given, before the bias of this name is added to it."""
    if name not in tensors:
        return mean
    bias = tensors.take(name)
    if bias.shape != mean.shape:
        raise InputError(f"parameter {name}: has shape {bias.shape}, its batch norm's mean has {mean.shape}")
    return mean - bias


def _number(item: tuple[str, np.ndarray]) -> int:
    found = re.search(r"\d+", item[0])
    return int(found[0]) if found else -1
