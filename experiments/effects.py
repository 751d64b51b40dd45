r"""Measures with the probe which factors of a scene each component moves.

    python -m experiments.effects --components=runs/stylegan2_scenes_w/components.npz \
        --workdir=runs/effects

Writes into workdir: effects.json, effects.md (a table), effects.png and run.flags.
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
shared_flags.define("generator", "components", "latent_space", "probe", "num_samples", "seed", "workdir", sigma=1.0)


def main():
    """Writes one table of effects."""
    edits.check_sigma(FLAGS.sigma, f"--sigma={FLAGS.sigma}")
    if FLAGS.sigma == 0:
        raise InputError("--sigma=0: moves nothing; must not be 0")
    with command_line.outputs() as directory:
        found = command_line.load_components()
        _, generator = command_line.load_generator(found)
        scorer = probe.scorer(probe.load(FLAGS.probe or probe.SHIPPED))
        changes = effects.measure(
            generator, found, scorer, num_samples=FLAGS.num_samples, sigma=FLAGS.sigma, seed=FLAGS.seed
        )
        measured = effects.summarize(changes, scorer.names)
        text = effects.table(measured, range(len(found)))
        (directory / "effects.md").write_text(text + "\n")
        report = {"factors": measured.names, "size": measured.size.tolist(), "slope": measured.slope.tolist()}
        (directory / "effects.json").write_text(json.dumps(report, indent=2) + "\n")
        charts.effects(directory / "effects.png", measured.size, measured.names)
    print(text)


if __name__ == "__main__":
    command_line.start(main, needs=("components", "workdir"))
