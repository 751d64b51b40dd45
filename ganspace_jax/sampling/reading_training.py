"""Training of reading networks with Adam: the recipe, the state, and the run that
continues after a stop.
"""

import dataclasses
import math
import pathlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from ganspace_jax.files import trainings
from ganspace_jax.files.run_states import RunCheckpoints
from ganspace_jax.run import Interrupted, Progress, Run
from ganspace_jax.shapes import Array, Float

_METRICS_EVERY = 50  # steps


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

    num_images: int
    batch_size: int
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


Terms = dict[str, Float[Array, ""]]  # of the loss, by name


def init(params: dict[str, Any], recipe: Recipe) -> TrainState:
    """Returns the state before the first step."""
    return TrainState(jnp.zeros((), jnp.int32), params, recipe.optimizer().init(params))


def descend(state: TrainState, grads: Any, recipe: Recipe) -> TrainState:
    """Returns the state after one step of Adam."""
    updates, optimizer = recipe.optimizer().update(grads, state.optimizer, state.params)
    params: Any = optax.apply_updates(state.params, updates)
    return TrainState(state.step + 1, params, optimizer)


def train(
    workdir: pathlib.Path,
    recipe: Recipe,
    state: TrainState,
    update: Callable[[TrainState], tuple[TrainState, Terms]],
    save: Callable[[dict[str, Any]], object],
    run: Run,
) -> TrainState:
    """Trains to the end of the recipe, from the state in the work directory if there is
    one. Appends to metrics.jsonl.

    Args:
        workdir: work directory, which `files.trainings` has allowed.
        recipe: recipe of the training.
        state: state before the first step.
        update: takes one step; returns the new state and the terms of the loss.
        save: writes the network's arrays; called whenever the state is saved.
        run: progress, stopping, and the seconds between two saves.

    Raises:
        Interrupted: if run.should_stop returned True; the state is saved.
    """
    saved = RunCheckpoints(workdir / "state")
    restored = saved.restore(state)
    state = restored[1] if restored else state
    step, last_save = int(state.step), time.monotonic()
    trainings.forget_metrics_after(workdir, step * recipe.batch_size)
    while step < recipe.num_steps:
        state, terms = update(state)
        step += 1
        run.report(Progress(step * recipe.batch_size, recipe.num_steps * recipe.batch_size, "image"))
        if step % _METRICS_EVERY == 0 or step == recipe.num_steps:
            trainings.append_metrics(workdir, step * recipe.batch_size, terms)
        is_stopping = run.should_stop() and step < recipe.num_steps
        if is_stopping or time.monotonic() - last_save > run.save_every or step == recipe.num_steps:
            saved.save(step, state)
            if is_stopping:
                raise Interrupted(f"stopped; saved in {workdir / 'state'}; the same command continues from there")
            save(state.params)
            last_save = time.monotonic()
    saved.close()
    return state
