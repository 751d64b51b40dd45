r"""Measures how far a layer really moves along its components when latents move along
their directions.

    python -m experiments.faithfulness \
        --components=runs/biggan_deep_scenes_cone/components.npz \
        --workdir=runs/faithfulness
    python -m experiments.faithfulness \
        --flagfile=experiments/flags/faithfulness_biggan_deep_scenes.flags

Writes into workdir: faithfulness.json, faithfulness.md (a table at one standard
deviation), faithfulness.png and run.flags.
"""

import json

import numpy as np
from absl import flags

from ganspace_jax import command_line, shared_flags
from ganspace_jax.directions import components
from ganspace_jax.files import charts
from ganspace_jax.measures import layer_response

FLAGS = flags.FLAGS
shared_flags.define("generator", "components", "latent_space", "num_samples")
# Another seed than that of decompose, so that the samples are new to the components.
shared_flags.define("workdir", seed=1)


def main():
    """Writes one table and one plot."""
    with command_line.outputs() as directory:
        found = command_line.load_components()
        _, generator = command_line.load_generator(found)
        measured = layer_response.measure(generator, found, num_samples=FLAGS.num_samples, seed=FLAGS.seed)
        labels = [components.label(found, k) for k in range(len(found))]
        text = layer_response.table(measured, labels=labels)
        (directory / "faithfulness.md").write_text(text + "\n")
        report = {name: np.asarray(value).tolist() for name, value in measured._asdict().items()}
        (directory / "faithfulness.json").write_text(json.dumps(report, indent=2) + "\n")
        charts.layer_response(
            directory / "faithfulness.png",
            sigmas=measured.sigmas, own=measured.own, spread=measured.spread, others=measured.others, labels=labels,
        )  # fmt: skip
    print(text)


if __name__ == "__main__":
    command_line.start(main, needs=("components", "workdir"))
