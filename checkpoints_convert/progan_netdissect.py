"""ProGAN of netdissect's PyTorch port, and of the older port with its layers in `features`: a state dict -> ours."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from checkpoints_convert import assembly
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, progan


def convert(state: Mapping[str, Any]) -> base.Generator:
    """The generator of a state dict, or of a dictionary with one under `state_dict`.

    Raises InputError for parameters that are missing, left over or of another shape.
    """
    state = state.get("state_dict", state)
    arrays = {_newer_name(name): np.asarray(array) for name, array in state.items()}
    tensors = assembly.Tensors(arrays)
    config = _configuration(arrays)

    def fetch(name: str) -> np.ndarray:
        layer, _, leaf = name.partition(".")
        array = tensors.take(f"{layer}.{'conv.weight' if leaf == 'weight' else 'wscale.b'}")
        return assembly.convolution(array) if leaf == "weight" else array

    generator = assembly.assemble("progan", config, fetch)
    tensors.finish()
    return generator


def _newer_name(name: str) -> str:
    """features.0.conv.weight -> layer1.conv.weight; output_32x32.conv.weight -> output.conv.weight."""
    name = re.sub(r"^features\.(\d+)\.", lambda match: f"layer{int(match[1]) + 1}.", name)
    return re.sub(r"^output_\d+x\d+\.", "output.", name)


def _configuration(arrays: Mapping[str, np.ndarray]) -> progan.Config:
    kernels = []
    while (name := f"layer{len(kernels) + 1}.conv.weight") in arrays:
        kernels.append(arrays[name])
    output = arrays.get("output.conv.weight")
    if len(kernels) < 2 or len(kernels) % 2 or kernels[0].shape[2:] != (4, 4) or output is None:
        raise InputError("not a ProGAN of netdissect's layout: two layers a resolution, the first 4x4, and an output")
    return progan.Config(
        z_dim=kernels[0].shape[1],
        channels=tuple(kernel.shape[0] for kernel in kernels[::2]),
        image_channels=output.shape[0],
    )
