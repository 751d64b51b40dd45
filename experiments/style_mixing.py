r"""Keeps the first layers' latents and draws new ones for the last layers, and the
reverse (GANSpace, figure 6).

    python -m experiments.style_mixing --generator=stylegan2-scenes --cut=3 \
        --seeds=1,2,3,4 --workdir=runs/style_mixing

Writes into workdir: early_kept.png and late_kept.png (left column: the image whose
latents are kept) and run.flags.
"""

from absl import flags

from ganspace_jax import command_line, shared_flags
from ganspace_jax.directions import edited_images
from ganspace_jax.errors import InputError
from ganspace_jax.files import pictures

FLAGS = flags.FLAGS
shared_flags.define(generator="stylegan2-scenes")
flags.DEFINE_integer("cut", None, "First of the late layers; by default the middle.")
shared_flags.define("seeds", "num_columns", "label", "truncation_psi", "workdir")

_DEFAULT_SEEDS = ("1", "2", "3", "4", "5")


def main():
    """Draws two pictures."""
    seeds = shared_flags.seeds_from_flags(_DEFAULT_SEEDS)
    with command_line.outputs() as directory:
        name, generator = command_line.load_generator()
        num_layers = generator.latent_shape[0]
        if num_layers < 2:
            raise InputError(f"--generator={name}: has one latent for all layers; nothing can be mixed")
        cut = num_layers // 2 if FLAGS.cut is None else FLAGS.cut
        if not 0 < cut < num_layers:
            raise InputError(f"--cut={cut}: must be from 1 to {num_layers - 1}; this generator has {num_layers} layers")
        settings = shared_flags.synthesis_from_flags(generator)
        for file_name, kept in (("early_kept", (0, cut)), ("late_kept", (cut, num_layers))):
            rows = edited_images.mixed_rows(generator, seeds, FLAGS.num_columns, kept, settings)
            columns = ["kept"] + ["new"] * FLAGS.num_columns
            title = f"{name}: layers {kept[0]}-{kept[1] - 1} of {num_layers} kept"
            picture = pictures.labelled_rows(rows, [f"seed {seed}" for seed in seeds], columns, title=title)
            pictures.save_png(directory / f"{file_name}.png", picture)
    print(f"pictures: {FLAGS.workdir}")


if __name__ == "__main__":
    command_line.start(main, needs=("workdir",))
