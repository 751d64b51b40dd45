"""Sprites: a white shape in a black frame, moved by any fraction of a pixel.

They are the simplest pictures in which one thing moves, as in Plumerault et al. 2020,
section 3.1. A pixel is the share of its area that the shape covers. Along the
motion the share is exact.
"""

from collections.abc import Callable

import numpy as np

from ganspace_jax.shapes import Float

_LINES = 16  # lines per row of pixels; along each line the covered length is exact

# Half the width of each shape, relative to its half height, at the height v in [-1, 1].
_OUTLINES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "square": np.ones_like,
    "disc": lambda v: np.sqrt(1.0 - np.square(v)),
    "diamond": lambda v: 1.0 - np.abs(v),
    "triangle": lambda v: 0.5 * (1.0 + v),
}
SHAPES = tuple(_OUTLINES)


def draw(
    shape: str,
    x: Float[np.ndarray, "n"],
    *,
    y: float,
    half_height: float,
    resolution: int = 32,
) -> Float[np.ndarray, "n h w 3"]:
    """Returns images of one shape at horizontal positions x.

    Args:
        shape: one of SHAPES.
        x: distance of the shape's middle from the left edge, pixels.
        y: distance of the shape's middle from the upper edge, pixels.
        half_height: half the height of the shape, pixels.
        resolution: side of the images, pixels.
    """
    heights = ((np.arange(resolution * _LINES) + 0.5) / _LINES - y) / half_height
    inside = np.abs(heights) <= 1.0
    half_width = half_height * np.where(inside, _OUTLINES[shape](np.clip(heights, -1.0, 1.0)), 0.0)
    left, right = (np.asarray(x, np.float64)[:, None, None] + side * half_width[:, None] for side in (-1.0, 1.0))
    column = np.arange(resolution)
    covered = np.clip(np.minimum(right, column + 1.0) - np.maximum(left, column), 0.0, 1.0)
    shares = covered.reshape(len(x), resolution, _LINES, resolution).mean(2)
    return np.repeat(2.0 * shares[..., None] - 1.0, 3, axis=-1).astype(np.float32)


def moved(
    count: int, displacements: Float[np.ndarray, "d"], *, resolution: int = 32, seed: int = 0
) -> Float[np.ndarray, "d n h w 3"]:
    """Returns sprites of random sizes and places, displaced to the right or left.

    Half of the sprites move to the right. Each path crosses the middle of the frame.
    The shapes take turns.

    Args:
        count: number of sprites.
        displacements: displacements, pixels; the largest is at most a quarter of the
            resolution.
        resolution: side of the images, pixels.
        seed: seed of sizes and places.
    """
    random, middle = np.random.default_rng(seed), resolution / 2
    half_way = 0.5 * np.max(displacements)
    paths = []
    for number in range(count):
        half_height, off, y = resolution * random.uniform([0.11, -0.05, -0.08], [0.19, 0.05, 0.08])
        side = 1.0 if number % 2 else -1.0
        x = middle + off + side * (np.asarray(displacements) - half_way)
        shape = SHAPES[number // 2 % len(SHAPES)]
        paths.append(draw(shape, x, y=middle + y, half_height=half_height, resolution=resolution))
    return np.stack(paths, axis=1)
