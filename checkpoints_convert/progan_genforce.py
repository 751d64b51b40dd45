"""Converts ProGAN of genforce/genforce, genforce/sefa and genforce/interfacegan.

The newer two codes number the layers from 0, and have an output layer for each
resolution. A grown network uses only the last. interfacegan numbers the layers from 1,
and has one output layer. A conditional network normalises z, joins the one-hot label to
it, and normalises both as one vector.
"""

import math
import re
from collections.abc import Mapping

import numpy as np

from checkpoints_convert import assembly, genforce
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, progan

# Names and defaults of the settings in that code which no array shows. If fused_scale
# is None, the shapes of the up-sampling layers determine it. If each has as many inputs
# as outputs, it is the code's default, which is no fusion.
OPTIONS = {"label_size": 0, "use_wscale": 1, "fused_scale": None}


def is_generator(arrays: genforce.Arrays) -> bool:
    """Returns whether the arrays have the names of one of the layouts."""
    newer = ("layer0.weight", "layer1.bias", "output0.weight")
    older = ("layer1.conv.weight", "layer1.wscale.bias")
    return any(all(name in arrays for name in names) for names in (newer, older)) and "input0.weight" not in arrays


def convert(state: genforce.Arrays, options: Mapping[str, float] | None = None) -> base.Generator:
    """Returns the generator of a state dict.

    Args:
        state: State dict of a generator in one of the layouts.
        options: Settings that no array shows, by their name in OPTIONS.

    Raises:
        InputError: A parameter is missing, left over or has another shape, the network
            is still growing, or an option does not fit.
    """
    options, state = options or {}, _newer_names(state)
    num_blocks = max(1, (1 + assembly.largest_number(state, r"layer(\d+)\.")) // 2)
    config, tensors = _configuration(state, num_blocks, options), assembly.Tensors(state)
    genforce.check_grown(tensors, "lod")
    scaled, fused = genforce.flag(options, "use_wscale", True), _is_fused(state, num_blocks, options)

    def fetch(name: str) -> np.ndarray:
        theirs = _their_name(name, num_blocks)
        array, is_up = tensors.take(theirs), _is_up(name)
        if array.ndim != 4:
            return array
        kernel = assembly.transposed_convolution(array) if fused and is_up else assembly.convolution(array)
        return kernel if scaled else _unscaled(kernel, 1.0 if name == "output.weight" else math.sqrt(2))

    generator = assembly.assemble("progan", config, fetch, lambda name: _their_name(name, num_blocks))
    smaller = genforce.smaller_outputs(state, "output")
    tensors.finish(ignored=lambda name: name in smaller)
    return generator


def _configuration(state: genforce.Arrays, num_blocks: int, options: Mapping[str, float]) -> progan.Config:
    inputs = assembly.shape_of(state, "layer0.weight", 4)[1]
    num_classes = options.get("label_size", 0)
    if num_classes not in range(inputs):
        raise InputError(
            f"--option=label_size={num_classes:g}: must be a whole number from 0 to {inputs - 1}, "
            "because layer0.weight has that many inputs with z"
        )
    return progan.Config(
        z_dim=inputs - int(num_classes),
        channels=tuple(assembly.shape_of(state, f"layer{2 * index + 1}.bias", 1)[0] for index in range(num_blocks)),
        num_classes=int(num_classes),
        image_channels=assembly.shape_of(state, f"output{num_blocks - 1}.bias", 1)[0],
        normalize_before_label=num_classes > 0,
    )


def _newer_names(arrays: genforce.Arrays) -> dict[str, np.ndarray]:
    """Returns the arrays with layers numbered from 0, as in the newer codes."""
    if "layer1.wscale.bias" not in arrays:
        return genforce.newer_names(arrays)
    last = assembly.largest_number(arrays, r"layer(\d+)\.") // 2 - 1
    renamed = {}
    for name, array in genforce.newer_names(arrays).items():
        name = re.sub(r"^layer(\d+)\.", lambda match: f"layer{int(match[1]) - 1}.", name)
        renamed[re.sub(r"^output_\d+x\d+\.", f"output{last}.", name)] = array
    return renamed


def _is_fused(state: genforce.Arrays, num_blocks: int, options: Mapping[str, float]) -> bool:
    """Returns whether the up-sampling layers are transposed convolutions.

    Their kernels are IOHW, and other kernels are OIHW.
    """
    if options.get("fused_scale") is not None:
        return genforce.flag(options, "fused_scale", False)
    for layer in range(2, 2 * num_blocks, 2):
        before = assembly.shape_of(state, f"layer{layer - 1}.bias", 1)[0]
        after = assembly.shape_of(state, f"layer{layer}.bias", 1)[0]
        if before != after:
            return assembly.shape_of(state, f"layer{layer}.weight", 4)[:2] == (before, after)
    return False


def _unscaled(kernel: np.ndarray, gain: float) -> np.ndarray:
    """Returns a kernel HWIO divided by the factor of our layer."""
    return (kernel * (math.sqrt(kernel[..., 0].size) / gain)).astype(np.float32)


def _is_up(name: str) -> bool:
    """Returns whether our parameter belongs to an up-sampling layer."""
    match = re.match(r"layer(\d+)\.", name)
    return match is not None and int(match[1]) > 2 and int(match[1]) % 2 == 1


def _their_name(name: str, num_blocks: int) -> str:
    """Returns the file's name of our parameter. Example: layer1.bias -> layer0.bias."""
    layer, _, leaf = name.partition(".")
    return f"output{num_blocks - 1}.{leaf}" if layer == "output" else f"layer{int(layer[5:]) - 1}.{leaf}"
