"""Training of the probe on freshly rendered scenes, as pure functions over a state."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from ganspace_jax.scenes.factors import CIRCULAR, CONTINUOUS, Factors, sample_factors, shows_rotation
from ganspace_jax.scenes.probe import Network, Outputs, encode, encode_factor, split
from ganspace_jax.shapes import Array, Float, PRNGKey


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Recipe of a training run with Adam.

    The learning rate rises over the first twentieth of the steps. Then it falls along
    a cosine to zero.

    Attributes:
        num_images: length of the training, images.
        batch_size: images per step.
        learning_rate: highest learning rate.
    """

    num_images: int = 400_000
    batch_size: int = 128
    learning_rate: float = 2e-3

    @property
    def num_steps(self) -> int:
        """Number of steps that use num_images."""
        return math.ceil(self.num_images / self.batch_size)

    def optimizer(self) -> optax.GradientTransformation:
        """Returns Adam with the learning rate's schedule."""
        rate = optax.warmup_cosine_decay_schedule(
            0.0, self.learning_rate, max(1, self.num_steps // 20), max(2, self.num_steps)
        )
        return optax.adam(rate)


class TrainState(NamedTuple):
    """State of a training run: everything that a step changes."""

    step: Array
    params: dict[str, Any]
    optimizer: optax.OptState


def init(network: Network, recipe: Recipe) -> tuple[nnx.GraphDef, TrainState]:
    """Returns the network's definition and the state before the first step."""
    definition, params = split(network)
    return definition, TrainState(jnp.zeros((), jnp.int32), params, recipe.optimizer().init(params))


@functools.partial(jax.jit, static_argnames=("definition", "recipe", "render"), donate_argnames=("state",))
def update(
    definition: nnx.GraphDef, recipe: Recipe, render: Callable[[Factors], Array], state: TrainState, key: PRNGKey
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """Takes one training step on freshly sampled scenes.

    Returns the new state and the terms of the loss by name.
    """
    factors = sample_factors(jax.random.fold_in(key, state.step), recipe.batch_size)
    # Without the barrier, XLA fuses the renderer into each operation that uses the
    # images, and so renders repeatedly.
    images = jax.lax.optimization_barrier(render(factors))
    compute = lambda params: loss(nnx.merge(definition, params)(images), factors)  # noqa: E731
    grads, terms = jax.grad(compute, has_aux=True)(state.params)
    updates, optimizer = recipe.optimizer().update(grads, state.optimizer, state.params)
    params: Any = optax.apply_updates(state.params, updates)
    return TrainState(state.step + 1, params, optimizer), terms


def loss(outputs: Outputs, factors: Factors) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Returns the loss and its terms by name.

    The loss is the cross-entropy of the shape, plus the unexplained fraction of each
    continuous factor's variance. The rotation counts only for shapes that show it.
    """
    targets = encode(factors)
    terms = {"shape": optax.softmax_cross_entropy(outputs.shape, targets.shape).mean()}
    for name, code in outputs.codes.items():
        error = jnp.sum(jnp.square(code - targets.codes[name]), axis=-1)
        weight = jnp.where(shows_rotation(factors.shape) | (name != "rotation"), 1.0, 0.0)
        # Variances of a uniform angle's (cos, sin) pair, and of a uniform number.
        variance = 1.0 if name in CIRCULAR else 1.0 / 3.0
        terms[name] = jnp.sum(weight * error) / jnp.maximum(weight.sum(), 1.0) / variance
    return sum(terms.values(), start=jnp.zeros((), jnp.float32)), terms


def accuracy(true: Factors, read: Factors) -> dict[str, float]:
    """Returns the accuracy of the read factors by name.

    The shape's accuracy is the fraction of correct shapes. Every other factor has the
    R2 of its codes, which are (cos, sin) pairs for circular factors. The rotation
    counts only for shapes that show it.
    """
    result = {"shape": float(np.mean(np.asarray(true.shape) == np.asarray(read.shape)))}
    shows = np.asarray(shows_rotation(true.shape))
    for name in CONTINUOUS:
        keep = shows if name == "rotation" else slice(None)
        wanted, found = (np.asarray(encode_factor(name, getattr(f, name)), np.float64)[keep] for f in (true, read))
        result[name] = float(1.0 - np.sum((wanted - found) ** 2) / np.sum((wanted - wanted.mean(0)) ** 2))
    return result
