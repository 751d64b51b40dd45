"""Converts StyleGAN2 from the official TensorFlow code, or from StyleGAN2-ADA's.

The checkpoint contains the variables of Gs by name.

Configurations B to F convert. B to D grow progressively. A fully grown synthesis
network equals architecture "orig" of E and F, except for the name of ToRGB.
Configuration A is StyleGAN itself, and does not convert here.
"""

import functools
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from checkpoints_convert import assembly, stylegan2_pytorch
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan2

_ADA = "G_synthesis"  # the function that builds StyleGAN2-ADA's synthesis network
_ADA_ARGUMENTS = ("use_noise", "conv_clamp")  # only StyleGAN2-ADA's function has these
# Supported values by keyword argument of the build functions. These functions ignore
# arguments that they do not have, and so does this converter.
_SUPPORTED = {
    "nonlinearity": ("lrelu",),
    "mapping_nonlinearity": ("lrelu",),
    "architecture": ("skip", "resnet", "orig"),
    "mapping_func": ("G_mapping",),
    "synthesis_func": ("G_synthesis_stylegan2", "G_synthesis_stylegan_revised", _ADA),
}
_JOINT_LABELS = "mapping/LabelConcat/weight"  # the official code's name
_SEPARATE_LABELS = "mapping/LabelEmbed/weight"  # StyleGAN2-ADA's name
_GROWN = "synthesis/ToRGB_lod0"
_LEAVES = {"affine.weight": "mod_weight", "affine.bias": "mod_bias"}


def configuration(arrays: Mapping[str, np.ndarray], static: Mapping[str, Any] | None = None) -> stylegan2.Config:
    """Returns the configuration of Gs.

    Args:
        arrays: Variables of Gs by name. Their shapes determine widths and depths.
        static: Static keyword arguments of Gs, which determine everything else.

    Raises:
        InputError: The network is not one of the paper's, or a variable is missing.
    """
    static = static or {}
    _check_supported(arrays, static)
    if static.get("synthesis_func", _ADA) != _ADA:
        static = {name: value for name, value in static.items() if name not in _ADA_ARGUMENTS}
    channels = _channels(arrays)
    const_channels = assembly.shape_of(arrays, "synthesis/4x4/Const/const", 4)[1]
    depth = max(1, 1 + assembly.largest_number(arrays, r"mapping/Dense(\d+)/"))
    num_inputs, mapping_width = assembly.shape_of(arrays, "mapping/Dense0/weight", 2)
    labels = next((name for name in (_JOINT_LABELS, _SEPARATE_LABELS) if name in arrays), None)
    num_classes, embed_width = (0, 0) if labels is None else assembly.shape_of(arrays, labels, 2)
    if embed_width >= num_inputs:
        raise InputError(f"parameter {labels}: {embed_width} wide, mapping/Dense0 has {num_inputs} inputs with z")
    is_grown = f"{_GROWN}/bias" in arrays
    side = 4 * 2 ** (len(channels) - 1)
    image = _GROWN if is_grown else f"synthesis/{side}x{side}/ToRGB"
    filter_taps = static.get("resample_kernel", (1, 3, 3, 1))
    return stylegan2.Config(
        z_dim=num_inputs - embed_width,
        w_dim=assembly.shape_of(arrays, f"mapping/Dense{depth - 1}/weight", 2)[1],
        channels=channels,
        const_channels=None if const_channels == channels[0] else const_channels,
        num_classes=num_classes,
        image_channels=assembly.shape_of(arrays, f"{image}/bias", 1)[0],
        mapping_layers=depth,
        mapping_width=mapping_width if depth > 1 else None,
        embed_width=embed_width or None,
        mapping_learning_rate=float(static.get("mapping_lrmul", 0.01)),
        normalize_latents=bool(static.get("normalize_latents", True)),
        label_normalization="joint" if labels == _JOINT_LABELS else "separate",
        # The function that builds a growing network has no argument `architecture`.
        architecture="orig" if is_grown else static.get("architecture", "skip"),
        resample_filter=stylegan2_pytorch.taps((1, 1) if filter_taps is None else filter_taps, "resample_kernel"),
        conv_clamp=None if static.get("conv_clamp") is None else float(static["conv_clamp"]),
        scaled_demodulation=True,
        use_noise=bool(static.get("use_noise", True)),
    )


def _check_supported(arrays: Mapping[str, np.ndarray], static: Mapping[str, Any]) -> None:
    for name, supported in _SUPPORTED.items():
        if name in static and static[name] not in supported:
            raise InputError(f"{name}={static[name]!r}: only networks with {' or '.join(supported)} convert")
    if "synthesis/4x4/Conv/StyleMod/weight" in arrays:
        raise InputError("synthesis/4x4/Conv/StyleMod: a network of StyleGAN, or of StyleGAN2's configuration A")


def _channels(arrays: Mapping[str, np.ndarray]) -> tuple[int, ...]:
    """Returns the channels at 4x4, 8x8, ... up to the largest side in any name."""
    largest_side = assembly.largest_number(arrays, r"synthesis/(\d+)x\1/")
    channels = [assembly.shape_of(arrays, "synthesis/4x4/Conv/bias", 1)[0]]
    side = 8
    while side <= largest_side:
        channels.append(assembly.shape_of(arrays, f"synthesis/{side}x{side}/Conv1/bias", 1)[0])
        side *= 2
    return tuple(channels)


def convert(arrays: Mapping[str, np.ndarray], static: Mapping[str, Any] | None = None) -> base.Generator:
    """Returns the generator of Gs.

    Args:
        arrays: Variables of Gs by name, with those of its components under `mapping/`
            and `synthesis/`.
        static: Static keyword arguments of Gs.

    Raises:
        InputError: A variable is missing, unused, or has the wrong shape. Or the
            network is still growing, or it is not one of the paper's.
    """
    tensors = assembly.Tensors(arrays)
    config = configuration(arrays, static)
    assembly.check_grown(tensors)
    their_name = functools.partial(_their_name, is_grown=f"{_GROWN}/bias" in arrays)

    def fetch(name: str) -> np.ndarray:
        array = tensors.take(their_name(name))
        if name.endswith("noise_const"):
            return assembly.without_axes(array, 0, 1)
        if name.endswith(".const"):
            array = assembly.without_axes(array, 0)
            return np.moveaxis(array, 0, -1) if array.ndim == 3 else array
        if name.endswith(".affine.bias"):
            return array + 1
        # Kernels need no change. Theirs and ours are correlations with the
        # zero-inserted image, and PyTorch's are rotated by 180 degrees.
        return array

    generator = assembly.assemble("stylegan2", config, fetch, their_name)
    # The layers of lower resolutions' images were used only while the network grew.
    tensors.finish(ignored=lambda name: re.match(r"synthesis/ToRGB_lod[1-9]", name) is not None)
    return generator


def _their_name(name: str, *, is_grown: bool) -> str:
    """Returns the original's name of one of our parameters.

    Example: synthesis.b8.conv0.affine.weight -> synthesis/8x8/Conv0_up/mod_weight.

    Args:
        name: Our name.
        is_grown: True if the network grew progressively. It has a single ToRGB.
    """
    if name == "mapping.w_avg":
        return "dlatent_avg"
    if name == "mapping.label_concat":
        return _JOINT_LABELS
    if match := re.fullmatch(r"mapping\.(?:(embed)|fc(\d+))\.(\w+)", name):
        layer = "LabelEmbed" if match[1] else f"Dense{match[2]}"
        return f"mapping/{layer}/{match[3]}"
    match = re.fullmatch(r"synthesis\.b(\d+)\.(?:(\w+)\.)?(.+)", name)
    assert match is not None
    side, layer, leaf = int(match[1]), match[2], match[3]
    if leaf == "noise_const":
        return f"synthesis/noise{_noise_index(side, layer)}"
    leaf = _LEAVES.get(leaf, leaf)
    if layer == "torgb" and is_grown:
        return f"{_GROWN}/{leaf}"
    scopes = {None: "Const", "conv0": "Conv0_up", "conv1": "Conv1", "torgb": "ToRGB", "skip": "Skip"}
    scope = "Conv" if side == 4 and layer == "conv1" else scopes[layer]
    return f"synthesis/{side}x{side}/{scope}/{leaf}"


def _noise_index(side: int, layer: str) -> int:
    """Returns the index of a noise image: one at 4x4, two at each larger side."""
    if side == 4:
        return 0
    num_smaller_sides = int(math.log2(side // 8))  # from 8 pixels on
    return 1 + 2 * num_smaller_sides + int(layer.removeprefix("conv"))
