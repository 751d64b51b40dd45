"""Finds the principal directions of a generator's layer.

    python -m experiments.decompose --flagfile=experiments/flags/stylegan2_scenes_w.flags

Writes into workdir: components.npz, summary.json, variance.png, and run.flags, which repeats the run. A run that was killed
goes on where it was, by the same command, from workdir/state; SIGTERM saves and ends it, with exit status 143.

On many hosts, the same command on each, with --distributed: on a TPU pod slice or a cluster that JAX knows that is all;
elsewhere also --coordinator_address, --num_processes and --process_id. The first one writes.
"""

import functools
import json
import math
import pathlib
import re
import sys

from absl import app, flags, logging
from tqdm import tqdm

from ganspace_jax.directions import components
from ganspace_jax.errors import InputError, one_line_errors, stop_on_sigterm
from ganspace_jax.files import charts, outputs
from ganspace_jax.files.resume import DirectoryJournal
from ganspace_jax.generators import zoo
from ganspace_jax.methods import decomposition
from ganspace_jax.sampling import devices as device_meshes
from ganspace_jax.sampling import latents
from ganspace_jax.sampling import layers as layer_readings

FLAGS = flags.FLAGS
flags.DEFINE_string("generator", "stylegan2-scenes", f"Zoo name ({', '.join(zoo.ZOO)}) or checkpoint directory.")
flags.DEFINE_string("layer", "w", "w, or a named activation; --generator=NAME --help lists them.")
flags.DEFINE_string("latent_space", "w", "Where the directions live: w or z.")
flags.DEFINE_integer("num_samples", 100_000, "Random samples.")
flags.DEFINE_integer("num_components", 20, "Components to keep.")
flags.DEFINE_integer(
    "batch_size", None, "Samples a step; changes the result by rounding only. By default as many as fit into memory."
)
flags.DEFINE_enum(
    "compute_dtype", None, ["float32", "bfloat16"], "Of the generator's convolutions; by default the checkpoint's own."
)
flags.DEFINE_integer("seed", 0, "Seed of the samples.", lower_bound=0)
flags.DEFINE_string("label", None, "For conditional generators: class name or index, or all.")
flags.DEFINE_float("truncation_psi", 1.0, "Truncation of the samples.")
flags.DEFINE_string(
    "estimator",
    "auto",
    "exact: from samples; randomized: in several sweeps over them, for large layers; auto: the first where it fits into "
    "memory_budget_gb; incremental: as the original, for comparison; analytic: from the weights of a layer affine in z.",
)
flags.DEFINE_float("memory_budget_gb", 4.0, "Memory that the exact estimator may take.", lower_bound=0.0)
flags.DEFINE_float(
    "until_stable", 0.0, "Stop as soon as every component's jackknife angle is below this many degrees; 0: never."
)
flags.DEFINE_float("checkpoint_every", 300.0, "Seconds between saves of the run's state.", lower_bound=0.0)
flags.DEFINE_bool("distributed", False, "One of several processes, each with its own devices, that share the samples.")
flags.DEFINE_string("coordinator_address", None, "With --distributed, on an unknown cluster: HOST:PORT of process 0.")
flags.DEFINE_integer("num_processes", None, "With --distributed, on an unknown cluster: how many there are.")
flags.DEFINE_integer("process_id", None, "With --distributed, on an unknown cluster: the number of this one, from 0.")
flags.DEFINE_string("workdir", None, "Directory to write into.", required=True)


def main(_):
    """One decomposition."""
    if FLAGS.distributed:
        device_meshes.start_distributed(FLAGS.coordinator_address, FLAGS.num_processes, FLAGS.process_id)
    with stop_on_sigterm() as should_stop:
        journal = DirectoryJournal(pathlib.Path(FLAGS.workdir) / "state", FLAGS.checkpoint_every, should_stop)
        if device_meshes.is_first_process():
            with outputs.outputs(FLAGS.workdir) as directory:
                found = _decompose(journal)
                _write(directory, found)
            print(components.table(found))
            if FLAGS.until_stable:
                print(_say_whether_stable(found))
            print(f"written: {FLAGS.workdir}")
        else:
            _decompose(journal)
        journal.remove()


def _decompose(journal):
    generator = zoo.load(FLAGS.generator, compute_dtype=FLAGS.compute_dtype)
    module = generator.merge()
    with _progress_bar() as bar:
        return decomposition.decompose(
            generator,
            layer=FLAGS.layer,
            latent_space=FLAGS.latent_space,
            num_samples=FLAGS.num_samples,
            num_components=FLAGS.num_components,
            batch_size=FLAGS.batch_size,
            seed=FLAGS.seed,
            label=latents.parse_label(FLAGS.label, module.class_names, module.num_classes),
            truncation_psi=FLAGS.truncation_psi,
            estimator=FLAGS.estimator,
            memory_budget_gb=FLAGS.memory_budget_gb,
            until_stable=FLAGS.until_stable,
            name=FLAGS.generator,
            journal=journal,
            on_progress=bar.update,
            on_sweep=functools.partial(_begin_next_sweep, bar),
        )


def _write(directory, found):
    components.save(directory / "components.npz", found)
    (directory / "summary.json").write_text(json.dumps(components.summary(found), indent=2) + "\n")
    (directory / "run.flags").write_text(outputs.flagfile(FLAGS.get_key_flags_for_module(sys.argv[0])))
    charts.variance(directory / "variance.png", found)


def _say_whether_stable(found):
    worst, count = found.stability.max(), found.source.num_samples
    if worst < FLAGS.until_stable:
        return f"stable to {worst:.2g} degrees after {count:,} samples"
    return f"not stable after {count:,} samples: {worst:.2g} degrees; more may help, or fewer components"


def _progress_bar():
    shown = FLAGS.estimator != "analytic" and device_meshes.is_first_process()
    total = max(FLAGS.num_samples, 0)
    return tqdm(total=total, unit="sample", unit_scale=True, desc=FLAGS.layer, disable=not shown)


def _begin_next_sweep(bar, sweeps, error):
    bar.reset()
    bar.set_postfix_str(f"sweep {sweeps + 1}; the subspace is known to {math.degrees(error):.2g} deg")


def _layers_help(arguments: list[str]) -> str:
    """Lists the layers of the generator named on the command line, below the usual help."""
    named = re.search(r"--?generator[= ](\S+)", " ".join(arguments))
    name = named[1] if named else "stylegan2-scenes"
    try:
        shapes = layer_readings.layer_shapes(zoo.load(name))
    except InputError as error:
        return f"\n{error}\n"
    return f"\nLayers of {name}:\n" + "".join(f"  {layer:22} {shape}\n" for layer, shape in shapes.items())


if __name__ == "__main__":
    logging.set_verbosity(logging.WARNING)
    if any(re.fullmatch(r"--?(h|help|helpshort|helpfull)", argument) for argument in sys.argv):
        __doc__ = (__doc__ or "") + _layers_help(sys.argv[1:])
    app.run(one_line_errors(main))
