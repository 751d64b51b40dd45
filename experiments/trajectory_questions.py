r"""Answers the open questions about trajectories, each with a number and an interval.

    python -m experiments.trajectory_questions --generator=stylegan2-scenes \
        --question=recursion --workdir=runs/questions
    python -m experiments.trajectory_questions \
        --flagfile=experiments/flags/questions_stylegan2_scenes.flags

Trajectories are those of Plumerault et al. 2020, for a horizontal shift. --question
names one of them, or all:

- start: recursion or direct targets, from the own latent or from a random one.
- clip: the norm of the latent with and without clipping.
- knots: how precise the curve g is with 3 to 101 knots, or as a straight line.
- recursion: the cosine of the error's gradient with the true path.
- frame: moved latents and shifted pictures against the true content beyond the frame.

Writes into workdir: QUESTION.md and QUESTION.json for each question, recursion.png (the
cosines against the displacement), frame.png, frame_cut.png and run.flags. Intervals are
95 % bootstrap intervals over images.
"""

import functools
import json

import numpy as np
from absl import flags

from ganspace_jax import command_line, own_pictures, shared_flags
from ganspace_jax.files import charts, pictures
from ganspace_jax.generators import zoo
from ganspace_jax.measures import answers, error_gradients
from ganspace_jax.run import Run
from ganspace_jax.sampling import encoder, inversion_losses
from ganspace_jax.scenes import probe, trajectory_questions
from ganspace_jax.scenes.trajectory_questions import Subject

FLAGS = flags.FLAGS
QUESTIONS = ("start", "clip", "knots", "recursion", "frame")
shared_flags.define("generator", "probe", "encoder")
flags.DEFINE_enum("question", "all", ["all", *QUESTIONS], "Question that is answered.")
flags.DEFINE_integer("num_images", 32, "Images of each question.", lower_bound=4, upper_bound=10_000)
flags.DEFINE_integer("num_fitted", 10_000, "Random samples to which curves are fitted.", lower_bound=100)
shared_flags.define("seed", "workdir")

_NUM_SHOWN = 12  # pictures in a row


def main():
    """Writes the tables and pictures of the questions."""
    with command_line.outputs() as directory:
        name, generator = command_line.load_generator()
        found = own_pictures.load_encoder(name, generator)[1]
        subject = Subject(
            generator,
            probe.load(FLAGS.probe or probe.SHIPPED),
            None if found is None else functools.partial(encoder.encode, found),
            own_pictures.features(name, inversion_losses.FEATURES) if _has_discriminator(name) else None,
            FLAGS.num_images,
            FLAGS.num_fitted,
            FLAGS.seed,
        )
        for question in QUESTIONS if FLAGS.question == "all" else (FLAGS.question,):
            rows = _answer(directory, question, subject)
            text = answers.markdown(rows)
            (directory / f"{question}.md").write_text(text + "\n")
            (directory / f"{question}.json").write_text(json.dumps(answers.as_json(rows), indent=2) + "\n")
            print(f"{question}\n\n{text}\n")


def _has_discriminator(name):
    return (zoo.resolve(name) / "discriminator").is_dir()


def _answer(directory, question, subject):
    """Returns the rows of a question, and draws its picture."""
    with command_line.progress_bar(question) as report:
        found = getattr(trajectory_questions, question)(subject, Run(batch_size=2 * FLAGS.num_images, report=report))
    if question == "recursion":
        pictures.save_png(directory / "recursion.png", _cosines(found))
    if question != "frame":
        return found
    for name, contents in zip(("frame", "frame_cut"), found, strict=True):
        shown = contents.pictures[:, :_NUM_SHOWN]
        picture = pictures.labelled_rows(shown, contents.titles, [""] * shown.shape[1])
        pictures.save_png(directory / f"{name}.png", picture)
    return [row for contents in found for row in contents.rows]


def _cosines(rows):
    """Returns a picture of the cosines against the displacement."""
    panels = {}
    for row in rows:
        if row.case["space"] != error_gradients.IMAGE:
            points = np.array(list(row.figures.values()))
            curve = charts.Curve(trajectory_questions.DISPLACEMENTS, *points.T)
            panels.setdefault(f"{row.case['path']}, {row.case['space']}", {})[row.case["error"]] = curve
    return charts.curves(panels, x_label="displacement (px)", y_label="cosine", columns=3)


if __name__ == "__main__":
    command_line.start(main, needs=("generator", "workdir"))
