"""Converts BigGAN and BigGAN-deep of POSTECH-CVLab/PyTorch-StudioGAN.

The backbones are big_resnet, both versions of big_resnet_deep, and the conditional
resnet. A checkpoint has the generator's state dict under `state_dict`. The batch norms
use the running statistics in the file. The conversion divides each weight by its
spectral norm once, so our network does not.
"""

import itertools
import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from checkpoints_convert import assembly, biggan_ajbrock
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, biggan

# Names and defaults of the settings in that code which no array shows: the number of
# blocks per resolution of BigGAN-deep.
OPTIONS = {"g_depth": 2}

_EPSILON = 1e-4  # of all batch norms
_MAX_BLOCKS = 64  # the published networks have up to 14 blocks
_ATTENTION = {"theta": "conv1x1_theta", "phi": "conv1x1_phi", "g": "conv1x1_g", "o": "conv1x1_attn"}
_CONVOLUTIONS = {"conv_sc": "conv2d0", **{f"conv{number}": f"conv2d{number}" for number in range(1, 5)}}
_STATISTICS = {"stored_mean": "running_mean", "stored_var": "running_var", "gain": "weight"}


def is_generator(arrays: Mapping[str, np.ndarray]) -> bool:
    """Returns whether the arrays have the names of this layout."""
    return all(_weight(arrays, module) is not None for module in ("linear0", "blocks.0.0.conv2d1", "conv2d5"))


def configuration(state: Mapping[str, np.ndarray], options: Mapping[str, float] | None = None) -> biggan.Config:
    """Returns the configuration of a network.

    Args:
        state: State dict. Its names and shapes determine most of the configuration.
        options: Settings that no array shows, by their name in OPTIONS.

    Raises:
        InputError: An option or an array does not fit, an array is missing, or the
            network has no classes.
    """
    places, attention = _places(state)
    is_deep = _weight(state, "blocks.0.0.conv2d4") is not None
    depth = _depth(len(places), {**OPTIONS, **(options or {})}["g_depth"]) if is_deep else 1
    blocks = tuple(
        (index % depth == depth - 1, *_widths(state, place, "conv2d4" if is_deep else "conv2d1"))
        for index, place in enumerate(places)
    )
    outputs, inputs = _shape(state, "linear0")
    num_classes, embed_width, hierarchical = _classes(state, inputs, is_deep)
    z_dim = inputs - (embed_width or 0) if is_deep else inputs * (1 + len(blocks) * hierarchical)
    return biggan.Config(
        z_dim=z_dim,
        num_classes=num_classes,
        blocks=blocks,
        attention=attention,
        deep=is_deep,
        embed_width=embed_width,
        hierarchical=hierarchical,
        bottom_width=math.isqrt(outputs // blocks[0][1]),
        image_channels=_shape(state, "conv2d5")[0],
        epsilon=_EPSILON,
    )


def convert(state: Mapping[str, np.ndarray], options: Mapping[str, float] | None = None) -> base.Generator:
    """Returns the generator of a state dict.

    Args:
        state: State dict of the generator.
        options: Settings that no array shows, by their name in OPTIONS.

    Raises:
        InputError: A parameter is missing, left over or has another shape, an option
            does not fit, or the network has no classes.
    """
    config, tensors = configuration(state, options), assembly.Tensors(state)
    places = _places(state)[0]
    has_embeddings = "shared.weight" not in state and _weight(state, "blocks.0.0.bn1.embed0") is not None

    def fetch(name: str) -> np.ndarray:
        theirs = _their_name(name, places, has_embeddings)
        if name == "output_layer_0.stored_var":
            # Our last batch norm has an epsilon of its own. The sum stays equal.
            return tensors.take(theirs) + np.float32(_EPSILON - biggan.OUTPUT_EPSILON)
        if name.endswith(".gamma"):
            return assembly.without_axes(tensors.take(theirs), 0)
        array = _without_spectral_norm(tensors, theirs)
        if name.startswith("linear."):
            return biggan_ajbrock.channels_last(array, config.blocks[0][1])
        if array.ndim == 4:
            return assembly.convolution(array)
        is_embedding = name == "shared.weight" or has_embeddings
        return array if array.ndim < 2 or is_embedding else array.T

    generator = assembly.assemble("biggan", config, fetch, lambda name: _their_name(name, places, has_embeddings))
    tensors.finish(ignored=lambda name: name.endswith(".num_batches_tracked"))
    return generator


def _weight(arrays: Mapping[str, np.ndarray], module: str) -> np.ndarray | None:
    """Returns the weight of a module, with or without spectral norm, or None."""
    return next((arrays[name] for name in (f"{module}.weight", f"{module}.weight_orig") if name in arrays), None)


def _shape(state: Mapping[str, np.ndarray], module: str) -> tuple[int, ...]:
    """Returns the shape of a module's weight; raises InputError if it is missing."""
    weight = _weight(state, module)
    if weight is None or np.ndim(weight) < 2:
        raise InputError(f"parameter {module}.weight: missing from the file, or has fewer than 2 axes")
    return np.shape(weight)


def _places(state: Mapping[str, np.ndarray]) -> tuple[list[int], tuple[int, ...]]:
    """Returns the number of each block in the file, and the blocks that attention
    follows.

    The code numbers blocks and attention layers together. Our numbers count the blocks
    alone.

    Raises:
        InputError: There are more blocks than in any published network, or attention
            comes first.
    """
    count = 1 + assembly.largest_number(state, r"blocks\.(\d+)\.")
    if count > 2 * _MAX_BLOCKS:
        raise InputError(f"blocks: there are {count:,}; networks of up to {_MAX_BLOCKS} are converted")
    is_attention = [_weight(state, f"blocks.{number}.0.conv1x1_theta") is not None for number in range(count)]
    if is_attention[0]:
        raise InputError("parameter blocks.0.0.conv1x1_theta: attention before the first block does not convert")
    places = [number for number in range(count) if not is_attention[number]]
    follows = (before for before, after in itertools.pairwise(range(count)) if is_attention[after])
    return places, tuple(places.index(before) for before in follows)


def _depth(num_blocks: int, given: float) -> int:
    """Returns the number of blocks per resolution of BigGAN-deep.

    Raises:
        InputError: The number does not divide the number of blocks.
    """
    if given < 1 or given != given // 1 or num_blocks % given:
        raise InputError(
            f"--option=g_depth={given:g}: must be a whole number that divides the number of blocks, {num_blocks}"
        )
    return int(given)


def _widths(state: Mapping[str, np.ndarray], place: int, last: str) -> tuple[int, int]:
    """Returns the channels that a block receives and the channels that it makes."""
    return _shape(state, f"blocks.{place}.0.conv2d1")[1], _shape(state, f"blocks.{place}.0.{last}")[0]


def _classes(state: Mapping[str, np.ndarray], inputs: int, is_deep: bool) -> tuple[int, int | None, bool]:
    """Returns the number of classes, the width of the shared embedding, and whether z
    reaches the blocks.

    Args:
        state: State dict.
        inputs: Number of inputs of linear0.
        is_deep: Whether the network is BigGAN-deep.

    Raises:
        InputError: The network has no classes, or the batch norms have a condition of
            unknown parts.
    """
    embedding = _weight(state, "blocks.0.0.bn1.embed0")
    if embedding is not None and "shared.weight" not in state:
        return len(embedding), None, False
    gain = _weight(state, "blocks.0.0.bn1.gain")
    if gain is None or ("shared.weight" not in state and gain.shape[1] == inputs):
        raise InputError(
            "parameter shared.weight: missing, so the network has no classes; only conditional ones convert"
        )
    if "shared.weight" not in state:
        return gain.shape[1], None, False
    num_classes, embed_width = assembly.shape_of(state, "shared.weight", 2)
    expected = inputs if is_deep else embed_width + inputs
    if gain.shape[1] not in (expected, embed_width):
        raise InputError(
            f"parameter blocks.0.0.bn1.gain.weight: has {gain.shape[1]} inputs, "
            f"but class embedding and z have {expected}; networks with more conditions do not convert"
        )
    return num_classes, embed_width, gain.shape[1] == expected


def _without_spectral_norm(tensors: assembly.Tensors, name: str) -> np.ndarray:
    """Returns a parameter, divided by its spectral norm if it has one."""
    if f"{name}_orig" not in tensors:
        return tensors.take(name)
    return assembly.divide_spectral_norm(
        tensors.take(f"{name}_orig"), tensors.take(f"{name}_u"), tensors.take(f"{name}_v")
    )


def _their_name(name: str, places: Sequence[int], has_embeddings: bool) -> str:
    """Returns the file's name of our parameter.

    Args:
        name: Our name, for example blocks_1_0.bn1.gain.weight.
        places: Number of each block in the file.
        has_embeddings: Whether each batch norm has its own class embeddings.
    """
    module, _, leaf = name.partition(".")
    if match := re.fullmatch(r"blocks_(\d+)_([01])", module):
        place = places[int(match[1])] + int(match[2])
        part, _, rest = leaf.partition(".")
        if match[2] == "1":
            return f"blocks.{place}.0.{'sigma' if part == 'gamma' else f'{_ATTENTION[part]}.{rest}'}"
        if part.startswith("bn"):
            if rest in _STATISTICS:
                return f"blocks.{place}.0.{part}.bn.{_STATISTICS[rest]}"
            gain, _, last = rest.partition(".")
            which = {"gain": "embed0", "bias": "embed1"}[gain] if has_embeddings else gain
            return f"blocks.{place}.0.{part}.{which}.{last}"
        return f"blocks.{place}.0.{_CONVOLUTIONS[part]}.{rest}"
    outer = {"linear": "linear0", "output_layer_0": "bn4", "output_layer_2": "conv2d5"}.get(module, module)
    return f"{outer}.{_STATISTICS.get(leaf, leaf)}"
