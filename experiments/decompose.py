r"""Finds the principal directions of a generator's layer.

    python -m experiments.decompose --generator=stylegan2-scenes \
        --workdir=runs/stylegan2_scenes_w
    python -m experiments.decompose \
        --flagfile=experiments/flags/stylegan2_scenes_w.flags
    python -m experiments.decompose --generator=biggan-deep-scenes --list_layers
    python -m experiments.decompose --generator=biggan-deep-scenes \
        --layer=layers.0,layers.3 --workdir=runs/two_layers

Writes into workdir: components.npz, summary.json, variance.png, and run.flags, which
repeats the run. Several layers share their samples; each then has a directory of its
own in workdir, and layers.md is a table of r2. To continue a run that was killed,
repeat its command: it saves its state in workdir/state. Ctrl-C and SIGTERM save the
state and end the run.

On several hosts, start the same command with --distributed on each. On a TPU pod slice,
or a cluster that JAX detects, that is all. On other clusters also give
--coordinator_address, --num_processes and --process_id. The first process writes.
"""

import json
import pathlib

from absl import flags

from ganspace_jax import command_line, shared_flags
from ganspace_jax.directions import component_tables, components
from ganspace_jax.errors import InputError
from ganspace_jax.files import charts, resume
from ganspace_jax.methods import decomposition
from ganspace_jax.methods.decomposition import Decomposition
from ganspace_jax.sampling import devices, layer_names, layers

FLAGS = flags.FLAGS
shared_flags.define(generator="stylegan2-scenes")
flags.DEFINE_list("layer", None, "Layers to decompose; all: every layer; by default the generator's default layer.")
shared_flags.define_spec(Decomposition, leave_out=("layer",))
shared_flags.define("batch_size", "memory_budget_gb", "checkpoint_every", "compute_dtype", "workdir")
flags.DEFINE_bool("list_layers", False, "List the generator's layers and their sizes, and end.")
flags.DEFINE_bool("distributed", False, "This is one of several processes that share the samples.")
flags.DEFINE_string("coordinator_address", None, "HOST:PORT of process 0, on an unknown cluster.")
flags.DEFINE_integer("num_processes", None, "Number of processes, on an unknown cluster.", lower_bound=1)
flags.DEFINE_integer("process_id", None, "Number of this process from 0, on an unknown cluster.", lower_bound=0)


def main():
    """Computes one decomposition."""
    if FLAGS.list_layers:
        print(_layers())
        return
    if FLAGS.workdir is None:
        raise InputError(f"--workdir: needed, or --list_layers{command_line.example()}")
    if FLAGS.distributed:
        devices.start_distributed(FLAGS.coordinator_address, FLAGS.num_processes, FLAGS.process_id)
    is_first = devices.is_first_process()
    with command_line.stop_on_signals() as should_stop, command_line.progress_bar("samples", shown=is_first) as report:
        state = pathlib.Path(FLAGS.workdir) / "state"
        run = shared_flags.run_from_flags(state=state, report=report, should_stop=should_stop)
        if is_first:
            with command_line.outputs() as directory:
                results = _decompose(run)
                _write(directory, results)
        else:
            results = _decompose(run)
        resume.discard(run)
    if is_first:
        print(component_tables.table(results[0]) if len(results) == 1 else component_tables.layers_table(results))
        for result in results if FLAGS.until_stable else []:
            print(_describe_stability(result))
        print(f"written: {FLAGS.workdir}")


def _decompose(run):
    """Returns the components of each layer."""
    name, generator = command_line.load_generator()
    specs = []
    for layer in _named_layers(generator):
        spec = decomposition.resolve(shared_flags.spec_from_flags(Decomposition, layer=layer), generator, run)
        if spec in specs:  # a layer has several names
            continue
        specs.append(spec)
        if devices.is_first_process():
            if line := layers.describe_name(layer, spec.layer):
                print(line)
            print(decomposition.describe(spec, generator), flush=True)
    return decomposition.decompose_layers(generator, specs, run, name=name)


def _named_layers(generator):
    """Returns the layers of --layer. Layers that are too small are not among all."""
    if FLAGS.layer != ["all"]:
        return FLAGS.layer or [None]
    found = [
        name for name in layers.layer_shapes(generator) if layers.layer_size(generator, name) >= FLAGS.num_components
    ]
    if not found:
        raise InputError(f"--num_components={FLAGS.num_components}: no layer has so many dimensions")
    return found


def _write(directory, results):
    if len(results) == 1:
        _write_layer(directory, results[0])
        return
    for result in results:
        (directory / result.spec.layer).mkdir()
        _write_layer(directory / result.spec.layer, result)
    (directory / "layers.md").write_text(component_tables.layers_table(results) + "\n")


def _write_layer(directory, result):
    components.save(directory / "components.npz", result)
    (directory / "summary.json").write_text(json.dumps(component_tables.summary(result), indent=2) + "\n")
    title = f"{result.source.generator}, layer {result.spec.layer}, {result.source.num_samples:,} samples"
    charts.variance(
        directory / "variance.png",
        variance_ratio=result.variance_ratio, variance_error=result.variance_error,
        stability=result.stability, r2=result.r2, title=title,
    )  # fmt: skip


def _describe_stability(result):
    worst, count, subject = result.stability.max(), result.source.num_samples, result.spec.layer
    if worst < FLAGS.until_stable:
        return f"{subject}: stable to {worst:.2g} degrees after {count:,} samples"
    return (
        f"{subject}: not stable after {count:,} samples: {worst:.2g} degrees; more samples or fewer components may help"
    )


def _layers():
    name, generator = command_line.load_generator()
    lines = [f"Layers of {name}; the default is {generator.default_layer}:"]
    shapes = layers.layer_shapes(generator)
    others = {layer: other for other, layer in reversed(layer_names.of_other_codes(generator, shapes).items())}
    lines += [f"  {layer:22} {shape!s:15} {others.get(layer, '')}".rstrip() for layer, shape in shapes.items()]
    return "\n".join([*lines, "The last column is the layer's name in the original GANSpace."] if others else lines)


if __name__ == "__main__":
    command_line.start(main)
