"""Independent components of a layer, in the span of its leading principal components.

Hyvärinen, "Fast and Robust Fixed-Point Algorithms for Independent Component Analysis",
1999, section 4, with tanh and symmetric decorrelation. With whitened coordinates a of
the samples, one step is

    W <- (B B^T)^-1/2 B,  B = E[tanh(W a) a^T] - diag(E[1 - tanh(W a)^2]) W.

Each new W is averaged with the one before. The sources W a have variance 1. The mixing
vector of a source is the change of the layer for a unit step of this source alone. The
unmixing vector reads the source.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ganspace_jax.directions.components import Components
from ganspace_jax.errors import InputError
from ganspace_jax.generators.base import Generator
from ganspace_jax.methods import direction_spec
from ganspace_jax.methods.direction_spec import DirectionSpec, Layer
from ganspace_jax.run import Run
from ganspace_jax.sampling import projections
from ganspace_jax.shapes import Array, Float, Int
from ganspace_jax.statistics import quadratic_forms

MOST_STEPS = 1000
_TOLERANCE = 1e-6  # of the last step, as 1 - |cosine|


class Rotation(NamedTuple):
    """The orthogonal matrix W, and the number of steps that found it."""

    matrix: Float[Array, "c c"]
    num_steps: Int[Array, ""]


def find(generator: Generator, spec: DirectionSpec, run: Run, principal: Components, *, name: str = "") -> Components:
    """Finds the independent components of a layer.

    `variance_ratio` is the share of a source in the variance of the layer. Directions
    in z are the least-squares directions of the sources.

    Args:
        generator: the generator.
        spec: resolved spec.
        run: samples per step, progress and stopping.
        principal: principal components of the layer.
        name: name of the generator in the components file.

    Raises:
        InputError: if the steps do not converge.
        Interrupted: if run.should_stop returned True.
    """
    count = spec.num_components
    axes = principal.activation_components.reshape(count, -1).astype(np.float64)
    mean = np.asarray(principal.activation_mean, np.float64).reshape(-1)
    at = projections.measure(generator, spec, axes, mean, num_samples=spec.num_samples, seed=spec.seed, run=run)
    whitening = _inverse_root(np.cov(at.coordinates, rowvar=False, bias=True).reshape(count, count))
    centred = at.coordinates - at.coordinates.mean(0)
    found = rotation(jnp.asarray(centred @ whitening, jnp.float32), jnp.asarray(_start(count, spec.seed)))
    if found.num_steps >= MOST_STEPS:
        raise InputError(
            f"--method=ica: {MOST_STEPS} steps do not separate {count} sources; give fewer components or more samples"
        )
    unmixing = np.asarray(found.matrix, np.float64) @ whitening
    mixing = np.linalg.inv(unmixing).T @ axes
    order = np.argsort(-np.sum(np.square(mixing), axis=1))
    unmixing, mixing = unmixing[order], mixing[order]
    rows = quadratic_forms.unit(mixing if spec.vectors == "mixing" else unmixing @ axes)
    variances = np.square(principal.activation_stdevs.astype(np.float64))
    total = variances[0] / principal.variance_ratio[0]
    stdevs = np.sqrt(np.square(rows @ axes.T) @ variances)
    latents = at.latents - at.latents.mean(0)
    return direction_spec.of_layer(
        generator, spec, Layer(rows, stdevs, mean), (centred @ unmixing.T).T @ latents,
        figures={"variance_ratio": np.sum(np.square(mixing), axis=1) / total},
        num_samples=spec.num_samples, name=name,
    )  # fmt: skip


@jax.jit
def rotation(whitened: Float[Array, "n c"], start: Float[Array, "c c"]) -> Rotation:
    """Returns the rotation W that makes the sources independent.

    Args:
        whitened: samples with mean 0 and covariance I.
        start: orthogonal matrix with which the steps begin.
    """
    highest = lax.Precision.HIGHEST

    def decorrelated(b: Array) -> Array:  # (B B^T)^-1/2 B
        left, _, right = jnp.linalg.svd(b)
        return jnp.matmul(left, right, precision=highest)

    def step(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        matrix, _, number = state
        squashed = jnp.tanh(jnp.matmul(whitened, matrix.T, precision=highest))
        slopes = jnp.mean(1 - jnp.square(squashed), axis=0)
        moved = jnp.matmul(squashed.T, whitened, precision=highest) / len(whitened) - slopes[:, None] * matrix
        new = decorrelated(moved)
        new = new * jnp.where(jnp.sum(new * matrix, axis=1) < 0, -1.0, 1.0)[:, None]
        # Without the mean of both, nearly normal sources make the steps alternate
        # between two rotations.
        new = decorrelated(new + matrix)
        change = jnp.max(jnp.abs(1 - jnp.abs(jnp.sum(new * matrix, axis=1))))
        return new, change, number + 1

    def goes_on(state: tuple[Array, Array, Array]) -> Array:
        return (state[1] > _TOLERANCE) & (state[2] < MOST_STEPS)

    matrix, _, number = lax.while_loop(goes_on, step, (start, jnp.asarray(jnp.inf), jnp.asarray(0)))
    return Rotation(matrix, number)


def _start(count: int, seed: int) -> Float[np.ndarray, "c c"]:
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((count, count)))[0].astype(np.float32)


def _inverse_root(covariance: Float[np.ndarray, "c c"]) -> Float[np.ndarray, "c c"]:
    values, vectors = np.linalg.eigh(covariance)
    return vectors / np.sqrt(np.maximum(values, 1e-12 * values[-1])) @ vectors.T
