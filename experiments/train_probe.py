"""Trains the probe that reads the factors of the procedural scenes back from images.

    python -m experiments.train_probe --flagfile=experiments/flags/train_probe.flags --workdir=runs/probe

Scenes are rendered as training needs them. Writes into workdir: run.flags, metrics.jsonl, state/ (resumable: the same
command continues a run that was stopped), probe/ (the checkpoint directory) and at the end accuracy.json (on scenes
that training did not see).
"""

import functools
import json
import pathlib
import sys
import time

import jax
from absl import app, flags, logging
from tqdm import tqdm

from ganspace_jax.errors import one_line_errors
from ganspace_jax.files import checkpoints, outputs
from ganspace_jax.scenes import probe, probe_training, rendering
from ganspace_jax.scenes.factors import sample_factors

FLAGS = flags.FLAGS
flags.DEFINE_string("workdir", None, "Directory of the run; a run found there is continued.", required=True)
flags.DEFINE_integer("seed", 0, "Seed of the weights and the scenes.")
flags.DEFINE_integer("resolution", 32, "Side of the images in pixels.", lower_bound=8)
flags.DEFINE_integer("supersampling", 2, "Rays a pixel and axis.", lower_bound=1)
flags.DEFINE_integer("num_images", 400_000, "Length of the training.", lower_bound=1)
flags.DEFINE_integer("batch_size", 128, "Images a step.", lower_bound=1)
flags.DEFINE_float("learning_rate", 2e-3, "At its highest (Adam; rises, then falls along a cosine).", lower_bound=0.0)
flags.DEFINE_integer("num_held_out", 4000, "Scenes on which the finished probe is judged.", lower_bound=1)
flags.DEFINE_float("save_every", 120.0, "Seconds between saved states.", lower_bound=0.0)


def main(_):
    """Trains until --num_images, then judges."""
    workdir = pathlib.Path(FLAGS.workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    (workdir / "run.flags").write_text(outputs.flagfile(FLAGS.get_key_flags_for_module(sys.argv[0])))
    init_key, train_key, held_out_key = jax.random.split(jax.random.key(FLAGS.seed), 3)
    recipe = probe_training.Recipe(FLAGS.num_images, FLAGS.batch_size, FLAGS.learning_rate)
    network = probe.Network(probe.Config(resolution=FLAGS.resolution), key=init_key)
    definition, state = probe_training.init(network, recipe)
    saved = checkpoints.RunCheckpoints(workdir / "state")
    found = saved.restore(state)
    state = found[1] if found else state
    trained = _train(definition, recipe, state, train_key, workdir, saved)
    saved.close()
    _judge(trained, held_out_key, workdir / "accuracy.json")


def _train(definition, recipe, state, key, workdir, saved):
    render = functools.partial(rendering.render, resolution=FLAGS.resolution, supersampling=FLAGS.supersampling)
    step, last_save = int(state.step), time.monotonic()
    bar = tqdm(total=recipe.num_images, initial=step * recipe.batch_size, unit="img", smoothing=0.02, mininterval=10)
    while step < recipe.num_steps:
        state, terms = probe_training.update(definition, recipe, render, state, key)
        step += 1
        bar.update(recipe.batch_size)
        if step % 50 == 0 or step == recipe.num_steps:
            terms = {name: round(float(value), 5) for name, value in terms.items()}
            with open(workdir / "metrics.jsonl", "a") as file:
                file.write(json.dumps({"images": step * recipe.batch_size, **terms}) + "\n")
        if time.monotonic() - last_save > FLAGS.save_every or step == recipe.num_steps:
            saved.save(step, state)
            probe.save(workdir / "probe", probe.Probe(definition, state.params))
            last_save = time.monotonic()
    bar.close()
    return probe.Probe(definition, state.params)


def _judge(trained, key, path):
    true = sample_factors(key, FLAGS.num_held_out)
    read = probe.read_factors(trained, rendering.render_in_chunks(true, FLAGS.resolution, FLAGS.supersampling))
    accuracy = {name: round(value, 4) for name, value in probe_training.accuracy(true, read).items()}
    path.write_text(json.dumps({"num_held_out": FLAGS.num_held_out, **accuracy}, indent=2) + "\n")
    for name, value in accuracy.items():
        print(f"{name:16} {'accuracy' if name == 'shape' else 'R2':9} {value:.4f}")


if __name__ == "__main__":
    logging.set_verbosity(logging.WARNING)  # Orbax tells of every file at INFO
    app.run(one_line_errors(main))
