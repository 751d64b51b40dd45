r"""Measures how linear each layer is in z: whether the least-squares directions of its
components can be trusted.

    python -m experiments.linearity \
        --flagfile=experiments/flags/linearity_biggan_deep_scenes.flags

Decomposes one layer after the other. Writes into workdir: linearity.json, linearity.md
(a table of r2, the share of a component's variance that is linear in z), and run.flags.
To continue a run that was killed, or that Ctrl-C or SIGTERM stopped, repeat its
command: it saves its state in workdir/state-LAYER and state-LAYER.npz.
"""

import json
import pathlib

import numpy as np
from absl import flags

from ganspace_jax import command_line, shared_flags
from ganspace_jax.directions import components
from ganspace_jax.errors import InputError
from ganspace_jax.files import resume, set_aside, tables
from ganspace_jax.generators import zoo
from ganspace_jax.methods import decomposition
from ganspace_jax.methods.decomposition import Decomposition
from ganspace_jax.run import Interrupted
from ganspace_jax.sampling import layers

FLAGS = flags.FLAGS
shared_flags.define(generator="biggan-deep-scenes")
flags.DEFINE_list("layers", None, "Layers, in the order of the table.")
shared_flags.define_spec(
    Decomposition, leave_out=("layer", "latent_space", "estimator", "until_stable"), num_samples=10_000
)
shared_flags.define("batch_size", "memory_budget_gb", "checkpoint_every", "workdir")

_NUM_LISTED = 5  # components with a column of their own


def main():
    """Writes one table."""
    specs = [
        shared_flags.spec_from_flags(Decomposition, layer=layer, latent_space="z", estimator="auto")
        for layer in FLAGS.layers
    ]
    with command_line.stop_on_signals() as should_stop, command_line.outputs() as directory:
        name, generator = command_line.load_generator()
        resolved = [layers.resolve(spec, generator) for spec in specs]  # all layers exist before the work begins
        for before, spec in zip(specs, resolved, strict=True):
            if line := layers.describe_name(before.layer, spec.layer):
                print(line)
        results = [_decompose(generator, spec, name, should_stop) for spec in resolved]
        text = _table(results)
        (directory / "linearity.md").write_text(text + "\n")
        report = json.dumps([components.summary(result) for result in results], indent=2)
        (directory / "linearity.json").write_text(report + "\n")
    for result in results:
        _result_path(result.spec).unlink(missing_ok=True)
    print(text)


def _state(spec):
    return pathlib.Path(FLAGS.workdir) / f"state-{spec.layer}"


def _result_path(spec):
    return pathlib.Path(FLAGS.workdir) / f"state-{spec.layer}.npz"


def _decompose(generator, spec, name, should_stop):
    with command_line.progress_bar(spec.layer) as report:
        run = shared_flags.run_from_flags(state=_state(spec), report=report, should_stop=should_stop)
        spec = decomposition.resolve(spec, generator, run)
        saved = _load(_result_path(spec), spec, generator)
        if saved is not None:
            return saved
        if should_stop():
            raise Interrupted(f"stopped; saved in {FLAGS.workdir}; the same command continues from there")
        result = decomposition.decompose(generator, spec, run, name=name)
    components.save(_result_path(spec), result)
    resume.discard(run)
    return result


def _load(path, spec, generator):
    """Returns the result of a layer that an interrupted run has finished, or None."""
    if not path.exists():
        return None
    try:
        saved = components.load(path)
    except InputError as error:
        print(f"{error}; moved to {set_aside.move_file(path)}")
        return None
    if saved.source.fingerprint != zoo.fingerprint(generator) or Decomposition.of(saved) != spec:
        raise InputError(f"{path}: is of a run with other flags; repeat them, name another --workdir, or remove it")
    return saved


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
