"""Converts StyleGAN2 of lucidrains/stylegan2-pytorch.

A file contains one state dict with several networks. S is the mapping network, G is the
synthesis network, and SE and GE are their moving averages, which are preferred. The
mean w is computed from 10,000 z, because a file has none.
"""

import functools
import re
from collections.abc import Mapping

import numpy as np

from checkpoints_convert import assembly, genforce
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan2_lucidrains

# Names of the settings in that code which no array shows. The first versions of the
# code have neither a learning rate nor normalised z. The default of a setting depends
# on whether the file is of such a version.
OPTIONS = ("lr_mlp", "normalize_z")

_FIRST_BLOCK = "blocks.0.to_style1.weight"
_PAIRS = (("SE", "GE"), ("S", "G"))  # mapping and synthesis network, moving averages first
_FILTER = "upsample.1.f"
_ATTENTION = {
    "norm1.gain": "0.fn.norm.g",
    "norm1.bias": "0.fn.norm.b",
    "to_q.weight": "0.fn.fn.to_q.weight",
    "depthwise": "0.fn.fn.to_kv.net.0.weight",
    "to_kv.weight": "0.fn.fn.to_kv.net.1.weight",
    "to_out.weight": "0.fn.fn.to_out.weight",
    "to_out.bias": "0.fn.fn.to_out.bias",
    "norm2.gain": "1.fn.norm.g",
    "norm2.bias": "1.fn.norm.b",
    "expand.weight": "1.fn.fn.0.weight",
    "expand.bias": "1.fn.fn.0.bias",
    "contract.weight": "1.fn.fn.2.weight",
    "contract.bias": "1.fn.fn.2.bias",
}
_LEAVES = {
    "affine.weight": "to_style.weight",
    "affine.bias": "to_style.bias",
    "noise_weight": "to_noise.weight",
    "bias": "to_noise.bias",
}


def is_generator(arrays: Mapping[str, np.ndarray]) -> bool:
    """Returns whether the arrays contain a mapping and a synthesis network."""
    return _pair(arrays) is not None


def _pair(arrays: Mapping[str, np.ndarray]) -> tuple[str, str] | None:
    """Returns the names of the two networks to convert, or None if there are none."""
    there = [pair for pair in _PAIRS if f"{pair[0]}.net.0.weight" in arrays and f"{pair[1]}.{_FIRST_BLOCK}" in arrays]
    return there[0] if there else None


def configuration(
    state: Mapping[str, np.ndarray], options: Mapping[str, float] | None = None
) -> stylegan2_lucidrains.Config:
    """Returns the configuration that the arrays and the options give.

    Args:
        state: Arrays of a mapping network `S` and a synthesis network `G`.
        options: Settings that no array shows, by their name in OPTIONS.

    Raises:
        InputError: An array is missing or has another number of axes.
    """
    shape_of, options = functools.partial(assembly.shape_of, state), options or {}
    num_blocks = 1 + assembly.largest_number(state, r"G\.blocks\.(\d+)\.")
    is_first_version = "G.initial_conv.weight" not in state
    return stylegan2_lucidrains.Config(
        latent_dim=shape_of("S.net.0.weight", 2)[1],
        channels=tuple(shape_of(f"G.blocks.{index}.to_noise2.bias", 1)[0] for index in range(num_blocks)),
        image_channels=shape_of("G.blocks.0.to_rgb.conv.weight", 4)[0],
        mapping_layers=1 + assembly.largest_number(state, r"S\.net\.(\d+)\.") // 2,
        mapping_learning_rate=float(options.get("lr_mlp", 1.0 if is_first_version else 0.1)),
        normalize_latents=genforce.flag(options, "normalize_z", not is_first_version),
        constant_input="G.to_initial_block.weight" not in state,
        image_blur=_blur(state),
        attention=tuple(index for index in range(num_blocks) if f"G.attns.{index}.0.fn.norm.g" in state),
    )


def convert(arrays: Mapping[str, np.ndarray], options: Mapping[str, float] | None = None) -> base.Generator:
    """Returns the generator of a state dict with the networks SE and GE, or S and G.

    Args:
        arrays: State dict with all networks.
        options: Settings that no array shows, by their name in OPTIONS.

    Raises:
        InputError: A parameter is missing, left over or has another shape, or the
            network has attention layers of an early version.
    """
    state = _one_network(arrays)
    config, tensors = configuration(state, options), assembly.Tensors(state)
    start = _start(tensors)

    def fetch(name: str) -> np.ndarray:
        if name == "mapping.w_avg":
            return np.zeros(config.latent_dim, np.float32)  # computed below
        if name in start:
            return start[name]
        array = tensors.take(_their_name(name))
        if name.endswith("affine.bias"):
            return array + 1
        if name.endswith("noise_weight"):
            return assembly.without_axes(array, 1)
        if ".norm" in name:
            return assembly.without_axes(array, 0, 2, 3)
        if array.ndim == 4:
            return assembly.convolution(array)
        return array.T if array.ndim == 2 else array

    generator = assembly.assemble("stylegan2_lucidrains", config, fetch, _their_name)
    tensors.finish(ignored=lambda name: name.endswith(_FILTER))
    generator.params["mapping"]["w_avg"] = assembly.mean_latent(generator)
    return generator


def _one_network(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the arrays of the two networks to convert, under the names S and G.

    Raises:
        InputError: There are no such networks, or the network has attention layers of
            an early version.
    """
    pair = _pair(arrays)
    if pair is None:
        raise InputError("parameter S.net.0.weight: missing from the file")
    ours = dict(zip(pair, ("S", "G"), strict=True))
    parts = ((*name.partition("."), array) for name, array in arrays.items())
    state = {f"{ours[first]}.{rest}": np.asarray(array) for first, _, rest, array in parts if first in ours}
    if gated := [name for name in state if re.fullmatch(r"G\.attns\.\d+\.\d\.fn\.g", name)]:
        raise InputError(
            f"parameter {gated[0]}: an attention layer (attn_layers) of an early version of "
            "lucidrains/stylegan2-pytorch; only attention layers with a norm convert"
        )
    return state


def _blur(state: Mapping[str, np.ndarray]) -> tuple[float, ...]:
    """Returns the taps of the image's filter; () for the versions without a filter.

    Raises:
        InputError: The blocks have different filters.
    """
    names = [name for name in state if name.endswith(_FILTER)]
    for name in names:
        if state[name].ndim != 1 or not np.array_equal(state[name], state[names[0]]) or not state[name].sum():
            raise InputError(f"parameter {name}: not the one row of taps that all blocks share")
    return tuple(map(float, state[names[0]])) if names else stylegan2_lucidrains.Config.image_blur[:0]


def _start(tensors: assembly.Tensors) -> dict[str, np.ndarray]:
    """Returns our parameters for the input of the first block.

    The first convolution has no style and no activation. So it is applied here to the
    constant, or to the weights of the linear map that makes the input.
    """
    is_constant = "G.to_initial_block.weight" not in tensors
    first = tensors.take("G.initial_block" if is_constant else "G.to_initial_block.weight").astype(np.float64)
    bias = np.zeros(first.shape[1])
    if "G.initial_conv.weight" in tensors:
        kernel, bias = tensors.take("G.initial_conv.weight"), tensors.take("G.initial_conv.bias").astype(np.float64)
        first = _correlate(first, kernel.astype(np.float64))
    maps = first.transpose(0, 2, 3, 1).astype(np.float32)
    if is_constant:
        return {"synthesis.const": (maps[0] + bias).astype(np.float32)}
    return {
        "synthesis.start_weight": maps,
        "synthesis.const": np.broadcast_to(bias, maps.shape[1:]).astype(np.float32),
    }


def _correlate(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Returns the correlation of maps NCHW and a 3x3 kernel OIHW, with zeros outside.

    Raises:
        InputError: The kernel has another shape.
    """
    if x.ndim != 4 or kernel.shape[1:] != (x.shape[1], 3, 3):
        raise InputError(f"parameter G.initial_conv.weight: has shape {kernel.shape}, which does not fit {x.shape}")
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("nihwkl,oikl->nohw", windows, kernel)


def _their_name(name: str) -> str:
    """Returns the file's name of our parameter, with S and G for the two networks.

    Example: synthesis.b8.conv1.affine.weight -> G.blocks.1.to_style1.weight.
    """
    if match := re.fullmatch(r"mapping\.fc(\d+)\.(\w+)", name):
        return f"S.net.{2 * int(match[1])}.{match[2]}"
    match = re.fullmatch(r"synthesis\.b(\d+)\.(conv[12]|torgb|attention)\.(.*)", name)
    if match is None:
        return {"synthesis.const": "G.initial_block"}.get(name, "G.to_initial_block.weight")
    index, leaf = int(match[1]).bit_length() - 3, match[3]
    block = f"G.blocks.{index}"
    if match[2] == "attention":
        return f"G.attns.{index}.{_ATTENTION[leaf]}"
    if match[2] == "torgb":
        return f"{block}.to_rgb.{_LEAVES.get(leaf, f'conv.{leaf}')}"
    number = match[2][-1]
    if leaf == "weight":
        return f"{block}.conv{number}.weight"
    module, _, last = _LEAVES[leaf].partition(".")
    return f"{block}.{module}{number}.{last}"
