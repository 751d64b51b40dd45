r"""Measures how linear each layer is in z: whether the least-squares directions of its
components can be trusted.

    python -m experiments.linearity \
        --flagfile=experiments/flags/linearity_biggan_deep_scenes.flags

Decomposes all layers in shared sweeps. Writes into workdir: linearity.json,
linearity.md (a table of r2, the share of a component's variance that is linear in z),
and run.flags. To continue a run that was killed, or that Ctrl-C or SIGTERM stopped,
repeat its command: it saves its state in workdir/state.
"""

import json
import pathlib

from absl import flags

from ganspace_jax import command_line, shared_flags
from ganspace_jax.directions import component_tables
from ganspace_jax.files import resume
from ganspace_jax.methods import decomposition
from ganspace_jax.methods.decomposition import Decomposition
from ganspace_jax.sampling import layers

FLAGS = flags.FLAGS
shared_flags.define(generator="biggan-deep-scenes")
flags.DEFINE_list("layers", None, "Layers, in the order of the table.")
shared_flags.define_spec(
    Decomposition, leave_out=("layer", "latent_space", "estimator", "until_stable"), num_samples=10_000
)
shared_flags.define("batch_size", "memory_budget_gb", "checkpoint_every", "workdir")


def main():
    """Writes one table."""
    with command_line.stop_on_signals() as should_stop, command_line.progress_bar("samples") as report:
        state = pathlib.Path(FLAGS.workdir) / "state"
        run = shared_flags.run_from_flags(state=state, report=report, should_stop=should_stop)
        with command_line.outputs() as directory:
            results = _decompose(run)
            text = component_tables.layers_table(results)
            (directory / "linearity.md").write_text(text + "\n")
            summaries = [component_tables.summary(result) for result in results]
            (directory / "linearity.json").write_text(json.dumps(summaries, indent=2) + "\n")
        resume.discard(run)
    print(text)


def _decompose(run):
    name, generator = command_line.load_generator()
    specs = []
    for layer in FLAGS.layers:
        spec = shared_flags.spec_from_flags(Decomposition, layer=layer, latent_space="z", estimator="auto")
        specs.append(decomposition.resolve(spec, generator, run))
        if line := layers.describe_name(layer, specs[-1].layer):
            print(line)
    return decomposition.decompose_layers(generator, specs, run, name=name)


if __name__ == "__main__":
    command_line.start(main, needs=("layers", "workdir"))
