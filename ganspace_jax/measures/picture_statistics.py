r"""Statistics of pictures: values that the pixels alone give, for any generator.

The colours are those of the saved picture, in [0, 1]: clipped, and on white if there is
an alpha channel. R, G and B are not linearised. Y is the luma of Rec. 601,
0.299 R + 0.587 G + 0.114 B, or the grey value. Means are over the pixels.

    brightness           mean Y
    contrast             standard deviation of Y
    saturation           mean of max(R, G, B) - min(R, G, B)
    warmth               mean of R - B
    hue                  angle of the mean of (R - (G + B) / 2, sqrt(3) / 2 (G - B)), in
                         degrees: 0 is red, 120 is green, 240 is blue
    sharpness            root of the sum of mean (Y[i, j+1] - Y[i, j])^2 and
                         mean (Y[i+1, j] - Y[i, j])^2, divided by the contrast
    horizontal_centre    sum of w x / sum of w, positive to the right
    vertical_centre      sum of w y / sum of w, positive upwards
    left_right_symmetry  sum of d m / sum of d^2, over pixels and channels; d is the
                         image less each channel's mean, and m is d's mirror image

The weight w of a pixel is the Euclidean distance of its colour from the background. The
background is the median, channel by channel, of the outermost frame of pixels. The
coordinates x and y are -1 and 1 at the edges of the image.

A value is NaN if the image does not show it. The hue requires a mean vector of length
5/255. Sharpness, centres and symmetry require a contrast, mean weight or deviation of
1/255. Grey images have no saturation, warmth and hue.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.measures import scorers
from ganspace_jax.measures.scorers import Images, Scorer
from ganspace_jax.shapes import Array, Float

DEGREES = 360.0
NAMES = (
    *("brightness", "contrast", "saturation", "warmth", "hue"),
    *("sharpness", "horizontal_centre", "vertical_centre", "left_right_symmetry"),
)
_LEAST_CHROMA = 5.0 / 255.0
_LEAST_CONTRAST = 1.0 / 255.0
_BATCH_PIXELS = 2**21  # 32 images of 256 x 256 pixels
_MOST_IMAGES = 32


def scorer(images: Images) -> Scorer:
    """Returns the scorer of the statistics.

    Args:
        images: reference images, which give the standard deviations.
    """
    return scorers.fit(
        read, images, periods={"hue": DEGREES}, subject="statistics", differentiable=_read_differentiably
    )


def read(images: Images) -> dict[str, Float[np.ndarray, "n"]]:
    """Returns the statistics of images [n, h, w, 1, 3 or 4] in [-1, 1], by name.

    Raises:
        InputError: the images have another number of channels.
    """
    size = min(_MOST_IMAGES, max(1, _BATCH_PIXELS // math.prod(images.shape[1:3])))
    starts = range(0, max(len(images), 1), size)
    parts = [jax.tree.map(np.asarray, _read(scorers.shown_colours(images[i : i + size]))) for i in starts]
    return {name: np.concatenate([part[name] for part in parts]) for name in NAMES if name in parts[0]}


def _read_differentiably(images: Float[Array, "n h w c"]) -> dict[str, Float[Array, "n"]]:
    return _read(scorers.shown_colours(images))


@jax.jit
@jax.vmap
def _read(colours: Float[Array, "h w c"]) -> dict[str, Float[Array, ""]]:
    is_grey = colours.shape[-1] == 1
    luma = colours[..., 0] if is_grey else colours @ jnp.array(scorers.LUMA)
    contrast = jnp.std(luma)
    return {
        "brightness": jnp.mean(luma),
        "contrast": contrast,
        **({} if is_grey else _colour_statistics(colours)),
        "sharpness": _shown(_gradient(luma) / contrast, contrast),
        **_centre(colours),
        "left_right_symmetry": _symmetry(colours),
    }


def _shown(value: Float[Array, ""], evidence: Float[Array, ""], least: float = _LEAST_CONTRAST) -> Float[Array, ""]:
    """Returns the value, or NaN if there is less than the least evidence for it."""
    return jnp.where(evidence >= least, value, jnp.nan)


def _colour_statistics(colours: Float[Array, "h w 3"]) -> dict[str, Float[Array, ""]]:
    red, green, blue = jnp.moveaxis(colours, -1, 0)
    x, y = jnp.mean(red - (green + blue) / 2), jnp.mean((green - blue) * np.sqrt(0.75))
    angle = jnp.degrees(jnp.arctan2(y, x)) % DEGREES
    return {
        "saturation": jnp.mean(colours.max(-1) - colours.min(-1)),
        "warmth": jnp.mean(red - blue),
        "hue": _shown(angle, jnp.hypot(x, y), _LEAST_CHROMA),
    }


def _gradient(luma: Float[Array, "h w"]) -> Float[Array, ""]:
    """Returns the root mean square difference of neighbours; 0 without neighbours."""
    squares = [jnp.square(jnp.diff(luma, axis=axis)) for axis in (0, 1)]
    return jnp.sqrt(sum(jnp.sum(square) / max(square.size, 1) for square in squares))


def _centre(colours: Float[Array, "h w c"]) -> dict[str, Float[Array, ""]]:
    height, width, _ = colours.shape
    frame = jnp.concatenate([colours[0], colours[-1], colours[1:-1, 0], colours[1:-1, -1]])
    weights = jnp.linalg.norm(colours - jnp.median(frame, axis=0), axis=-1)
    shown = functools.partial(_shown, evidence=jnp.mean(weights))
    x, y = _positions(width), -_positions(height)
    return {
        "horizontal_centre": shown(jnp.sum(weights * x) / jnp.sum(weights)),
        "vertical_centre": shown(jnp.sum(weights * y[:, None]) / jnp.sum(weights)),
    }


def _positions(count: int) -> Float[np.ndarray, "n"]:
    """Returns the middles of `count` pixels between -1 and 1."""
    return ((2 * np.arange(count) + 1) / count - 1).astype(np.float32)


def _symmetry(colours: Float[Array, "h w c"]) -> Float[Array, ""]:
    centred = colours - jnp.mean(colours, axis=(0, 1))
    square = jnp.mean(centred**2)
    return _shown(jnp.mean(centred * centred[:, ::-1]) / square, jnp.sqrt(square))
