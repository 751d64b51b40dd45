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

import jax
from absl import flags

from ganspace_jax import command_line, errors, shared_flags
from ganspace_jax.errors import InputError
from ganspace_jax.files import outputs, trainings
from ganspace_jax.run import Run
from ganspace_jax.sampling import reading_network, reading_training
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

_NOT_IN_RESULT = ("workdir", "num_images", "save_every", "num_held_out")  # a resumed run may change them


def main():
    """Trains until --num_images, then judges the probe."""
    workdir = pathlib.Path(FLAGS.workdir)
    about = command_line.settings(leave_out=_NOT_IN_RESULT)
    init_key, train_key, held_out_key = jax.random.split(jax.random.key(FLAGS.seed), 3)
    recipe = reading_training.Recipe(FLAGS.num_images, FLAGS.batch_size, FLAGS.learning_rate)
    with outputs.claim(FLAGS.workdir), command_line.stop_on_signals() as should_stop:
        trainings.check(workdir, about)
        outputs.check_files(workdir, ["accuracy.json"])
        untrained = reading_network.split(_network(init_key))
        trainings.begin(workdir, about, command_line.flagfile())
        render = functools.partial(rendering.render, resolution=FLAGS.resolution, supersampling=FLAGS.supersampling)
        with command_line.progress_bar("training") as report:
            run = Run(save_every=FLAGS.save_every, report=report, should_stop=should_stop)
            state = reading_training.train(
                workdir,
                recipe,
                reading_training.init(untrained.params, recipe),
                lambda state: probe_training.update(untrained.definition, recipe, render, state, train_key),
                lambda params: probe.save(workdir / "probe", untrained._replace(params=params)),
                run,
            )
        _judge(untrained._replace(params=state.params), held_out_key, workdir / "accuracy.json")


def _network(key):
    try:
        return probe.Network(probe.Config(resolution=FLAGS.resolution), key=key)
    except ValueError as error:
        raise InputError(f"--resolution={FLAGS.resolution}: {errors.first_line(error)}") from None


def _judge(trained, key, path):
    true = sample_factors(key, FLAGS.num_held_out)
    read = probe.read_factors(trained, rendering.render_in_chunks(true, FLAGS.resolution, FLAGS.supersampling))
    accuracy = {name: round(value, 4) for name, value in probe_training.accuracy(true, read).items()}
    path.write_text(json.dumps({"num_held_out": FLAGS.num_held_out, **accuracy}, indent=2) + "\n")
    for name, value in accuracy.items():
        print(f"{name:16} {'accuracy' if name == 'shape' else 'R2':9} {value:.4f}")


if __name__ == "__main__":
    command_line.start(main, needs=("workdir",))
