"""Arrays to picture files: the only room that knows about pixels as bytes."""

import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_MARGIN = 6
_INK = (40, 40, 40)


def to_uint8(images: np.ndarray) -> np.ndarray:
    """[-1, 1] -> 0..255, clipped and rounded; grey images become RGB. [..., h, w, 1 or 3] -> [..., h, w, 3]."""
    scaled = np.clip(np.round((np.asarray(images, np.float32) + 1.0) * 127.5), 0, 255).astype(np.uint8)
    return np.broadcast_to(scaled, (*scaled.shape[:-1], 3))


def grid(images: np.ndarray, num_columns: int) -> np.ndarray:
    """[n, h, w, c] -> one uint8 picture with `num_columns` columns; a short last row is filled with white."""
    pixels = to_uint8(images)
    missing = -len(pixels) % num_columns
    pixels = np.concatenate([pixels, np.full((missing, *pixels.shape[1:]), 255, np.uint8)])
    rows = pixels.reshape(-1, num_columns, *pixels.shape[1:]).transpose(0, 2, 1, 3, 4)
    return rows.reshape(rows.shape[0] * rows.shape[1], -1, 3)


def labelled_rows(
    rows: np.ndarray, row_labels: Sequence[str], column_labels: Sequence[str], *, cell: int = 64, title: str = ""
) -> np.ndarray:
    """[rows, columns, h, w, c] -> one uint8 picture with labels at the left and above; cells are at least `cell` pixels."""
    num_rows, num_columns = rows.shape[:2]
    scale = max(1, -(-cell // rows.shape[3]))
    font = ImageFont.load_default(size=13)
    height, width = rows.shape[2] * scale, rows.shape[3] * scale
    left = int(max([font.getlength(label) for label in row_labels], default=0)) + 2 * _MARGIN
    top = (20 if title else 0) + 22
    canvas = Image.new("RGB", (left + num_columns * width + _MARGIN, top + num_rows * height + _MARGIN), "white")
    draw = ImageDraw.Draw(canvas)
    draw.text((left, 4), title, fill=_INK, font=font)
    pixels = to_uint8(rows).repeat(scale, axis=2).repeat(scale, axis=3)
    for j, label in enumerate(column_labels):
        draw.text((left + (j + 0.5) * width, top - 4), label, fill=_INK, font=font, anchor="ms")
    for i, label in enumerate(row_labels):
        draw.text((left - _MARGIN, top + (i + 0.5) * height), label, fill=_INK, font=font, anchor="rm")
        for j in range(num_columns):
            canvas.paste(Image.fromarray(pixels[i, j]), (left + j * width, top + i * height))
    return np.asarray(canvas)


def save_png(path: str | pathlib.Path, pixels: np.ndarray, *, scale: int = 1) -> None:
    """Writes one uint8 picture, enlarged by a whole factor without smoothing."""
    pixels = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    Image.fromarray(pixels).save(path, optimize=True)


def save_gif(path: str | pathlib.Path, frames: np.ndarray, *, seconds: float = 2.0, size: int = 128) -> None:
    """Writes [frames, h, w, c] in [-1, 1] as an endless animation, there and back."""
    pixels = to_uint8(frames)
    scale = max(1, -(-size // pixels.shape[2]))
    pixels = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    pictures = [Image.fromarray(p) for p in np.concatenate([pixels, pixels[-2:0:-1]])]
    duration = round(1000 * seconds / len(pictures))
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=duration, loop=0)
