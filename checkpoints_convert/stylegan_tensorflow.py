"""StyleGAN of the official TensorFlow code: the variables of Gs under their names -> ours."""

import functools
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from checkpoints_convert import assembly
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan

# What the paper's generators have, and what the code would also build; only in the keyword arguments can it be seen.
_SUPPORTED = {
    "use_styles": True, "const_input_layer": True, "use_instance_norm": True, "use_pixel_norm": False, "use_wscale": True,
    "nonlinearity": "lrelu", "mapping_nonlinearity": "lrelu",
}  # fmt: skip
_LEAVES = {"noise_weight": "Noise/weight", "style.weight": "StyleMod/weight", "style.bias": "StyleMod/bias"}


def configuration(arrays: Mapping[str, np.ndarray], static: Mapping[str, Any] | None = None) -> stylegan.Config:
    """Widths and depths from the arrays; from Gs's static keyword arguments what these cannot tell.

    Raises InputError for a network that is none of the paper's, or one that is still growing.
    """
    static = static or {}
    for name, supported in _SUPPORTED.items():
        if static.get(name, supported) != supported:
            raise InputError(f"{name}={static[name]!r}: only networks with {supported!r} convert")
    if static.get("mapping_layers") == 0:
        raise InputError("mapping_layers=0: only networks with a mapping network convert")
    if np.ndim(blur_filter := static.get("blur_filter", (1, 2, 1)) or ()) != 1:
        raise InputError(f"blur_filter={blur_filter!r}: only a row of numbers converts")
    shape_of = functools.partial(assembly.shape_of, arrays)
    channels = [shape_of("synthesis/4x4/Const/const", 4)[1]]
    while (name := f"synthesis/{(side := 4 * 2 ** len(channels))}x{side}/Conv1/bias") in arrays:
        channels.append(shape_of(name, 1)[0])
    depth = 0
    while f"mapping/Dense{depth}/weight" in arrays:
        depth += 1
    labels = arrays.get("mapping/LabelConcat/weight")
    classes, embed_width = (0, 0) if labels is None else labels.shape
    inputs, first = shape_of("mapping/Dense0/weight", 2)
    return stylegan.Config(
        z_dim=inputs - embed_width,
        w_dim=shape_of(f"mapping/Dense{depth - 1}/weight", 2)[1],
        channels=tuple(channels),
        num_classes=classes,
        image_channels=shape_of("synthesis/ToRGB_lod0/weight", 4)[3],
        mapping_layers=depth,
        mapping_width=first if depth > 1 else None,
        embed_width=embed_width or None,
        mapping_learning_rate=float(static.get("mapping_lrmul", 0.01)),
        normalize_latents=bool(static.get("normalize_latents", True)),
        fused_from=_fused_from(static.get("fused_scale", "auto")),
        blur_filter=tuple(float(tap) for tap in blur_filter),
        use_noise=bool(static.get("use_noise", True)),
    )


def convert(arrays: Mapping[str, np.ndarray], static: Mapping[str, Any] | None = None) -> base.Generator:
    """The generator of Gs's variables, those of its components under `mapping/` and `synthesis/`; raises InputError."""
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
    tensors.finish(ignored=lambda name: re.search(r"ToRGB_lod[1-9]\d*/", name) is not None)  # served while it grew
    return generator


def turn_where_fused(kernel: np.ndarray, side: int, config: stylegan.Config) -> np.ndarray:
    """HWIO kernel of the layer that makes side x side pixels -> the correlation with the doubled image, which ours are.

    The original's fused layers are transposed convolutions, so theirs are stored the other way round.
    """
    return kernel[::-1, ::-1] if config.fused_from is not None and side >= config.fused_from else kernel


def _their_name(name: str) -> str:
    """synthesis.b8.epi1.style.weight -> synthesis/8x8/Conv0_up/StyleMod/weight, and so on."""
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
    second = module == "epi2"
    if leaf == "noise_const":
        return f"synthesis/noise{2 * (side.bit_length() - 3) + second}"
    layer = ("Const", "Conv")[second] if side == 4 else ("Conv0_up", "Conv1")[second]
    return f"{scope}/{layer}/{_LEAVES[leaf]}"


def _fused_from(fused_scale: bool | str | None) -> int | None:
    if fused_scale == "auto":
        return 128
    return 8 if fused_scale else None
