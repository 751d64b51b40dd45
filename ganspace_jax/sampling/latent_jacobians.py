"""Products with the Jacobian J of an image or layer with respect to the latent.

J belongs to one sample. Its columns are the changes of the image, or of a layer, for a
unit step of one coordinate of the latent in all layers. J V is one forward pass with
tangents, and J^T Y one reverse pass.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ganspace_jax.generators import base, chunks, synthesis
from ganspace_jax.generators.base import Generator
from ganspace_jax.run import Run
from ganspace_jax.sampling import latents, random_samples
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.shapes import Array, Float

IMAGE = "image"  # in place of a layer's name
_TANGENT_BYTES = 2**28  # for the largest activation of the tangents that are pushed together


class Points(NamedTuple):
    """Samples at which Jacobians are taken.

    Attributes:
        latents: w, or z without a mapping network or for the layer w.
        weights: class weights; None without classes.
    """

    latents: Float[np.ndarray, "n l"]
    weights: Float[np.ndarray, "n classes"] | None


def draw(generator: Generator, spec: LayerSpec, num_samples: int, seed: int, *, in_z: bool = False) -> Points:
    """Returns random samples, with the class and the truncation of the spec.

    Args:
        generator: the generator.
        spec: class and truncation.
        num_samples: number of samples.
        seed: seed of the samples.
        in_z: whether the latents are z also with a mapping network.
    """
    at = random_samples.draw(generator, 0, num_samples, seed=seed, label=spec.label)
    if in_z and generator.has_mapping:
        z = latents.sample(synthesis.seeded_key(seed), jnp.arange(num_samples), generator.z_dim, generator.prior)
        return Points(np.asarray(z), at.weights)
    scale = spec.truncation_psi if generator.prior == "truncated_normal" else 1.0
    return Points(np.float32(scale) * at.latent, at.weights)


class Target(NamedTuple):
    """What is differentiated; static under jit.

    Attributes:
        definition: definition of the generator.
        layer: name of a layer, or IMAGE.
        spec: truncation.
        together: tangents that one pass multiplies, which bounds the memory.
    """

    definition: Any
    layer: str
    spec: LayerSpec
    together: int


def target(generator: Generator, spec: LayerSpec, run: Run, layer: str = IMAGE) -> Target:
    """Returns the image, or a layer, as what is differentiated.

    One pass multiplies as many tangents as the run's batch size, or as fit into memory.
    """
    last = None if layer in (IMAGE, base.MAPPED_LATENT) else layer
    together = run.batch_size or max(1, _TANGENT_BYTES // max(1, chunks.largest_activation(generator, last)))
    return Target(generator.definition, layer, spec.layer_spec(), together)


def _output(at: Target, params: Any, weights: Array | None) -> Callable[[Array], Array]:
    """Returns the function from one latent [l] to the flattened image or layer [o]."""
    network = base.merge(at.definition, params)
    label = None if weights is None else weights[None]

    def outputs(latent: Float[Array, "l"]) -> Float[Array, "o"]:
        if at.layer == base.MAPPED_LATENT:
            return network.map_latents(latent[None], label)[0, 0]
        if network.has_mapping:
            by_layer = jnp.broadcast_to(latent, (1, *network.latent_shape))
        else:
            by_layer = network.map_latents(latent[None], label)
        psi, cutoff = at.spec.truncation_psi, at.spec.truncation_cutoff
        image, activations = network(by_layer, label=label, truncation_psi=psi, truncation_cutoff=cutoff)
        return (image if at.layer == IMAGE else activations[at.layer]).astype(jnp.float32).reshape(-1)

    return outputs


@functools.partial(jax.jit, static_argnames="at")
def push(
    at: Target, params: Any, latent: Float[Array, "l"], weights: Float[Array, "classes"] | None,
    tangents: Float[Array, "k l"],
) -> Float[Array, "k o"]:  # fmt: skip
    """Returns J v of each tangent v, at one sample."""
    function = _output(at, params, weights)
    return lax.map(
        lambda v: jax.jvp(function, (latent,), (v,))[1], tangents, batch_size=min(at.together, len(tangents))
    )


@functools.partial(jax.jit, static_argnames="at")
def pull(
    at: Target, params: Any, latent: Float[Array, "l"], weights: Float[Array, "classes"] | None,
    cotangents: Float[Array, "k o"],
) -> Float[Array, "k l"]:  # fmt: skip
    """Returns J^T y of each cotangent y, at one sample."""
    # Not linear_transpose of the forward pass: on a CPU this is eight times faster.
    _, transposed = jax.vjp(_output(at, params, weights), latent)
    return lax.map(lambda y: transposed(y)[0], cotangents, batch_size=min(at.together, len(cotangents)))


def gram(
    at: Target, params: Any, latent: Float[Array, "l"], weights: Float[Array, "classes"] | None, memory_bytes: float
) -> Float[np.ndarray, "l l"]:
    """Returns J^T J of one sample.

    Rows of J^T are computed in blocks, two of which are in memory at a time. If one
    block is all of J^T, each tangent is pushed once.

    Args:
        at: image or layer.
        params: arrays of the generator.
        latent: latent of the sample.
        weights: class weights of the sample; None without classes.
        memory_bytes: memory of the two blocks.
    """
    size = len(latent)
    num_outputs = jax.eval_shape(functools.partial(push, at), params, latent, weights, latent[None]).shape[1]
    per_block = max(1, min(size, int(memory_bytes / 8 / num_outputs)))
    blocks = [jnp.eye(size)[first : first + per_block] for first in range(0, size, per_block)]
    rows = []
    for i, block in enumerate(blocks):
        own = push(at, params, latent, weights, block)
        right = [_products(own, own)]
        right += [_products(own, push(at, params, latent, weights, other)) for other in blocks[i + 1 :]]
        rows.append(np.concatenate([np.zeros((len(block), i * per_block)), *map(np.asarray, right)], axis=1))
    upper = np.concatenate(rows)
    return np.triu(upper) + np.triu(upper, 1).T


@jax.jit
def _products(a: Float[Array, "i o"], b: Float[Array, "j o"]) -> Float[Array, "i j"]:
    return jnp.matmul(a, b.T, precision=lax.Precision.HIGHEST)
