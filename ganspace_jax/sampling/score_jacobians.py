"""Jacobians of scores with respect to per-layer latents, J[n, score, layer, d].

A score is a number that a function reads from an image. One reverse pass per score
gives the exact Jacobian if the function has a derivative. Otherwise differences along
chosen directions give the Jacobian's part in their span.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.generators import base, chunks
from ganspace_jax.generators.base import Generator
from ganspace_jax.run import Progress, Run
from ganspace_jax.sampling import scored_images
from ganspace_jax.sampling.scored_images import Latents, Weights
from ganspace_jax.shapes import Array, Float

CLIPPED = 0.0005  # share of the entries at each end
_MOST_IMAGES = 16  # in one batch of reverse passes
_BATCH_BYTES = 2**29  # for the largest activations of such a batch
_HALF_STEP = 0.25  # of a difference, in lengths of the direction

Jacobians = Float[np.ndarray, "n f layers d"]


class Scored(NamedTuple):
    """Scores of images, and their Jacobians.

    Attributes:
        values: scores; NaN if the image does not show the score.
        jacobians: derivatives of the scores; NaN where the score is NaN.
    """

    values: Float[np.ndarray, "n f"]
    jacobians: Jacobians


def measure(
    generator: Generator,
    read: Callable[[Array], Array],
    latents: Latents,
    weights: Weights = None,
    run: Run = Run(),
) -> Scored:
    """Returns differentiable scores and their Jacobians, by one reverse pass per score.

    Args:
        generator: the generator.
        read: JAX function that maps images to scores [n, f]; a score is NaN if the
            image does not show it.
        latents: per-layer latents of the images.
        weights: class weights of the images; None without classes.
        run: batch size and progress.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    program = _program(generator.definition, read)
    num_scores = jax.eval_shape(read, jax.ShapeDtypeStruct((1, *base.image_shape(generator)), np.float32)).shape[1]
    size = run.batch_size or _reverse_batch(generator, num_scores)
    values: list[np.ndarray] = []
    jacobians: list[np.ndarray] = []
    for rows, count in scored_images.batches(len(latents), size):
        own = None if weights is None else jnp.asarray(weights[rows])
        found = program(generator.params, jnp.asarray(latents[rows]), own)
        values.append(np.asarray(found[0])[:count])
        jacobians.append(np.asarray(found[1])[:count])
        _report(run, sum(map(len, values)), len(latents), "gradients")
    return Scored(np.concatenate(values), np.concatenate(jacobians))


@functools.lru_cache(maxsize=4)  # a path calls `measure` once per step
def _program(definition: Any, read: Callable[[Array], Array]) -> Any:
    return jax.jit(functools.partial(_jacobians, definition, read))


def _jacobians(
    definition: Any, read: Callable[[Array], Array], params: Any, latents: Array, weights: Any
) -> tuple[Array, Array]:
    def scores(latents: Array) -> Array:
        return read(base.merge(definition, params)(latents, label=weights)[0])

    values, pull = jax.vjp(scores, latents)
    units = jnp.eye(values.shape[1], dtype=values.dtype)
    by_score = jax.vmap(lambda unit: pull(jnp.broadcast_to(unit, values.shape))[0])(units)
    return values, jnp.where(jnp.isnan(values)[..., None, None], jnp.nan, jnp.moveaxis(by_score, 0, 1))


def _reverse_batch(generator: Generator, num_scores: int) -> int:
    needed = max(1, chunks.largest_activation(generator)) * (num_scores + 1)
    return max(1, min(_MOST_IMAGES, _BATCH_BYTES // needed))


def measure_differences(
    generator: Generator,
    changes: Callable[[Any, Any], Float[np.ndarray, "n f"]],
    directions: Float[np.ndarray, "k l"],
    latents: Latents,
    weights: Weights = None,
    run: Run = Run(),
) -> Jacobians:
    """Returns the Jacobians' part in the span of directions, from differences of
    images.

    Each image moves along each direction in each layer, by a quarter of the direction's
    length both ways.

    Args:
        generator: the generator.
        changes: function of two batches of images that returns the changes of the
            scores, in standard deviations.
        directions: rows, which should be a standard deviation of the latent long.
        latents: per-layer latents of the images.
        weights: class weights of the images; None without classes.
        run: batch size and progress.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    (num_layers, width), rows = generator.latent_shape, np.asarray(directions, np.float32)
    by_layer = np.broadcast_to(rows.reshape(len(rows), -1, width), (len(rows), num_layers, width))
    parts: list[np.ndarray] = []
    done, total = 0, len(latents) * num_layers * len(rows)
    for layer in range(num_layers):
        along: list[np.ndarray] = []
        for direction in by_layer[:, layer]:
            step = np.zeros((num_layers, width), np.float32)
            step[layer] = _HALF_STEP * direction
            along.append(_differences(generator, changes, step, (latents, weights), run))
            done += len(latents)
            _report(run, done, total, "differences")
        slopes = np.stack(along, axis=-1) / (2 * _HALF_STEP)
        parts.append(slopes @ np.linalg.pinv(by_layer[:, layer]).T)
    return np.stack(parts, axis=2).astype(np.float32)


def _differences(
    generator: Generator, changes: Callable[[Any, Any], np.ndarray], step: np.ndarray, inputs: Any, run: Run
) -> Float[np.ndarray, "n f"]:
    latents, weights = inputs
    before = scored_images.images(generator, latents - step, weights, run)
    after = scored_images.images(generator, latents + step, weights, run)
    return np.concatenate([changes(first, second) for first, second in zip(before, after, strict=True)])


def clip(jacobians: Jacobians, share: float = CLIPPED) -> Jacobians:
    """Returns Jacobians whose outermost entries are clipped, score by score.

    The angle of a pair (cos, sin) has a pole where both are 0, and a category's border
    makes a jump. So a few entries are far too large.

    Args:
        jacobians: Jacobians, NaN where an image does not show a score.
        share: share of the entries of a score that are clipped at each end.
    """
    clipped = np.where(np.isfinite(jacobians), jacobians, np.nan)
    for score in range(clipped.shape[1]):
        seen = clipped[:, score][np.isfinite(clipped[:, score])]
        if len(seen):
            clipped[:, score] = np.clip(clipped[:, score], *np.quantile(seen, (share, 1 - share)))
    return clipped


def _report(run: Run, done: int, total: int, note: str) -> None:
    run.report(Progress(done, total, "image", note))
    scored_images.check_stop(run)
