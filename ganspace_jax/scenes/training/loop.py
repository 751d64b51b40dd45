"""A training run in a directory: steps, sample pictures, metrics, states that it resumes from, networks to use.

The mathematics of a step is in adversarial.py; here are its effects.
"""

import json
import pathlib
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from tqdm import tqdm

from ganspace_jax.files import pictures, run_states
from ganspace_jax.generators import base, zoo
from ganspace_jax.generators.biggan_deep import BigGANDeep
from ganspace_jax.sampling import devices as device_meshes
from ganspace_jax.sampling import latents
from ganspace_jax.scenes.training import adversarial, standing_statistics
from ganspace_jax.scenes.training import discriminator as discriminators
from ganspace_jax.shapes import PRNGKey


def run(
    networks: adversarial.Networks,
    recipe: adversarial.Recipe,
    render: adversarial.Render,
    state: adversarial.TrainState,
    key: PRNGKey,
    workdir: pathlib.Path,
    *,
    sample_every: int,
    save_every: float,
) -> None:
    """Trains on all devices to the end of the recipe, from `state` or from the newest one in workdir.

    Resumed runs end bit-equal. Raises InputError for a batch that the devices cannot share, and for a workdir of another run.
    sample_every: images between samples/*.png. save_every: seconds between saves of state/, generator/ and discriminator/.
    """
    (workdir / "samples").mkdir(parents=True, exist_ok=True)
    saved = run_states.RunCheckpoints(workdir / "state")
    devices = device_meshes.all_devices(recipe.batch_size)
    found = saved.restore(state)
    state = device_meshes.replicate(found[1] if found else state, devices)
    step = begun = int(state.step)
    last_save = time.monotonic()
    _forget_metrics_after(workdir, step * recipe.batch_size)
    bar = tqdm(total=recipe.num_images, initial=step * recipe.batch_size, unit="img", smoothing=0.02, mininterval=10)
    while step < recipe.num_steps:
        regularize = recipe.r1_weight > 0 and step % recipe.r1_interval == 0
        state, metrics = adversarial.update(
            networks, recipe, render, state, key, regularize=regularize, devices=devices
        )
        step += 1
        bar.update(recipe.batch_size)
        if step % recipe.r1_interval == 1:
            _write_metrics(workdir, step * recipe.batch_size, metrics)
        if step % max(1, sample_every // recipe.batch_size) == 0 or step == recipe.num_steps:
            path = workdir / "samples" / f"{step * recipe.batch_size:09d}.png"
            _sample_grid(adversarial.averaged_generator(networks, state), recipe, path)
        if time.monotonic() - last_save > save_every and step < recipe.num_steps:
            saved.save(step, state)
            _save_networks(workdir, networks, state, finished=False)
            last_save = time.monotonic()
    bar.close()
    if step > begun:
        saved.save(step, state)
    saved.close()
    _save_networks(workdir, networks, state, finished=True)


def _write_metrics(workdir: pathlib.Path, num_images: int, metrics: adversarial.Metrics) -> None:
    figures = {name: round(float(value), 5) for name, value in metrics._asdict().items()}
    with open(workdir / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"images": num_images, **figures}) + "\n")


def _forget_metrics_after(workdir: pathlib.Path, num_images: int) -> None:
    """A killed run may have written beyond its last saved state, and half a line."""
    path = workdir / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    whole = [line for line in lines if line.endswith("\n") and json.loads(line)["images"] <= num_images]
    path.write_text("".join(whole))


def _sample_grid(generator: Any, recipe: adversarial.Recipe, path: pathlib.Path) -> None:
    """64 images of the same latents each time; with labels, a class a column."""
    indices, num_classes = jnp.arange(64), generator.num_classes
    z = latents.sample(jax.random.key(1), indices, generator.z_dim, generator.prior)
    label = jax.nn.one_hot(indices % num_classes, num_classes) if num_classes else None
    extra = {"batch_statistics": True} if recipe.batch_statistics else {}
    samples = generator(generator.map_latents(z, label), label=label, noise=None, **extra)[0]
    pictures.save_png(path, pictures.grid(np.asarray(samples), num_classes or 8), scale=2)


def _save_networks(
    workdir: pathlib.Path, networks: adversarial.Networks, state: adversarial.TrainState, *, finished: bool
) -> None:
    """Standing statistics from few samples while the run goes on, from many at its end."""
    generator = adversarial.averaged_generator(networks, state)
    if isinstance(generator, BigGANDeep):
        generator = standing_statistics.collect(generator, jax.random.key(2), num_batches=16 if finished else 2)
    zoo.save(workdir / "generator", base.split(generator))
    discriminators.save(workdir / "discriminator", nnx.merge(networks.discriminator, state.discriminator))
