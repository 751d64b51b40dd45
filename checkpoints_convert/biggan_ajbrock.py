"""BigGAN and BigGAN-deep of ajbrock/BigGAN-PyTorch: the generator's state dict -> ours. Spectral norm is divided out, once."""

import itertools
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from checkpoints_convert import assembly
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, biggan

# That code's names and defaults, of what no array shows. G_depth, where None: from the widths of the published networks.
OPTIONS = {"BN_eps": 1e-5, "SN_eps": 1e-12, "G_depth": None}

# Channels at 4, 8, 16, ... pixels as multiples of the last; each resolution has its own row, from 32 to 512.
_WIDTHS = ((1, 1, 1, 1), (8, 8, 4, 2, 1), (16, 16, 8, 4, 2, 1), (16, 16, 8, 8, 4, 2, 1), (16, 16, 8, 8, 4, 2, 1, 1))

_MAX_BLOCKS = 64  # the published networks have up to 14

_WITHOUT_EFFECT = re.compile(r".*\.(sv\d+|u[1-9]\d*|accumulation_counter|num_batches_tracked)")


def configuration(state: Mapping[str, np.ndarray], options: Mapping[str, Any] | None = None) -> biggan.Config:
    """The configuration that the arrays' names and shapes show; the rest from `options`, see OPTIONS. Raises InputError."""
    options = {**OPTIONS, **(options or {})}
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise InputError(f"option {unknown[0]}: there are: {', '.join(OPTIONS)}")
    try:
        return _configuration({name: array.shape for name, array in state.items()}, options)
    except KeyError as error:
        raise InputError(f"parameter {error.args[0]}: missing from the file") from None
    except ValueError as error:
        raise InputError(str(error)) from None


def _configuration(shapes: Mapping[str, tuple[int, ...]], options: Mapping[str, Any]) -> biggan.Config:
    deep, shared = "blocks.0.0.conv4.weight" in shapes, "shared.weight" in shapes
    count = 1 + max((int(name.split(".")[1]) for name in shapes if name.startswith("blocks.")), default=0)
    if count > _MAX_BLOCKS:
        raise InputError(f"blocks: there are {count:,}; networks of up to {_MAX_BLOCKS} are converted")
    depth = _depth(shapes, count, options["G_depth"]) if deep else None
    blocks = tuple(_block(shapes, index, depth) for index in range(count))
    linear_out, linear_in = shapes["linear.weight"]
    gain = shapes["blocks.0.0.bn1.gain.weight"]  # [channels, condition]; an embedding of its own is [classes, channels]
    num_classes, embed_width = shapes["shared.weight"] if shared else (gain[0], None)
    hierarchical = shared and gain[1] > shapes["shared.weight"][1]
    slots = 1 + count if hierarchical else 1
    z_dim = linear_in - (embed_width or 0) if deep else slots * linear_in
    image_channels = shapes["output_layer.2.weight"][0]
    if image_channels not in (1, 3):
        raise InputError(f"parameter output_layer.2.weight: makes {image_channels} channels; an image has 1 or 3")
    return biggan.Config(
        z_dim=z_dim,
        num_classes=num_classes,
        blocks=blocks,
        attention=tuple(index for index in range(count) if f"blocks.{index}.1.gamma" in shapes),
        deep=deep,
        embed_width=embed_width,
        hierarchical=hierarchical,
        bottom_width=math.isqrt(linear_out // blocks[0][1]),
        image_channels=image_channels,
        epsilon=options["BN_eps"],
    )


def _depth(shapes: Mapping[str, tuple[int, ...]], count: int, said: float | None) -> int:
    """Blocks a stage of BigGAN-deep, of which the last alone changes the width: as many as make the widths published ones.

    said: what the user says. Raises ValueError where that cannot be, or where nobody says it and it does not show.
    """
    if said is not None:
        if not (said >= 1 and said == said // 1 and count % said == 0):
            raise ValueError(f"G_depth={said:g}: wanted is a whole number that divides the number of blocks, {count}")
        return int(said)
    found = [width for index in range(count) for width in _block(shapes, index, 1)[1:]]
    for row in _WIDTHS:
        depth = count // (len(row) - 1)
        stages = [(before,) * (2 * depth - 1) + (after,) for before, after in itertools.pairwise(row)]
        if depth and found == [found[-1] * multiple for stage in stages for multiple in stage]:
            return depth
    raise ValueError(
        "G_depth: the blocks have the widths of no published network, so their number a stage has to be said"
    )


def _block(shapes: Mapping[str, tuple[int, ...]], index: int, depth: int | None) -> biggan.BlockConfig:
    """depth: blocks a stage of BigGAN-deep, of which the last doubles the size; None for BigGAN."""
    name = f"blocks.{index}.0"
    after, before = shapes[f"{name}.conv1.weight"][:2]
    if depth is None:
        return f"{name}.conv_sc.weight" in shapes, before, after
    return index % depth == depth - 1, before, shapes[f"{name}.conv4.weight"][0]


def convert(state: Mapping[str, np.ndarray], options: Mapping[str, Any] | None = None) -> base.Generator:
    """The generator of a state dict; options: see OPTIONS.

    Raises InputError for parameters that are missing, left over or of another shape.
    """
    state = {name.removeprefix("module."): array for name, array in state.items()}
    config = configuration(state, options)
    if not any(name.startswith("blocks.") and name.endswith("_mean") for name in state):
        raise InputError(
            "norm_style: the blocks keep no statistics, as with nonorm or a group norm; wanted is bn or in"
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
            return _channels_last(array, config.blocks[0][1])
        if array.ndim == 4:
            return assembly.convolution(array)
        is_embedding = module == "shared" or config.embed_width is None  # [classes, width] already
        return array if array.ndim < 2 or is_embedding else array.T

    generator = assembly.assemble("biggan", config, fetch)
    tensors.finish(ignored=lambda name: _WITHOUT_EFFECT.fullmatch(name) is not None)
    return generator


def largest_singular_value(weight: np.ndarray, u: np.ndarray, epsilon: float) -> float:
    """What a spectrally normalised weight is divided by: one step of the power iteration from the stored u, in float64."""
    matrix = weight.reshape(len(weight), -1).astype(np.float64)
    v = _unit(u.reshape(-1).astype(np.float64) @ matrix, epsilon)
    return float(v @ matrix.T @ _unit(matrix @ v, epsilon))


def _unit(vector: np.ndarray, epsilon: float) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), epsilon)


def _statistics_name(tensors: assembly.Tensors, module: str, leaf: str) -> str:
    """Where the statistics are: in the module itself, or in its own or a synchronised batch norm within."""
    candidates = (f"{module}.bn.{leaf}", f"{module}.bn.{leaf.replace('stored', 'running')}")
    return next((name for name in candidates if name in tensors), f"{module}.{leaf}")


def _channels_last(array: np.ndarray, channels: int) -> np.ndarray:
    """Rows of `linear`, ordered [C, side, side] -> [in, side * side * C], or the bias likewise."""
    rows = array.reshape(channels, len(array) // channels, -1).transpose(1, 0, 2).reshape(len(array), -1)
    return rows[:, 0] if array.ndim == 1 else rows.T
