"""Turns arrays of images into pictures, and writes pictures as PNG files.

An image is an array [h, w, c] in [-1, 1]; c is 1 (grey), 3 (RGB) or 4 (RGBA). A picture
is a uint8 array [h, w, 3 or 4].
"""

import math
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ganspace_jax.errors import InputError
from ganspace_jax.shapes import Array

CHANNELS = (1, 3, 4)  # grey, RGB, RGBA

_MARGIN = 6
_INK = (40, 40, 40)
_TITLE_HEIGHT, _LABEL_HEIGHT = 20, 22


def to_uint8(images: Array | np.ndarray) -> np.ndarray:
    """Returns pixels 0..255 of images in [-1, 1], clipped and rounded.

    Grey images become RGB. RGBA images keep their alpha channel.

    Args:
        images: Images [..., h, w, c].

    Returns:
        Pixels [..., h, w, 3], or [..., h, w, 4] for RGBA images.

    Raises:
        InputError: The images have another number of channels, or contain NaN or
            infinity.
    """
    values = np.asarray(images)
    channels = values.shape[-1]
    if channels not in CHANNELS:
        raise InputError(f"images: have {channels} channels; a picture has 1 (grey), 3 (RGB) or 4 (RGBA)")
    if wrong := values.size - np.count_nonzero(np.isfinite(values)):
        raise InputError(
            f"images: {wrong:,} of {values.size:,} values are NaN or infinite; a picture needs finite ones"
        )
    scaled = (np.clip(values, -1.0, 1.0).astype(np.float32) + 1.0) * 127.5
    pixels = np.round(scaled).astype(np.uint8)
    return np.broadcast_to(pixels, (*pixels.shape[:-1], max(3, channels)))


def grid(images: Array | np.ndarray, num_columns: int) -> np.ndarray:
    """Returns one picture of the images, row by row; opaque white fills the last row.

    Args:
        images: Images [n, h, w, c].
        num_columns: Number of images in a row.
    """
    pixels = to_uint8(images)
    missing = -len(pixels) % num_columns
    pixels = np.concatenate([pixels, np.full((missing, *pixels.shape[1:]), 255, np.uint8)])
    rows = pixels.reshape(-1, num_columns, *pixels.shape[1:]).transpose(0, 2, 1, 3, 4)
    return rows.reshape(rows.shape[0] * rows.shape[1], -1, pixels.shape[-1])


def labelled_rows(
    rows: Array | np.ndarray,
    row_labels: Sequence[str],
    column_labels: Sequence[str],
    *,
    cell: int = 64,
    title: str = "",
) -> np.ndarray:
    """Returns one picture of rows of images, with labels at the left and above.

    The canvas and its labels are opaque. RGBA images make an RGBA picture, and each
    image keeps its own alpha channel there.

    Args:
        rows: Images [rows, columns, h, w, c].
        row_labels: One label per row.
        column_labels: One label per column.
        cell: Smallest width of an image in the picture, in pixels.
        title: Line above the column labels.
    """
    scale = max(1, math.ceil(cell / rows.shape[3]))
    pixels = enlarged(to_uint8(rows), scale)
    (num_rows, num_columns), (height, width) = pixels.shape[:2], pixels.shape[2:4]
    font = ImageFont.load_default(size=13)
    left = int(max([font.getlength(label) for label in row_labels], default=0)) + 2 * _MARGIN
    top = (_TITLE_HEIGHT if title else 0) + _LABEL_HEIGHT
    size = left + num_columns * width + _MARGIN, top + num_rows * height + _MARGIN
    canvas = Image.new("RGBA" if pixels.shape[-1] == 4 else "RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    draw.text((left, 4), title, fill=_INK, font=font)
    for j, label in enumerate(column_labels):
        draw.text((left + (j + 0.5) * width, top - 4), label, fill=_INK, font=font, anchor="ms")
    for i, label in enumerate(row_labels):
        draw.text((left - _MARGIN, top + (i + 0.5) * height), label, fill=_INK, font=font, anchor="rm")
        for j in range(num_columns):
            canvas.paste(Image.fromarray(pixels[i, j]), (left + j * width, top + i * height))
    return np.asarray(canvas)


def enlarged(pixels: np.ndarray, scale: int) -> np.ndarray:
    """Returns pixels [..., h, w, c], each repeated `scale` times in both directions."""
    return pixels.repeat(scale, axis=-3).repeat(scale, axis=-2)


def save_png(path: str | pathlib.Path, pixels: np.ndarray, *, scale: int = 1) -> None:
    """Writes a picture as a PNG file, enlarged by a whole factor, without smoothing."""
    Image.fromarray(enlarged(pixels, scale)).save(path, optimize=True)
