"""StyleGAN2 of the official TensorFlow code, and of StyleGAN2-ADA's: the variables of Gs under their names -> ours.

Configurations B to F convert; B to D are grown progressively, and when that is over their synthesis network is what the later
ones call architecture "orig", but for the name of ToRGB. Configuration A is StyleGAN itself.
"""

import functools
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from checkpoints_convert import assembly, stylegan2_pytorch
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan2

_ADA = "G_synthesis"  # builds StyleGAN2-ADA's synthesis network
_OF_ADA = ("use_noise", "conv_clamp")  # what only that knows, of the arguments that matter here
# By the build functions' keyword arguments; those that they do not know they ignore, and so does this.
_SUPPORTED = {
    "nonlinearity": ("lrelu",),
    "mapping_nonlinearity": ("lrelu",),
    "architecture": ("skip", "resnet", "orig"),
    "mapping_func": ("G_mapping",),
    "synthesis_func": ("G_synthesis_stylegan2", "G_synthesis_stylegan_revised", _ADA),
}
_JOINT, _SEPARATE = "mapping/LabelConcat/weight", "mapping/LabelEmbed/weight"  # the first code's, and ADA's
_GROWN = "synthesis/ToRGB_lod0"
_LEAVES = {"affine.weight": "mod_weight", "affine.bias": "mod_bias"}


def configuration(arrays: Mapping[str, np.ndarray], static: Mapping[str, Any] | None = None) -> stylegan2.Config:
    """Widths and depths from the arrays; from Gs's static keyword arguments what these cannot tell.

    Raises InputError for a network that is none of the paper's.
    """
    static = static or {}
    _refuse_others(arrays, static)
    if static.get("synthesis_func", _ADA) != _ADA:
        static = {name: value for name, value in static.items() if name not in _OF_ADA}
    channels = _channels(arrays)
    const_channels = assembly.shape_of(arrays, "synthesis/4x4/Const/const", 4)[1]
    depth = max(1, 1 + assembly.largest_number(arrays, r"mapping/Dense(\d+)/"))
    widths = [assembly.shape_of(arrays, f"mapping/Dense{layer}/weight", 2) for layer in range(depth)]
    labels = next((name for name in (_JOINT, _SEPARATE) if name in arrays), None)
    classes, embed_width = (0, 0) if labels is None else assembly.shape_of(arrays, labels, 2)
    if embed_width >= widths[0][0]:
        raise InputError(f"parameter {labels}: {embed_width} wide, mapping/Dense0 has {widths[0][0]} inputs with z")
    # The progressively grown network's build function has no choice of architecture.
    side = 4 * 2 ** (len(channels) - 1)
    image = _GROWN if f"{_GROWN}/bias" in arrays else f"synthesis/{side}x{side}/ToRGB"
    filter_taps = static.get("resample_kernel", (1, 3, 3, 1))
    return stylegan2.Config(
        z_dim=widths[0][0] - embed_width,
        w_dim=widths[-1][1],
        channels=channels,
        const_channels=None if const_channels == channels[0] else const_channels,
        num_classes=classes,
        image_channels=assembly.shape_of(arrays, f"{image}/bias", 1)[0],
        mapping_layers=depth,
        mapping_width=widths[0][1] if depth > 1 else None,
        embed_width=embed_width or None,
        mapping_learning_rate=float(static.get("mapping_lrmul", 0.01)),
        normalize_latents=bool(static.get("normalize_latents", True)),
        label_normalization="joint" if labels == _JOINT else "separate",
        architecture="orig" if image == _GROWN else static.get("architecture", "skip"),
        resample_filter=stylegan2_pytorch.taps((1, 1) if filter_taps is None else filter_taps, "resample_kernel"),
        conv_clamp=None if static.get("conv_clamp") is None else float(static["conv_clamp"]),
        scaled_demodulation=True,
        use_noise=bool(static.get("use_noise", True)),
    )


def convert(arrays: Mapping[str, np.ndarray], static: Mapping[str, Any] | None = None) -> base.Generator:
    """The generator of Gs's variables, those of its components under `mapping/` and `synthesis/`.

    Raises InputError, also for a network that is still growing.
    """
    tensors = assembly.Tensors(arrays)
    config = configuration(arrays, static)
    assembly.check_grown(tensors)
    their_name = functools.partial(_their_name, grown=f"{_GROWN}/bias" in arrays)

    def fetch(name: str) -> np.ndarray:
        array = tensors.take(their_name(name))
        if name.endswith("noise_const"):
            return assembly.without_axes(array, 0, 1)
        if name.endswith(".const"):
            array = assembly.without_axes(array, 0)
            return np.moveaxis(array, 0, -1) if array.ndim == 3 else array
        # Kernels are correlations with the zero-inserted image already, as ours are; PyTorch's are turned.
        return array + 1 if name.endswith(".affine.bias") else array

    generator = assembly.assemble("stylegan2", config, fetch, their_name)
    tensors.finish(ignored=lambda name: re.match(r"synthesis/ToRGB_lod[1-9]", name) is not None)  # served while it grew
    return generator


def _refuse_others(arrays: Mapping[str, np.ndarray], static: Mapping[str, Any]) -> None:
    for name, supported in _SUPPORTED.items():
        if name in static and static[name] not in supported:
            raise InputError(f"{name}={static[name]!r}: only networks with {' or '.join(supported)} convert")
    if "synthesis/4x4/Conv/StyleMod/weight" in arrays:
        raise InputError("synthesis/4x4/Conv/StyleMod: a network of StyleGAN, or of StyleGAN2's configuration A")


def _channels(arrays: Mapping[str, np.ndarray]) -> tuple[int, ...]:
    """Of 4x4, 8x8, and so on up to the largest side of which there is anything."""
    largest = assembly.largest_number(arrays, r"synthesis/(\d+)x\1/")
    layers = ["4x4/Conv", *(f"{2**power}x{2**power}/Conv1" for power in range(3, largest.bit_length()))]
    return tuple(assembly.shape_of(arrays, f"synthesis/{layer}/bias", 1)[0] for layer in layers)


def _their_name(name: str, *, grown: bool) -> str:
    """synthesis.b8.conv0.affine.weight -> synthesis/8x8/Conv0_up/mod_weight, and so on."""
    if name == "mapping.w_avg":
        return "dlatent_avg"
    if name == "mapping.label_concat":
        return _JOINT
    if match := re.fullmatch(r"mapping\.(?:(embed)|fc(\d+))\.(\w+)", name):
        return f"mapping/{'LabelEmbed' if match[1] else f'Dense{match[2]}'}/{match[3]}"
    match = re.fullmatch(r"synthesis\.b(\d+)\.(?:(\w+)\.)?(.+)", name)
    assert match is not None
    side, layer, leaf = int(match[1]), match[2], match[3]
    if leaf == "noise_const":
        return f"synthesis/noise{0 if side == 4 else 2 * side.bit_length() - 7 + int(layer[-1])}"
    if layer == "torgb" and grown:
        return f"{_GROWN}/{_LEAVES.get(leaf, leaf)}"
    scopes = {None: "Const", "conv0": "Conv0_up", "conv1": "Conv1", "torgb": "ToRGB", "skip": "Skip"}
    scope = "Conv" if (side, layer) == (4, "conv1") else scopes[layer]
    return f"synthesis/{side}x{side}/{scope}/{_LEAVES.get(leaf, leaf)}"
