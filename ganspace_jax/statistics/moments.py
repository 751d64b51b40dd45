"""Streaming first and second moments of vectors: init, update, merge.

`update` reduces a batch to its own mean and scatter. `merge` then adds these to the
state (Chan, Golub and LeVeque 1983). Large sums are therefore never subtracted from one
another to give a small scatter.

Devices compute in float32, with matrix products at the highest precision. The host
merges the groups of a run in float64.
"""

import itertools
from typing import Any, NamedTuple, TypeVar

import jax.numpy as jnp
import numpy as np
from jax import lax

from ganspace_jax.shapes import Array, Float

_NUM_STRIPES = 4


class Moments(NamedTuple):
    """Moments of vectors x, in float32 on a device.

    Attributes:
        count: number of vectors.
        mean: mean of the vectors.
        scatter: sum (x - mean)(x - mean)^T. Only its upper triangle, with the diagonal,
            is valid.
    """

    count: Float[Array, ""]
    mean: Float[Array, "d"]
    scatter: Float[Array, "d d"]


class Float64Moments(NamedTuple):
    """Moments of vectors x, in float64 on the host.

    Attributes:
        count: number of vectors.
        mean: mean of the vectors.
        scatter: sum (x - mean)(x - mean)^T, both triangles.
    """

    count: Float[np.ndarray, ""]
    mean: Float[np.ndarray, "d"]
    scatter: Float[np.ndarray, "d d"]


AnyMoments = TypeVar("AnyMoments", Moments, Float64Moments)


def init(dimension: int) -> Moments:
    """Returns the moments of zero vectors."""
    return Moments(
        jnp.zeros((), jnp.float32), jnp.zeros(dimension, jnp.float32), jnp.zeros((dimension, dimension), jnp.float32)
    )


def update(state: Moments, x: Float[Array, "n d"], weight: Float[Array, "n"]) -> Moments:
    """Adds the rows of x whose weight is 1.

    Sums are centred on the first row. For rounding the first row is as good a centre as
    the mean, and it is available before the sums.

    Args:
        state: moments of the vectors so far.
        x: one vector per row. Rows of weight 0 are padding with any finite values.
        weight: 0 or 1 for each row.
    """
    count = weight.sum()
    shifted = (x - x[0]) * weight[:, None]
    offset = jnp.matmul(weight, shifted, precision=lax.Precision.HIGHEST) / jnp.maximum(count, 1.0)
    scatter = _upper_gram(shifted) - (count * offset)[:, None] * offset
    return merge(state, Moments(count, x[0] + offset, scatter))


def _upper_gram(x: Float[Array, "n d"]) -> Float[Array, "d d"]:
    """Returns x^T x, of which only the upper triangle and the diagonal are valid.

    The product is computed in stripes of rows that start near the diagonal. This costs
    5/8 of the multiplications of the whole product.
    """
    edges = sorted({x.shape[1] * stripe // _NUM_STRIPES for stripe in range(_NUM_STRIPES + 1)})
    stripes = [
        jnp.pad(jnp.matmul(x[:, start:stop].T, x[:, start:], precision=lax.Precision.HIGHEST), ((0, 0), (start, 0)))
        for start, stop in itertools.pairwise(edges)
    ]
    return jnp.concatenate(stripes)


def merge(a: AnyMoments, b: AnyMoments) -> AnyMoments:
    """Returns the moments of two sets of vectors together.

    The operation is associative and commutative up to rounding.
    """
    count = a.count + b.count
    fraction = b.count / (count + (count == 0))
    weight = a.count * fraction
    delta = b.mean - a.mean
    # In this order of factors NumPy reuses the memory of the outer product.
    return a._replace(
        count=count,
        mean=a.mean + fraction * delta,
        scatter=a.scatter + b.scatter + delta[:, None] * delta[None, :] * weight,
    )


def negate(state: AnyMoments) -> AnyMoments:
    """Returns moments with a negative count and scatter, which `merge` subtracts."""
    return state._replace(count=-state.count, scatter=-state.scatter)


def remove(total: AnyMoments, part: AnyMoments) -> AnyMoments:
    """Returns the moments of `total` without the vectors of `part`.

    merge(remove(total, part), part) equals total up to rounding. `part` must not
    contain all vectors of `total`.
    """
    return merge(total, negate(part))


def to_float64(state: Any) -> Float64Moments:
    """Returns moments of device or host arrays as float64 arrays on the host.

    The upper triangle of the scatter is copied into the lower triangle.
    """
    count, mean, scatter = (np.asarray(x, np.float64) for x in state)
    return Float64Moments(count, mean, np.where(np.tri(len(mean), k=-1, dtype=bool), scatter.T, scatter))


def covariance(state: Float64Moments) -> Float[np.ndarray, "d d"]:
    """Returns the unbiased estimate scatter / (count - 1)."""
    return state.scatter / (state.count - 1)
