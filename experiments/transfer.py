"""Directions that were found on one class, applied to all others: what transfers, in numbers and in a picture.

    python -m experiments.transfer --flagfile=experiments/flags/transfer_biggan_deep_scenes.flags

Writes into workdir: transfer.json, transfer.md (a table of correlations with bootstrap intervals), for each of the first
components transfer_v*.png (rows classes, columns standard deviations), and run.flags.
"""

import json
import sys

import numpy as np
from absl import app, flags, logging

from ganspace_jax.directions import components, edited_images, foreign_files
from ganspace_jax.errors import InputError, one_line_errors
from ganspace_jax.files import outputs, pictures
from ganspace_jax.generators import zoo
from ganspace_jax.measures import class_transfer, effects
from ganspace_jax.methods import decomposition
from ganspace_jax.scenes import probe

FLAGS = flags.FLAGS
flags.DEFINE_string("generator", "biggan-deep-scenes", f"Zoo name ({', '.join(zoo.ZOO)}) or checkpoint directory.")
flags.DEFINE_string("components", None, "File written by experiments.decompose, of one class.", required=True)
flags.DEFINE_string("probe", str(probe.SHIPPED), "Checkpoint directory of the probe.")
flags.DEFINE_integer("num_samples", 256, "Images of each class to move along each component.", lower_bound=2)
flags.DEFINE_integer("num_pictures", 6, "Components to draw.", lower_bound=0)
flags.DEFINE_float("sigma", 2.0, "Standard deviations at the ends of a row.", lower_bound=0.0)
flags.DEFINE_integer("seed", 0, "Seed of the images.", lower_bound=0)
flags.DEFINE_string("workdir", None, "Directory to write into.", required=True)


def main(_):
    """One table, and a picture a component."""
    with outputs.outputs(FLAGS.workdir) as directory:
        found = foreign_files.load_components(FLAGS.components)
        generator = zoo.load(FLAGS.generator)
        components.check_generator(found, FLAGS.generator, decomposition.fingerprint(generator))
        if not isinstance(found.source.label, int):
            raise InputError(f"--components: of {found.source.label or 'no class'}; transfer begins at one class")
        names = _class_names(generator.merge())
        measured = _measure(generator, found, len(names))
        report = {
            name: {k: v.tolist() for k, v in one._asdict().items()} for name, one in zip(names, measured, strict=True)
        }
        (directory / "transfer.json").write_text(json.dumps(report, indent=2) + "\n")
        text = _table(names, measured, len(found))
        (directory / "transfer.md").write_text(text + "\n")
        for k in range(min(FLAGS.num_pictures, len(found))):
            _draw(directory / f"transfer_v{k}.png", generator, found, k, names)
        (directory / "run.flags").write_text(outputs.flagfile(FLAGS.get_key_flags_for_module(sys.argv[0])))
    print(text)


def _class_names(module):
    return list(module.class_names) or [f"class {i}" for i in range(module.num_classes)]


def _measure(generator, found, num_classes):
    """Returns the transfer to each class.

    The transfer to the source class itself uses other images of it. No class can have
    a higher transfer.
    """
    scorer = probe.scorer(probe.load(FLAGS.probe))
    continuous = ~np.isin(scorer.names, scorer.categories)  # the class is the shape
    measure = lambda label, seed: effects.measure(  # noqa: E731
        generator, found, scorer, num_samples=FLAGS.num_samples, label=label, seed=seed
    )[..., continuous]
    source = measure(found.source.label, FLAGS.seed)
    return [class_transfer.between(source, measure(label, FLAGS.seed + 1)) for label in range(num_classes)]


def _table(names, measured, num_components):
    lines = ["| | " + " | ".join(names) + " |", "| --- " * (len(names) + 1) + "|"]
    for k in range(num_components):
        cells = [f"{one.correlation[k]:.2f} ({one.low[k]:.2f} to {one.high[k]:.2f})" for one in measured]
        lines.append(f"| v{k} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _draw(path, generator, found, k, names):
    sigmas = np.linspace(-FLAGS.sigma, FLAGS.sigma, 7)
    rows = []
    for label in range(len(names)):
        view = edited_images.View(label=label)
        start = edited_images.starting_latents(generator, found, 1, view)
        rows.append(edited_images.component_rows(generator, found, start, [k], sigmas, view)[0])
    title = f"v{k} of {names[found.source.label]}, applied to every class"
    pictures.save_png(path, pictures.labelled_rows(np.stack(rows), names, [f"{s:+.1f}" for s in sigmas], title=title))


if __name__ == "__main__":
    logging.set_verbosity(logging.WARNING)
    app.run(one_line_errors(main))
