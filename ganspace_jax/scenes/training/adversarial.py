"""Training of a generator against a discriminator, as pure functions over a state.

A step uses a loss of losses.py, lazy R1 (StyleGAN2, section 3.1), averaged weights and
style mixing (StyleGAN1, section 3.1). Both networks learn from the same images.
BigGAN's recipe (Brock et al. 2019) is the same step with hinge loss, labels, spectral
normalisation and batch statistics.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh

from ganspace_jax.errors import InputError
from ganspace_jax.generators.base import Network
from ganspace_jax.sampling import devices as device_meshes
from ganspace_jax.scenes.training import losses, spectral_norm, style_mixing
from ganspace_jax.scenes.training.discriminator import Discriminator
from ganspace_jax.shapes import Array, Float, PRNGKey

_RANGES = {
    "num_images": (1, 2**31), "batch_size": (1, 2**20), "learning_rate": (0, 1), "decay": (0, 1),
    "r1_weight": (0, 1e6), "average_images": (1, 1e9), "style_mixing": (0, 1),
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Recipe of a training run.

    The learning rate is constant at first. Over the last fraction `decay` of the run
    it falls linearly to a twentieth.

    Attributes:
        num_images: length of the run, real images.
        batch_size: images per step.
        learning_rate: initial learning rate of both networks.
        decay: fraction of the run over which the learning rate falls.
        r1_weight: weight of the gradient penalty R1.
        r1_interval: steps from one gradient penalty to the next.
        average_images: half-life of the moving average of the weights, images.
        style_mixing: fraction of the images with two styles.
        loss: name of the adversarial loss.
        spectral_norm: whether both networks use spectral normalisation.
        batch_statistics: whether batch norm uses the statistics of the current batch.
    """

    num_images: int = 1_000_000
    batch_size: int = 32
    learning_rate: float = 2.5e-3
    decay: float = 0.4
    r1_weight: float = 0.05
    r1_interval: int = 16
    average_images: float = 8_000.0
    style_mixing: float = 0.5
    loss: losses.Kind = "logistic"
    spectral_norm: bool = False
    batch_statistics: bool = False

    def __post_init__(self):
        """Checks the numbers. Raises InputError."""
        for name, (lowest, highest) in _RANGES.items():
            if not lowest <= getattr(self, name) <= highest:
                raise InputError(f"--{name}={getattr(self, name)}: must be from {lowest} to {highest:g}")

    @property
    def num_steps(self) -> int:
        """Number of steps that use num_images."""
        return math.ceil(self.num_images / self.batch_size)

    def optimizer(self) -> optax.GradientTransformation:
        """Returns Adam without momentum, with the learning rate's schedule."""
        steps = self.num_steps
        falling = max(1, int(self.decay * steps))
        rate = optax.linear_schedule(self.learning_rate, 0.05 * self.learning_rate, falling, steps - falling)
        return optax.adam(rate, b1=0.0, b2=0.99)


class Networks(NamedTuple):
    """Definitions of both networks: hashable, static under jit."""

    generator: nnx.GraphDef
    discriminator: nnx.GraphDef


class TrainState(NamedTuple):
    """State of a training run: everything that a step changes.

    Attributes:
        step: number of finished steps.
        generator: trained parameters of the generator.
        buffers: arrays of the generator that have no gradient.
        discriminator: parameters of the discriminator.
        average: moving average of `generator`.
        generator_spectral: singular vectors of the generator's weights.
        discriminator_spectral: singular vectors of the discriminator's weights.
    """

    step: Array
    generator: nnx.State
    buffers: nnx.State
    discriminator: nnx.State
    average: nnx.State
    generator_optimizer: optax.OptState
    discriminator_optimizer: optax.OptState
    generator_spectral: spectral_norm.Vectors
    discriminator_spectral: spectral_norm.Vectors


class Batch(NamedTuple):
    """Real images, with one-hot labels for conditional networks."""

    images: Float[Array, "n h w c"]
    labels: Float[Array, "n classes"] | None = None


Render = Callable[[PRNGKey, int], Batch]


class Metrics(NamedTuple):
    """Losses, mean logits and gradient penalty of one step (0 in steps without it)."""

    generator_loss: Float[Array, ""]
    discriminator_loss: Float[Array, ""]
    real_logit: Float[Array, ""]
    fake_logit: Float[Array, ""]
    r1: Float[Array, ""]


def init(generator: Network, discriminator: Discriminator, recipe: Recipe) -> tuple[Networks, TrainState]:
    """Returns the networks' definitions and the state before the first step."""
    generator_definition, params, buffers = nnx.split(generator, nnx.Param, ...)
    discriminator_definition, discriminator_params = nnx.split(discriminator)
    optimizer = recipe.optimizer()
    vectors = [
        _converged_vectors(p, jax.random.key(i)) if recipe.spectral_norm else {}
        for i, p in enumerate((params, discriminator_params))
    ]
    state = TrainState(
        step=jnp.zeros((), jnp.int32),
        generator=params,
        buffers=buffers,
        discriminator=discriminator_params,
        average=jax.tree.map(jnp.copy, params),
        generator_optimizer=optimizer.init(params),
        discriminator_optimizer=optimizer.init(discriminator_params),
        generator_spectral=vectors[0],
        discriminator_spectral=vectors[1],
    )
    return Networks(generator_definition, discriminator_definition), state


def _converged_vectors(params: nnx.State, key: PRNGKey) -> spectral_norm.Vectors:
    """Returns singular vectors after enough iterations to converge.

    With converged vectors, the first step already divides trained weights correctly.
    """
    return spectral_norm.normalize(params, spectral_norm.init(params, key), num_iterations=20)[1]


def averaged_generator(networks: Networks, state: TrainState) -> Network:
    """Returns the generator to ship: averaged weights, divided by their
    spectral norms.
    """
    divided, _ = spectral_norm.normalize(state.average, state.generator_spectral, num_iterations=50)
    return nnx.merge(networks.generator, divided, state.buffers)


@functools.partial(
    jax.jit, static_argnames=("networks", "recipe", "render", "regularize", "devices"), donate_argnames=("state",)
)
def update(
    networks: Networks,
    recipe: Recipe,
    render: Render,
    state: TrainState,
    key: PRNGKey,
    regularize: bool,
    devices: Mesh | None = None,
) -> tuple[TrainState, Metrics]:
    """Takes one training step. Generated images have the labels of the real images.

    Args:
        render: function of (key, batch size) that returns the real batch.
        regularize: whether to add R1; true once in r1_interval steps.
        devices: devices that share the batch, or None.
    """
    data_key, latent_key = jax.random.split(jax.random.fold_in(key, state.step))
    real, labels = jax.lax.optimization_barrier(device_meshes.split_batch(render(data_key, recipe.batch_size), devices))
    generate = functools.partial(_generate, networks, recipe, state, latent_key, labels, devices)
    fake, pullback, (mean_latent, generator_spectral) = jax.vjp(generate, state.generator, has_aux=True)

    _, discriminator_spectral = spectral_norm.normalize(state.discriminator, state.discriminator_spectral)
    judge = functools.partial(_discriminator, networks, state, labels)
    objective = functools.partial(_discriminator_objective, recipe, judge, real, fake, regularize)
    (d_loss, (real_logit, fake_logit, penalty)), gradient = jax.value_and_grad(objective, has_aux=True)(
        state.discriminator
    )
    d_params, d_optimizer = _descend(recipe, gradient, state.discriminator_optimizer, state.discriminator)

    g_loss, image_gradient = jax.value_and_grad(lambda x: losses.generator_loss(recipe.loss, judge(d_params)(x)))(fake)
    gradient = pullback(image_gradient)[0]
    g_params, g_optimizer = _descend(recipe, gradient, state.generator_optimizer, state.generator)

    new_state = TrainState(
        step=state.step + 1,
        generator=g_params,
        buffers=_update_mean_latent(state.buffers, mean_latent),
        discriminator=d_params,
        average=_average(state, g_params, recipe),
        generator_optimizer=g_optimizer,
        discriminator_optimizer=d_optimizer,
        generator_spectral=generator_spectral,
        discriminator_spectral=discriminator_spectral,
    )
    return new_state, Metrics(g_loss, d_loss, real_logit, fake_logit, penalty)


def _descend(
    recipe: Recipe, gradient: nnx.State, optimizer: optax.OptState, params: nnx.State
) -> tuple[Any, optax.OptState]:
    updates, optimizer = recipe.optimizer().update(gradient, optimizer)
    return optax.apply_updates(params, updates), optimizer


def _generate(
    networks: Networks,
    recipe: Recipe,
    state: TrainState,
    key: PRNGKey,
    labels: Array | None,
    devices: Mesh | None,
    params: nnx.State,
) -> tuple[Array, tuple[Array, spectral_norm.Vectors]]:
    """Generates images of random latents with the generator's parameters `params`.

    Returns (images, (mean latent, singular vectors of the weights)).
    """
    divided, vectors = spectral_norm.normalize(params, state.generator_spectral)
    generator: Any = nnx.merge(networks.generator, divided, state.buffers)
    latents, mean_latent = style_mixing.mixed_latents(
        generator, key, labels, recipe.batch_size, recipe.style_mixing, devices
    )
    extra = {"batch_statistics": True} if recipe.batch_statistics else {}
    images, _ = generator(device_meshes.split_batch(latents, devices), label=labels, noise=None, **extra)
    return device_meshes.split_batch(images, devices), (mean_latent, vectors)


def _discriminator(
    networks: Networks, state: TrainState, labels: Array | None, params: nnx.State
) -> Callable[[Array], Array]:
    """Returns the discriminator with `params`: a function from images to logits."""
    divided, _ = spectral_norm.normalize(params, state.discriminator_spectral)
    return functools.partial(nnx.merge(networks.discriminator, divided), label=labels)


def _discriminator_objective(
    recipe: Recipe,
    judge: Callable[[nnx.State], Callable[[Array], Array]],
    real: Array,
    fake: Array,
    regularize: bool,
    params: nnx.State,
) -> tuple[Array, tuple[Array, Array, Array]]:
    """Returns the loss, and (mean real logit, mean fake logit, penalty)."""
    discriminator = judge(params)
    real_logits, fake_logits = discriminator(real), discriminator(fake)
    loss, penalty = losses.discriminator_loss(recipe.loss, real_logits, fake_logits), jnp.zeros(())
    if regularize:
        penalty = losses.gradient_penalty(discriminator, real)
        loss = loss + 0.5 * recipe.r1_weight * recipe.r1_interval * penalty
    return loss, (real_logits.mean(), fake_logits.mean(), penalty)


def _update_mean_latent(buffers: nnx.State, mean_latent: Float[Array, "d"]) -> nnx.State:
    """Updates the moving average of w (StyleGAN's w_avg) over about 1,000 batches."""

    def update_one(path, value):
        return value + 0.001 * (mean_latent - value) if "w_avg" in jax.tree_util.keystr(path) else value

    return jax.tree_util.tree_map_with_path(update_one, buffers)


def _average(state: TrainState, params: nnx.State, recipe: Recipe) -> nnx.State:
    """Updates the exponential moving average of the generator's parameters.

    At the start of a run, its half-life is a twentieth of the images seen.
    """
    seen = (state.step + 1) * recipe.batch_size
    half_life = jnp.minimum(recipe.average_images, 0.05 * seen)
    keep = 0.5 ** (recipe.batch_size / half_life)
    return jax.tree.map(lambda old, new: new + keep * (old - new), state.average, params)
