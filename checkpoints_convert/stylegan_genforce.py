"""Converts StyleGAN of genforce/genforce, genforce/sefa and genforce/interfacegan.

A grown network makes its image with the output layer of the largest resolution. The
output layers of smaller resolutions have no effect. An up-sampling layer may be fused,
which means that it is one transposed convolution. The arrays of interfacegan show which
layers are fused. The arrays of the newer codes do not, so there is an option for it.
"""

import functools
import math
import re
from collections.abc import Mapping

import numpy as np

from checkpoints_convert import assembly, genforce, stylegan_tensorflow
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan

# Names and defaults of the settings in that code which no array shows. If fused_scale
# is None, it is "auto": layers are fused from 128 pixels.
OPTIONS = {"lr_mul": 0.01, "use_wscale": 1, "fused_scale": None}

_FUSED_IN_INTERFACEGAN = re.compile(r"(synthesis\.layer\d+)\.weight")
_MODULES = {"conv0_up": 0, "epi1": 0, "conv": 1, "conv1": 1, "epi2": 1}
_LEAVES = {"noise_weight": "apply_noise.weight", "noise_const": "apply_noise.noise"}


def is_generator(arrays: genforce.Arrays) -> bool:
    """Returns whether the arrays have the names of one of the layouts."""
    first = ("const", "first_layer", "apply_noise.weight", "epilogue.apply_noise.weight")
    return any(f"synthesis.layer0.{leaf}" in arrays for leaf in first)


def configuration(state: genforce.Arrays, options: Mapping[str, float] | None = None) -> stylegan.Config:
    """Returns the configuration that the arrays and the options give.

    Args:
        state: State dict of a generator, with the names of the newer codes.
        options: Settings that no array shows, by their name in OPTIONS.

    Raises:
        InputError: An array is missing or has another number of axes. Or an option has
            an impossible value, or our StyleGAN cannot reproduce the network.
    """
    if "synthesis.layer0.weight" in state:
        raise InputError(
            "parameter synthesis.layer0.weight: w makes the first layer (const_input=False); "
            "only networks with a constant convert"
        )
    shape_of, options = functools.partial(assembly.shape_of, state), options or {}
    widths = genforce.mapping_widths(state)
    w_dim = shape_of("synthesis.layer0.style.weight", 2)[1]
    genforce.check_one_w(widths[-1][0], w_dim, f"mapping.dense{len(widths) - 1}")
    is_conditional = "mapping.label_weight" in state
    num_classes, embed_width = shape_of("mapping.label_weight", 2) if is_conditional else (0, 0)
    last = _last_block(state)
    return stylegan.Config(
        z_dim=widths[0][1] - embed_width,
        w_dim=w_dim,
        channels=tuple(shape_of(f"synthesis.layer{2 * index + 1}.bias", 1)[0] for index in range(last + 1)),
        num_classes=num_classes,
        image_channels=shape_of(f"synthesis.output{last}.bias", 1)[0],
        mapping_layers=len(widths),
        mapping_width=widths[0][0] if len(widths) > 1 else None,
        embed_width=embed_width or None,
        mapping_learning_rate=float(options.get("lr_mul", 0.01)),
        fused_from=_fused_from(options),
        blur_filter=_blur_filter(state),
    )


def convert(state: genforce.Arrays, options: Mapping[str, float] | None = None) -> base.Generator:
    """Returns the generator of a state dict.

    A file without a mean w gets that of 10,000 z, and a file without noise images gets
    drawn ones. Both have a fixed seed.

    Args:
        state: State dict of a generator in one of the layouts.
        options: Settings that no array shows, by their name in OPTIONS.

    Raises:
        InputError: A parameter is missing, left over or has another shape, the network
            is still growing, or our StyleGAN cannot reproduce it.
    """
    state, kernels = _with_equal_kernels(state)
    config, tensors = configuration(state, options), assembly.Tensors(state)
    genforce.check_grown(tensors, "synthesis.lod")
    scaled = genforce.flag(options or {}, "use_wscale", True)
    random = genforce.noise_source(state)

    def fetch(name: str) -> np.ndarray:
        if (array := genforce.mean_or_noise(name, tensors, config.w_dim, random)) is not None:
            return array
        array = tensors.take(_their_name(name, len(config.channels)))
        array = array if scaled or not name.endswith(".weight") else genforce.unscaled(array, _gain(name))
        return _our_layout(name, array, config, kernels)

    generator = assembly.assemble("stylegan", config, fetch, lambda name: _their_name(name, len(config.channels)))
    smaller = genforce.smaller_outputs(state, "synthesis.output")
    tensors.finish(ignored=lambda name: name in smaller or name.endswith(".blur.kernel"))
    if "truncation.w_avg" not in tensors:
        generator.params["mapping"]["w_avg"] = assembly.mean_latent(generator)
    return generator


def _with_equal_kernels(arrays: genforce.Arrays) -> tuple[dict[str, np.ndarray], set[str] | None]:
    """Returns the arrays with the newer names and layout, and the fused layers.

    The set is None for the newer codes, whose arrays do not show the fused layers.
    interfacegan's fused kernels are HWIO, and all others are OIHW.
    """
    if not any(".epilogue." in name for name in arrays):
        return genforce.newer_names(arrays), None
    fused = {match[1] for name in arrays if (match := _FUSED_IN_INTERFACEGAN.fullmatch(name))}
    turned = {
        name: np.asarray(array).transpose(3, 2, 0, 1) if name.removesuffix(".weight") in fused else array
        for name, array in arrays.items()
    }
    return genforce.newer_names(turned), fused


def _last_block(state: genforce.Arrays) -> int:
    """Returns the index of the largest resolution, 0 for 4x4."""
    return max(0, assembly.largest_number(state, r"synthesis\.layer(\d+)\.") // 2)


def _fused_from(options: Mapping[str, float]) -> int | None:
    """Returns the smallest side in pixels at which up-sampling layers are fused."""
    if options.get("fused_scale") is None:
        return stylegan.Config.fused_from
    return 8 if genforce.flag(options, "fused_scale", False) else None


def _blur_filter(state: genforce.Arrays) -> tuple[float, ...]:
    """Returns the taps of the blur; the paper's if the file contains no kernel.

    The kernels [C, 1, 3, 3] are the outer product of the taps with themselves.

    Raises:
        InputError: The kernels differ, or they are no such outer product.
    """
    names = [name for name in state if name.endswith(".blur.kernel")]
    if not names:
        return stylegan.Config.blur_filter
    rows = state[names[0]].reshape(-1, *state[names[0]].shape[-2:])[0].sum(1, dtype=np.float64)
    product = np.outer(rows, rows) / rows.sum()
    for name in names:
        if state[name].shape[-2:] != product.shape or not np.allclose(state[name], product, rtol=1e-5, atol=1e-7):
            raise InputError(f"parameter {name}: not the one separable blur that all layers share")
    return tuple(float(tap) for tap in np.round(rows / rows.min(), 4))


def _gain(name: str) -> float:
    """Returns the gain of our layer, for a network without weight scaling."""
    return 1.0 if ".style." in name or ".torgb." in name else math.sqrt(2)


def _our_layout(name: str, array: np.ndarray, config: stylegan.Config, fused: set[str] | None) -> np.ndarray:
    """Returns an array of the file in the layout of our parameter `name`."""
    if name.endswith("noise_const"):
        return assembly.without_axes(array, 0, 1)
    if name.endswith(".const"):
        array = assembly.without_axes(array, 0)
        return np.moveaxis(array, 0, -1) if array.ndim == 3 else array
    if array.ndim == 4:
        kernel = assembly.convolution(array)
        match = re.fullmatch(r"synthesis\.b(\d+)\.conv0_up\.weight", name)
        if match is None:
            return kernel
        if fused is None:
            return stylegan_tensorflow.turn_where_fused(kernel, int(match[1]), config)
        is_fused = _their_name(name, len(config.channels)).removesuffix(".weight") in fused
        return kernel[::-1, ::-1] if is_fused else kernel
    return array.T if array.ndim == 2 and name.endswith(".weight") else array


def _their_name(name: str, num_blocks: int) -> str:
    """Returns the file's name of our parameter.

    Example: synthesis.b8.epi1.style.weight -> synthesis.layer2.style.weight.
    """
    if name == "mapping.w_avg":
        return "truncation.w_avg"
    if name == "mapping.label_concat":
        return "mapping.label_weight"
    name = name.replace("synthesis.torgb.", f"synthesis.output{num_blocks - 1}.")
    match = re.fullmatch(r"synthesis\.b(\d+)\.(?:(epi[12]|conv\w*)\.)?(.+)", name)
    if match is None:
        return name
    layer = 2 * (int(match[1]).bit_length() - 3) + _MODULES.get(match[2], 0)
    return f"synthesis.layer{layer}.{_LEAVES.get(match[3], match[3])}"
