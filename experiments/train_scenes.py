"""Trains a generator on the procedural scenes.

    python -m experiments.train_scenes --flagfile=experiments/flags/train_stylegan2_scenes.flags --workdir=runs/stylegan2

Writes into workdir: samples/*.png as it trains, metrics.jsonl, state/ (resumable: the same command continues a run that was
stopped), generator/ (the averaged weights, a checkpoint directory for every other experiment) and discriminator/, with which
--grow_from begins a run of twice the resolution.
"""

import functools
import json
import pathlib
import sys
import time

import jax
import numpy as np
from absl import app, flags, logging
from flax import nnx
from tqdm import tqdm

from ganspace_jax import adversarial, checkpoints, discriminators, growing, images, scenes, workdirs
from ganspace_jax.failures import one_line_errors
from ganspace_jax.generators import base, stylegan2, zoo

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "Directory of the run; a run found there is continued.", required=True)
flags.DEFINE_integer("seed", 0, "Seed of the weights, the data and the latents.")
flags.DEFINE_list("channels", ["96", "96", "64", "32"], "Generator: channels at 4x4, 8x8, ...; sets the resolution.")
flags.DEFINE_list("discriminator_channels", ["32", "48", "64", "96"], "Discriminator: from the full size to 4x4.")
flags.DEFINE_integer("latent_dim", 64, "Size of z and of w.", lower_bound=1)
flags.DEFINE_integer("mapping_layers", 4, "Depth of the mapping network.", lower_bound=1)
flags.DEFINE_string(
    "grow_from", None, "Workdir of a finished run at half this resolution, or at the same, to begin with."
)
flags.DEFINE_integer("num_images", 1_000_000, "Length of the training, in real images.", lower_bound=1)
flags.DEFINE_integer("batch_size", 32, "Images a step.", lower_bound=1)
flags.DEFINE_float("learning_rate", 2.5e-3, "Of both networks (Adam).", lower_bound=0.0)
flags.DEFINE_float("decay", 0.4, "Last part of the training over which the learning rate falls.", 0.0, 1.0)
flags.DEFINE_float("r1_weight", 0.05, "Weight of the gradient penalty.", lower_bound=0.0)
flags.DEFINE_float("style_mixing", 0.5, "Share of images with two styles.", 0.0, 1.0)
flags.DEFINE_float("average_images", 8000, "Half-life of the moving average of the weights, in images.", lower_bound=1)
flags.DEFINE_integer("supersampling", 2, "Rays a pixel and axis of the real images.", lower_bound=1)
flags.DEFINE_integer("sample_every", 20_000, "Images between sample grids.", lower_bound=1)
flags.DEFINE_float("save_every", 300.0, "Seconds between saved states.", lower_bound=0.0)


def _render(key, num_images, resolution, supersampling):
    return scenes.render(scenes.sample_factors(key, num_images), resolution, supersampling)


def _networks(key):
    channels = tuple(int(c) for c in FLAGS.channels)
    config = stylegan2.Config(
        z_dim=FLAGS.latent_dim,
        w_dim=FLAGS.latent_dim,
        channels=channels,
        mapping_layers=FLAGS.mapping_layers,
        use_noise=False,  # nothing in a scene is random once its factors are known
    )
    discriminator = discriminators.Config(channels=tuple(int(c) for c in FLAGS.discriminator_channels))
    if len(channels) != len(discriminator.channels):
        raise app.UsageError(f"--discriminator_channels: {len(channels)} numbers wanted, one for each of --channels")
    keys = jax.random.split(key)
    networks = stylegan2.StyleGAN2(config, key=keys[0]), discriminators.Discriminator(discriminator, key=keys[1])
    if FLAGS.grow_from is None:
        return networks
    before = pathlib.Path(FLAGS.grow_from)
    return (
        growing.grow_generator(networks[0], before / "generator"),
        growing.grow_discriminator(networks[1], before / "discriminator"),
    )


def _sample_grid(generator, path):
    split = base.split(generator)
    z = jax.random.normal(jax.random.key(1), (64, generator.z_dim))
    samples = base.synthesize(split, base.map_latents(split, z), noise=None)
    images.save_png(path, images.grid(np.asarray(samples), 8), scale=2)


def main(_):
    """Trains until --num_images."""
    workdir = pathlib.Path(FLAGS.workdir)
    (workdir / "samples").mkdir(parents=True, exist_ok=True)
    (workdir / "run.flags").write_text(workdirs.flagfile(FLAGS.get_key_flags_for_module(sys.argv[0])))
    init_key, train_key = jax.random.split(jax.random.key(FLAGS.seed))
    recipe = adversarial.Recipe(
        num_images=FLAGS.num_images,
        batch_size=FLAGS.batch_size,
        learning_rate=FLAGS.learning_rate,
        decay=FLAGS.decay,
        r1_weight=FLAGS.r1_weight,
        style_mixing=FLAGS.style_mixing,
        average_images=FLAGS.average_images,
    )
    generator, discriminator = _networks(init_key)
    render = functools.partial(_render, resolution=generator.config.resolution, supersampling=FLAGS.supersampling)
    networks, state = adversarial.init(generator, discriminator, recipe)
    saved = checkpoints.TrainingCheckpoints(workdir / "state")
    state = saved.restore(state) or state
    _forget_metrics_after(workdir, int(state.step) * recipe.batch_size)
    _train(networks, recipe, render, state, train_key, workdir, saved)


def _train(networks, recipe, render, state, key, workdir, saved):
    step, last_save = int(state.step), time.monotonic()
    bar = tqdm(total=recipe.num_images, initial=step * recipe.batch_size, unit="img", smoothing=0.02, mininterval=10)
    while step < recipe.num_steps:
        state, metrics = adversarial.update(
            networks, recipe, render, state, key, regularize=step % recipe.r1_interval == 0
        )
        step += 1
        bar.update(recipe.batch_size)
        if step % recipe.r1_interval == 1:
            metrics = {name: round(float(value), 5) for name, value in metrics._asdict().items()}
            with open(workdir / "metrics.jsonl", "a") as file:
                file.write(json.dumps({"images": step * recipe.batch_size, **metrics}) + "\n")
        if step % max(1, FLAGS.sample_every // recipe.batch_size) == 0 or step == recipe.num_steps:
            path = workdir / "samples" / f"{step * recipe.batch_size:09d}.png"
            _sample_grid(adversarial.averaged_generator(networks, state), path)
        if time.monotonic() - last_save > FLAGS.save_every or step == recipe.num_steps:
            saved.save(step, state)
            _save_networks(workdir, networks, state)
            last_save = time.monotonic()
    bar.close()
    saved.close()
    _save_networks(workdir, networks, state)
    print(f"generator: {workdir / 'generator'}")


def _forget_metrics_after(workdir, num_images):
    path = workdir / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    path.write_text("".join(line for line in lines if line.endswith("\n") and json.loads(line)["images"] <= num_images))


def _save_networks(workdir, networks, state):
    zoo.save(workdir / "generator", base.split(adversarial.averaged_generator(networks, state)))
    discriminators.save(workdir / "discriminator", nnx.merge(networks.discriminator, state.discriminator))


if __name__ == "__main__":
    logging.set_verbosity(logging.WARNING)  # Orbax tells of every file at INFO
    app.run(one_line_errors(main))
