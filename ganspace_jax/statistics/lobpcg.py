"""The leading subspace of a covariance that is too large to be formed, from its products with blocks of vectors.

A block method with a memory of two blocks (LOBPCG: Knyazev, SIAM J. Sci. Comput. 2001): in each pass the covariance is applied
to the residuals of the present subspace, and the best subspace is then taken from the span of the present block, the residuals
and the last step. It needs a fraction of the passes of subspace iteration (Halko, Martinsson and Tropp 2011), and the same
O(d (components + oversampling)) of memory. Float64 on the host.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ganspace_jax.shapes import Float

Block = Float[np.ndarray, "d b"]
Apply = Callable[[Block], Block]

_RANK_TOLERANCE = 1e-12  # squared lengths below it are rounding, in a set of vectors of length about 1
_ROUNDING = 1e-5  # times the largest variance: residuals below it that no longer shrink are rounding
RESOLVED = 1e-6  # variances below this share of the largest one are rounding, in products made in float32


class _Pair(NamedTuple):
    """Vectors, and the covariance's product with each."""

    vectors: np.ndarray
    images: np.ndarray

    def times(self, matrix: np.ndarray) -> "_Pair":
        return _Pair(self.vectors @ matrix, self.images @ matrix)


class Subspace(NamedTuple):
    """basis: orthonormal columns, the leading ones first. passes: times that the covariance was applied.

    error: by what angle, in radians, the leading subspace may be off.
    """

    basis: Float[np.ndarray, "d b"]
    passes: int
    error: float


def random_block(dimension: int, width: int, seed: int = 0) -> Block:
    """Orthonormal columns to begin with, where nothing is known."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((dimension, min(width, dimension))))[0]


def leading_subspace(
    apply: Apply,
    start: Block,
    num_components: int,
    *,
    image: Block | None = None,
    tolerance: float = 2e-4,
    max_passes: int = 40,
    on_pass: Callable[[float], object] = lambda error: None,
) -> Subspace:
    """Iterates until the subspace of the `num_components` leading directions is known to `tolerance` radians.

    apply: C block, for a symmetric positive semi-definite C, the same in every pass. start: orthonormal columns to begin with,
    more than num_components, so that the next directions do not hide behind the last of these. image: C start, where that is
    known. on_pass is called with the error, first of the start and then after each pass.

    The error is, by Davis and Kahan's theorem, the length of the residuals over the gap to what is outside of the block; how
    far the subspace moves in a pass says less. Where only rounding is left of the residuals, it ends with what error there is.
    """
    dimension, width = start.shape
    passes = 0 if image is not None else 1
    present, values, _ = _best(_Pair(start, apply(start) if image is None else image), width)
    length = _residual_length(present, values, num_components)
    error = 0.0 if width == dimension else _gap_angle(length, values, num_components)
    on_pass(error)
    last_step: _Pair | None = None
    is_rounding = False
    while error > tolerance and passes < max_passes and not is_rounding:
        known = present if last_step is None else _beside(present, last_step)
        residuals = _orthonormal(_residuals(present, values), known.vectors)
        if not residuals.shape[1]:
            return Subspace(present.vectors, passes, 0.0)
        span = _beside(known, _Pair(residuals, apply(residuals)))
        turned, values, rotation = _best(span, width)
        last_step = _step_beside(turned, span.times(np.concatenate([np.zeros((width, width)), rotation[width:]])))
        present, passes = turned, passes + 1
        before, length = length, _residual_length(present, values, num_components)
        is_rounding = before / 2 < length < _ROUNDING * values[0]
        error = _gap_angle(length, values, num_components)
        on_pass(error)
    return Subspace(present.vectors, passes, error)


def _residuals(present: _Pair, values: np.ndarray) -> np.ndarray:
    return present.images - present.vectors * values


def _residual_length(present: _Pair, values: np.ndarray, num_components: int) -> float:
    return float(np.linalg.norm(_residuals(present, values)[:, : _resolved(values, num_components)], ord=2))


def _gap_angle(length: float, values: np.ndarray, num_components: int) -> float:
    """Between the leading Ritz vectors and an invariant subspace, if the last Ritz value bounds what is outside."""
    gap = values[_resolved(values, num_components) - 1] - values[-1]
    return float(np.arcsin(min(1.0, length / gap))) if length < gap else np.pi / 2


def _resolved(values: np.ndarray, num_components: int) -> int:
    """How many of the components have a variance that is more than rounding."""
    return max(1, int(np.count_nonzero(values[:num_components] > RESOLVED * values[0])))


def _best(span: _Pair, width: int) -> tuple[_Pair, np.ndarray, np.ndarray]:
    """Rayleigh-Ritz: the leading directions within a span of orthonormal vectors, their variances, and the rotation."""
    inner = span.vectors.T @ span.images
    values, vectors = np.linalg.eigh((inner + inner.T) / 2)
    order = np.argsort(values)[::-1][:width]
    return span.times(vectors[:, order]), values[order], vectors[:, order]


def _beside(a: _Pair, b: _Pair) -> _Pair:
    return _Pair(np.concatenate([a.vectors, b.vectors], axis=1), np.concatenate([a.images, b.images], axis=1))


def _step_beside(present: _Pair, step: _Pair) -> _Pair:
    """The step, made orthonormal to the present vectors, with its images carried along; columns of rounding are left out."""
    for _ in range(2):
        overlap = present.vectors.T @ step.vectors
        step = _Pair(step.vectors - present.vectors @ overlap, step.images - present.images @ overlap)
        step = step.times(_whitening(step.vectors))
    return step


def _orthonormal(vectors: np.ndarray, against: np.ndarray) -> np.ndarray:
    """Columns spanning what the vectors have beyond `against`; twice is enough (Kahan and Parlett)."""
    vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=0), np.finfo(np.float64).tiny)
    for _ in range(2):
        vectors = vectors - against @ (against.T @ vectors)
        vectors = vectors @ _whitening(vectors)
    return vectors


def _whitening(vectors: np.ndarray) -> np.ndarray:
    """W with vectors @ W orthonormal, its columns fewer than the vectors where these depend on one another."""
    values, rotation = np.linalg.eigh(vectors.T @ vectors)
    kept = values > _RANK_TOLERANCE
    return rotation[:, kept] / np.sqrt(values[kept])
