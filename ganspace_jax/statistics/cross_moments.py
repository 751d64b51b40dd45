"""Streaming covariances of long vectors with short vectors: init, update, merge.

This module replaces moments.py where a d x d covariance does not fit into memory. The
inputs are a long vector y [d], a latent z [l], and directions B [b, d]. The short
vector is p = (B y, z) of length b + l. The module accumulates three results:

    cov(p, p);
    cov(p, y) for the first k entries of p, whose rows for B y are B cov(y, y);
    the total variance of y.

Memory is O(k d). Batches merge as in moments.py.

Short vectors of n samples are stored as [p, n]. This layout makes products with long
vectors 1.5 times as fast.
"""

from typing import Any, NamedTuple, TypeVar

import jax.numpy as jnp
import numpy as np
from jax import lax

from ganspace_jax.shapes import Array, Float


class Sketch(NamedTuple):
    """Moments of long vectors y and short vectors p, in float32 on a device.

    Attributes:
        count: number of samples.
        mean: mean of y.
        short_mean: mean of p.
        cross: sum (p - mean)(y - mean)^T over the first k entries of p.
        short_scatter: sum (p - mean)(p - mean)^T.
        power: sum |y - mean|^2.
    """

    count: Float[Array, ""]
    mean: Float[Array, "d"]
    short_mean: Float[Array, "p"]
    cross: Float[Array, "k d"]
    short_scatter: Float[Array, "p p"]
    power: Float[Array, ""]


class Float64Sketch(NamedTuple):
    """Moments of long vectors y and short vectors p, in float64 on the host.

    Attributes:
        count: number of samples.
        mean: mean of y.
        short_mean: mean of p.
        cross: sum (p - mean)(y - mean)^T over the first k entries of p.
        short_scatter: sum (p - mean)(p - mean)^T.
        power: sum |y - mean|^2.
    """

    count: Float[np.ndarray, ""]
    mean: Float[np.ndarray, "d"]
    short_mean: Float[np.ndarray, "p"]
    cross: Float[np.ndarray, "k d"]
    short_scatter: Float[np.ndarray, "p p"]
    power: Float[np.ndarray, ""]


AnySketch = TypeVar("AnySketch", Sketch, Float64Sketch)


def init(dimension: int, short_dimension: int, num_crossed: int) -> Sketch:
    """Returns the sketch of zero samples.

    Args:
        dimension: length d of y.
        short_dimension: length b + l of p.
        num_crossed: number k of leading entries of p in the cross scatter.
    """
    d, p, k = dimension, short_dimension, num_crossed
    return Sketch(*(jnp.zeros(shape, jnp.float32) for shape in ((), (d,), (p,), (k, d), (p, p), ())))


def update(
    state: Sketch, y: Float[Array, "n d"], z: Float[Array, "n l"], weight: Float[Array, "n"], block: Float[Array, "b d"]
) -> Sketch:
    """Adds the samples whose weight is 1.

    Sums are centred on the first sample, as in moments.py. This saves one of three
    passes over the long vectors.

    Args:
        state: sketch of the samples so far.
        y: long vectors. Rows of weight 0 are padding with any finite values.
        z: latents of the same samples.
        weight: 0 or 1 for each sample.
        block: directions B.
    """
    count = weight.sum()
    total = jnp.maximum(count, 1.0)
    shifted, z_shifted = (y - y[0]) * weight[:, None], (z - z[0]) * weight[:, None]
    short = jnp.concatenate([_product(block, shifted.T), z_shifted.T])
    short_offset = short.sum(1) / total
    short = (short - short_offset[:, None]) * weight  # centred, so the centre of y cancels in the products
    products = _product(jnp.concatenate([short[: len(state.cross)], weight[None]]), shifted)
    offset = products[-1] / total
    batch = Sketch(
        count=count,
        mean=y[0] + offset,
        short_mean=jnp.concatenate([_product(block, y[0]), z[0]]) + short_offset,
        cross=products[:-1],
        short_scatter=_product(short, short.T),
        power=jnp.sum(jnp.square(shifted)) - count * jnp.sum(jnp.square(offset)),
    )
    return merge(state, batch)


def merge(a: AnySketch, b: AnySketch) -> AnySketch:
    """Returns the sketch of two sets of samples together.

    The operation is associative and commutative up to rounding.
    """
    count = a.count + b.count
    fraction = b.count / (count + (count == 0))
    weight = a.count * fraction
    delta, short_delta = b.mean - a.mean, b.short_mean - a.short_mean
    crossed_delta = short_delta[: len(a.cross)]
    # In this order of factors NumPy reuses the memory of the outer products.
    return a._replace(
        count=count,
        mean=a.mean + fraction * delta,
        short_mean=a.short_mean + fraction * short_delta,
        cross=a.cross + b.cross + crossed_delta[:, None] * delta[None, :] * weight,
        short_scatter=a.short_scatter + b.short_scatter + short_delta[:, None] * short_delta[None, :] * weight,
        power=a.power + b.power + weight * (delta * delta).sum(),
    )


def negate(state: AnySketch) -> AnySketch:
    """Returns a sketch with a negative count and scatters, which `merge` subtracts."""
    return state._replace(
        count=-state.count, cross=-state.cross, short_scatter=-state.short_scatter, power=-state.power
    )


def remove(total: AnySketch, part: AnySketch) -> AnySketch:
    """Returns the sketch of `total` without the samples of `part`.

    merge(remove(total, part), part) equals total up to rounding. `part` must not
    contain all samples of `total`.
    """
    return merge(total, negate(part))


def to_float64(state: Any) -> Float64Sketch:
    """Returns a sketch of device or host arrays as float64 arrays on the host."""
    return Float64Sketch(*(np.asarray(x, np.float64) for x in state))


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)
