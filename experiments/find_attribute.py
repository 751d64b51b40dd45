r"""Finds the directions of wanted attributes: scores that move while others stay.

    python -m experiments.find_attribute --generator=stylegan2-scenes \
        --attribute=light_intensity,horizontal --workdir=runs/attributes
    python -m experiments.find_attribute --generator=runs/faces --scorer=statistics \
        --attribute=brightness,warmth --workdir=runs/faces_attributes
    python -m experiments.find_attribute \
        --flagfile=experiments/flags/attributes_stylegan2_scenes.flags

Writes into workdir: components.npz with one named direction per attribute, attribute.md
and attribute.json (figures with intervals, beside the best of GANSpace's components and
of random directions), attributes.png, one strip NAME.png per attribute, and run.flags.

--scorer names the reader of the images, as in experiments.effects; its values are the
attributes. The probe and statistics have derivatives. An ONNX file and a Python
function have none, so their directions are combinations of the leading components.
"""

import json

import jax.numpy as jnp
import numpy as np
from absl import flags

from ganspace_jax import command_line, named_scorers, shared_flags
from ganspace_jax.directions import components, edits
from ganspace_jax.directions.edits import Edit
from ganspace_jax.files import pictures
from ganspace_jax.generators import synthesis
from ganspace_jax.measures import attribute_tables, wanted_attributes
from ganspace_jax.measures.wanted_attributes import WantedAttributes
from ganspace_jax.sampling import labels, random_samples, scored_images

FLAGS = flags.FLAGS
shared_flags.define("generator", "scorer", "probe")
shared_flags.define_spec(WantedAttributes)
flags.DEFINE_integer("num_rows", 4, "Images in each strip.", lower_bound=1, upper_bound=1000)
shared_flags.define("num_columns", "sigma", "batch_size", "workdir")

_NUM_REFERENCE = 256  # images that give the standard deviations of a scorer


def main():
    """Writes the named directions and their report."""
    edits.check_sigma(FLAGS.sigma, f"--sigma={FLAGS.sigma}")
    spec = shared_flags.spec_from_flags(WantedAttributes)
    with command_line.outputs() as directory:
        name, generator = command_line.load_generator()
        scorer = named_scorers.load(
            FLAGS.scorer, lambda: _reference(generator, spec), generator_name=name, probe_directory=FLAGS.probe
        )
        with command_line.progress_bar("attributes") as report_progress:
            run = shared_flags.run_from_flags(report=report_progress, should_stop=lambda: False)
            found, report = wanted_attributes.find(generator, scorer, spec, run, name=name)
        components.save(directory / "components.npz", found)
        text = attribute_tables.markdown(report)
        text += "\n\n" + attribute_tables.compared(report) if spec.compare else ""
        (directory / "attribute.md").write_text(text + "\n")
        (directory / "attribute.json").write_text(json.dumps(attribute_tables.as_json(report), indent=2) + "\n")
        _draw(directory, generator, found, spec)
    print(text)
    print("\n".join(attribute_tables.warnings(report)))
    print(f"written: {FLAGS.workdir}; edit with --edit={_example(found)}=2")


def _example(found):
    """Returns the first name that is not circular, because one step moves its value."""
    return next((one.name for one in found.named if one.period is None), found.named[0].name)


def _reference(generator, spec):
    label = labels.resolve("all" if spec.label is None and generator.num_classes else spec.label, generator)
    at = random_samples.draw(generator, 0, _NUM_REFERENCE, seed=spec.seed, label=label)
    return np.concatenate(list(scored_images.images(generator, at.layers, at.weights)))


def _draw(directory, generator, found, spec):
    """Draws one strip of images per attribute, and a picture of the first rows."""
    at = random_samples.draw(generator, 0, FLAGS.num_rows, seed=spec.seed + 3, label=found.spec.label)
    sigmas = np.linspace(-FLAGS.sigma, FLAGS.sigma, FLAGS.num_columns)
    columns, first = [f"{sigma:+.1f}" for sigma in sigmas], []
    for one in found.named:
        steps = [Edit(one.name, sigma=float(sigma)) for sigma in sigmas]
        moved = [edits.apply(jnp.asarray(at.layers), found, [step]) for step in steps]
        strips = np.stack([np.asarray(synthesis.synthesize(generator, w, label=at.weights)) for w in moved], axis=1)
        title = f"{one.name}, layers {one.range_text()}; steps in standard deviations"
        names = [f"image {row}" for row in range(len(strips))]
        pictures.save_png(directory / f"{one.name}.png", pictures.labelled_rows(strips, names, columns, title=title))
        first.append(strips[0])
    title = "wanted attributes; steps in standard deviations"
    names = [one.name.replace("_", " ") for one in found.named]
    pictures.save_png(
        directory / "attributes.png", pictures.labelled_rows(np.stack(first), names, columns, title=title)
    )


if __name__ == "__main__":
    command_line.start(main, needs=("generator", "workdir"))
