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

import json
import pathlib
import time

import jax
from absl import flags

from ganspace_jax import command_line, shared_flags
from ganspace_jax.files import outputs, trainings
from ganspace_jax.files.run_states import RunCheckpoints
from ganspace_jax.generators import zoo
from ganspace_jax.run import Interrupted, Progress
from ganspace_jax.sampling import encoder, encoder_training

FLAGS = flags.FLAGS
shared_flags.define("workdir", "seed", generator="stylegan2-scenes")
flags.DEFINE_integer("num_images", 51_200, "Number of images of the training.", lower_bound=1)
shared_flags.define(batch_size=64)
flags.DEFINE_float("learning_rate", 2e-3, "Highest learning rate of Adam.", lower_bound=0.0, upper_bound=1.0)
flags.DEFINE_integer("num_held_out", 2000, "Images on which the finished encoder is judged.", lower_bound=1)
flags.DEFINE_float("save_every", 120.0, "Seconds between two saves of the state.", lower_bound=0.0)

_METRICS_EVERY = 50  # steps
_NOT_IN_RESULT = ("workdir", "generator", "num_images", "save_every", "num_held_out")  # a resumed run may change them


def main():
    """Trains until --num_images, then judges the encoder."""
    workdir = pathlib.Path(FLAGS.workdir)
    init_key, train_key, held_out_key, metric_key = jax.random.split(jax.random.key(FLAGS.seed), 4)
    recipe = encoder_training.Recipe(FLAGS.num_images, FLAGS.batch_size, FLAGS.learning_rate)
    with outputs.claim(FLAGS.workdir), command_line.stop_on_signals() as should_stop:
        _, generator = command_line.load_generator()
        about = {**command_line.settings(leave_out=_NOT_IN_RESULT), "generator": zoo.fingerprint(generator)}
        trainings.check(workdir, about)
        outputs.check_files(workdir, ["accuracy.json"])
        network = encoder.new(generator, key=init_key)
        trainings.begin(workdir, about, command_line.flagfile())
        metric = encoder_training.image_metric(network, generator, metric_key)
        program = encoder_training.Program(generator.params, metric, train_key)
        with command_line.progress_bar("training") as report:
            definitions = network.definition, generator.definition
            state = encoder_training.init(network, recipe)
            trained = _train((definitions, recipe, program), state, workdir, report, should_stop)
        _judge(trained, generator, held_out_key, workdir / "accuracy.json")


def _train(arguments, state, workdir, report, should_stop):
    definitions, recipe, program = arguments
    saved = RunCheckpoints(workdir / "state")
    restored = saved.restore(state)
    state = restored[1] if restored else state
    step, last_save = int(state.step), time.monotonic()
    trainings.forget_metrics_after(workdir, step * recipe.batch_size)
    while step < recipe.num_steps:
        state, terms = encoder_training.update(definitions, recipe, program, state)
        step += 1
        report(Progress(step * recipe.batch_size, recipe.num_steps * recipe.batch_size, "image"))
        if step % _METRICS_EVERY == 0 or step == recipe.num_steps:
            trainings.append_metrics(workdir, step * recipe.batch_size, terms)
        is_stopping = should_stop() and step < recipe.num_steps
        if is_stopping or time.monotonic() - last_save > FLAGS.save_every or step == recipe.num_steps:
            saved.save(step, state)
            if is_stopping:
                raise Interrupted(f"stopped; saved in {workdir / 'state'}; the same command continues from there")
            last_save = time.monotonic()
    saved.close()
    trained = encoder.Encoder(definitions[0], state.params)
    encoder.save(workdir / "encoder", trained)
    return trained


def _judge(trained, generator, key, path):
    figures = encoder_training.accuracy(trained, generator, key, FLAGS.num_held_out, FLAGS.batch_size)
    rounded = {name: round(value, 4) for name, value in figures.items()}
    path.write_text(json.dumps({"num_held_out": FLAGS.num_held_out, **rounded}, indent=2) + "\n")
    for name, value in rounded.items():
        print(f"{name:22} {value:.4f}")


if __name__ == "__main__":
    command_line.start(main, needs=("workdir",))
