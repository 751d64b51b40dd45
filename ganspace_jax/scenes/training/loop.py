"""A training run in a work directory: steps, pictures, metrics, states and networks.

adversarial.py defines a step; this file has a run's side effects.
"""

import json
import pathlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from ganspace_jax.files import pictures, run_states
from ganspace_jax.files.run_states import RunCheckpoints
from ganspace_jax.generators import base, zoo
from ganspace_jax.generators.biggan_deep import BigGANDeep
from ganspace_jax.run import Progress
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
) -> None:
    """Trains on all devices until the recipe's end. A resumed run ends bit-equal.

    Args:
        state: state to start from, unless workdir holds a saved state.
        workdir: work directory of the run.
        report: function that receives the progress at the start and after every step.

    Raises:
        InputError: the devices cannot share a batch, or workdir holds another run.
    """
    networks, recipe, render, key = program
    (workdir / "samples").mkdir(parents=True, exist_ok=True)
    saved = run_states.RunCheckpoints(workdir / "state")
    devices = device_meshes.all_devices(recipe.batch_size)
    state = _resume(saved, state, devices)
    step = first_step = int(state.step)
    last_save = time.monotonic()
    _forget_metrics_after(workdir, step * recipe.batch_size)
    report(_progress(recipe, step))
    while step < recipe.num_steps:
        regularize = recipe.r1_weight > 0 and step % recipe.r1_interval == 0
        state, metrics = adversarial.update(
            networks, recipe, render, state, key, regularize=regularize, devices=devices
        )
        step += 1
        report(_progress(recipe, step))
        if step % recipe.r1_interval == 1:
            _write_metrics(workdir, step * recipe.batch_size, metrics)
        if step % max(1, intervals.sample_every // recipe.batch_size) == 0 or step == recipe.num_steps:
            path = workdir / "samples" / f"{step * recipe.batch_size:09d}.png"
            _sample_grid(adversarial.averaged_generator(networks, state), recipe, path)
        if time.monotonic() - last_save > intervals.save_every and step < recipe.num_steps:
            saved.save(step, state)
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


def _write_metrics(workdir: pathlib.Path, num_images: int, metrics: adversarial.Metrics) -> None:
    figures = {name: round(float(value), 5) for name, value in metrics._asdict().items()}
    with open(workdir / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"images": num_images, **figures}) + "\n")


def _forget_metrics_after(workdir: pathlib.Path, num_images: int) -> None:
    """Removes metrics later than the resumed state, and an incomplete last line.

    A killed run can leave both.
    """
    path = workdir / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    whole = [line for line in lines if line.endswith("\n") and json.loads(line)["images"] <= num_images]
    path.write_text("".join(whole))


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
