"""Converts ProGAN from the official TensorFlow code: the variables of Gs by name."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from checkpoints_convert import assembly
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, progan

# The class of networks in files of NVlabs/stylegan, which trains ProGAN as well.
_STYLEGAN_CLASS = "dnnlib.tflib.network.Network"


def configuration(arrays: Mapping[str, np.ndarray], static: Mapping[str, Any] | None = None) -> progan.Config:
    """Returns the configuration of Gs.

    Args:
        arrays: Variables of Gs by name. Their shapes determine the widths.
        static: Static keyword arguments of Gs, which determine everything else.

    Raises:
        InputError: A variable is missing, or label_size does not fit the first layer.
    """
    static = static or {}
    for name in ("4x4/Dense/weight", "4x4/Conv/bias", "ToRGB_lod0/weight"):
        if name not in arrays:
            raise InputError(f"parameter {name}: missing from the file")
    channels = [len(arrays["4x4/Conv/bias"])]
    side = 8
    while f"{side}x{side}/Conv1/bias" in arrays:
        channels.append(len(arrays[f"{side}x{side}/Conv1/bias"]))
        side *= 2
    num_inputs = len(arrays["4x4/Dense/weight"])
    num_classes = int(static.get("label_size", 0))
    if not 0 <= num_classes < num_inputs:
        raise InputError(f"label_size={num_classes}: 4x4/Dense has {num_inputs} inputs with z")
    return progan.Config(
        z_dim=num_inputs - num_classes,
        channels=tuple(channels),
        num_classes=num_classes,
        image_channels=arrays["ToRGB_lod0/weight"].shape[3],
        normalize_latents=bool(static.get("normalize_latents", True)),
        pixel_norm=bool(static.get("use_pixelnorm", True)),
        epsilon=float(static.get("pixelnorm_epsilon", 1e-8)),
        slope=0.2 if static.get("use_leakyrelu", True) else 0.0,
    )


def convert(
    arrays: Mapping[str, np.ndarray], static: Mapping[str, Any] | None = None, class_name: str = "tfutil.Network"
) -> base.Generator:
    """Returns the generator of Gs.

    Args:
        arrays: Variables of Gs by name.
        static: Static keyword arguments of Gs.
        class_name: Class of the network in its file. It distinguishes files of the
            paper's own code from files of NVlabs/stylegan.

    Raises:
        InputError: A variable is missing, unused, or has the wrong shape. Or the
            network is still growing.
    """
    static = static or {}
    tensors = assembly.Tensors(arrays)
    config = configuration(arrays, static)
    out_first = _is_out_first(arrays, class_name)
    assembly.check_grown(tensors)

    def fetch(name: str) -> np.ndarray:
        layer, _, leaf = name.partition(".")
        theirs = _their_layer(layer, tensors)
        array = tensors.take(f"{theirs}/{leaf}")
        if leaf == "weight" and theirs == "4x4/Dense":
            return _first_kernel(array)
        if leaf == "weight" and theirs.endswith("Conv0_up"):
            return _fused_kernel(array, out_first)
        return array

    generator = assembly.assemble("progan", config, fetch)
    # The layers of lower resolutions' images were used only while the network grew.
    tensors.finish(ignored=lambda name: re.match(r"ToRGB_lod[1-9]\d*/", name) is not None)
    return generator if static.get("use_wscale", True) else _undo_weight_scaling(generator)


def _first_kernel(array: np.ndarray) -> np.ndarray:
    """Converts the weight [z, channel * row * column] of the dense layer to HWIO.

    It is rotated by 180 degrees, because our kernel is a correlation with one pixel z.
    """
    return array.reshape(len(array), -1, 4, 4).transpose(2, 3, 0, 1)[::-1, ::-1]


def _fused_kernel(array: np.ndarray, out_first: bool) -> np.ndarray:
    """Converts the kernel of a fused layer, a transposed convolution, to HWIO."""
    kernel = array.transpose(0, 1, 3, 2) if out_first else array
    return kernel[::-1, ::-1]


def _is_out_first(arrays: Mapping[str, np.ndarray], class_name: str) -> bool:
    """Returns whether kernels of fused layers are [row, column, out, in].

    The paper's code stores them so. NVlabs/stylegan stores [row, column, in, out]. If
    a layer has different numbers of inputs and outputs, its bias shows the order,
    whichever code wrote the file. Otherwise the network's class shows the code.
    """
    for name, kernel in arrays.items():
        if name.endswith("/Conv0_up/weight") and np.ndim(kernel) == 4 and kernel.shape[2] != kernel.shape[3]:
            return kernel.shape[2] == np.size(arrays.get(name.removesuffix("weight") + "bias", ()))
    return class_name != _STYLEGAN_CLASS


def _their_layer(layer: str, tensors: assembly.Tensors) -> str:
    """Returns the file's name of a layer. Example: layer3 -> 8x8/Conv0_up.

    Networks trained without fused up-sampling call this layer 8x8/Conv0.
    """
    if layer == "output":
        return "ToRGB_lod0"
    index = int(layer.removeprefix("layer")) - 1
    side, is_second = 4 * 2 ** (index // 2), index % 2 == 1
    if side == 4:
        return "4x4/Conv" if is_second else "4x4/Dense"
    if is_second:
        return f"{side}x{side}/Conv1"
    fused = f"{side}x{side}/Conv0_up"
    return fused if f"{fused}/weight" in tensors else f"{side}x{side}/Conv0"


def _undo_weight_scaling(generator: base.Generator) -> base.Generator:
    """Divides each weight by the factor with which our layers multiply it."""
    module = generator.merge()
    params = {
        name: {**layer, "weight": layer["weight"] / getattr(module, name).scale}
        for name, layer in generator.params.items()
    }
    return generator._replace(params=params)
