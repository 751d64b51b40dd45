"""Resizes pictures in linear light, where the mean of two pixels is their mean light.

sRGB stores light by a curve. A mean of stored values is darker than the mean of their
light, so a fine pattern would darken as it becomes smaller.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ganspace_jax.shapes import Float

LUMINANCE = (0.2126, 0.7152, 0.0722)  # weights of linear red, green and blue (ITU-R BT.709)
_BAND = 1 << 22  # values of a picture that are converted at once

Values = Float[np.ndarray, "*n"]


class Window(NamedTuple):
    """A rectangle of a picture, in pixels.

    Attributes:
        top: first row.
        left: first column.
        height: number of rows.
        width: number of columns.
    """

    top: int
    left: int
    height: int
    width: int


def to_linear(values: Values) -> Values:
    """Returns the light of sRGB values in [0, 1] (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def to_srgb(light: Values) -> Values:
    """Returns the sRGB values of light in [0, 1]."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055)


def central_window(size: tuple[int, int], shape: tuple[int, int]) -> Window:
    """Returns the largest window in the middle of a picture that has the aspect ratio
    of a shape.

    Args:
        size: height and width of the picture.
        shape: height and width of the result.
    """
    scale = min(size[0] / shape[0], size[1] / shape[1])
    height, width = (min(own, max(1, round(side * scale))) for own, side in zip(size, shape, strict=True))
    return Window((size[0] - height) // 2, (size[1] - width) // 2, height, width)


def matrix(before: int, after: int) -> Float[np.ndarray, "after before"]:
    """Returns the weight of each pixel in each new pixel, on one axis.

    A smaller axis averages areas, also parts of pixels. A larger axis interpolates
    linearly between the centres of pixels.
    """
    step = before / after
    pixel = np.arange(before)[None]
    if step >= 1.0:
        first = np.arange(after)[:, None] * step
        overlap = np.minimum(first + step, pixel + 1) - np.maximum(first, pixel)
        return np.clip(overlap, 0.0, None) / step
    centre = np.clip((np.arange(after)[:, None] + 0.5) * step - 0.5, 0.0, before - 1.0)
    return np.clip(1.0 - np.abs(centre - pixel), 0.0, None)


def resize(
    read_rows: Callable[[int, int], Float[np.ndarray, "rows w c"]], window: Window, shape: tuple[int, int]
) -> Float[np.ndarray, "h w c"]:
    """Returns a window of a picture in another size.

    The picture is read in bands of rows, so that a large one never exists in floating
    point.

    Args:
        read_rows: function that returns the rows of the window in [first, stop).
        window: window of the picture.
        shape: height and width of the result.
    """
    rows, columns = (matrix(*pair) for pair in zip(window[2:], shape, strict=True))
    step = max(1, _BAND // window.width)
    result = 0.0
    for first in range(0, window.height, step):
        stop = min(window.height, first + step)
        band = np.einsum("bwc,jw->bjc", read_rows(first, stop), columns, optimize=True)
        result = result + np.einsum("ib,bjc->ijc", rows[:, first:stop], band, optimize=True)
    return np.asarray(result)
