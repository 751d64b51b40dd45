r"""Measures how linear each layer is in z: whether the least-squares directions of its
components can be trusted.

    python -m experiments.linearity \
        --flagfile=experiments/flags/linearity_biggan_deep_scenes.flags

Decomposes one layer after the other. Writes into workdir: linearity.json, linearity.md
(a table of r2, the share of a component's variance that is linear in z), and run.flags.
"""

import json

import numpy as np
from absl import flags

from ganspace_jax import command_line, shared_flags
from ganspace_jax.directions import components
from ganspace_jax.files import tables
from ganspace_jax.methods import decomposition
from ganspace_jax.methods.decomposition import Decomposition
from ganspace_jax.sampling import layers

FLAGS = flags.FLAGS
shared_flags.define(generator="biggan-deep-scenes")
flags.DEFINE_list("layers", None, "Layers, in the order of the table.")
shared_flags.define_spec(
    Decomposition, leave_out=("layer", "latent_space", "estimator", "until_stable"), num_samples=10_000
)
shared_flags.define("batch_size", "memory_budget_gb", "workdir")

_NUM_LISTED = 5  # components with a column of their own


def main():
    """Writes one table."""
    specs = [
        shared_flags.spec_from_flags(Decomposition, layer=layer, latent_space="z", estimator="auto")
        for layer in FLAGS.layers
    ]
    with command_line.outputs() as directory:
        name, generator = command_line.load_generator()
        resolved = [layers.resolve(spec, generator) for spec in specs]  # all layers exist before the work begins
        for before, spec in zip(specs, resolved, strict=True):
            if line := layers.describe_name(before.layer, spec.layer):
                print(line)
        results = [_decompose(generator, spec, name) for spec in resolved]
        text = _table(results)
        (directory / "linearity.md").write_text(text + "\n")
        report = json.dumps([components.summary(result) for result in results], indent=2)
        (directory / "linearity.json").write_text(report + "\n")
    print(text)


def _decompose(generator, spec, name):
    with command_line.progress_bar(spec.layer) as report:
        run = shared_flags.run_from_flags(report=report, should_stop=lambda: False)
        return decomposition.decompose(generator, spec, run, name=name)


def _table(results):
    num_listed = min(_NUM_LISTED, FLAGS.num_components)
    header = ["layer", "dimensions", *(f"v{k}" for k in range(num_listed))]
    header += [f"first {FLAGS.num_components}, by variance", "their share of the variance"]
    rows = []
    for result in results:
        weighted = np.sum(result.r2 * result.variance_ratio) / np.sum(result.variance_ratio)
        rows.append([
            str(result.spec.layer),
            f"{result.activation_components[0].size:,}",
            *(f"{r2:.3f}" for r2 in result.r2[:num_listed]),
            f"{weighted:.3f}",
            f"{np.sum(result.variance_ratio):.0%}",
        ])  # fmt: skip
    return tables.markdown(header, rows)


if __name__ == "__main__":
    command_line.start(main, needs=("layers", "workdir"))
