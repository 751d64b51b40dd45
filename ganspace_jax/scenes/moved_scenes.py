"""Scenes whose object moves sideways by a number of pixels: the true motion.

The room has no texture and no end to the left and right. So the scene that a camera
sees after a step to the left is the scene with the object moved to the right: the
renderer gives the true content that a shift brings into the frame.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.scenes import rendering
from ganspace_jax.scenes.factors import RANGES, SHAPES, Factors, sample_factors
from ganspace_jax.shapes import Array, Float

SUPERSAMPLING = 4  # rays per pixel and axis; edges then move by a quarter of a pixel


def pixels_per_unit(factors: Factors, resolution: int) -> Float[Array, "n"]:
    """Returns how many pixels the object's middle moves for one unit of `horizontal`.

    A pinhole camera divides by the distance along its axis.
    """
    drop = factors.camera_height - factors.size  # the middle of the object is one size above the floor
    pitch = jnp.arctan2(factors.camera_height - rendering.CAMERA_TARGET_HEIGHT, rendering.CAMERA_DISTANCE)
    distance = drop * jnp.sin(pitch) + (factors.depth + rendering.CAMERA_DISTANCE) * jnp.cos(pitch)
    return 0.5 * resolution / (rendering.HALF_FIELD * distance)


def draw(count: int, reach: float, resolution: int, *, seed: int = 0) -> tuple[Factors, Float[np.ndarray, "n"]]:
    """Returns random scenes at the start of a path, and the side to which each moves.

    Half of the objects move to the right (+1). Each path crosses the middle of the
    range of `horizontal` and stays in it. Shapes take turns.

    Args:
        count: number of scenes.
        reach: length of the path, pixels.
        resolution: side of the images, pixels.
        seed: seed of the scenes.
    """
    key, own = jax.random.split(jax.random.key(seed))
    factors = sample_factors(key, count)._replace(shape=jnp.arange(count) // 2 % len(SHAPES))
    side = np.where(np.arange(count) % 2, 1.0, -1.0)
    half_way = 0.5 * reach / np.asarray(pixels_per_unit(factors, resolution))
    room = np.maximum(RANGES["horizontal"][1] - half_way, 0.0)
    off = np.asarray(jax.random.uniform(own, (count,), minval=-1.0, maxval=1.0)) * room
    return factors._replace(horizontal=jnp.asarray(off - side * half_way, jnp.float32)), side


def draw_cut(count: int, resolution: int, *, seed: int = 0) -> tuple[Factors, Float[np.ndarray, "n"]]:
    """Returns random scenes with the object at the edge of the frame, which cuts most
    of them, and the side away from the edge.

    Large objects stand near the camera, at an end of the range of `horizontal`. Half of
    them stand at the left, so that the side is +1.

    Args:
        count: number of scenes.
        resolution: side of the images, pixels.
        seed: seed of the scenes.
    """
    factors, side = draw(count, 0.0, resolution, seed=seed)
    low, high = RANGES["size"]
    size = 0.5 * (low + high) + 0.5 * (factors.size - low)
    depth = RANGES["depth"][0] + 0.25 * (factors.depth - RANGES["depth"][0])
    horizontal = jnp.asarray(side * RANGES["horizontal"][0], jnp.float32)
    return factors._replace(size=size, depth=depth, horizontal=horizontal), side


def move(factors: Factors, displacement: Float[np.ndarray | Array, "n"], resolution: int) -> Factors:
    """Returns scenes whose objects are displaced to the right, pixels."""
    step = jnp.asarray(displacement, jnp.float32) / pixels_per_unit(factors, resolution)
    return factors._replace(horizontal=factors.horizontal + step)


def render_moved(
    factors: Factors, displacements: Float[np.ndarray, "d n"], resolution: int
) -> Float[np.ndarray, "d n h w 3"]:
    """Returns the images of scenes after each displacement, pixels."""
    each = [move(factors, one, resolution) for one in displacements]
    together = jax.tree.map(lambda *fields: jnp.concatenate([jnp.asarray(one) for one in fields]), *each)
    made = np.asarray(rendering.render_in_chunks(together, resolution, SUPERSAMPLING))
    return made.reshape(*displacements.shape, *made.shape[1:])
