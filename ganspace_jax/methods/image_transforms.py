"""Transformations of images by a known amount t: T_t(x), and where it is defined.

A transformation is a pure function (images, t) -> (images, mask). The images are in
[-1, 1]. The mask is 1 where T_t defines the pixel, and 0 where the pixel would come
from outside the frame or leave the range of colours. T_0 is the identity, and T_-t
undoes T_t up to interpolation.

Plumerault et al., "Controlling generative models with continuous factors of
variations", ICLR 2020, section 3.1.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import ndimage

from ganspace_jax import errors
from ganspace_jax.errors import InputError
from ganspace_jax.sampling import inversion_losses
from ganspace_jax.shapes import Array, Float

LOW_PASS = inversion_losses.BLUR  # standard deviation, relative to the longer side: 2 px of 32
_SIDE = 32  # longer side of the images for which the table gives shifts
_ROUNDING = 1e-3  # pixels that a source may lie outside the frame; whole shifts are rounded by less

Images = Float[Array | np.ndarray, "n h w c"]
Mask = Float[Array, "m h w 1"]  # one for each image, or one for all
Amount = float | Array


class Transform(NamedTuple):
    """A transformation with the amounts at which it is used.

    Attributes:
        apply: function (images, t) -> (images, mask).
        unit: unit of t.
        step: amount between two targets of a trajectory.
        reach: largest amount of a trajectory, a multiple of the step.
        needs_colour: whether images must have three channels.
    """

    apply: Callable[[Images, Amount], tuple[Float[Array, "n h w c"], Mask]]
    unit: str
    step: float
    reach: float
    needs_colour: bool = False


def horizontal(images: Images, t: Amount) -> tuple[Float[Array, "n h w c"], Mask]:
    """Returns images shifted to the right by t pixels, which may be a fraction."""
    return _resample(images, lambda rows, columns: (rows, columns - t))


def vertical(images: Images, t: Amount) -> tuple[Float[Array, "n h w c"], Mask]:
    """Returns images shifted downwards by t pixels, which may be a fraction."""
    return _resample(images, lambda rows, columns: (rows - t, columns))


def zoom(images: Images, t: Amount) -> tuple[Float[Array, "n h w c"], Mask]:
    """Returns images enlarged 2^t times about their middle; t < 0 makes them
    smaller.
    """
    scale = 2.0 ** -jnp.asarray(t, jnp.float32)
    return _resample_about_middle(images, lambda y, x: (scale * y, scale * x))


def rotate(images: Images, t: Amount) -> tuple[Float[Array, "n h w c"], Mask]:
    """Returns images turned counterclockwise by t degrees about their middle."""
    angle = jnp.deg2rad(jnp.asarray(t, jnp.float32))
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return _resample_about_middle(images, lambda y, x: (cos * y + sin * x, cos * x - sin * y))


def brightness(images: Images, t: Amount) -> tuple[Float[Array, "n h w c"], Mask]:
    """Returns images whose values above black are multiplied by 2^t.

    The values are not clipped. A pixel that leaves [-1, 1] is outside the mask.
    """
    images = jnp.asarray(images)
    return _within_range(images, (images + 1.0) * 2.0 ** jnp.asarray(t, jnp.float32) - 1.0)


def hue(images: Images, t: Amount) -> tuple[Float[Array, "n h w c"], Mask]:
    """Returns images whose colours are turned by t turns about the axis of greys, from
    red towards green.

    The values are not clipped. A pixel that leaves [-1, 1] is outside the mask.

    Raises:
        ValueError: if the images do not have three channels.
    """
    images = jnp.asarray(images)
    if images.shape[-1] != 3:
        raise ValueError(f"images have {images.shape[-1]} channels; a hue needs 3")
    angle = 2 * jnp.pi * jnp.asarray(t, jnp.float32)
    cos, sin = jnp.cos(angle), jnp.sin(angle) / jnp.sqrt(3.0)
    grey = images.mean(-1, keepdims=True)
    across = jnp.roll(images, 1, -1) - jnp.roll(images, -1, -1)  # sqrt(3) times the axis' cross product
    return _within_range(images, grey + cos * (images - grey) + sin * across)


TRANSFORMS = {
    "horizontal": Transform(horizontal, "px", step=2.0, reach=8.0),
    "vertical": Transform(vertical, "px", step=2.0, reach=8.0),
    "zoom": Transform(zoom, "doublings", step=0.125, reach=0.5),
    "rotate": Transform(rotate, "degrees", step=7.5, reach=30.0),
    "brightness": Transform(brightness, "doublings", step=0.125, reach=0.5),
    "hue": Transform(hue, "turns", step=0.0625, reach=0.25, needs_colour=True),
}


def for_images(name: str, image_shape: tuple[int, int, int]) -> Transform:
    """Returns a transformation of TRANSFORMS. Its shifts grow with the longer side of
    the images: the table is for 32 pixels.

    Args:
        name: name in TRANSFORMS.
        image_shape: height, width and channels of the images.

    Raises:
        InputError: if there is no such transformation, or if grey images have no hue.
    """
    if name not in TRANSFORMS:
        hint = errors.nearest(name, TRANSFORMS)
        raise InputError(f"--transformation={name}: no such one; {hint}there are {', '.join(TRANSFORMS)}")
    found = TRANSFORMS[name]
    if found.needs_colour and image_shape[2] != 3:
        raise InputError(f"--transformation={name}: needs images with 3 channels, these have {image_shape[2]}")
    scale = max(image_shape[:2]) / _SIDE if found.unit == "px" else 1.0
    return found._replace(step=scale * found.step, reach=scale * found.reach)


def amounts(transform: Transform) -> Float[np.ndarray, "t"]:
    """Returns the positive amounts of a trajectory: step, 2 step, .. reach."""
    return transform.step * np.arange(1, round(transform.reach / transform.step) + 1)


def low_pass(differences: Images, mask: Mask) -> Float[Array, "n h w c"]:
    """Returns differences of images that are 0 outside the mask, blurred by a Gaussian
    of 1/16 of the longer side.
    """
    return inversion_losses.blur(jnp.asarray(differences * mask), LOW_PASS * max(differences.shape[1:3]))


def tangent(transform: Transform, images: Images) -> tuple[Float[Array, "n h w c"], Mask]:
    """Returns the tangent (T_e(x) - T_-e(x)) / 2e of a transformation at t = 0, with
    its mask. The amount e is half a step.
    """
    half = 0.5 * transform.step
    (after, is_after), (before, is_before) = transform.apply(images, half), transform.apply(images, -half)
    return (after - before) / (2 * half), is_after * is_before


def _resample_about_middle(
    images: Images, source: Callable[[Array, Array], tuple[Array, Array]]
) -> tuple[Float[Array, "n h w c"], Mask]:
    """Returns images whose pixels come from `source`, in coordinates about the
    middle.
    """
    y, x = (0.5 * (size - 1) for size in images.shape[1:3])

    def about_corner(rows: Array, columns: Array) -> tuple[Array, Array]:
        found = source(rows - y, columns - x)
        return found[0] + y, found[1] + x

    return _resample(images, about_corner)


def _resample(
    images: Images, source: Callable[[Array, Array], tuple[Array, Array]]
) -> tuple[Float[Array, "n h w c"], Mask]:
    """Returns images whose pixels come from the rows and columns that `source` returns,
    interpolated linearly. Edges are repeated outside the frame.
    """
    images, (height, width) = jnp.asarray(images), images.shape[1:3]
    rows, columns = source(*jnp.meshgrid(jnp.arange(height) * 1.0, jnp.arange(width) * 1.0, indexing="ij"))

    def one(plane: Array) -> Array:
        return ndimage.map_coordinates(plane, [rows, columns], order=1, mode="nearest")

    moved = jax.vmap(jax.vmap(one, in_axes=-1, out_axes=-1))(images)
    inside = (rows >= -_ROUNDING) & (rows <= height - 1 + _ROUNDING)
    inside &= (columns >= -_ROUNDING) & (columns <= width - 1 + _ROUNDING)
    return moved, inside[None, :, :, None].astype(images.dtype)


def _within_range(before: Array, after: Array) -> tuple[Float[Array, "n h w c"], Mask]:
    """Returns the images after a change, and whether their colours are in [-1, 1], or
    no further outside than before.
    """
    inside = jnp.abs(after) <= jnp.maximum(1.0, jnp.abs(before)) + 1e-5
    return after, inside.all(-1, keepdims=True).astype(before.dtype)
