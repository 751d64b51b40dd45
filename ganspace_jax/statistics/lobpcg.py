"""Leading subspace of a covariance that is too large to form, by a block method.

The covariance is given only by its products with blocks of vectors. The method is
LOBPCG (Knyazev, SIAM J. Sci. Comput. 2001). Each pass applies the covariance to the
residuals of the current subspace. The new subspace is the best one in the span of the
current block, the residuals and the previous step.

LOBPCG needs a fraction of the passes of subspace iteration (Halko, Martinsson and Tropp
2011). Memory is O(d (components + oversampling)) for both methods. This module computes
in float64 on the host.
"""

from collections.abc import Callable, Generator
from typing import Any, NamedTuple

import numpy as np

from ganspace_jax.shapes import Float

Block = Float[np.ndarray, "d b"]
Apply = Callable[[Block], Block]

_RANK_TOLERANCE = 1e-12  # squared lengths below it are rounding, among vectors of length about 1
_ROUNDING = 1e-5  # relative to the largest variance: smaller residuals that do not shrink are rounding
RESOLVED = 1e-6  # relative to the largest variance: smaller variances are rounding of float32 products


class _Pair(NamedTuple):
    """Vectors and their products with the covariance.

    Attributes:
        vectors: columns [d, n].
        images: products C @ vectors [d, n].
    """

    vectors: np.ndarray
    images: np.ndarray

    def times(self, matrix: np.ndarray) -> "_Pair":
        return _Pair(self.vectors @ matrix, self.images @ matrix)


class _Ritz(NamedTuple):
    """Rayleigh-Ritz approximation of the leading eigenvectors within a span.

    Attributes:
        block: Ritz vectors, orthonormal, in the order of falling variance.
        variances: Ritz values [b].
        rotation: coordinates of the Ritz vectors in the span [n, b].
    """

    block: _Pair
    variances: np.ndarray
    rotation: np.ndarray


class Subspace(NamedTuple):
    """Leading subspace of a covariance.

    Attributes:
        basis: orthonormal columns in the order of falling variance.
        passes: number of times that the covariance was applied.
        error: estimated angle between the leading subspace and the true one, in
            radians.
    """

    basis: Float[np.ndarray, "d b"]
    passes: int
    error: float


Search = Generator[Block, Block, Subspace]  # yields blocks, receives C @ block


def random_block(dimension: int, width: int, seed: int = 0) -> Block:
    """Returns min(width, dimension) random orthonormal columns as a first block."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((dimension, min(width, dimension))))[0]


def leading_subspace(apply: Apply, start: Block, num_components: int, **settings: Any) -> Subspace:
    """Returns the leading subspace of the covariance that `apply` multiplies blocks
    with; further arguments are those of `search`.
    """
    passes = search(start, num_components, **settings)
    try:
        block = next(passes)
        while True:
            block = passes.send(apply(block))
    except StopIteration as end:
        return end.value


def search(
    start: Block,
    num_components: int,
    *,
    image: Block | None = None,
    tolerance: float = 2e-4,
    max_passes: int = 40,
    on_pass: Callable[[float], object] = lambda error: None,
) -> Search:
    """Yields blocks, receives their products with the covariance, and returns the
    leading subspace when its error is at most `tolerance`.

    The error is the residual length divided by the spectral gap (Davis and Kahan's
    theorem). The gap separates the components' variances from the smallest Ritz value.
    The subspace's movement in a pass is a poorer estimate of the error. The iteration
    also ends if only rounding is left in the residuals.

    Args:
        start: orthonormal columns of the first block. The block is wider than
            `num_components`, so that directions beyond the last component do not slow
            down the convergence.
        num_components: number of leading directions that must converge.
        image: C @ start if it has been computed already. C is the covariance,
            symmetric, positive semi-definite, and equal in all passes.
        tolerance: largest accepted error, in radians.
        max_passes: largest number of passes.
        on_pass: function that is called with the error of `start`, then with the error
            after each pass.
    """
    dimension, width = start.shape
    passes = 0 if image is not None else 1
    ritz, step = _rayleigh_ritz(_Pair(start, (yield start) if image is None else image), width), None
    length = _residual_length(ritz, num_components)
    error = 0.0 if width == dimension else _gap_angle(length, ritz.variances, num_components)
    on_pass(error)
    is_rounding = False
    while error > tolerance and passes < max_passes and not is_rounding:
        known = ritz.block if step is None else _beside(ritz.block, step)
        residuals = _orthonormal(_residuals(ritz), known.vectors)
        if not residuals.shape[1]:
            return Subspace(ritz.block.vectors, passes, 0.0)
        ritz, step = _best_block(_beside(known, _Pair(residuals, (yield residuals))), width)
        passes += 1
        previous_length, length = length, _residual_length(ritz, num_components)
        is_rounding = previous_length / 2 < length < _ROUNDING * ritz.variances[0]
        error = _gap_angle(length, ritz.variances, num_components)
        on_pass(error)
    return Subspace(ritz.block.vectors, passes, error)


def _best_block(span: _Pair, width: int) -> tuple[_Ritz, _Pair]:
    """Returns the best block within a span, and the step towards it.

    The step is the part of the new block that lies outside the previous block. The
    previous block is the first `width` vectors of the span.
    """
    ritz = _rayleigh_ritz(span, width)
    outside = span.times(np.concatenate([np.zeros((width, width)), ritz.rotation[width:]]))
    return ritz, _orthonormal_step(ritz.block, outside)


def _residuals(ritz: _Ritz) -> np.ndarray:
    return ritz.block.images - ritz.block.vectors * ritz.variances


def _residual_length(ritz: _Ritz, num_components: int) -> float:
    """Returns the spectral norm of the resolved components' residuals."""
    return float(np.linalg.norm(_residuals(ritz)[:, : _num_resolved(ritz.variances, num_components)], ord=2))


def _gap_angle(length: float, variances: np.ndarray, num_components: int) -> float:
    """Returns the angle between the leading Ritz vectors and an invariant subspace.

    The bound holds if all variances outside the block are at most the last Ritz value.
    """
    gap = variances[_num_resolved(variances, num_components) - 1] - variances[-1]
    return float(np.arcsin(min(1.0, length / gap))) if length < gap else np.pi / 2


def _num_resolved(variances: np.ndarray, num_components: int) -> int:
    """Returns the number of components, at least 1, whose variance exceeds rounding."""
    return max(1, int(np.count_nonzero(variances[:num_components] > RESOLVED * variances[0])))


def _rayleigh_ritz(span: _Pair, width: int) -> _Ritz:
    """Returns the `width` leading directions within a span of orthonormal vectors."""
    inner = span.vectors.T @ span.images
    values, vectors = np.linalg.eigh((inner + inner.T) / 2)
    order = np.argsort(values)[::-1][:width]
    return _Ritz(span.times(vectors[:, order]), values[order], vectors[:, order])


def _beside(a: _Pair, b: _Pair) -> _Pair:
    return _Pair(np.concatenate([a.vectors, b.vectors], axis=1), np.concatenate([a.images, b.images], axis=1))


def _orthonormal_step(block: _Pair, step: _Pair) -> _Pair:
    """Returns the step, orthonormal in itself and to the block, with matching images.

    Columns that contain only rounding are left out.
    """
    for _ in range(2):
        overlap = block.vectors.T @ step.vectors
        step = _Pair(step.vectors - block.vectors @ overlap, step.images - block.images @ overlap)
        step = step.times(_whitening(step.vectors))
    return step


def _orthonormal(vectors: np.ndarray, against: np.ndarray) -> np.ndarray:
    """Returns orthonormal columns that span the vectors' part outside of `against`.

    Two rounds of orthogonalisation are enough (Kahan and Parlett).
    """
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=0), np.finfo(np.float64).tiny)
    for _ in range(2):
        vectors = vectors - against @ (against.T @ vectors)
        vectors = vectors @ _whitening(vectors)
    return vectors


def _whitening(vectors: np.ndarray) -> np.ndarray:
    """Returns W such that the columns of vectors @ W are orthonormal.

    If the vectors are linearly dependent, W has fewer columns than there are vectors.
    """
    values, rotation = np.linalg.eigh(vectors.T @ vectors)
    kept = values > _RANK_TOLERANCE
    return rotation[:, kept] / np.sqrt(values[kept])
