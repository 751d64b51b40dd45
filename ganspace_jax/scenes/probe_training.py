"""Training of the probe on freshly rendered scenes, as pure functions over a state."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from ganspace_jax.sampling import reading_training
from ganspace_jax.sampling.reading_training import Recipe, Terms, TrainState
from ganspace_jax.scenes.factors import CIRCULAR, CONTINUOUS, Factors, sample_factors, shows_rotation
from ganspace_jax.scenes.probe import Outputs, encode, encode_factor
from ganspace_jax.shapes import Array, Float, PRNGKey


@functools.partial(jax.jit, static_argnames=("definition", "recipe", "render"), donate_argnames=("state",))
def update(
    definition: nnx.GraphDef, recipe: Recipe, render: Callable[[Factors], Array], state: TrainState, key: PRNGKey
) -> tuple[TrainState, Terms]:
    """Takes one training step on freshly sampled scenes.

    Returns the new state and the terms of the loss by name.
    """
    factors = sample_factors(jax.random.fold_in(key, state.step), recipe.batch_size)
    # Without the barrier, XLA fuses the renderer into each operation that uses the
    # images, and so renders repeatedly.
    images = jax.lax.optimization_barrier(render(factors))
    compute = lambda params: loss(nnx.merge(definition, params)(images), factors)  # noqa: E731
    grads, terms = jax.grad(compute, has_aux=True)(state.params)
    return reading_training.descend(state, grads, recipe), terms


def loss(outputs: Outputs, factors: Factors) -> tuple[Float[Array, ""], Terms]:
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
