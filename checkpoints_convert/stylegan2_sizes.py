"""Finds the image size of a StyleGAN2, which forks of the published codes change.

The published networks begin with a constant of 4x4 pixels, and each block doubles the
size. Forks begin with a constant of another height and width:

- eps696/stylegan2ada and eps696/stylegan2: argument init_res=[height, width].
- StyleGAN-Human: argument square=False, for a constant of 4x2.
- skyflynil/stylegan2 and its forks (TensorFlow): arguments min_h and min_w.

The arrays of a file give these sizes. The argument `size` of eps696's codes resizes the
activations to any size. A network with another size than its arrays' does not convert.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from checkpoints_convert import assembly
from ganspace_jax.errors import InputError
from ganspace_jax.generators import stylegan2

ARGUMENTS = ("init_res", "square", "size")  # those that `check` compares


def base_size(arrays: Mapping[str, np.ndarray], constant: str, rank: int, noise: str) -> tuple[int, int]:
    """Returns (height, width) of the learned constant.

    The first noise image, if there is one, has the same size. It is used, so that the
    message about a damaged constant names the constant.

    Args:
        arrays: Arrays of the file.
        constant: Name of the constant, whose last two axes are height and width.
        rank: Number of axes of the constant.
        noise: Name of the first noise image, whose last two axes are height and width.

    Raises:
        InputError: The constant is missing or has another number of axes. Or a side has
            no pixels.
    """
    shape = assembly.shape_of(arrays, constant, rank)
    if noise in arrays and np.ndim(arrays[noise]) >= 2:
        shape = np.shape(arrays[noise])
    height, width = shape[-2:]
    if not height or not width:
        raise InputError(f"parameter {constant}: is {height}x{width} pixels; a side must be at least 1")
    return height, width


def check(arguments: Mapping[str, Any], config: stylegan2.Config) -> None:
    """Raises InputError if an argument gives another size than the arrays.

    Args:
        arguments: Arguments of the fork; those that give no size are ignored.
        config: Configuration with the sizes that the arrays give.
    """
    for name, wanted in (("init_res", config.base_size), ("size", config.image_size)):
        found = _plain(arguments.get(name))
        if found is not None and found != list(wanted):
            raise InputError(f"constructor argument {name}={found}: the file's arrays require {name}={list(wanted)}")
    # StyleGAN-Human's square=False means half as wide as high.
    square, (height, width) = arguments.get("square"), config.base_size
    if square is not None and (height, width) != ((height, height) if square else (height, height // 2)):
        raise InputError(f"constructor argument square={square}: the constant of the file is {height}x{width} pixels")


def block_names(state: Mapping[str, np.ndarray], resolution: Any, base: tuple[int, int]) -> list[str]:
    """Returns the blocks' names up to the resolution, such as b4, b8 and b16.

    The published code and its forks name blocks as if the constant were 4x4. So a
    resolution of 32 means blocks up to b32. The size of the images that the file's
    blocks make is also accepted.

    Args:
        state: Arrays of the file.
        resolution: Argument img_resolution: one number, or height and width.
        base: Height and width of the constant.

    Raises:
        InputError: The resolution is neither a number of blocks nor the images' size.
    """
    last = assembly.largest_number(state, r"synthesis\.b(\d+)\.conv1\.bias$")
    size = [side * last // 4 for side in base]
    resolution = _plain(resolution)
    if resolution in (size, *size):
        resolution = last
    if not isinstance(resolution, int) or resolution < 4 or resolution & (resolution - 1):
        raise InputError(
            f"constructor argument img_resolution={resolution}: must be a power of two, at least 4, "
            f"or the size of the images, {size[0]}x{size[1]}"
        )
    return [f"b{2**power}" for power in range(2, resolution.bit_length())]


def _plain(value: Any) -> Any:
    """Returns a whole number as int and a sequence as list, so that both compare."""
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, int | float | np.number) and value == int(value) else value
