r"""Trains the probe that reads the factors of the procedural scenes back from images.

    python -m experiments.train_probe --flagfile=experiments/flags/train_probe.flags \
        --workdir=runs/probe

Scenes are rendered as training needs them. Writes into workdir: run.flags,
metrics.jsonl, state/ (the same command continues a run that Ctrl-C or SIGTERM stopped),
probe/ (the checkpoint directory), and at the end accuracy.json (on scenes that training
did not see). The flagfile takes a quarter of an hour on two CPU cores.
"""

import functools
import json
import pathlib
import time

import jax
from absl import flags

from ganspace_jax import command_line, errors, shared_flags
from ganspace_jax.errors import InputError
from ganspace_jax.files import outputs, trainings
from ganspace_jax.files.run_states import RunCheckpoints
from ganspace_jax.run import Interrupted, Progress
from ganspace_jax.scenes import probe, probe_training, rendering
from ganspace_jax.scenes.factors import sample_factors

FLAGS = flags.FLAGS
shared_flags.define("workdir", "seed")
flags.DEFINE_integer("resolution", 32, "Side of the images, in pixels.", lower_bound=8, upper_bound=1024)
flags.DEFINE_integer("supersampling", 2, "Rays per pixel and axis.", lower_bound=1, upper_bound=16)
flags.DEFINE_integer("num_images", 400_000, "Number of images of the training.", lower_bound=1)
shared_flags.define(batch_size=128)
flags.DEFINE_float("learning_rate", 2e-3, "Highest learning rate of Adam.", lower_bound=0.0, upper_bound=1.0)
flags.DEFINE_integer("num_held_out", 4000, "Scenes on which the finished probe is judged.", lower_bound=1)
flags.DEFINE_float("save_every", 120.0, "Seconds between two saves of the state.", lower_bound=0.0)

_METRICS_EVERY = 50  # steps
_NOT_IN_RESULT = ("workdir", "num_images", "save_every", "num_held_out")  # a resumed run may change them


def main():
    """Trains until --num_images, then judges the probe."""
    workdir = pathlib.Path(FLAGS.workdir)
    about = command_line.settings(leave_out=_NOT_IN_RESULT)
    init_key, train_key, held_out_key = jax.random.split(jax.random.key(FLAGS.seed), 3)
    recipe = probe_training.Recipe(FLAGS.num_images, FLAGS.batch_size, FLAGS.learning_rate)
    with outputs.claim(FLAGS.workdir), command_line.stop_on_signals() as should_stop:
        trainings.check(workdir, about)
        outputs.check_files(workdir, ["accuracy.json"])
        definition, state = probe_training.init(_network(init_key), recipe)
        trainings.begin(workdir, about, command_line.flagfile())
        with command_line.progress_bar("training") as report:
            trained = _train((definition, recipe, train_key), state, workdir, report, should_stop)
        _judge(trained, held_out_key, workdir / "accuracy.json")


def _network(key):
    try:
        return probe.Network(probe.Config(resolution=FLAGS.resolution), key=key)
    except ValueError as error:
        raise InputError(f"--resolution={FLAGS.resolution}: {errors.first_line(error)}") from None


def _train(program, state, workdir, report, should_stop):
    definition, recipe, key = program
    render = functools.partial(rendering.render, resolution=FLAGS.resolution, supersampling=FLAGS.supersampling)
    saved = RunCheckpoints(workdir / "state")
    restored = saved.restore(state)
    state = restored[1] if restored else state
    step, last_save = int(state.step), time.monotonic()
    trainings.forget_metrics_after(workdir, step * recipe.batch_size)
    while step < recipe.num_steps:
        state, terms = probe_training.update(definition, recipe, render, state, key)
        step += 1
        report(Progress(step * recipe.batch_size, recipe.num_steps * recipe.batch_size, "image"))
        if step % _METRICS_EVERY == 0 or step == recipe.num_steps:
            trainings.append_metrics(workdir, step * recipe.batch_size, terms)
        is_stopping = should_stop() and step < recipe.num_steps
        if is_stopping or time.monotonic() - last_save > FLAGS.save_every or step == recipe.num_steps:
            saved.save(step, state)
            if is_stopping:
                raise Interrupted(f"stopped; saved in {workdir / 'state'}; the same command continues from there")
            probe.save(workdir / "probe", probe.Probe(definition, state.params))
            last_save = time.monotonic()
    saved.close()
    return probe.Probe(definition, state.params)


def _judge(trained, key, path):
    true = sample_factors(key, FLAGS.num_held_out)
    read = probe.read_factors(trained, rendering.render_in_chunks(true, FLAGS.resolution, FLAGS.supersampling))
    accuracy = {name: round(value, 4) for name, value in probe_training.accuracy(true, read).items()}
    path.write_text(json.dumps({"num_held_out": FLAGS.num_held_out, **accuracy}, indent=2) + "\n")
    for name, value in accuracy.items():
        print(f"{name:16} {'accuracy' if name == 'shape' else 'R2':9} {value:.4f}")


if __name__ == "__main__":
    command_line.start(main, needs=("workdir",))
