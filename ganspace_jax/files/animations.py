"""Writes images as animated GIF files."""

import math
import pathlib

import numpy as np
from PIL import Image

from ganspace_jax.files import pictures
from ganspace_jax.shapes import Array


def save_gif(path: str | pathlib.Path, frames: Array | np.ndarray, *, seconds: float = 2.0, size: int = 128) -> None:
    """Writes an endless animation that runs through the frames and back.

    A GIF has no partial transparency. So RGBA frames are drawn over white.

    Args:
        path: File to write.
        frames: Images [frames, h, w, c] in [-1, 1]; c is 1, 3 or 4.
        seconds: Duration of the run through the frames and back, in seconds.
        size: Smallest width of the animation, in pixels.

    Raises:
        InputError: The frames cannot be pictures; see `pictures.to_uint8`.
    """
    pixels = _over_white(pictures.to_uint8(frames))
    pixels = pictures.enlarged(pixels, max(1, math.ceil(size / pixels.shape[2])))
    there_and_back = [Image.fromarray(p) for p in np.concatenate([pixels, pixels[-2:0:-1]])]
    duration = round(1000 * seconds / len(there_and_back))
    there_and_back[0].save(path, save_all=True, append_images=there_and_back[1:], duration=duration, loop=0)


def _over_white(pixels: np.ndarray) -> np.ndarray:
    """Returns RGB pixels: RGBA pixels are composited over white."""
    if pixels.shape[-1] == 3:
        return pixels
    colour, opacity = pixels[..., :3].astype(np.float32), pixels[..., 3:] / np.float32(255)
    return np.round(opacity * colour + (1 - opacity) * 255).astype(np.uint8)
