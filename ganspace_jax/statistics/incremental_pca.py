"""Incremental PCA in one sweep: what the original GANSpace does, for comparison with it (Ross et al., IJCV 2008).

A state keeps the leading right singular vectors of all samples so far, scaled by their singular values, and forgets the rest
after every batch: R^T R is nearly the scatter of the samples. With a batch X of mean m, the new R are the leading rows of

    U^T M,   M = [R; X - m; sqrt(n_a n_b / (n_a + n_b)) (m - m_a)],   M M^T = U S^2 U^T.

What was forgotten is lost for good, so the result depends on the batches; estimators.exact and .randomized_block do not.
"""

from typing import Any, NamedTuple, TypeVar

import jax.numpy as jnp
import numpy as np
from jax import lax

from ganspace_jax.shapes import Array, Float
from ganspace_jax.statistics import cross_moments


class Incremental(NamedTuple):
    """rows [k, d]: R. sketch: of the layer with fixed directions and the latent, exact."""

    rows: Array
    sketch: cross_moments.Sketch


class Float64Incremental(NamedTuple):
    """The same on the host, in float64."""

    rows: np.ndarray
    sketch: cross_moments.Float64Sketch


AnyIncremental = TypeVar("AnyIncremental", Incremental, Float64Incremental)


def init(dimension: int, num_rows: int, short_dimension: int) -> Incremental:
    """Of no samples; short_dimension: of the sketch."""
    return Incremental(
        jnp.zeros((min(num_rows, dimension), dimension), jnp.float32),
        cross_moments.init(dimension, short_dimension, short_dimension),
    )


def update(
    state: Incremental,
    y: Float[Array, "n d"],
    z: Float[Array, "n l"],
    weight: Float[Array, "n"],
    block: Float[Array, "b d"],
) -> Incremental:
    """Adds the samples whose weight is 1, at least one of them; the rest of the rows are padding."""
    mean = (y * weight[:, None]).sum(0) / jnp.maximum(weight.sum(), 1.0)
    short = len(state.sketch.cross)
    batch = cross_moments.update(cross_moments.init(y.shape[1], short, short), y, z, weight, block)
    return merge(state, Incremental((y - mean) * weight[:, None], batch))


def merge(a: AnyIncremental, b: AnyIncremental) -> AnyIncremental:
    """Of both sets together, with as many rows as `a` has."""
    xp: Any = np if isinstance(a.rows, np.ndarray) else jnp
    count = a.sketch.count + b.sketch.count
    weight = a.sketch.count * (b.sketch.count / (count + (count == 0)))
    between = xp.sqrt(weight) * (b.sketch.mean - a.sketch.mean)
    stacked = xp.concatenate([a.rows, b.rows, between[None]])
    return a._make((_leading(xp, stacked, len(a.rows)), cross_moments.merge(a.sketch, b.sketch)))


def _leading(xp: Any, matrix: Any, num_rows: int) -> Any:
    """The leading rows of S V^T, by the small matrix of inner products.

    In float32 that resolves singular values down to about a thousandth of the first.
    """
    _, vectors = xp.linalg.eigh(_product(xp, matrix, matrix.T))
    return _product(xp, vectors[:, ::-1][:, :num_rows].T, matrix)


def _product(xp: Any, a: Any, b: Any) -> Any:
    return a @ b if xp is np else jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def to_float64(state: Any) -> Float64Incremental:
    """An Incremental of device or host arrays, on the host, in float64."""
    return Float64Incremental(np.asarray(state.rows, np.float64), cross_moments.to_float64(state.sketch))
