"""Incremental PCA in one pass over the samples (Ross et al., IJCV 2008).

The original GANSpace uses this algorithm. It is here for comparison with the original.

A state stores rows R: the leading right singular vectors of all samples so far, scaled
by their singular values. R^T R approximates the scatter of the samples. A batch X of
n_b samples with mean m_b updates the n_a samples so far with mean m_a. The new R are
the leading rows of U^T M:

    M = [R; X - m_b; sqrt(n_a n_b / (n_a + n_b)) (m_b - m_a)],   M M^T = U S^2 U^T.

Every update discards the smaller singular vectors. The result therefore depends on the
batches, unlike the exact and the randomized estimator's result.
"""

from typing import Any, NamedTuple, TypeVar

import jax.numpy as jnp
import numpy as np
from jax import lax

from ganspace_jax.shapes import Array, Float
from ganspace_jax.statistics import cross_moments


class Incremental(NamedTuple):
    """State of incremental PCA, in float32 on a device.

    Attributes:
        rows: scaled singular vectors R [k, d].
        sketch: exact moments of the layer, of fixed directions, and of the latent.
    """

    rows: Array
    sketch: cross_moments.Sketch


class Float64Incremental(NamedTuple):
    """State of incremental PCA, in float64 on the host.

    Attributes:
        rows: scaled singular vectors R [k, d].
        sketch: exact moments of the layer, of fixed directions, and of the latent.
    """

    rows: np.ndarray
    sketch: cross_moments.Float64Sketch


AnyIncremental = TypeVar("AnyIncremental", Incremental, Float64Incremental)


def init(dimension: int, num_rows: int, short_dimension: int) -> Incremental:
    """Returns the state of zero samples.

    Args:
        dimension: length d of a sample.
        num_rows: number k of singular vectors, reduced to d if it is larger.
        short_dimension: length of the sketch's short vector.
    """
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
    """Adds the samples whose weight is 1.

    Args:
        state: state of the samples so far.
        y: activations. Rows of weight 0 are padding with any finite values.
        z: latents of the same samples.
        weight: 0 or 1 for each sample; at least one is 1.
        block: fixed directions of the sketch.
    """
    mean = (y * weight[:, None]).sum(0) / jnp.maximum(weight.sum(), 1.0)
    short_dimension = len(state.sketch.cross)
    empty = cross_moments.init(y.shape[1], short_dimension, short_dimension)
    sketch = cross_moments.update(empty, y, z, weight, block)
    return merge(state, Incremental((y - mean) * weight[:, None], sketch))


def merge(a: AnyIncremental, b: AnyIncremental) -> AnyIncremental:
    """Returns the state of two sets of samples together, with as many rows as a."""
    xp: Any = np if isinstance(a.rows, np.ndarray) else jnp
    count = a.sketch.count + b.sketch.count
    weight = a.sketch.count * (b.sketch.count / (count + (count == 0)))
    between = xp.sqrt(weight) * (b.sketch.mean - a.sketch.mean)
    stacked = xp.concatenate([a.rows, b.rows, between[None]])
    return a._make((_leading(xp, stacked, len(a.rows)), cross_moments.merge(a.sketch, b.sketch)))


def _leading(xp: Any, matrix: Any, num_rows: int) -> Any:
    """Returns the leading rows of S V^T, computed from the matrix of inner products.

    In float32 this resolves singular values down to about 0.001 of the largest.
    """
    _, vectors = xp.linalg.eigh(_product(xp, matrix, matrix.T))
    return _product(xp, vectors[:, ::-1][:, :num_rows].T, matrix)


def _product(xp: Any, a: Any, b: Any) -> Any:
    return a @ b if xp is np else jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def to_float64(state: Any) -> Float64Incremental:
    """Returns a state of device or host arrays as float64 arrays on the host."""
    return Float64Incremental(np.asarray(state.rows, np.float64), cross_moments.to_float64(state.sketch))
