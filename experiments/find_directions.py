r"""Finds directions by a method of choice: image_jacobian, sefa, ica and others.

    python -m experiments.find_directions --generator=stylegan2-scenes \
        --method=image_jacobian --workdir=runs/image_jacobian
    python -m experiments.find_directions --generator=stylegan2-scenes \
        --method=sefa --moved_layers=0-3 --workdir=runs/sefa
    python -m experiments.find_directions \
        --flagfile=experiments/flags/image_jacobian_stylegan2_scenes.flags

--method is one of:

    image_jacobian  images change most, per standard deviation of the latent
    sefa            the first affine maps change most, in closed form
    ica             independent components of a layer
    sparse_pca      sparse principal components of a layer
    local_basis     a layer changes most, on average over points
    pca             GANSpace; experiments.decompose has more options
    random          the baseline

Writes into workdir: components.npz, summary.json and run.flags. Each command that takes
--components reads the file.
"""

import json

from absl import flags

from ganspace_jax import command_line, shared_flags
from ganspace_jax.directions import component_tables, components
from ganspace_jax.methods import finding
from ganspace_jax.methods.direction_spec import DirectionSpec

FLAGS = flags.FLAGS
shared_flags.define(generator="stylegan2-scenes")
shared_flags.define_spec(DirectionSpec)
shared_flags.define("batch_size", "memory_budget_gb", "compute_dtype", "workdir")


def main():
    """Writes the directions of one method."""
    spec = shared_flags.spec_from_flags(DirectionSpec)
    with command_line.outputs() as directory:
        name, generator = command_line.load_generator()
        with command_line.stop_on_signals() as should_stop, command_line.progress_bar("images") as report:
            run = shared_flags.run_from_flags(report=report, should_stop=should_stop)
            found = finding.find(generator, spec, run, name=name)
        components.save(directory / "components.npz", found)
        (directory / "summary.json").write_text(json.dumps(component_tables.summary(found), indent=2) + "\n")
    print(component_tables.table(found))
    print(f"written: {FLAGS.workdir}; draw them with experiments.visualize")


if __name__ == "__main__":
    command_line.start(main, needs=("generator", "workdir"))
