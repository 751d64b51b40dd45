"""A training run in a work directory: steps, pictures, metrics, states and networks.

adversarial.py defines a step; this file has a run's side effects.
"""

import pathlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from ganspace_jax.files import pictures, run_states, trainings
from ganspace_jax.files.run_states import RunCheckpoints
from ganspace_jax.generators import base, zoo
from ganspace_jax.generators.biggan_deep import BigGANDeep
from ganspace_jax.run import Interrupted, Progress
from ganspace_jax.sampling import devices as device_meshes
from ganspace_jax.sampling import latents
from ganspace_jax.scenes.training import adversarial, standing_statistics
from ganspace_jax.scenes.training import discriminator as discriminators
from ganspace_jax.shapes import PRNGKey


class Program(NamedTuple):
    """Everything that determines a run's steps.

    Attributes:
        networks: definitions of both networks.
        recipe: recipe of the training.
        render: function of (key, batch size) that returns a real batch.
        key: key of the data and the latents.
    """

    networks: adversarial.Networks
    recipe: adversarial.Recipe
    render: adversarial.Render
    key: PRNGKey


class Intervals(NamedTuple):
    """Intervals at which a run writes files.

    Attributes:
        sample_every: interval between sample pictures, images.
        save_every: interval between saves of state/, generator/ and discriminator/,
            seconds.
    """

    sample_every: int
    save_every: float


def run(
    program: Program,
    state: adversarial.TrainState,
    workdir: pathlib.Path,
    intervals: Intervals,
    report: Callable[[Progress], object] = lambda progress: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> None:
    """Trains on all devices until the recipe's end. A resumed run ends bit-equal.

    Args:
        state: state to start from, unless workdir holds a saved state.
        workdir: work directory of the run.
        report: function that receives the progress at the start and after every step.
        should_stop: function that is polled after every step. If it returns True, the
            run saves its state and raises Interrupted.

    Raises:
        InputError: the devices cannot share a batch, or workdir holds another run or
            cannot be written.
        Interrupted: the run was told to stop; its state is saved.
    """
    networks, recipe, render, key = program
    (workdir / "samples").mkdir(parents=True, exist_ok=True)
    saved = run_states.RunCheckpoints(workdir / "state")
    devices = device_meshes.all_devices(recipe.batch_size)
    state = _resume(saved, state, devices)
    step = first_step = int(state.step)
    last_save = time.monotonic()
    trainings.forget_metrics_after(workdir, step * recipe.batch_size)
    report(_progress(recipe, step))
    while step < recipe.num_steps:
        regularize = recipe.r1_weight > 0 and step % recipe.r1_interval == 0
        state, metrics = adversarial.update(
            networks, recipe, render, state, key, regularize=regularize, devices=devices
        )
        step += 1
        report(_progress(recipe, step))
        if step % recipe.r1_interval == 1:
            trainings.append_metrics(workdir, step * recipe.batch_size, metrics._asdict())
        if step % max(1, intervals.sample_every // recipe.batch_size) == 0 or step == recipe.num_steps:
            path = workdir / "samples" / f"{step * recipe.batch_size:09d}.png"
            _sample_grid(adversarial.averaged_generator(networks, state), recipe, path)
        is_stopping = should_stop() and step < recipe.num_steps
        if is_stopping or (time.monotonic() - last_save > intervals.save_every and step < recipe.num_steps):
            saved.save(step, state)
            if is_stopping:
                saved.close()
                raise Interrupted(f"stopped; saved in {workdir / 'state'}; the same command continues from there")
            _save_networks(workdir, networks, state, finished=False)
            last_save = time.monotonic()
    if step > first_step:
        saved.save(step, state)
    saved.close()
    _save_networks(workdir, networks, state, finished=True)


def _resume(saved: RunCheckpoints, state: adversarial.TrainState, devices: Mesh) -> adversarial.TrainState:
    """Returns the newest saved state, or else `state`, replicated on all devices."""
    restored = saved.restore(state)
    return device_meshes.replicate(restored[1] if restored else state, devices)


def _progress(recipe: adversarial.Recipe, step: int) -> Progress:
    return Progress(step * recipe.batch_size, recipe.num_images, "image")


def _sample_grid(generator: Any, recipe: adversarial.Recipe, path: pathlib.Path) -> None:
    """Writes a picture of 64 images with the same latents each time.

    With labels, each column shows one class.
    """
    indices, num_classes = jnp.arange(64), generator.num_classes
    z = latents.sample(jax.random.key(1), indices, generator.z_dim, generator.prior)
    label = jax.nn.one_hot(indices % num_classes, num_classes) if num_classes else None
    extra = {"batch_statistics": True} if recipe.batch_statistics else {}
    samples = generator(generator.map_latents(z, label), label=label, noise=None, **extra)[0]
    pictures.save_png(path, pictures.grid(np.asarray(samples), num_classes or 8), scale=2)


def _save_networks(
    workdir: pathlib.Path, networks: adversarial.Networks, state: adversarial.TrainState, *, finished: bool
) -> None:
    """Saves both networks.

    Standing statistics use many samples at the end of a run, but few samples before it.
    """
    generator = adversarial.averaged_generator(networks, state)
    if isinstance(generator, BigGANDeep):
        generator = standing_statistics.collect(generator, jax.random.key(2), num_batches=16 if finished else 2)
    zoo.save(workdir / "generator", base.split(generator))
    discriminators.save(workdir / "discriminator", nnx.merge(networks.discriminator, state.discriminator))
