r"""Measures with the probe which factors of a scene each component moves.

    python -m experiments.effects --components=runs/stylegan2_scenes_w/components.npz \
        --workdir=runs/effects

Writes into workdir: effects.json, effects.md (a table), effects.png and run.flags. The
images are --num_samples random ones, or the pictures whose latents are in
--latents=FILE; experiments.generate describes such a file.
"""

import json

from absl import flags

from ganspace_jax import command_line, shared_flags
from ganspace_jax.directions import edits
from ganspace_jax.errors import InputError
from ganspace_jax.files import charts
from ganspace_jax.measures import effects
from ganspace_jax.scenes import probe

FLAGS = flags.FLAGS
shared_flags.define("generator", "components", "latent_space", "probe", "num_samples", "seed", "latents", "label")
shared_flags.define("workdir", sigma=1.0)


def main():
    """Writes one table of effects."""
    edits.check_sigma(FLAGS.sigma, f"--sigma={FLAGS.sigma}")
    if FLAGS.sigma == 0:
        raise InputError("--sigma=0: moves nothing; must not be 0")
    with command_line.outputs() as directory:
        found = command_line.load_components()
        _, generator = command_line.load_generator(found)
        scorer = probe.scorer(probe.load(FLAGS.probe or probe.SHIPPED))
        changes = _changes(generator, found, scorer)
        measured = effects.summarize(changes, scorer.names)
        text = effects.table(measured, range(len(found)))
        (directory / "effects.md").write_text(text + "\n")
        report = {"factors": measured.names, "size": measured.size.tolist(), "slope": measured.slope.tolist()}
        (directory / "effects.json").write_text(json.dumps(report, indent=2) + "\n")
        charts.effects(directory / "effects.png", measured.size, measured.names)
    print(text)


def _changes(generator, found, scorer):
    if FLAGS.latents is not None:
        inputs = command_line.load_latents(generator, found)
        return effects.measure_at(generator, found, scorer, inputs.latents, inputs.label, sigma=FLAGS.sigma)
    settings = {"num_samples": FLAGS.num_samples, "seed": FLAGS.seed, "label": FLAGS.label}
    return effects.measure(generator, found, scorer, sigma=FLAGS.sigma, **settings)


if __name__ == "__main__":
    command_line.start(main, needs=("components", "workdir"))
