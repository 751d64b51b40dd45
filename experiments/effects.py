"""Measures with the probe which factors of a scene each component moves.

    python -m experiments.effects --components=runs/stylegan2_scenes_w/components.npz --workdir=runs/effects

Writes into workdir: effects.json, effects.md (a table), effects.png and run.flags.
"""

import json
import sys

from absl import app, flags, logging

from ganspace_jax.directions import components, foreign_files
from ganspace_jax.errors import one_line_errors
from ganspace_jax.files import charts, outputs
from ganspace_jax.generators import zoo
from ganspace_jax.measures import effects
from ganspace_jax.methods import decomposition
from ganspace_jax.scenes import probe

FLAGS = flags.FLAGS
flags.DEFINE_string("generator", "stylegan2-scenes", f"Zoo name ({', '.join(zoo.ZOO)}) or checkpoint directory.")
flags.DEFINE_string("components", None, "File written by experiments.decompose.", required=True)
flags.DEFINE_string("probe", str(probe.SHIPPED), "Checkpoint directory of the probe.")
flags.DEFINE_integer("num_samples", 256, "Images to move along each component.", lower_bound=2)
flags.DEFINE_float("sigma", 1.0, "From minus to plus this many standard deviations.", lower_bound=0.0)
flags.DEFINE_integer("seed", 0, "Seed of the images.", lower_bound=0)
flags.DEFINE_string("workdir", None, "Directory to write into.", required=True)


def main(_):
    """One table of effects."""
    with outputs.outputs(FLAGS.workdir) as directory:
        found = foreign_files.load_components(FLAGS.components)
        generator = zoo.load(FLAGS.generator)
        components.check_generator(found, FLAGS.generator, decomposition.fingerprint(generator))
        scorer = probe.scorer(probe.load(FLAGS.probe))
        changes = effects.measure(
            generator,
            found,
            scorer,
            num_samples=FLAGS.num_samples,
            sigma=FLAGS.sigma,
            seed=FLAGS.seed,
        )
        measured = effects.summarize(changes, scorer.names)
        text = effects.table(measured, range(len(found)))
        (directory / "effects.md").write_text(text + "\n")
        report = {"factors": measured.names, "size": measured.size.tolist(), "slope": measured.slope.tolist()}
        (directory / "effects.json").write_text(json.dumps(report, indent=2) + "\n")
        charts.effects(directory / "effects.png", measured)
        (directory / "run.flags").write_text(outputs.flagfile(FLAGS.get_key_flags_for_module(sys.argv[0])))
    print(text)


if __name__ == "__main__":
    logging.set_verbosity(logging.WARNING)
    app.run(one_line_errors(main))
