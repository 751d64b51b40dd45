"""ProGAN of the official TensorFlow code: the variables of Gs under their names -> ours."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from checkpoints_convert import assembly
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, progan

_OF_STYLEGAN = "dnnlib.tflib.network.Network"  # in files of NVlabs/stylegan, which trains this network too


def configuration(arrays: Mapping[str, np.ndarray], static: Mapping[str, Any] | None = None) -> progan.Config:
    """Widths from the arrays; from Gs's static keyword arguments what these cannot tell. Raises InputError."""
    static = static or {}
    for name in ("4x4/Dense/weight", "4x4/Conv/bias", "ToRGB_lod0/weight"):
        if name not in arrays:
            raise InputError(f"parameter {name}: missing from the file")
    channels = [len(arrays["4x4/Conv/bias"])]
    while (name := f"{(side := 4 * 2 ** len(channels))}x{side}/Conv1/bias") in arrays:
        channels.append(len(arrays[name]))
    inputs, classes = len(arrays["4x4/Dense/weight"]), int(static.get("label_size", 0))
    if not 0 <= classes < inputs:
        raise InputError(f"label_size={classes}: 4x4/Dense has {inputs} inputs with z")
    return progan.Config(
        z_dim=inputs - classes,
        channels=tuple(channels),
        num_classes=classes,
        image_channels=arrays["ToRGB_lod0/weight"].shape[3],
        normalize_latents=bool(static.get("normalize_latents", True)),
        pixel_norm=bool(static.get("use_pixelnorm", True)),
        epsilon=float(static.get("pixelnorm_epsilon", 1e-8)),
        slope=0.2 if static.get("use_leakyrelu", True) else 0.0,
    )


def convert(
    arrays: Mapping[str, np.ndarray], static: Mapping[str, Any] | None = None, class_name: str = "tfutil.Network"
) -> base.Generator:
    """The generator of Gs's variables; raises InputError for those missing, left over or of another shape.

    class_name: of the network in its file; it says whether the paper's own code wrote it, or NVlabs/stylegan's.
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
            # [z, channel, row, column]; turned, since our kernel is a correlation with z's one pixel
            return array.reshape(len(array), -1, 4, 4).transpose(2, 3, 0, 1)[::-1, ::-1]
        if leaf == "weight" and theirs.endswith("Conv0_up"):
            # a transposed convolution
            return (array.transpose(0, 1, 3, 2) if out_first else array)[::-1, ::-1]
        return array

    generator = assembly.assemble("progan", config, fetch)
    tensors.finish(ignored=lambda name: re.match(r"ToRGB_lod[1-9]\d*/", name) is not None)  # served while it grew
    return generator if static.get("use_wscale", True) else _equalized(generator)


def _is_out_first(arrays: Mapping[str, np.ndarray], class_name: str) -> bool:
    """Whether the kernels of fused layers are [row, column, out, in], as the paper's code has them, or [.., in, out].

    The bias tells where the two widths differ, whoever saved the file; where they never do, the class of the network.
    """
    for name, kernel in arrays.items():
        if name.endswith("/Conv0_up/weight") and np.ndim(kernel) == 4 and kernel.shape[2] != kernel.shape[3]:
            return kernel.shape[2] == np.size(arrays.get(name.removesuffix("weight") + "bias", ()))
    return class_name != _OF_STYLEGAN


def _their_layer(layer: str, tensors: assembly.Tensors) -> str:
    """layer3 -> 8x8/Conv0_up, or 8x8/Conv0 in networks that were trained without fused up-sampling."""
    if layer == "output":
        return "ToRGB_lod0"
    index = int(layer.removeprefix("layer")) - 1
    side, second = 4 * 2 ** (index // 2), index % 2 == 1
    if side == 4:
        return "4x4/Conv" if second else "4x4/Dense"
    if second:
        return f"{side}x{side}/Conv1"
    fused = f"{side}x{side}/Conv0_up"
    return fused if f"{fused}/weight" in tensors else f"{side}x{side}/Conv0"


def _equalized(generator: base.Generator) -> base.Generator:
    """The same network, of weights that are scaled where they are used."""
    module = generator.merge()
    params = {
        name: {**layer, "weight": layer["weight"] / getattr(module, name).scale}
        for name, layer in generator.params.items()
    }
    return generator._replace(params=params)
