"""Converts StyleGAN2 of rosinality/stylegan2-pytorch and of GANSpace's fork of it.

A training run's file contains several networks; only its moving average g_ema is
converted. If a file contains no mean w, it is computed from 10,000 z. If a file
contains no noise images, they are drawn. Both use a fixed seed, so each conversion
gives the same arrays.

The layout has no place for the label embedding of a conditional network. Its own
networks have a z as wide as w. A first mapping layer with more inputs than w suggests a
conditional network whose embedding the file lacks. Therefore it is refused.
"""

import functools
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from checkpoints_convert import assembly, stylegan2_pytorch, stylegan2_sizes
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan2

_LAYER_LEAVES = {"weight": "conv.weight", "bias": "activate.bias", "noise_strength": "noise.weight"}
_IMAGE_LEAVES = {"weight": "conv.weight", "bias": "bias"}
_FILTER_TOLERANCE = 1e-5  # of the largest tap


def configuration(
    state: Mapping[str, np.ndarray], lr_mlp: float = 0.01, z_dim: float | None = None
) -> stylegan2.Config:
    """Returns the configuration that the arrays of g_ema and the two options give.

    Args:
        state: Arrays of g_ema by name.
        lr_mlp: Learning rate of the mapping network, relative to the synthesis network.
        z_dim: Size of z; see `_check_inputs`.

    Raises:
        InputError: An array is missing or has another number of axes, or z may be
            narrower than the first mapping layer.
    """
    shape_of = functools.partial(assembly.shape_of, state)
    depth = max(1, assembly.largest_number(state, r"style\.(\d+)\."))
    widths = [shape_of(f"style.{layer}.weight", 2) for layer in range(1, depth + 1)]
    doublings = (2 + assembly.largest_number(state, r"convs\.(\d+)\.")) // 2
    _check_inputs(widths[0][1], widths[-1][0], z_dim)
    blur, image_filter = _filters(state, doublings)
    layers = itertools.chain(["conv1"], (f"convs.{2 * index + 1}" for index in range(doublings)))
    return stylegan2.Config(
        z_dim=widths[0][1],
        w_dim=widths[-1][0],
        channels=tuple(shape_of(f"{layer}.activate.bias", 1)[0] for layer in layers),
        base_size=stylegan2_sizes.base_size(state, "input.input", 4, "noises.noise_0"),
        image_channels=shape_of("to_rgb1.bias", 4)[1],
        mapping_layers=depth,
        mapping_width=widths[0][0] if depth > 1 else None,
        mapping_learning_rate=lr_mlp,
        resample_filter=blur,
        image_filter=None if image_filter == blur else image_filter,
        scaled_demodulation=True,
    )


def convert(content: Mapping[str, Any], *, lr_mlp: float = 0.01, z_dim: float | None = None) -> base.Generator:
    """Returns the generator of a checkpoint's g_ema, or of such a state dict itself.

    Args:
        content: Checkpoint with g_ema and latent_avg, or the state dict itself.
        lr_mlp: Learning rate of the mapping network, relative to the synthesis network.
            No array depends on it.
        z_dim: Size of z of an unconditional network whose z is wider than w.

    Raises:
        InputError: A parameter is missing, left over or has another shape, the filters
            of the layers differ, or the network seems to be conditional.
    """
    state = _state(content)
    tensors = assembly.Tensors(state)
    config = configuration(state, lr_mlp, z_dim)
    with_noise = any(name.startswith("noises.") for name in state)
    noise = np.random.default_rng(0)
    mean = _mean(content, config.w_dim)

    def fetch(name: str) -> np.ndarray:
        if name == "mapping.w_avg":
            return np.zeros(config.w_dim, np.float32) if mean is None else mean  # computed below
        if name.endswith("noise_const") and not with_noise:
            index = int(name.split(".")[1][1:]).bit_length() - 3
            return noise.standard_normal(config.block_size(index), np.float32)
        return _our_layout(name, tensors.take(_their_name(name)))

    generator = assembly.assemble("stylegan2", config, fetch, _their_name)
    tensors.finish(
        ignored=lambda name: name.endswith((".blur.kernel", ".upsample.kernel"))
    )  # `configuration` has read these
    if mean is None:
        generator.params["mapping"]["w_avg"] = assembly.mean_latent(generator)
    return generator


def _check_inputs(inputs: int, w_dim: int, z_dim: float | None) -> None:
    """Raises InputError if the first mapping layer's inputs may be more than z.

    Args:
        inputs: Number of inputs of the first mapping layer.
        w_dim: Size of w.
        z_dim: Size of z that the user gave, or None.
    """
    if z_dim is not None and z_dim != inputs:
        raise InputError(
            f"--option=z_dim={z_dim:g}: style.1.weight has {inputs} inputs, and without a label embedding z has as many; "
            f"give z_dim={inputs}, or convert the original checkpoint"
        )
    if z_dim is None and inputs > w_dim:
        raise InputError(
            f"parameter style.1.weight: has {inputs} inputs, but z is as wide as w ({w_dim}) in this layout; the network "
            f"seems to be conditional, and its label embedding is not in the file; convert the original checkpoint, or "
            f"give --option=z_dim={inputs} if the network has no classes"
        )


def _state(content: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns the arrays of g_ema, or of a state dict without such a key."""
    entries = content.get("g_ema", content)
    if not isinstance(entries, Mapping):
        raise InputError(f"g_ema: holds {type(entries).__name__}, a state dict is needed")
    arrays = {str(name): array for name, array in entries.items() if isinstance(array, np.ndarray)}
    return {name.removeprefix("module."): array for name, array in arrays.items() if name != "latent_avg"}


def _mean(content: Mapping[str, Any], w_dim: int) -> np.ndarray | None:
    """Returns the mean w, which some files store as one row; None if there is none."""
    mean = content.get("latent_avg")
    if mean is None:
        return None
    if np.shape(mean) not in ((w_dim,), (1, w_dim)):
        raise InputError(f"latent_avg: has shape {np.shape(mean)}, needed is ({w_dim},) or (1, {w_dim})")
    return np.asarray(mean, np.float32).reshape(w_dim)


def _filters(state: Mapping[str, np.ndarray], doublings: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns the taps of the convolutions' filter and the taps of the image's filter.

    The two differ if the network was built with a blur_kernel of its own. The code
    applies blur_kernel to the convolutions only. A file without filters has the
    paper's.
    """
    blurs = [f"convs.{2 * index}.conv.blur.kernel" for index in range(doublings)]
    images = [f"to_rgbs.{index}.upsample.kernel" for index in range(doublings)]
    if not any(name in state for name in blurs + images):
        return stylegan2.Config.resample_filter, stylegan2.Config.resample_filter
    return _filter(state, blurs), _filter(state, images)


def _filter(state: Mapping[str, np.ndarray], names: Sequence[str]) -> tuple[float, ...]:
    """Returns the taps of these kernels, which are four times the outer product."""
    for name in names:
        assembly.shape_of(state, name, 2)
    rows = state[names[0]].sum(1, dtype=np.float64)
    expected = np.outer(rows, rows) / 4
    tolerance = _FILTER_TOLERANCE * np.abs(expected).max()
    for name in names:
        kernel = state[name]
        if kernel.shape != expected.shape or tolerance == 0 or not np.abs(kernel - expected).max() <= tolerance:
            raise InputError(f"parameter {name}: not the one separable filter of gain 4 that all such layers share")
    return stylegan2_pytorch.taps(tuple(np.round(rows / np.abs(rows[rows != 0]).min(), 6)), names[0])


def _our_layout(name: str, array: np.ndarray) -> np.ndarray:
    """Returns an array of the file in the layout of our parameter `name`."""
    if name.endswith("noise_const"):
        return assembly.without_axes(array, 0, 1)
    if name.endswith("noise_strength"):
        return assembly.without_axes(array, 0)
    if name.endswith("torgb.bias"):
        return assembly.without_axes(array, 0, 2, 3)
    if name.endswith(".const"):
        array = assembly.without_axes(array, 0)
        return np.moveaxis(array, 0, -1) if array.ndim == 3 else array
    if array.ndim == 5:
        kernel = assembly.without_axes(array, 0)
        # An up-sampling layer is a transposed convolution. So it applies its kernel
        # rotated by 180 degrees to the image with inserted zeros.
        kernel = assembly.convolution(kernel) if kernel.ndim == 4 else kernel
        return kernel[::-1, ::-1] if ".conv0." in name else kernel
    return array.T if array.ndim == 2 and name.endswith(".weight") else array


def _their_name(name: str) -> str:
    """Returns the file's name of our parameter, for example convs.0.conv.weight."""
    if name == "mapping.w_avg":
        return "latent_avg"
    if match := re.fullmatch(r"mapping\.fc(\d+)\.(\w+)", name):
        return f"style.{int(match[1]) + 1}.{match[2]}"
    match = re.fullmatch(r"synthesis\.b(\d+)\.(const|conv[01]|torgb)\.?(.*)", name)
    assert match is not None
    index, layer, leaf = int(match[1]).bit_length() - 4, match[2], match[3].replace("affine", "conv.modulation")
    if layer == "const":
        return "input.input"
    if layer == "torgb":
        return f"{'to_rgb1' if index < 0 else f'to_rgbs.{index}'}.{_IMAGE_LEAVES.get(leaf, leaf)}"
    place = 2 * index + int(layer[-1])  # -1 for the convolution of 4x4
    if leaf == "noise_const":
        return f"noises.noise_{place + 1}"
    return f"{'conv1' if index < 0 else f'convs.{place}'}.{_LAYER_LEAVES.get(leaf, leaf)}"
