r"""Measures which values of images each component moves: factors of a scene, or others.

    python -m experiments.effects --components=runs/stylegan2_scenes_w/components.npz \
        --workdir=runs/effects
    python -m experiments.effects --components=runs/faces_main.0/components.npz \
        --scorer=statistics --workdir=runs/faces_effects

Writes into workdir: effects.json, effects.md (a table), effects.png and run.flags. The
images are --num_samples random ones, or the pictures whose latents are in
--latents=FILE; experiments.generate describes such a file.

--scorer names the reader of the images. The probe reads scenes of 32 x 32 pixels, and
statistics, FILE.onnx and MODULE:FUNCTION read images of any generator. Their changes
are in standard deviations over --num_samples random images.
"""

import functools
import json

import numpy as np
from absl import flags

from ganspace_jax import command_line, named_scorers, shared_flags
from ganspace_jax.directions import components, edits
from ganspace_jax.errors import InputError
from ganspace_jax.files import charts
from ganspace_jax.measures import effects

FLAGS = flags.FLAGS
shared_flags.define(
    "generator", "components", "latent_space", "scorer", "probe", "num_samples", "seed", "latents", "label"
)
shared_flags.define("workdir", sigma=1.0)

_MOST_SHOWN = 40


def main():
    """Writes one table of effects."""
    edits.check_sigma(FLAGS.sigma, f"--sigma={FLAGS.sigma}")
    if FLAGS.sigma == 0:
        raise InputError("--sigma=0: moves nothing; must not be 0")
    with command_line.outputs() as directory:
        found = command_line.load_components()
        name, generator = command_line.load_generator(found)
        reference = functools.partial(_reference, generator, found)
        scorer = named_scorers.load(FLAGS.scorer, reference, generator_name=name, probe_directory=FLAGS.probe)
        changes = _changes(generator, found, scorer)
        measured = effects.summarize(changes, scorer.names)
        shown, labels = _shown(measured), [components.label(found, k) for k in range(len(found))]
        text = effects.table(shown, range(len(found)), labels)
        (directory / "effects.md").write_text(text + "\n")
        report = {"factors": measured.names, "size": measured.size.tolist(), "slope": measured.slope.tolist()}
        report["components"] = labels
        report["scales"] = scorer.scales.tolist()  # a change of 1 in the value's own unit
        (directory / "effects.json").write_text(json.dumps(report, indent=2) + "\n")
        charts.effects(directory / "effects.png", shown.size, shown.names, labels)
    print(text)
    if len(shown.names) < len(measured.names):
        print(f"The {len(shown.names)} values that move most; effects.json has all {len(measured.names)}.")


def _shown(measured):
    """Returns the effects on the values that move most, as many as a chart can show."""
    most = np.sort(np.argsort(-measured.size.max(0), kind="stable")[:_MOST_SHOWN])
    names = tuple(measured.names[i] for i in most)
    return effects.Effects(names, measured.size[:, most], measured.slope[:, most])


def _reference(generator, found):
    settings = {"num_samples": FLAGS.num_samples, "seed": FLAGS.seed, "label": FLAGS.label}
    return named_scorers.reference_images(generator, found, **settings)


def _changes(generator, found, scorer):
    if FLAGS.latents is not None:
        inputs = command_line.load_latents(generator, found)
        return effects.measure_at(generator, found, scorer, inputs.latents, inputs.label, sigma=FLAGS.sigma)
    settings = {"num_samples": FLAGS.num_samples, "seed": FLAGS.seed, "label": FLAGS.label}
    return effects.measure(generator, found, scorer, sigma=FLAGS.sigma, **settings)


if __name__ == "__main__":
    command_line.start(main, needs=("components", "workdir"))
