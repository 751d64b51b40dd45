"""Moves one latent per image until its image shows a target, where a mask defines it.

One step is one jitted program, and a loop in Python calls it: on a CPU, a loop inside
the program takes four times as long. Unlike sampling/latent_descent, all layers share
the latent, which may be z before the mapping network, and its norm is clipped.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from ganspace_jax.generators import base, chunks
from ganspace_jax.generators.base import Generator
from ganspace_jax.sampling import inversion_losses
from ganspace_jax.sampling.latent_prior import LatentPrior
from ganspace_jax.shapes import Array, Float

_ADAM = optax.scale_by_adam()

Latents = Float[Array | np.ndarray, "n l"]
Images = Float[Array | np.ndarray, "n h w c"]
Mask = Float[Array | np.ndarray, "n h w 1"]
OnStep = Callable[[], object]


class Descent(NamedTuple):
    """How latents move.

    Attributes:
        generator: generator of the images.
        latent_space: "z" or "w"; without a mapping network "z".
        prior: distribution of the latent.
        blur: standard deviation of the blur of differences, relative to the longer side
            of the image; 0: no blur.
        penalty: weight of the squared Mahalanobis distance, relative to the mean
            squared error.
        num_steps: number of steps of Adam, from a fresh state.
        rate: learning rate.
    """

    generator: Generator
    latent_space: str
    prior: LatentPrior
    blur: float
    penalty: float
    num_steps: int
    rate: float


def synthesize(
    generator: Generator, latent_space: str, latents: Latents, label: Array | np.ndarray | None
) -> Float[np.ndarray, "n h w c"]:
    """Returns the images of latents z or w."""
    return np.asarray(_synthesize((generator.definition, latent_space), generator.params, jnp.asarray(latents), label))


def descend(
    descent: Descent,
    latents: Latents,
    label: Float[Array | np.ndarray, "n classes"] | None,
    targets: Images,
    mask: Mask,
    bounds: Float[np.ndarray, "n"],
    on_step: OnStep = lambda: None,
) -> Float[np.ndarray, "n l"]:
    """Returns the latents after all steps.

    The error is the mean over all pixels of |blur(mask x (image - target))|^2, plus the
    penalty.

    Args:
        descent: how the latents move.
        latents: latents before the first step.
        label: class weights; None without classes.
        targets: the wanted images in [-1, 1].
        mask: 1 where the target is defined, else 0.
        bounds: largest distance of each latent; infinity without a bound.
        on_step: function that is called after each step.
    """
    constants = descent.generator.params, *_whitening(descent)
    wanted = (label, jnp.asarray(targets), jnp.asarray(mask), jnp.asarray(bounds, jnp.float32))
    moved = jnp.asarray(latents, jnp.float32)
    state = _ADAM.init(moved)
    pace = np.float32(descent.rate), np.float32(descent.penalty)
    for _ in range(descent.num_steps):
        moved, state = _step(_static(descent), constants, moved, state, wanted, pace)
        on_step()
    return np.asarray(moved)


def distances(prior: LatentPrior, latents: Latents) -> Float[np.ndarray, "n"]:
    """Returns sqrt((w - mean)^T S^-1 (w - mean) / d) of each latent, which is |z| /
    sqrt(d) for a standard normal z.
    """
    away = np.asarray(latents, np.float64) - prior.mean
    return np.sqrt(np.einsum("ni,ij,nj->n", away, prior.precision, away) / away.shape[1])


def _static(descent: Descent) -> tuple[Any, str, float]:
    return descent.generator.definition, descent.latent_space, descent.blur


def _whitening(descent: Descent) -> tuple[Array, Array]:
    """Returns the mean, and the matrix that turns a latent's distance into a length."""
    prior = descent.prior
    whitening = np.linalg.cholesky(prior.precision / len(prior.mean))
    return jnp.asarray(prior.mean, jnp.float32), jnp.asarray(whitening, jnp.float32)


def _images(network: base.Network, space: str, latents: Array, label: Array | None) -> Array:
    num_layers, width = network.latent_shape
    if space == "z" and network.has_mapping:
        layers = network.map_latents(latents, label)
    else:
        layers = jnp.broadcast_to(latents.reshape(len(latents), -1, width), (len(latents), num_layers, width))
    return network(layers, label=label)[0]


@functools.partial(jax.jit, static_argnums=0)
def _synthesize(static: Any, params: Any, latents: Array, label: Any) -> Array:
    definition, space = static

    def run(batch: Any) -> Array:
        return _images(base.merge(definition, params), space, *batch)

    return chunks.in_chunks(run, (latents, label), _largest(definition, params))


def _largest(definition: Any, params: Any) -> int:
    return chunks.largest_activation(Generator(definition, params))


@functools.partial(jax.jit, static_argnums=0, donate_argnums=(2, 3))
def _step(static: Any, constants: Any, latents: Array, state: Any, wanted: Any, pace: Any) -> tuple[Array, Any]:
    (definition, space, blur), (params, mean, whitening), (rate, penalty) = static, constants, pace
    network = base.merge(definition, params)
    multiply = functools.partial(jnp.matmul, precision=lax.Precision.HIGHEST)

    def gradient(batch: Any) -> Array:
        def total(latents: Array) -> Array:
            _, label, target, mask, _ = batch
            difference = mask * (_images(network, space, latents, label) - target)
            if blur:
                difference = inversion_losses.blur(difference, blur * max(difference.shape[1:3]))
            error = jnp.square(difference).mean((1, 2, 3))
            return jnp.sum(error + penalty * jnp.square(multiply(latents - mean, whitening)).sum(1))

        return jax.grad(total)(batch[0])

    found = chunks.in_chunks(gradient, (latents, *wanted), _largest(definition, params))
    moves, state = _ADAM.update(found, state)
    away = latents - rate * moves - mean
    lengths = jnp.linalg.norm(multiply(away, whitening), axis=1)
    return mean + away * jnp.minimum(1.0, wanted[-1] / jnp.maximum(lengths, 1e-9))[:, None], state
