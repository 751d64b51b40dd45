"""Converts StyleGAN2 of genforce/genforce and genforce/sefa, also with ADA's mapping.

A training run's file contains generator, discriminator and generator_smooth, which is
the moving average. A style layer adds 1 to its bias, and our bias contains the 1.
Kernels and filters are correlations, as ours are.
"""

import functools
import math
import re
from collections.abc import Mapping

import numpy as np

from checkpoints_convert import assembly, genforce
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan2

# Names and defaults of the settings in that code which no array shows.
OPTIONS: dict[str, float] = {"lr_mul": 0.01, "use_wscale": 1}

_FILTER_TOLERANCE = 1e-5  # of the largest tap
_LEAVES = {"affine.weight": "style.weight", "affine.bias": "style.bias", "noise_const": "noise"}
_LAST_LAYER = r"synthesis\.layer(\d+)\."


def is_generator(arrays: genforce.Arrays) -> bool:
    """Returns whether the arrays have the names of this layout."""
    return any(f"synthesis.early_layer.{leaf}" in arrays for leaf in ("const", "weight"))


def configuration(state: genforce.Arrays, options: Mapping[str, float] | None = None) -> stylegan2.Config:
    """Returns the configuration that the arrays and the options give.

    Args:
        state: State dict of a generator.
        options: Settings that no array shows, by their name in OPTIONS.

    Raises:
        InputError: An array is missing or has another number of axes, or the network
            is one that our StyleGAN2 cannot reproduce.
    """
    _check_supported(state)
    shape_of = functools.partial(assembly.shape_of, state)
    widths = genforce.mapping_widths(state)
    w_dim = shape_of("synthesis.layer0.style.weight", 2)[1]
    genforce.check_one_w(widths[-1][0], w_dim, f"mapping.dense{len(widths) - 1}")
    doublings = math.ceil(assembly.largest_number(state, _LAST_LAYER) / 2)
    num_classes, embed_width, joined = _labels(state)
    blur, image_filter = _filters(state, doublings)
    return stylegan2.Config(
        z_dim=widths[0][1] - embed_width,
        w_dim=w_dim,
        channels=tuple(shape_of(f"synthesis.layer{2 * index}.bias", 1)[0] for index in range(doublings + 1)),
        num_classes=num_classes,
        image_channels=shape_of(f"synthesis.output{doublings}.bias", 1)[0],
        mapping_layers=len(widths),
        mapping_width=widths[0][0] if len(widths) > 1 else None,
        embed_width=embed_width or None,
        mapping_learning_rate={**OPTIONS, **(options or {})}["lr_mul"],
        label_normalization="joint" if joined else "separate",
        architecture="skip" if "synthesis.output0.bias" in state else "orig",
        resample_filter=blur,
        image_filter=None if image_filter == blur else image_filter,
        scaled_demodulation=True,
        use_noise=any(name.endswith(".noise_strength") for name in state),
    )


def convert(state: genforce.Arrays, options: Mapping[str, float] | None = None) -> base.Generator:
    """Returns the generator of a state dict.

    A file without a mean w gets that of 10,000 z, and a file without noise images gets
    drawn ones. Both have a fixed seed.

    Args:
        state: State dict of a generator.
        options: Settings that no array shows, by their name in OPTIONS.

    Raises:
        InputError: A parameter is missing, left over or has another shape, or the
            network is one that our StyleGAN2 cannot reproduce.
    """
    config, tensors = configuration(state, options), assembly.Tensors(state)
    scaled = genforce.flag(options or {}, "use_wscale", True)
    random = genforce.noise_source(state)

    def fetch(name: str) -> np.ndarray:
        if (array := genforce.mean_or_noise(name, tensors, config.w_dim, random)) is not None:
            return array
        array = tensors.take(_their_name(name))
        return _our_layout(name, genforce.unscaled(array, 1.0) if name.endswith("weight") and not scaled else array)

    generator = assembly.assemble("stylegan2", config, fetch, _their_name)
    tensors.finish(ignored=lambda name: name.endswith((".filter.kernel", ".upsample.kernel")))
    if "truncation.w_avg" not in tensors:
        generator.params["mapping"]["w_avg"] = assembly.mean_latent(generator)
    return generator


def _check_supported(state: genforce.Arrays) -> None:
    """Raises InputError for the settings that give another function.

    bytedance/Hammer, which followed genforce/genforce, kept the names of most layers.
    """
    if "w_avg" in state:
        raise InputError(
            "parameter w_avg: the mean w of bytedance/Hammer, whose style biases and demodulation differ; "
            "only StyleGAN2 of genforce/genforce and genforce/sefa converts"
        )
    if "synthesis.early_layer.weight" in state:
        raise InputError(
            "parameter synthesis.early_layer.weight: w makes the first layer (const_input=False); "
            "only networks with a constant convert"
        )
    shortcuts = [name for name in state if re.match(r"synthesis\.skip_layer\d+\.", name)]
    if shortcuts:
        raise InputError(f"parameter {shortcuts[0]}: architecture 'resnet' does not convert; 'skip' and 'origin' do")


def _labels(state: genforce.Arrays) -> tuple[int, int, bool]:
    """Returns the number of classes, the embedding's width, and whether z and the
    embedding are normalised as one vector.
    """
    if "mapping.label_weight" in state:
        classes, width = assembly.shape_of(state, "mapping.label_weight", 2)
        return classes, width, True
    if "mapping.LabelEmbed.weight" in state:
        width, classes = assembly.shape_of(state, "mapping.LabelEmbed.weight", 2)
        return classes, width, False
    return 0, 0, False


def _filters(state: genforce.Arrays, doublings: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns the taps of the convolutions' filter and the taps of the image's filter.

    A file without filters has the paper's.
    """
    convolutions = [f"synthesis.layer{2 * index + 1}.filter.kernel" for index in range(doublings)]
    blur = _taps(state, [name for name in convolutions if name in state])
    image = _taps(state, [name for name in ("synthesis.upsample.kernel",) if name in state])
    default = stylegan2.Config.resample_filter
    return blur or default, image or blur or default


def _taps(state: genforce.Arrays, names: list[str]) -> tuple[float, ...]:
    """Returns the taps of these kernels, or an empty tuple if there are no kernels.

    A kernel [1, 1, k, k] is the outer product of the taps with themselves, of sum 4.
    """
    if not names:
        return ()
    rows = state[names[0]].reshape(-1, state[names[0]].shape[-1]).sum(1, dtype=np.float64)
    expected = np.outer(rows, rows) / 4
    for name in names:
        kernel = state[name].reshape(state[name].shape[-2:])
        if kernel.shape != expected.shape or np.abs(kernel - expected).max() > _FILTER_TOLERANCE * np.abs(rows).max():
            raise InputError(f"parameter {name}: not the one separable filter of gain 4 that all such layers share")
    return tuple(float(tap) for tap in np.round(rows / np.abs(rows[rows != 0]).min(), 6))


def _our_layout(name: str, array: np.ndarray) -> np.ndarray:
    """Returns an array of the file in the layout of our parameter `name`."""
    if name.endswith("noise_const"):
        return assembly.without_axes(array, 0, 1)
    if name.endswith("noise_strength"):
        return array.reshape(()) if array.size == 1 else array
    if name.endswith("affine.bias"):
        return array + 1
    if name.endswith(".const"):
        array = assembly.without_axes(array, 0)
        return np.moveaxis(array, 0, -1) if array.ndim == 3 else array
    if array.ndim == 4:
        return assembly.convolution(array)
    return array.T if array.ndim == 2 and name.endswith(".weight") else array


def _their_name(name: str) -> str:
    """Returns the file's name of our parameter, for example synthesis.layer1.weight."""
    if name == "mapping.w_avg":
        return "truncation.w_avg"
    if name == "mapping.label_concat":
        return "mapping.label_weight"
    name = name.replace("mapping.embed.", "mapping.LabelEmbed.").replace("mapping.fc", "mapping.dense")
    match = re.fullmatch(r"synthesis\.b(\d+)\.(?:(conv[01]|torgb)\.)?(.*)", name)
    if match is None:
        return name
    index, layer, leaf = int(match[1]).bit_length() - 3, match[2], match[3]
    if layer is None:
        return "synthesis.early_layer.const"
    module = f"output{index}" if layer == "torgb" else f"layer{2 * index - (layer == 'conv0')}"
    return f"synthesis.{module}.{_LEAVES.get(leaf, leaf)}"
