"""Measures how far a layer really moves along its components when latents move along their directions.

    python -m experiments.faithfulness --flagfile=experiments/flags/faithfulness_biggan_deep_scenes.flags

Writes into workdir: faithfulness.json, faithfulness.md (a table at one standard deviation), faithfulness.png and run.flags.
"""

import json
import sys

import numpy as np
from absl import app, flags, logging

from ganspace_jax.directions import components, foreign_files
from ganspace_jax.errors import one_line_errors
from ganspace_jax.files import charts, outputs
from ganspace_jax.generators import zoo
from ganspace_jax.measures import layer_response

FLAGS = flags.FLAGS
flags.DEFINE_string("generator", "biggan-deep-scenes", f"Zoo name ({', '.join(zoo.ZOO)}) or checkpoint directory.")
flags.DEFINE_string("components", None, "File written by experiments.decompose.", required=True)
flags.DEFINE_integer("num_samples", 256, "Samples to move along each direction.", lower_bound=2)
flags.DEFINE_integer("seed", 1, "Seed of the samples; not the one that the components were found with.", lower_bound=0)
flags.DEFINE_string("workdir", None, "Directory to write into.", required=True)


def main(_):
    """One table and one plot."""
    with outputs.outputs(FLAGS.workdir) as directory:
        found = foreign_files.load_components(FLAGS.components)
        generator = zoo.load(FLAGS.generator)
        components.check_generator(found, FLAGS.generator, zoo.fingerprint(generator))
        measured = layer_response.measure(generator, found, num_samples=FLAGS.num_samples, seed=FLAGS.seed)
        text = layer_response.table(measured)
        (directory / "faithfulness.md").write_text(text + "\n")
        report = {name: np.asarray(value).tolist() for name, value in measured._asdict().items()}
        (directory / "faithfulness.json").write_text(json.dumps(report, indent=2) + "\n")
        charts.faithfulness(directory / "faithfulness.png", measured)
        (directory / "run.flags").write_text(outputs.flagfile(FLAGS.get_key_flags_for_module(sys.argv[0])))
    print(text)


if __name__ == "__main__":
    logging.set_verbosity(logging.WARNING)
    app.run(one_line_errors(main))
