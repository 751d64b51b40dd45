r"""Finds the principal directions of a generator's layer.

    python -m experiments.decompose --generator=stylegan2-scenes \
        --workdir=runs/stylegan2_scenes_w
    python -m experiments.decompose \
        --flagfile=experiments/flags/stylegan2_scenes_w.flags
    python -m experiments.decompose --generator=biggan-deep-scenes --list_layers

Writes into workdir: components.npz, summary.json, variance.png, and run.flags, which
repeats the run. To continue a run that was killed, repeat its command: it saves its
state in workdir/state. Ctrl-C and SIGTERM save the state and end the run.

On several hosts, start the same command with --distributed on each. On a TPU pod slice,
or a cluster that JAX detects, that is all. On other clusters also give
--coordinator_address, --num_processes and --process_id. The first process writes.
"""

import json
import pathlib

from absl import flags

from ganspace_jax import command_line, shared_flags
from ganspace_jax.directions import components
from ganspace_jax.errors import InputError
from ganspace_jax.files import charts, resume
from ganspace_jax.methods import decomposition
from ganspace_jax.methods.decomposition import Decomposition
from ganspace_jax.sampling import devices, layer_names, layers

FLAGS = flags.FLAGS
shared_flags.define(generator="stylegan2-scenes")
shared_flags.define_spec(Decomposition)
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
    spec = shared_flags.spec_from_flags(Decomposition)
    is_first = devices.is_first_process()
    with command_line.stop_on_signals() as should_stop, command_line.progress_bar("samples", shown=is_first) as report:
        state = pathlib.Path(FLAGS.workdir) / "state"
        run = shared_flags.run_from_flags(state=state, report=report, should_stop=should_stop)
        if is_first:
            with command_line.outputs() as directory:
                result = _decompose(spec, run)
                _write(directory, result)
        else:
            result = _decompose(spec, run)
        resume.discard(run)
    if is_first:
        print(components.table(result))
        if spec.until_stable:
            print(_describe_stability(result, spec))
        print(f"written: {FLAGS.workdir}")


def _decompose(spec, run):
    name, generator = command_line.load_generator()
    resolved = decomposition.resolve(spec, generator, run)
    if devices.is_first_process():
        if line := layers.describe_name(spec.layer, resolved.layer):
            print(line)
        print(decomposition.describe(resolved, generator), flush=True)
    return decomposition.decompose(generator, resolved, run, name=name)


def _write(directory, result):
    components.save(directory / "components.npz", result)
    (directory / "summary.json").write_text(json.dumps(components.summary(result), indent=2) + "\n")
    title = f"{result.source.generator}, layer {result.spec.layer}, {result.source.num_samples:,} samples"
    charts.variance(
        directory / "variance.png",
        variance_ratio=result.variance_ratio, variance_error=result.variance_error,
        stability=result.stability, r2=result.r2, title=title,
    )  # fmt: skip


def _describe_stability(result, spec):
    worst, count = result.stability.max(), result.source.num_samples
    if worst < spec.until_stable:
        return f"stable to {worst:.2g} degrees after {count:,} samples"
    return f"not stable after {count:,} samples: {worst:.2g} degrees; more samples or fewer components may help"


def _layers():
    name, generator = command_line.load_generator()
    lines = [f"Layers of {name}; the default is {generator.default_layer}:"]
    shapes = layers.layer_shapes(generator)
    others = {layer: other for other, layer in reversed(layer_names.of_other_codes(generator, shapes).items())}
    lines += [f"  {layer:22} {shape!s:15} {others.get(layer, '')}".rstrip() for layer, shape in shapes.items()]
    return "\n".join([*lines, "The last column is the layer's name in the original GANSpace."] if others else lines)


if __name__ == "__main__":
    command_line.start(main)
