"""The errors that inversion minimises: between two pictures, and between a latent and
the generator's own latents.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from ganspace_jax.sampling.latent_prior import LatentPrior
from ganspace_jax.shapes import Array, Float

PIXELS, BLURRED, FEATURES = "pixels", "blurred", "features"
LOSSES = (PIXELS, BLURRED, FEATURES)
BLUR = 1 / 16  # standard deviation of the blur, relative to the longer side of the image: 2 px of 32
FEATURE_WEIGHT = 0.02  # error of features relative to the mean squared error of pixels
LAYER_PENALTY = 4.0  # penalty of differences between layers, relative to that of their mean
_LEAST_VARIANCE = 1e-6  # for the features of a picture of one colour

Images = Float[Array, "n h w c"]
Features = Callable[[Images], Sequence[Array]]  # a jax.tree_util.Partial: a pure function and its arrays
Description = tuple[Array, ...]


class Penalty(NamedTuple):
    """The squared Mahalanobis distance as the squared length of whitened latents.

    Attributes:
        mean: mean of the generator's latents.
        whitening: matrix by which the distance of a latent row is multiplied.
        weight: weight relative to the mean squared error of pixels in [-1, 1].
    """

    mean: Float[Array | np.ndarray, "d"]
    whitening: Float[Array | np.ndarray, "d d"]
    weight: Any


def penalty(prior: LatentPrior, weight: float) -> Penalty:
    """Returns the penalty on latents that are far from the generator's own."""
    size = len(prior.mean)
    whitening = np.linalg.cholesky(prior.precision / size)
    return Penalty(np.asarray(prior.mean, np.float32), np.asarray(whitening, np.float32), np.float32(weight))


def penalize(penalty: Penalty, latents: Float[Array, "n layers d"]) -> Float[Array, "n"]:
    """Returns the penalty of each image's latents.

    With q(v) = v^T S^-1 v / d, the penalty is the weight times q(mean over layers -
    mean of the generator) + 4 x the mean over layers of q(layer - mean over layers).
    """
    middle = latents.mean(1, keepdims=True)
    rows = jnp.concatenate([middle - penalty.mean, latents - middle], axis=1)
    whitened = jnp.einsum("nld,de->nle", rows, penalty.whitening, precision=lax.Precision.HIGHEST)
    squares = jnp.square(whitened).sum(-1)
    return penalty.weight * (squares[:, 0] + LAYER_PENALTY * squares[:, 1:].mean(1))


def describe(loss: str, features: Features | None, images: Images) -> Description:
    """Returns the arrays of images that a loss compares.

    Args:
        loss: one of LOSSES.
        features: function of images that returns feature maps; for "features" alone.
        images: images in [-1, 1].
    """
    if loss == PIXELS:
        return (images,)
    if loss == BLURRED:
        return (blur(images, BLUR * max(images.shape[1:3])),)
    assert features is not None
    return (images, *features(images))


def compare(described: Description, wanted: Description) -> Float[Array, "n"]:
    """Returns the error of each image against its target.

    The error of pixels is their mean squared error. Each feature map adds its mean
    squared error, relative to the variance of the target's map, times FEATURE_WEIGHT.
    """
    pixels, *maps = (_mean_square(own - target) for own, target in zip(described, wanted, strict=True))
    variances = [jnp.maximum(_mean_square(_centred(target)), _LEAST_VARIANCE) for target in wanted[1:]]
    terms = [error / variance for error, variance in zip(maps, variances, strict=True)]
    return pixels + FEATURE_WEIGHT * sum(terms, jnp.zeros(()))


def psnr(
    images: Float[Array | np.ndarray, "n h w c"], references: Float[Array | np.ndarray, "n h w c"]
) -> Float[np.ndarray, "n"]:
    """Returns the peak signal-to-noise ratio of each image, in decibels.

    Images are clipped to [-1, 1], so the peak is 2.
    """
    clipped = np.clip(np.asarray(images, np.float64), -1.0, 1.0)
    error = np.mean(np.square(clipped - np.asarray(references, np.float64)), axis=(1, 2, 3))
    return 10.0 * np.log10(4.0 / np.maximum(error, 1e-10))


def blur(images: Images, sigma: float) -> Images:
    """Returns images blurred by a Gaussian of `sigma` pixels; edges are repeated.

    The blur is a product with one matrix per axis, because a depthwise convolution is
    slow on a CPU.
    """
    rows, columns = (jnp.asarray(_blur_matrix(size, sigma)) for size in images.shape[1:3])
    return jnp.einsum("ih,nhwc,jw->nijc", rows, images, columns)


def _blur_matrix(size: int, sigma: float) -> Float[np.ndarray, "size size"]:
    reach = int(np.ceil(4 * sigma))
    offsets = np.arange(-reach, reach + 1)
    taps = np.exp(-0.5 * np.square(offsets / sigma))
    matrix = np.zeros((size, size))
    for row in range(size):
        np.add.at(matrix[row], np.clip(row + offsets, 0, size - 1), taps / taps.sum())
    return matrix.astype(np.float32)


def _mean_square(x: Array) -> Float[Array, "n"]:
    return jnp.square(x).mean(range(1, x.ndim))


def _centred(x: Array) -> Array:
    """Returns a map minus each channel's mean over the positions of its own image."""
    return x - x.mean(range(1, x.ndim - 1), keepdims=True) if x.ndim > 2 else x
