r"""Applies directions that were found on one class to all classes: numbers and pictures
of what transfers.

    python -m experiments.transfer \
        --components=runs/biggan_deep_scenes_cone/components.npz \
        --workdir=runs/transfer
    python -m experiments.transfer \
        --flagfile=experiments/flags/transfer_biggan_deep_scenes.flags

Writes into workdir: transfer.json, transfer.md (a table of correlations with bootstrap
intervals), for each of the first components transfer_NAME.png (rows: classes; columns:
standard deviations), and run.flags.
"""

import functools
import json

import numpy as np
from absl import flags

from ganspace_jax import command_line, named_scorers, shared_flags
from ganspace_jax.directions import components, edited_images, edits
from ganspace_jax.directions.edited_images import FALLBACK_SEED, View
from ganspace_jax.errors import InputError
from ganspace_jax.files import pictures, tables
from ganspace_jax.generators.synthesis import Synthesis
from ganspace_jax.measures import class_transfer, effects

FLAGS = flags.FLAGS
shared_flags.define("generator", "components", "latent_space", "scorer", "probe", "num_samples")
flags.DEFINE_integer("num_pictures", 6, "Components to draw.", lower_bound=0)
shared_flags.define("sigma", "seed", "workdir")

_NUM_COLUMNS = 7


def main():
    """Writes one table, and one picture per component."""
    edits.check_sigma(FLAGS.sigma, f"--sigma={FLAGS.sigma}")
    with command_line.outputs() as directory:
        found = command_line.load_components()
        if not isinstance(found.spec.label, int):
            raise InputError(
                f"--components: {found.spec.label or 'no class'}; transfer needs components of one class; run decompose "
                f"with a class, such as --label=cone"
            )
        name, generator = command_line.load_generator(found)
        names = list(generator.class_names) or [f"class {i}" for i in range(generator.num_classes)]
        measured = _measure(generator, found, len(names), name)
        report = {
            name: {key: value.tolist() for key, value in one._asdict().items()}
            for name, one in zip(names, measured, strict=True)
        }
        (directory / "transfer.json").write_text(json.dumps(report, indent=2) + "\n")
        text = _table(names, measured, [components.label(found, k) for k in range(len(found))])
        (directory / "transfer.md").write_text(text + "\n")
        for k in range(min(FLAGS.num_pictures, len(found))):
            _draw(directory / f"transfer_{components.label(found, k)}.png", generator, found, k, names)
    print(text)


def _measure(generator, found, num_classes, name):
    """Measures the transfer to each class.

    For the source class itself it uses other images, which gives the most that there
    can be.
    """
    settings = {"num_samples": FLAGS.num_samples, "seed": FLAGS.seed}
    reference = functools.partial(named_scorers.reference_images, generator, found, **settings)
    scorer = named_scorers.load(FLAGS.scorer, reference, generator_name=name, probe_directory=FLAGS.probe)
    continuous = [name not in scorer.categories for name in scorer.names]  # the shape is the class

    def measure(label, seed):
        settings = {"num_samples": FLAGS.num_samples, "label": label, "seed": seed}
        return effects.measure(generator, found, scorer, **settings)[..., continuous]

    source = measure(found.spec.label, FLAGS.seed)
    return [class_transfer.between(source, measure(label, FLAGS.seed + 1)) for label in range(num_classes)]


def _table(names, measured, labels):
    rows = [
        [label, *(f"{one.correlation[k]:.2f} ({one.low[k]:.2f} to {one.high[k]:.2f})" for one in measured)]
        for k, label in enumerate(labels)
    ]
    return tables.markdown(["", *names], rows)


def _draw(path, generator, found, k, names):
    sigmas = np.linspace(-FLAGS.sigma, FLAGS.sigma, _NUM_COLUMNS)
    rows = []
    for label in range(len(names)):
        basis, view = edited_images.resolve(found, View(Synthesis(label)), generator)
        start = edited_images.start_of_seed(generator, FALLBACK_SEED, view.synthesis)
        rows.append(edited_images.component_rows(generator, basis, start, [k], sigmas, view)[0])
    title = f"{components.label(found, k)} of {names[found.spec.label]}, applied to every class; steps in standard deviations"
    columns = [f"{sigma:+.1f}" for sigma in sigmas]
    pictures.save_png(path, pictures.labelled_rows(np.stack(rows), names, columns, title=title))


if __name__ == "__main__":
    command_line.start(main, needs=("components", "workdir"))
