"""Converts StyleGAN from the official TensorFlow code: the variables of Gs by name."""

import functools
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from checkpoints_convert import assembly
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan

# Keyword arguments of the paper's generators. The code can build generators with other
# values, but only the keyword arguments show them.
_SUPPORTED = {
    "use_styles": True, "const_input_layer": True, "use_instance_norm": True, "use_pixel_norm": False,
    "use_wscale": True, "nonlinearity": "lrelu", "mapping_nonlinearity": "lrelu",
}  # fmt: skip
_LEAVES = {"noise_weight": "Noise/weight", "style.weight": "StyleMod/weight", "style.bias": "StyleMod/bias"}


def configuration(arrays: Mapping[str, np.ndarray], static: Mapping[str, Any] | None = None) -> stylegan.Config:
    """Returns the configuration of Gs.

    Args:
        arrays: Variables of Gs by name. Their shapes determine widths and depths.
        static: Static keyword arguments of Gs, which determine everything else.

    Raises:
        InputError: The network is not one of the paper's, or a variable is missing.
    """
    static = static or {}
    _check_supported(static)
    shape_of = functools.partial(assembly.shape_of, arrays)
    channels = [shape_of("synthesis/4x4/Const/const", 4)[1]]
    side = 8
    while (bias := f"synthesis/{side}x{side}/Conv1/bias") in arrays:
        channels.append(shape_of(bias, 1)[0])
        side *= 2
    depth = 0
    while f"mapping/Dense{depth}/weight" in arrays:
        depth += 1
    labels = arrays.get("mapping/LabelConcat/weight")
    num_classes, embed_width = (0, 0) if labels is None else labels.shape
    num_inputs, mapping_width = shape_of("mapping/Dense0/weight", 2)
    return stylegan.Config(
        z_dim=num_inputs - embed_width,
        w_dim=shape_of(f"mapping/Dense{depth - 1}/weight", 2)[1],
        channels=tuple(channels),
        num_classes=num_classes,
        image_channels=shape_of("synthesis/ToRGB_lod0/weight", 4)[3],
        mapping_layers=depth,
        mapping_width=mapping_width if depth > 1 else None,
        embed_width=embed_width or None,
        mapping_learning_rate=float(static.get("mapping_lrmul", 0.01)),
        normalize_latents=bool(static.get("normalize_latents", True)),
        fused_from=_fused_from(static.get("fused_scale", "auto")),
        blur_filter=tuple(float(tap) for tap in _blur_filter(static)),
        use_noise=bool(static.get("use_noise", True)),
    )


def _check_supported(static: Mapping[str, Any]) -> None:
    for name, supported in _SUPPORTED.items():
        if static.get(name, supported) != supported:
            raise InputError(f"{name}={static[name]!r}: only networks with {supported!r} convert")
    if static.get("mapping_layers") == 0:
        raise InputError("mapping_layers=0: only networks with a mapping network convert")
    blur_filter = _blur_filter(static)
    if np.ndim(blur_filter) != 1:
        raise InputError(f"blur_filter={blur_filter!r}: only a row of numbers converts")


def _blur_filter(static: Mapping[str, Any]) -> Any:
    """Returns the keyword argument blur_filter; an empty tuple means no blur."""
    return static.get("blur_filter", (1, 2, 1)) or ()


def _fused_from(fused_scale: bool | str | None) -> int | None:
    """Returns the smallest side in pixels at which up-sampling layers are fused.

    Returns None if no layer is fused.
    """
    if fused_scale == "auto":
        return 128
    return 8 if fused_scale else None


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

    def fetch(name: str) -> np.ndarray:
        array = tensors.take(_their_name(name))
        if name.endswith("noise_const"):
            return array[0, 0]
        if name.endswith(".const"):
            return np.moveaxis(array[0], 0, -1)
        if match := re.fullmatch(r"synthesis\.b(\d+)\.conv0_up\.weight", name):
            return turn_where_fused(array, int(match[1]), config)
        return array

    generator = assembly.assemble("stylegan", config, fetch)
    # The layers of lower resolutions' images were used only while the network grew.
    tensors.finish(ignored=lambda name: re.search(r"ToRGB_lod[1-9]\d*/", name) is not None)
    return generator


def turn_where_fused(kernel: np.ndarray, side: int, config: stylegan.Config) -> np.ndarray:
    """Rotates the kernel of a fused up-sampling layer by 180 degrees.

    Our kernels are correlations with the doubled image. The original's fused layers
    are transposed convolutions, so their kernels are stored rotated.

    Args:
        kernel: Kernel HWIO.
        side: Side of the layer's output in pixels.
        config: Configuration, which determines the layers that are fused.
    """
    is_fused = config.fused_from is not None and side >= config.fused_from
    return kernel[::-1, ::-1] if is_fused else kernel


def _their_name(name: str) -> str:
    """Returns the original's name of one of our parameters.

    Example: synthesis.b8.epi1.style.weight -> synthesis/8x8/Conv0_up/StyleMod/weight.
    """
    if name == "mapping.w_avg":
        return "dlatent_avg"
    if name == "mapping.label_concat":
        return "mapping/LabelConcat/weight"
    if match := re.fullmatch(r"mapping\.dense(\d+)\.(\w+)", name):
        return f"mapping/Dense{match[1]}/{match[2]}"
    if match := re.fullmatch(r"synthesis\.torgb\.(\w+)", name):
        return f"synthesis/ToRGB_lod0/{match[1]}"
    match = re.fullmatch(r"synthesis\.b(\d+)\.(?:(epi[12]|conv\w*)\.)?(.+)", name)
    assert match is not None
    side, module, leaf = int(match[1]), match[2], match[3]
    scope = f"synthesis/{side}x{side}"
    if module is None:
        return f"{scope}/Const/{leaf}"
    if module.startswith("conv"):
        return f"{scope}/{module.capitalize()}/{leaf}"
    is_second = module == "epi2"
    if leaf == "noise_const":
        return f"synthesis/noise{2 * int(math.log2(side // 4)) + is_second}"
    first, second = ("Const", "Conv") if side == 4 else ("Conv0_up", "Conv1")
    return f"{scope}/{second if is_second else first}/{_LEAVES[leaf]}"
