"""Streaming first and second moments of vectors: init, update, merge.

A batch is reduced to its own mean and scatter, which are then merged into the running ones (Chan, Golub and LeVeque 1983), so
no sums that are large against the scatter are ever subtracted from one another. Float32 on the device, matrix products at the
highest precision; float64 on the host, where the groups of a run are put together.
"""

import itertools
from typing import Any, NamedTuple, TypeVar

import jax.numpy as jnp
import numpy as np
from jax import lax

from ganspace_jax.shapes import Array, Float


class Moments(NamedTuple):
    """Of `count` vectors: their mean [d] and scatter [d, d] = sum (x - mean)(x - mean)^T, of which only what is on and above
    the diagonal is right on the device."""

    count: Float[Array, ""]
    mean: Float[Array, "d"]
    scatter: Float[Array, "d d"]


class Float64Moments(NamedTuple):
    """The same on the host, in float64, with the whole scatter."""

    count: Float[np.ndarray, ""]
    mean: Float[np.ndarray, "d"]
    scatter: Float[np.ndarray, "d d"]


_STRIPES = 4

AnyMoments = TypeVar("AnyMoments", Moments, Float64Moments)


def init(dimension: int) -> Moments:
    """Of no vectors."""
    return Moments(
        jnp.zeros((), jnp.float32), jnp.zeros(dimension, jnp.float32), jnp.zeros((dimension, dimension), jnp.float32)
    )


def update(state: Moments, x: Float[Array, "n d"], weight: Float[Array, "n"]) -> Moments:
    """Adds the rows of x whose weight is 1; rows of weight 0 are padding and may hold anything finite.

    Sums are taken around the first row, which is as good a centre as the mean, as far as rounding goes, and known beforehand.
    """
    count = weight.sum()
    shifted = (x - x[0]) * weight[:, None]
    offset = jnp.matmul(weight, shifted, precision=lax.Precision.HIGHEST) / jnp.maximum(count, 1.0)
    scatter = _upper_gram(shifted) - (count * offset)[:, None] * offset
    return merge(state, Moments(count, x[0] + offset, scatter))


def _upper_gram(x: Float[Array, "n d"]) -> Float[Array, "d d"]:
    """x^T x on and above the diagonal, in stripes that leave out most of what is below: 5/8 of the multiplications."""
    edges = sorted({x.shape[1] * part // _STRIPES for part in range(_STRIPES + 1)})
    stripes = [
        jnp.pad(jnp.matmul(x[:, start:stop].T, x[:, start:], precision=lax.Precision.HIGHEST), ((0, 0), (start, 0)))
        for start, stop in itertools.pairwise(edges)
    ]
    return jnp.concatenate(stripes)


def merge(a: AnyMoments, b: AnyMoments) -> AnyMoments:
    """Moments of both sets together; associative and commutative up to rounding."""
    count = a.count + b.count
    share = b.count / (count + (count == 0))
    delta = b.mean - a.mean
    outer = delta[:, None] * delta[None, :]
    return a._make((count, a.mean + share * delta, a.scatter + b.scatter + (a.count * share) * outer))


def remove(total: AnyMoments, part: AnyMoments) -> AnyMoments:
    """Moments of the rest: merge(remove(total, part), part) is total up to rounding. The rest must not be empty."""
    count = total.count - part.count
    mean = total.mean + (part.count / count) * (total.mean - part.mean)
    delta = part.mean - mean
    scatter = total.scatter - part.scatter
    scatter -= (count * part.count / total.count) * (delta[:, None] * delta[None, :])
    return total._make((count, mean, scatter))


def to_float64(state: Any) -> Float64Moments:
    """Moments of device or host arrays, on the host, in float64."""
    count, mean, scatter = (np.asarray(x, np.float64) for x in state)
    return Float64Moments(count, mean, np.where(np.tri(len(mean), k=-1, dtype=bool), scatter.T, scatter))


def covariance(state: Float64Moments) -> Float[np.ndarray, "d d"]:
    """scatter / (count - 1), the unbiased estimate."""
    return state.scatter / (state.count - 1)
