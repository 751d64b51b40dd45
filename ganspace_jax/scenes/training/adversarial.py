"""Training a generator against a discriminator, as pure functions over a state.

Non-saturating logistic loss (Goodfellow et al. 2014) or hinge loss, R1 every few steps (Mescheder et al. 2018; lazily, as in
StyleGAN2, section 3.1), a moving average of the generator's weights, style mixing (StyleGAN1, section 3.1). Both networks
learn from the same generated images in one step: the generator runs forward once, its gradient waits as a pullback.

BigGAN's recipe (Brock et al. 2019) is the same step with hinge loss, labels, spectral norm and batch statistics.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh

from ganspace_jax.generators.base import Generator
from ganspace_jax.sampling import devices as device_meshes
from ganspace_jax.sampling.latents import CUT
from ganspace_jax.scenes.training import spectral_norm
from ganspace_jax.scenes.training.discriminator import Discriminator
from ganspace_jax.shapes import Array, Float, PRNGKey

Params = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to train. num_images: length of the schedule; the learning rate is constant, then falls linearly to a twentieth
    over the last `decay` of it. average_images: half-life of the weights' moving average. spectral_norm: of both networks.
    batch_statistics: passed to a generator with batch norm."""

    num_images: int = 1_000_000
    batch_size: int = 32
    learning_rate: float = 2.5e-3
    decay: float = 0.4
    r1_weight: float = 0.05
    r1_interval: int = 16
    average_images: float = 8_000.0
    style_mixing: float = 0.5
    loss: Literal["logistic", "hinge"] = "logistic"
    spectral_norm: bool = False
    batch_statistics: bool = False

    @property
    def num_steps(self) -> int:
        """Steps in num_images."""
        return -(-self.num_images // self.batch_size)

    def optimizer(self) -> optax.GradientTransformation:
        """Adam without momentum."""
        steps = self.num_steps
        falling = max(1, int(self.decay * steps))
        rate = optax.linear_schedule(self.learning_rate, 0.05 * self.learning_rate, falling, steps - falling)
        return optax.adam(rate, b1=0.0, b2=0.99)


class Networks(NamedTuple):
    """The parts of both networks that do not change: hashable, static under jit."""

    generator: nnx.GraphDef
    discriminator: nnx.GraphDef


class TrainState(NamedTuple):
    """All that training changes. buffers: the generator's arrays that gradients leave alone; average: moving average."""

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
    """Real images, and their one-hot labels for conditional networks."""

    images: Float[Array, "n h w c"]
    labels: Float[Array, "n classes"] | None = None


Render = Callable[[PRNGKey, int], Batch]


class Metrics(NamedTuple):
    """Of one step."""

    generator_loss: Float[Array, ""]
    discriminator_loss: Float[Array, ""]
    real_logit: Float[Array, ""]
    fake_logit: Float[Array, ""]
    r1: Float[Array, ""]


def init(generator: Generator, discriminator: Discriminator, recipe: Recipe) -> tuple[Networks, TrainState]:
    """The state before the first step."""
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
    """Weights that were trained before are divided by the right number from the first step on."""
    return spectral_norm.normalize(params, spectral_norm.init(params, key), num_iterations=20)[1]


def averaged_generator(networks: Networks, state: TrainState) -> Generator:
    """The generator with its averaged weights, spectral norm divided out: the one to ship."""
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
    """One step: `render(key, n)` makes the real batch; `regularize` adds R1, to be set every r1_interval steps.

    Generated images have the labels of the real ones. devices: split the batch over these.
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

    g_loss, image_gradient = jax.value_and_grad(lambda x: _generator_loss(recipe.loss, judge(d_params)(x)))(fake)
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
    """Images of random latents, with the mean latent and the weights' singular vectors, of the generator with `params`."""
    divided, vectors = spectral_norm.normalize(params, state.generator_spectral)
    generator: Any = nnx.merge(networks.generator, divided, state.buffers)
    latents, mean_latent = _mixed_latents(generator, key, labels, recipe, devices)
    extra = {"batch_statistics": True} if recipe.batch_statistics else {}
    images, _ = generator(device_meshes.split_batch(latents, devices), label=labels, noise=None, **extra)
    return device_meshes.split_batch(images, devices), (mean_latent, vectors)


def _mixed_latents(
    generator: Generator, key: PRNGKey, labels: Array | None, recipe: Recipe, devices: Mesh | None
) -> tuple[Float[Array, "n layers d"], Float[Array, "d"]]:
    """Some of them have, from a random layer on, the latents of another z."""
    z_key, other_key, cut_key, mix_key = jax.random.split(key, 4)
    z = device_meshes.split_batch(_sample(generator, z_key, recipe), devices)
    latents = generator.map_latents(z, labels)
    mean_latent = jax.lax.stop_gradient(latents[:, 0].mean(0))
    if recipe.style_mixing > 0:
        others = generator.map_latents(_sample(generator, other_key, recipe), labels)
        num_layers = latents.shape[1]
        cut = jax.random.randint(cut_key, (recipe.batch_size, 1, 1), 1, num_layers)
        mixed = jax.random.bernoulli(mix_key, recipe.style_mixing, (recipe.batch_size, 1, 1))
        latents = jnp.where(mixed & (jnp.arange(num_layers)[None, :, None] >= cut), others, latents)
    return latents, mean_latent


def _sample(generator: Generator, key: PRNGKey, recipe: Recipe) -> Float[Array, "n z"]:
    shape = (recipe.batch_size, generator.z_dim)
    if generator.prior == "normal":
        return jax.random.normal(key, shape)
    return jax.random.truncated_normal(key, -CUT, CUT, shape)


def _discriminator(
    networks: Networks, state: TrainState, labels: Array | None, params: nnx.State
) -> Callable[[Array], Array]:
    """The discriminator with `params`: images to logits."""
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
    """The loss with its penalty, and (mean real logit, mean fake logit, penalty)."""
    discriminator = judge(params)
    real_logits, fake_logits = discriminator(real), discriminator(fake)
    loss, penalty = _discriminator_loss(recipe.loss, real_logits, fake_logits), jnp.zeros(())
    if regularize:
        penalty = gradient_penalty(discriminator, real)
        loss = loss + 0.5 * recipe.r1_weight * recipe.r1_interval * penalty
    return loss, (real_logits.mean(), fake_logits.mean(), penalty)


def _discriminator_loss(kind: str, real: Float[Array, "n"], fake: Float[Array, "n"]) -> Float[Array, ""]:
    if kind == "hinge":
        return jax.nn.relu(1.0 - real).mean() + jax.nn.relu(1.0 + fake).mean()
    return jax.nn.softplus(-real).mean() + jax.nn.softplus(fake).mean()


def _generator_loss(kind: str, fake: Float[Array, "n"]) -> Float[Array, ""]:
    return -fake.mean() if kind == "hinge" else jax.nn.softplus(-fake).mean()


def gradient_penalty(discriminator: Callable[[Array], Array], real: Float[Array, "n h w c"]) -> Float[Array, ""]:
    """R1: the mean squared norm of the logits' gradient at real images."""
    gradient = jax.grad(lambda images: discriminator(images).sum())(real)
    return jnp.sum(jnp.square(gradient), axis=(1, 2, 3)).mean()


def _update_mean_latent(buffers: nnx.State, mean_latent: Float[Array, "d"]) -> nnx.State:
    """Moving average of w, StyleGAN's w_avg, with a memory of about 1,000 batches."""

    def update_one(path, value):
        return value + 0.001 * (mean_latent - value) if "w_avg" in jax.tree_util.keystr(path) else value

    return jax.tree_util.tree_map_with_path(update_one, buffers)


def _average(state: TrainState, params: nnx.State, recipe: Recipe) -> nnx.State:
    """Exponential moving average; at the start its half-life is a twentieth of the images seen."""
    seen = (state.step + 1) * recipe.batch_size
    half_life = jnp.minimum(recipe.average_images, 0.05 * seen)
    keep = 0.5 ** (recipe.batch_size / half_life)
    return jax.tree.map(lambda old, new: new + keep * (old - new), state.average, params)
