r"""Trains the encoder that reads the latents of a generator's images.

    python -m experiments.train_encoder --generator=stylegan2-scenes \
        --workdir=runs/encoder
    python -m experiments.train_encoder \
        --flagfile=experiments/flags/train_encoder_stylegan2_scenes.flags

Images are generated as training needs them. Writes into workdir: run.flags,
metrics.jsonl, state/ (the same command continues a run that Ctrl-C or SIGTERM stopped),
encoder/ (the checkpoint directory), and at the end accuracy.json (on images that
training did not see). experiments.invert and experiments.edit --images start from the
encoder that --encoder names. Without the flag they start from the directory encoder/ in
the generator's checkpoint directory.
"""

import functools
import json
import pathlib

import jax
from absl import flags

from ganspace_jax import command_line, shared_flags
from ganspace_jax.files import outputs, trainings
from ganspace_jax.generators import zoo
from ganspace_jax.run import Run
from ganspace_jax.sampling import encoder, encoder_training, reading_training

FLAGS = flags.FLAGS
shared_flags.define("workdir", "seed", generator="stylegan2-scenes")
flags.DEFINE_integer("num_images", 51_200, "Number of images of the training.", lower_bound=1)
shared_flags.define(batch_size=64)
flags.DEFINE_float("learning_rate", 2e-3, "Highest learning rate of Adam.", lower_bound=0.0, upper_bound=1.0)
flags.DEFINE_integer("num_held_out", 2000, "Images on which the finished encoder is judged.", lower_bound=1)
flags.DEFINE_float("save_every", 120.0, "Seconds between two saves of the state.", lower_bound=0.0)

_NOT_IN_RESULT = ("workdir", "generator", "num_images", "save_every", "num_held_out")  # a resumed run may change them


def main():
    """Trains until --num_images, then judges the encoder."""
    workdir = pathlib.Path(FLAGS.workdir)
    init_key, train_key, held_out_key, metric_key = jax.random.split(jax.random.key(FLAGS.seed), 4)
    recipe = reading_training.Recipe(FLAGS.num_images, FLAGS.batch_size, FLAGS.learning_rate)
    with outputs.claim(FLAGS.workdir), command_line.stop_on_signals() as should_stop:
        _, generator = command_line.load_generator()
        about = {**command_line.settings(leave_out=_NOT_IN_RESULT), "generator": zoo.fingerprint(generator)}
        trainings.check(workdir, about)
        outputs.check_files(workdir, ["accuracy.json"])
        network = encoder.new(generator, key=init_key)
        trainings.begin(workdir, about, command_line.flagfile())
        metric = encoder_training.image_metric(network, generator, metric_key)
        program = encoder_training.Program(generator.params, metric, train_key)
        update = functools.partial(encoder_training.update, (network.definition, generator.definition), recipe, program)
        with command_line.progress_bar("training") as report:
            run = Run(save_every=FLAGS.save_every, report=report, should_stop=should_stop)
            start = reading_training.init(network.params, recipe)
            state = reading_training.train(workdir, recipe, start, update, functools.partial(_save, network), run)
        _judge(network._replace(params=state.params), generator, held_out_key, workdir / "accuracy.json")


def _save(network, params):
    encoder.save(pathlib.Path(FLAGS.workdir) / "encoder", network._replace(params=params))


def _judge(trained, generator, key, path):
    figures = encoder_training.accuracy(trained, generator, key, FLAGS.num_held_out, FLAGS.batch_size)
    rounded = {name: round(value, 4) for name, value in figures.items()}
    path.write_text(json.dumps({"num_held_out": FLAGS.num_held_out, **rounded}, indent=2) + "\n")
    for name, value in rounded.items():
        print(f"{name:22} {value:.4f}")


if __name__ == "__main__":
    command_line.start(main, needs=("workdir",))
