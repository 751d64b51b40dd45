"""Normal equations of one image's latent: how it moves so that the image changes by a
wanted tangent.

J is the Jacobian of an image with respect to its latent, and tau a wanted change. Then
|J dw - tau|^2 is known from J^T J, J^T tau and |tau|^2. So images are differentiated
once, and every damping is linear algebra.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ganspace_jax.generators import base, chunks
from ganspace_jax.generators.base import Generator
from ganspace_jax.run import Progress, Run
from ganspace_jax.sampling import scored_images
from ganspace_jax.sampling.scored_images import Latents, Weights
from ganspace_jax.shapes import Array, Float

_MOST_IMAGES = 16  # in one batch
_BATCH_BYTES = 2**29  # for the largest activations of a batch, one for each image and row
_MOST_PIXELS = 64  # along the longer side, at which a compared change is stored


class NormalEquations(NamedTuple):
    """What |J dw - tau|^2 depends on, for each image.

    Attributes:
        gram: J^T J.
        slopes: J^T tau.
        squares: |tau|^2.
    """

    gram: Float[np.ndarray, "n l l"]
    slopes: Float[np.ndarray, "n l"]
    squares: Float[np.ndarray, "n"]

    def solve(self, damping: Float[np.ndarray, "l l"]) -> Float[np.ndarray, "n l"]:
        """Returns (J^T J + damping)^-1 J^T tau of each image."""
        return np.linalg.solve(self.gram + damping, self.slopes[..., None])[..., 0]

    def missed(self, moves: Float[np.ndarray, "n l"]) -> Float[np.ndarray, "n"]:
        """Returns |J dw - tau|^2 of each image and its move dw."""
        bent = np.einsum("nk,nkl,nl->n", moves, self.gram, moves)
        return self.squares - 2 * np.einsum("nl,nl->n", moves, self.slopes) + bent


def measure(
    generator: Generator,
    tangent: Callable[[Array], tuple[Array, Array]],
    filtered: Callable[[Array, Array], Array],
    latents: Latents,
    weights: Weights = None,
    run: Run = Run(),
) -> NormalEquations:
    """Returns the normal equations of each image, by one forward derivative per number
    of the latent.

    Args:
        generator: the generator.
        tangent: function of images that returns (wanted changes, mask).
        filtered: linear function of (changes, mask) that returns the compared changes.
        latents: per-layer latents of the images.
        weights: class weights of the images; None without classes.
        run: batch size, progress and stopping.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    prepare, derive = _programs(generator.definition, tangent, filtered)
    rows_of = units(generator.latent_shape, generator.latent_size)
    rows_at_once = max(1, min(len(rows_of), _BATCH_BYTES // max(1, chunks.largest_activation(generator))))
    largest = rows_at_once * max(1, chunks.largest_activation(generator))
    size = run.batch_size or max(1, min(_MOST_IMAGES, _BATCH_BYTES // largest))
    parts: list[Any] = []
    for rows, count in scored_images.batches(len(latents), size):
        own = jnp.asarray(latents[rows]), None if weights is None else jnp.asarray(weights[rows])
        mask, wanted = prepare(generator.params, *own)
        jacobian = [
            derive(generator.params, *own, mask, jnp.asarray(rows_of[some]))[:used]
            for some, used in scored_images.batches(len(rows_of), rows_at_once)
        ]
        parts.append([np.asarray(x, np.float64)[:count] for x in _products(jnp.concatenate(jacobian), wanted)])
        run.report(Progress(sum(len(part[0]) for part in parts), len(latents), "image", "derivatives"))
        scored_images.check_stop(run)
    return NormalEquations(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def units(latent_shape: tuple[int, int], size: int) -> Float[np.ndarray, "l layers d"]:
    """Returns the per-layer latents of each unit vector.

    Args:
        latent_shape: number of layers, and size of each layer's latent d.
        size: size of the latent: d if it moves all layers alike, or layers times d if
            each layer owns a chunk of it.
    """
    num_layers, width = latent_shape
    by_layer = np.eye(size, dtype=np.float32).reshape(size, -1, width)
    return np.ascontiguousarray(np.broadcast_to(by_layer, (size, num_layers, width)))


@functools.lru_cache(maxsize=2)
def _programs(definition: Any, tangent: Any, filtered: Any) -> tuple[Any, Any]:
    def images(params: Any, latents: Array, label: Any) -> Array:
        return base.merge(definition, params)(latents, label=label)[0]

    def prepare(params: Any, latents: Array, label: Any) -> tuple[Array, Array]:
        wanted, mask = tangent(images(params, latents, label))
        return mask, _stored(filtered(wanted, mask))

    def derive(params: Any, latents: Array, label: Any, mask: Array, units: Array) -> Array:
        _, push = jax.linearize(lambda latents: images(params, latents, label), latents)

        def change(unit: Array) -> Array:
            return _stored(filtered(push(jnp.broadcast_to(unit, latents.shape)), mask))

        return jax.vmap(change)(units)

    return jax.jit(prepare), jax.jit(derive)


def _stored(changes: Array) -> Array:
    """Returns every so many-th pixel of large images. The filter has removed finer
    detail.
    """
    stride = max(1, math.ceil(max(changes.shape[1:3]) / _MOST_PIXELS))
    return changes[:, ::stride, ::stride]


@jax.jit
def _products(jacobian: Array, wanted: Array) -> tuple[Array, Array, Array]:
    jacobian, wanted = jacobian.reshape(*jacobian.shape[:2], -1), wanted.reshape(len(wanted), -1)
    multiply = functools.partial(jnp.einsum, precision=lax.Precision.HIGHEST)
    return (
        multiply("knp,lnp->nkl", jacobian, jacobian),
        multiply("lnp,np->nl", jacobian, wanted),
        jnp.square(wanted).sum(1),
    )
