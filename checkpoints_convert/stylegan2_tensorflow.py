"""Converts StyleGAN2 from the official TensorFlow code, or from StyleGAN2-ADA's.

The checkpoint contains the variables of Gs by name.

Configurations B to F convert. B to D grow progressively. A fully grown synthesis
network equals architecture "orig" of E and F, except for the name of ToRGB.
Configuration A is StyleGAN itself, and does not convert here.

The blocks of forks can have other sizes than 4x4, 8x8, ..., such as 6x4 and 12x8. Their
scopes are named by the sizes, or are named as in the official code.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from checkpoints_convert import assembly, stylegan2_pytorch, stylegan2_sizes
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
_CONSTANT = re.compile(r"synthesis/([1-9]\d*x[1-9]\d*)/Const/const")
_SCOPE = re.compile(r"synthesis/([1-9]\d*x[1-9]\d*)/")
_GROWN = "synthesis/ToRGB_lod0"
_LAYERS = {None: "Const", "conv0": "Conv0_up", "conv1": "Conv1", "torgb": "ToRGB", "skip": "Skip"}
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
    scopes = find_scopes(arrays)
    _check_supported(arrays, static, scopes[0])
    if static.get("synthesis_func", _ADA) != _ADA:
        static = {name: value for name, value in static.items() if name not in _ADA_ARGUMENTS}
    channels = [assembly.shape_of(arrays, f"synthesis/{scopes[0]}/Conv/bias", 1)[0]]
    channels += [assembly.shape_of(arrays, f"synthesis/{scope}/Conv1/bias", 1)[0] for scope in scopes[1:]]
    constant = f"synthesis/{scopes[0]}/Const/const"
    base_size = stylegan2_sizes.base_size(arrays, constant, 4, "synthesis/noise0")
    const_channels = assembly.shape_of(arrays, constant, 4)[1]
    depth = max(1, 1 + assembly.largest_number(arrays, r"mapping/Dense(\d+)/"))
    num_inputs, mapping_width = assembly.shape_of(arrays, "mapping/Dense0/weight", 2)
    labels = next((name for name in (_JOINT_LABELS, _SEPARATE_LABELS) if name in arrays), None)
    num_classes, embed_width = (0, 0) if labels is None else assembly.shape_of(arrays, labels, 2)
    if embed_width >= num_inputs:
        raise InputError(f"parameter {labels}: {embed_width} wide, mapping/Dense0 has {num_inputs} inputs with z")
    is_grown = f"{_GROWN}/bias" in arrays
    image = _GROWN if is_grown else f"synthesis/{scopes[-1]}/ToRGB"
    filter_taps = static.get("resample_kernel", (1, 3, 3, 1))
    config = stylegan2.Config(
        z_dim=num_inputs - embed_width,
        w_dim=assembly.shape_of(arrays, f"mapping/Dense{depth - 1}/weight", 2)[1],
        channels=tuple(channels),
        const_channels=None if const_channels == channels[0] else const_channels,
        base_size=base_size,
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
    stylegan2_sizes.check(static, config)
    return config


def _check_supported(arrays: Mapping[str, np.ndarray], static: Mapping[str, Any], first_scope: str) -> None:
    for name, supported in _SUPPORTED.items():
        if name in static and static[name] not in supported:
            raise InputError(f"{name}={static[name]!r}: only networks with {' or '.join(supported)} convert")
    if f"synthesis/{first_scope}/Conv/StyleMod/weight" in arrays:
        raise InputError(
            f"synthesis/{first_scope}/Conv/StyleMod: a network of StyleGAN, or of StyleGAN2's configuration A"
        )


def matches(arrays: Mapping[str, np.ndarray]) -> bool:
    """Returns whether modulated weights follow the constant, as in this layout."""
    names = (match for name in arrays if (match := _CONSTANT.fullmatch(name)))
    return any(f"synthesis/{match[1]}/Conv/mod_weight" in arrays for match in names)


def find_scopes(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Returns the scopes of the blocks, such as 4x4 and 8x8, the smallest first.

    The first block has the constant. The sizes in the names of the other blocks double.
    A scope between two others is returned even if the file lacks it.
    """
    first = next((match[1] for name in arrays if (match := _CONSTANT.fullmatch(name))), "4x4")
    named = {match[1] for name in arrays if (match := _SCOPE.match(name))} - {first}
    sizes = sorted((int(height), int(width)) for height, width in (scope.split("x") for scope in named))
    if not sizes:
        return [first]
    height, width = (2 * int(side) for side in first.split("x"))
    # A fork may name the first scope 4x4 at any size. Then the second begins the row.
    ratio = sizes[0][0] // height
    if sizes[0] != (ratio * height, ratio * width) or ratio & (ratio - 1):
        height, width = sizes[0]
    scopes = [first]
    while (height, width) <= sizes[-1]:
        scopes.append(f"{height}x{width}")
        height, width = 2 * height, 2 * width
    return scopes


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
    scopes = find_scopes(arrays)
    their_name = functools.partial(_their_name, scopes=scopes, is_grown=f"{_GROWN}/bias" in arrays)

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


def _their_name(name: str, *, scopes: Sequence[str], is_grown: bool) -> str:
    """Returns the original's name of one of our parameters.

    Example: synthesis.b8.conv0.affine.weight -> synthesis/8x8/Conv0_up/mod_weight.

    Args:
        name: Our name.
        scopes: Scopes of the blocks; see `find_scopes`.
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
    index, layer, leaf = int(match[1]).bit_length() - 3, match[2], match[3]
    if leaf == "noise_const":
        # The first block has one noise image, each other block has two.
        return f"synthesis/noise{2 * index - 1 + int(layer.removeprefix('conv')) if index else 0}"
    leaf = _LEAVES.get(leaf, leaf)
    if layer == "torgb" and is_grown:
        return f"{_GROWN}/{leaf}"
    their_layer = "Conv" if index == 0 and layer == "conv1" else _LAYERS[layer]
    return f"synthesis/{scopes[index]}/{their_layer}/{leaf}"
