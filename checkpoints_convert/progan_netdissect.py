"""Converts ProGAN from netdissect's PyTorch port, whose checkpoint is a state dict.

An older port, with its layers in `features`, converts as well.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from checkpoints_convert import assembly
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, progan


def convert(state: Mapping[str, Any]) -> base.Generator:
    """Returns the generator of a state dict.

    Args:
        state: State dict, or a dictionary that contains one under `state_dict`.

    Raises:
        InputError: A parameter is missing, unused, or has the wrong shape.
    """
    state = state.get("state_dict", state)
    arrays = {_newer_name(name): np.asarray(array) for name, array in state.items()}
    tensors = assembly.Tensors(arrays)
    config = _configuration(arrays)

    def fetch(name: str) -> np.ndarray:
        layer, _, leaf = name.partition(".")
        if leaf == "weight":
            return assembly.convolution(tensors.take(f"{layer}.conv.weight"))
        return tensors.take(f"{layer}.wscale.b")

    generator = assembly.assemble("progan", config, fetch)
    tensors.finish()
    return generator


def _newer_name(name: str) -> str:
    """Returns the newer port's name of a parameter of either port.

    Examples: features.0.conv.weight -> layer1.conv.weight,
    output_32x32.conv.weight -> output.conv.weight.
    """
    name = re.sub(r"^features\.(\d+)\.", lambda match: f"layer{int(match[1]) + 1}.", name)
    return re.sub(r"^output_\d+x\d+\.", "output.", name)


def _configuration(arrays: Mapping[str, np.ndarray]) -> progan.Config:
    kernels = []
    while (name := f"layer{len(kernels) + 1}.conv.weight") in arrays:
        kernels.append(arrays[name])
    output = arrays.get("output.conv.weight")
    if len(kernels) < 2 or len(kernels) % 2 or kernels[0].shape[2:] != (4, 4) or output is None:
        raise InputError(
            "not a ProGAN of netdissect's layout, which has two layers per resolution, "
            "a 4x4 kernel in the first layer, and an output layer"
        )
    return progan.Config(
        z_dim=kernels[0].shape[1],
        channels=tuple(kernel.shape[0] for kernel in kernels[::2]),
        image_channels=output.shape[0],
    )
