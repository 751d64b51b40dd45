"""Training of an encoder on fresh images of its generator, as pure functions over a
state.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from ganspace_jax.generators import synthesis
from ganspace_jax.generators.base import Generator
from ganspace_jax.generators.synthesis import Synthesis
from ganspace_jax.sampling import encoder, labels, latents, reading_training
from ganspace_jax.sampling.encoder import Encoder, Network
from ganspace_jax.sampling.inversion_losses import psnr
from ganspace_jax.sampling.reading_training import Recipe, Terms, TrainState
from ganspace_jax.shapes import Array, Float, PRNGKey

_METRIC_JACOBIANS = 2048  # derivatives of images; each costs two or three images
_METRIC_BATCH = 4
_IDENTITY = 0.05


class Program(NamedTuple):
    """Inputs of a step that do not change, beside the recipe.

    Attributes:
        generator_params: arrays of the generator.
        metric: symmetric matrix that weighs the errors of whitened latents.
        key: key of all samples of the training.
    """

    generator_params: dict[str, Any]
    metric: Float[Array, "target target"]
    key: PRNGKey


class Samples(NamedTuple):
    """Random samples of a generator.

    Attributes:
        latents: per-layer latents.
        label: one-hot labels; None without classes.
        images: images in about [-1, 1].
    """

    latents: Float[Array, "n layers d"]
    label: Float[Array, "n classes"] | None
    images: Float[Array, "n h w c"]


def draw(generator: Generator, key: PRNGKey, first: int | Array, count: int) -> Samples:
    """Returns the samples with the numbers from `first` on, of all classes.

    Sample i depends on (key, i) alone.
    """
    network, indices = generator.merge(), first + jnp.arange(count)
    z = latents.sample(key, indices, network.z_dim, network.prior)
    label = labels.sample(key, indices, "all" if network.num_classes else None, network.num_classes)
    drawn = network.map_latents(z, label)
    return Samples(drawn, label, synthesis.synthesize(generator, drawn, Synthesis(label=label)))


@functools.partial(jax.jit, static_argnames=("definitions", "recipe"), donate_argnames=("state",))
def update(
    definitions: tuple[nnx.GraphDef, nnx.GraphDef],
    recipe: Recipe,
    program: Program,
    state: TrainState,
) -> tuple[TrainState, Terms]:
    """Takes one training step on fresh images.

    Args:
        definitions: definitions of the encoder and of the generator.
        recipe: recipe of the training.
        program: generator, metric and key.
        state: state, which is donated.

    Returns:
        The new state and the terms of the loss by name.
    """
    generator = Generator(definitions[1], program.generator_params)
    samples = draw(generator, program.key, state.step * recipe.batch_size, recipe.batch_size)
    # Without the barrier, XLA fuses the generator into each operation that uses the
    # images, and so makes them repeatedly.
    samples = jax.lax.optimization_barrier(samples)
    compute = lambda params: loss(nnx.merge(definitions[0], params), samples, program.metric)  # noqa: E731
    grads, terms = jax.grad(compute, has_aux=True)(state.params)
    return reading_training.descend(state, grads, recipe), terms


def loss(network: Network, samples: Samples, metric: Float[Array, "target target"]) -> tuple[Float[Array, ""], Terms]:
    """Returns the loss and its terms by name.

    The loss is the unexplained fraction of the latents' variance, in a metric of trace
    d. If a label acts on the image, the cross-entropy of the class is added.
    """
    outputs = network(samples.images)
    error = outputs.whitened - jax.lax.stop_gradient(network.whiten(samples.latents))
    weighted = jnp.einsum("ni,ij,nj->n", error, metric, error)
    terms = {"latents": weighted.mean() / error.shape[1]}
    if outputs.classes is not None:
        assert samples.label is not None
        terms["class"] = optax.softmax_cross_entropy(outputs.classes, samples.label).mean()
    return sum(terms.values(), start=jnp.zeros((), jnp.float32)), terms


def image_metric(trained: Encoder, generator: Generator, key: PRNGKey) -> Float[Array, "target target"]:
    """Returns the metric in which errors of whitened latents count by their effect on
    the image.

    It is the mean of J^T J over samples, where J is the Jacobian of the image, reduced
    as the encoder reads it. It has the trace d. A twentieth of it is the identity, so
    that directions without effect are learned too.
    """
    size = trained.config.target_size
    count = max(4, _METRIC_JACOBIANS // size)
    total = np.zeros((size, size))
    for first in range(0, count, _METRIC_BATCH):
        samples = _draw(generator.definition, generator.params, key, first, _METRIC_BATCH)
        arguments = (trained.definition, generator.definition), trained.params, generator.params, samples
        columns = np.stack([np.asarray(_effect(*arguments, np.int32(k))) for k in range(size)])
        total += columns @ columns.T
    share = total * (size / np.trace(total)) if np.trace(total) > 0.0 else np.eye(size)
    return jnp.asarray((1.0 - _IDENTITY) * share + _IDENTITY * np.eye(size), jnp.float32)


@functools.partial(jax.jit, static_argnames=("definitions",))
def _effect(definitions, params, generator_params, samples, index):
    """Returns the derivative of all pixels along one whitened coordinate."""
    network, generator = nnx.merge(definitions[0], params), Generator(definitions[1], generator_params)
    whitened = network.whiten(samples.latents)

    def make(whitened):
        images = generator.merge()(network.latents(whitened), label=samples.label)[0]
        return encoder.reduced(images, network.config.read_size)

    tangent = jnp.zeros_like(whitened).at[:, index].set(1.0)
    return jax.jvp(make, (whitened,), (tangent,))[1].reshape(-1)


def accuracy(
    trained: Encoder, generator: Generator, key: PRNGKey, num_samples: int, batch_size: int
) -> dict[str, float]:
    """Returns figures of an encoder on samples of its generator.

    `explained` is the share of the latents' variance that the encoder explains.
    `psnr_median` and `psnr_10th_percentile` compare images with those of the encoder's
    latents and of the most likely class. `class` is the share of right classes, if a
    label acts on the image.
    """
    size = trained.config.target_size
    errors, ratios, right = [], [], []
    for first in range(0, num_samples, batch_size):
        count = min(batch_size, num_samples - first)
        samples = _draw(generator.definition, generator.params, key, first, batch_size)
        found, weights = encoder.encode(trained, samples.images)
        parts = found - samples.latents, samples.latents - trained.network().latents(jnp.zeros((1, size)))
        errors.append(np.stack([np.square(part).sum((1, 2)) for part in parts])[:, :count])
        if weights is not None and samples.label is not None:
            right.append(np.asarray(weights.argmax(1) == samples.label.argmax(1))[:count])
            weights = jax.nn.one_hot(weights.argmax(1), weights.shape[1])
        made = synthesis.synthesize(generator, found, Synthesis(label=weights))
        ratios.append(psnr(made, jnp.clip(samples.images, -1.0, 1.0))[:count])
    error, variance = np.concatenate(errors, axis=1).sum(1)
    result = {
        "explained": 1.0 - float(error / variance),
        "psnr_median": float(np.median(np.concatenate(ratios))),
        "psnr_10th_percentile": float(np.percentile(np.concatenate(ratios), 10)),
    }
    return {**result, "class": float(np.concatenate(right).mean())} if right else result


@functools.partial(jax.jit, static_argnames=("definition", "count"))
def _draw(definition, params, key, first, count):
    return draw(Generator(definition, params), key, first, count)
