"""Converts BigGAN and BigGAN-deep from ajbrock/BigGAN-PyTorch.

The checkpoint is the generator's state dict. The conversion divides each weight by its
spectral norm once, so our network does not.
"""

import itertools
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from checkpoints_convert import assembly
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, biggan

# Names and defaults of the settings in that code which no array shows. If G_depth is
# None, it is found from the widths of the published networks.
OPTIONS = {"BN_eps": 1e-5, "SN_eps": 1e-12, "G_depth": None}

# Channels at 4, 8, 16, ... pixels as multiples of the last number of channels. There is
# one row per resolution, from 32 to 512 pixels.
_WIDTHS = ((1, 1, 1, 1), (8, 8, 4, 2, 1), (16, 16, 8, 4, 2, 1), (16, 16, 8, 8, 4, 2, 1), (16, 16, 8, 8, 4, 2, 1, 1))

_MAX_BLOCKS = 64  # the published networks have up to 14 blocks

_WITHOUT_EFFECT = re.compile(r".*\.(sv\d+|u[1-9]\d*|accumulation_counter|num_batches_tracked)")

Shapes = Mapping[str, tuple[int, ...]]


def configuration(state: Mapping[str, np.ndarray], options: Mapping[str, Any] | None = None) -> biggan.Config:
    """Returns the configuration of a network.

    Args:
        state: State dict. Its names and shapes determine most of the configuration.
        options: Settings that no array shows, by their name in OPTIONS.

    Raises:
        InputError: An option or an array does not fit, or an array is missing.
    """
    options = {**OPTIONS, **(options or {})}
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise InputError(f"option {unknown[0]}: there are: {', '.join(OPTIONS)}")
    try:
        return _configuration({name: array.shape for name, array in state.items()}, options)
    except KeyError as error:
        raise InputError(f"parameter {error.args[0]}: missing from the file") from None
    except ValueError as error:
        raise InputError(str(error)) from None


def _configuration(shapes: Shapes, options: Mapping[str, Any]) -> biggan.Config:
    is_deep = "blocks.0.0.conv4.weight" in shapes
    num_blocks = _num_blocks(shapes)
    depth = _depth(shapes, num_blocks, options["G_depth"]) if is_deep else None
    blocks = tuple(_block(shapes, index, depth) for index in range(num_blocks))
    linear_out, linear_in = shapes["linear.weight"]
    # The shape is [channels, condition] with a shared class embedding, and
    # [classes, channels] if each batch norm has its own embedding.
    gain = shapes["blocks.0.0.bn1.gain.weight"]
    num_classes, embed_width, hierarchical = gain[0], None, False
    if "shared.weight" in shapes:
        num_classes, embed_width = shapes["shared.weight"]
        hierarchical = gain[1] > embed_width
    if is_deep:
        z_dim = linear_in - (embed_width or 0)
    else:
        num_chunks = 1 + num_blocks if hierarchical else 1
        z_dim = num_chunks * linear_in
    image_channels = shapes["output_layer.2.weight"][0]
    if image_channels not in (1, 3):
        raise InputError(f"parameter output_layer.2.weight: makes {image_channels} channels; an image has 1 or 3")
    return biggan.Config(
        z_dim=z_dim,
        num_classes=num_classes,
        blocks=blocks,
        attention=tuple(index for index in range(num_blocks) if f"blocks.{index}.1.gamma" in shapes),
        deep=is_deep,
        embed_width=embed_width,
        hierarchical=hierarchical,
        bottom_width=math.isqrt(linear_out // blocks[0][1]),
        image_channels=image_channels,
        epsilon=options["BN_eps"],
    )


def _num_blocks(shapes: Shapes) -> int:
    largest_index = max((int(name.split(".")[1]) for name in shapes if name.startswith("blocks.")), default=0)
    num_blocks = 1 + largest_index
    if num_blocks > _MAX_BLOCKS:
        raise InputError(f"blocks: there are {num_blocks:,}; networks of up to {_MAX_BLOCKS} are converted")
    return num_blocks


def _depth(shapes: Shapes, num_blocks: int, given: float | None) -> int:
    """Returns the number of blocks per stage of BigGAN-deep.

    If the user gives no number, the widths of the blocks determine it. They must equal
    those of a published network.

    Args:
        shapes: Shapes of the arrays.
        num_blocks: Number of blocks in all stages.
        given: Number of blocks per stage that the user gives, or None.

    Raises:
        ValueError: The given number is impossible, or none is given and the blocks
            have the widths of no published network.
    """
    if given is not None:
        if given < 1 or given != given // 1 or num_blocks % given != 0:
            raise ValueError(
                f"G_depth={given:g}: wanted is a whole number that divides the number of blocks, {num_blocks}"
            )
        return int(given)
    widths = []
    for index in range(num_blocks):
        _, before, after = _block(shapes, index, depth=1)
        widths += [before, after]
    for multiples in _WIDTHS:
        depth = num_blocks // (len(multiples) - 1)
        if depth and widths == [widths[-1] * multiple for multiple in _block_widths(multiples, depth)]:
            return depth
    raise ValueError("G_depth: the blocks have the widths of no published network; give the number of blocks per stage")


def _block_widths(stage_widths: tuple[int, ...], depth: int) -> list[int]:
    """Returns the input width and the output width of every block.

    Args:
        stage_widths: Widths between the stages, at 4, 8, 16, ... pixels.
        depth: Number of blocks per stage. Only the last block changes the width.
    """
    widths = []
    for before, after in itertools.pairwise(stage_widths):
        widths += [before] * (2 * depth - 1) + [after]
    return widths


def _block(shapes: Shapes, index: int, depth: int | None) -> biggan.BlockConfig:
    """Returns whether a block doubles the size, its input width and its output width.

    Args:
        shapes: Shapes of the arrays.
        index: Index of the block.
        depth: Number of blocks per stage of BigGAN-deep, None for BigGAN. In a stage
            only the last block doubles the size.
    """
    name = f"blocks.{index}.0"
    after, before = shapes[f"{name}.conv1.weight"][:2]
    if depth is None:
        return f"{name}.conv_sc.weight" in shapes, before, after
    return index % depth == depth - 1, before, shapes[f"{name}.conv4.weight"][0]


def convert(state: Mapping[str, np.ndarray], options: Mapping[str, Any] | None = None) -> base.Generator:
    """Returns the generator of a state dict.

    Args:
        state: State dict of the generator.
        options: Settings that no array shows, by their name in OPTIONS.

    Raises:
        InputError: A parameter is missing, unused, or has the wrong shape. Or an
            option does not fit.
    """
    state = {name.removeprefix("module."): array for name, array in state.items()}
    config = configuration(state, options)
    if not any(name.startswith("blocks.") and name.endswith("_mean") for name in state):
        raise InputError(
            "norm_style: the blocks keep no statistics, as with nonorm or a group norm; only bn and in convert"
        )
    epsilon = (options or {}).get("SN_eps", OPTIONS["SN_eps"])
    tensors = assembly.Tensors(state)

    def fetch(name: str) -> np.ndarray:
        theirs = re.sub(r"^blocks_(\d+)_(\d)", r"blocks.\1.\2", name).replace("output_layer_", "output_layer.")
        module, _, leaf = theirs.rpartition(".")
        if leaf in ("stored_mean", "stored_var"):
            return tensors.take(_statistics_name(tensors, module, leaf))
        array = tensors.take(theirs)
        if leaf == "weight" and f"{module}.u0" in tensors:
            array = (array / largest_singular_value(array, tensors.take(f"{module}.u0"), epsilon)).astype(np.float32)
        if module == "linear":
            return channels_last(array, config.blocks[0][1])
        if array.ndim == 4:
            return assembly.convolution(array)
        # Embeddings are [classes, width] in both layouts.
        is_embedding = module == "shared" or config.embed_width is None
        return array if array.ndim < 2 or is_embedding else array.T

    generator = assembly.assemble("biggan", config, fetch)
    tensors.finish(ignored=lambda name: _WITHOUT_EFFECT.fullmatch(name) is not None)
    return generator


def largest_singular_value(weight: np.ndarray, u: np.ndarray, epsilon: float) -> float:
    """Returns the number by which spectral norm divides a weight.

    It is computed in float64 by one step of the power iteration.

    Args:
        weight: Weight [out, ...].
        u: Stored left singular vector, the start of the iteration.
        epsilon: Smallest norm by which the iteration divides a vector.
    """
    matrix = weight.reshape(len(weight), -1).astype(np.float64)
    v = _unit(u.reshape(-1).astype(np.float64) @ matrix, epsilon)
    return float(v @ matrix.T @ _unit(matrix @ v, epsilon))


def _unit(vector: np.ndarray, epsilon: float) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), epsilon)


def _statistics_name(tensors: assembly.Tensors, module: str, leaf: str) -> str:
    """Returns the file's name of a stored mean or variance of a normalisation layer.

    The layer contains it, or a batch norm inside the layer does. A synchronised batch
    norm calls it a running statistic.
    """
    candidates = (f"{module}.bn.{leaf}", f"{module}.bn.{leaf.replace('stored', 'running')}")
    return next((name for name in candidates if name in tensors), f"{module}.{leaf}")


def channels_last(array: np.ndarray, channels: int) -> np.ndarray:
    """Reorders the outputs of `linear` from [channel, row, column] to channels last.

    Returns the weight as [in, row * column * channel], or the bias as
    [row * column * channel].
    """
    rows = array.reshape(channels, len(array) // channels, -1).transpose(1, 0, 2).reshape(len(array), -1)
    return rows[:, 0] if array.ndim == 1 else rows.T
