"""Streaming covariances of long vectors with short ones: what moments.py keeps, where D x D numbers would not fit.

For y [d] and directions B [b, d], with a latent z [l] beside: the covariance of p = (B y, z), that of the first k of p with y,
which for those of B is B C, and the total variance of y. Memory O(k d). Batches merge as in moments.py.

What is short is kept as rows [p, n]: products with long vectors whose other side lies so in memory are half as fast again.
"""

from typing import Any, NamedTuple, TypeVar

import jax.numpy as jnp
import numpy as np
from jax import lax

from ganspace_jax.shapes import Array, Float


class Sketch(NamedTuple):
    """Of `count` samples: means of y and p; scatters sum (p - mean)(y - mean)^T, of the first k of p, and
    sum (p - mean)(p - mean)^T; power: sum |y - mean|^2."""

    count: Float[Array, ""]
    mean: Float[Array, "d"]
    short_mean: Float[Array, "p"]
    cross: Float[Array, "k d"]
    short_scatter: Float[Array, "p p"]
    power: Float[Array, ""]


class Float64Sketch(NamedTuple):
    """The same on the host, in float64."""

    count: Float[np.ndarray, ""]
    mean: Float[np.ndarray, "d"]
    short_mean: Float[np.ndarray, "p"]
    cross: Float[np.ndarray, "k d"]
    short_scatter: Float[np.ndarray, "p p"]
    power: Float[np.ndarray, ""]


AnySketch = TypeVar("AnySketch", Sketch, Float64Sketch)


def init(dimension: int, short_dimension: int, num_crossed: int) -> Sketch:
    """Of no samples; short_dimension: b + l. num_crossed: k."""
    d, p, k = dimension, short_dimension, num_crossed
    return Sketch(*(jnp.zeros(shape, jnp.float32) for shape in ((), (d,), (p,), (k, d), (p, p), ())))


def update(
    state: Sketch, y: Float[Array, "n d"], z: Float[Array, "n l"], weight: Float[Array, "n"], block: Float[Array, "b d"]
) -> Sketch:
    """Adds the samples whose weight is 1; rows of weight 0 are padding and may hold anything finite.

    Sums are taken around the first sample, as in moments.py: it saves one way through the long vectors of three.
    """
    count = weight.sum()
    total = jnp.maximum(count, 1.0)
    shifted, z_shifted = (y - y[0]) * weight[:, None], (z - z[0]) * weight[:, None]
    short = jnp.concatenate([_product(block, shifted.T), z_shifted.T])
    short_offset = short.sum(1) / total
    short = (short - short_offset[:, None]) * weight  # centred, so that the centre of y plays no part in the products
    products = _product(jnp.concatenate([short[: len(state.cross)], weight[None]]), shifted)
    offset = products[-1] / total
    batch = Sketch(
        count,
        y[0] + offset,
        jnp.concatenate([_product(block, y[0]), z[0]]) + short_offset,
        products[:-1],
        _product(short, short.T),
        jnp.sum(jnp.square(shifted)) - count * jnp.sum(jnp.square(offset)),
    )
    return merge(state, batch)


def merge(a: AnySketch, b: AnySketch) -> AnySketch:
    """Of both sets together; associative and commutative up to rounding."""
    count = a.count + b.count
    share = b.count / (count + (count == 0))
    delta, short_delta = b.mean - a.mean, b.short_mean - a.short_mean
    return _with_offset(a, count, share, delta, short_delta, b, a.count * share, 1)


def remove(total: AnySketch, part: AnySketch) -> AnySketch:
    """Of the rest: merge(remove(total, part), part) is total up to rounding. The rest must not be empty."""
    count = total.count - part.count
    share = -part.count / count
    delta, short_delta = part.mean - total.mean, part.short_mean - total.short_mean
    return _with_offset(total, count, share, delta, short_delta, part, total.count * share, -1)


def _with_offset(a, count, share, delta, short_delta, b, weight, sign):
    """a with b added (sign 1) or taken out (-1), and the scatter between their means."""
    return a._make(
        (
            count,
            a.mean + share * delta,
            a.short_mean + share * short_delta,
            a.cross + sign * b.cross + weight * (short_delta[: len(a.cross), None] * delta[None, :]),
            a.short_scatter + sign * b.short_scatter + weight * (short_delta[:, None] * short_delta[None, :]),
            a.power + sign * b.power + weight * (delta * delta).sum(),
        )
    )


def to_float64(state: Any) -> Float64Sketch:
    """A Sketch of device or host arrays, on the host, in float64."""
    return Float64Sketch(*(np.asarray(x, np.float64) for x in state))


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)
