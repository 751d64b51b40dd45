"""Keeps the first layers' latents and draws new ones for the rest, and the reverse (GANSpace, figure 6).

    python -m experiments.style_mixing --generator=stylegan2-scenes --cut=3 --seeds=1,2,3,4 --workdir=runs/style_mixing

Writes into workdir: early_kept.png and late_kept.png (left column: the image whose latents are kept) and run.flags.
"""

import sys

from absl import app, flags, logging

from ganspace_jax.directions import edited_images
from ganspace_jax.errors import InputError, one_line_errors
from ganspace_jax.files import outputs, pictures
from ganspace_jax.generators import zoo
from ganspace_jax.sampling import latents

FLAGS = flags.FLAGS
flags.DEFINE_string("generator", "stylegan2-scenes", f"Zoo name ({', '.join(zoo.ZOO)}) or checkpoint directory.")
flags.DEFINE_integer("cut", None, "First layer of the late ones; by default the middle.")
flags.DEFINE_list("seeds", ["1", "2", "3", "4", "5"], "Published seeds of the rows.")
flags.DEFINE_integer("num_columns", 7, "New latents a row.", lower_bound=1)
flags.DEFINE_string("label", None, "For conditional generators: class name or index.")
flags.DEFINE_float("truncation_psi", 1.0, "Truncation.")
flags.DEFINE_string("workdir", None, "Directory to write into.", required=True)


def main(_):
    """Two pictures."""
    with outputs.outputs(FLAGS.workdir) as directory:
        generator = zoo.load(FLAGS.generator)
        module = generator.merge()
        seeds = latents.parse_seeds(FLAGS.seeds)
        label = latents.parse_label(FLAGS.label, module.class_names, module.num_classes)
        num_layers = module.latent_shape[0]
        cut = num_layers // 2 if FLAGS.cut is None else FLAGS.cut
        if not 0 < cut < num_layers:
            raise InputError(f"--cut={cut}: must be from 1 to {num_layers - 1}; this generator has {num_layers} layers")
        view = edited_images.View(truncation_psi=FLAGS.truncation_psi, label=label)
        for name, layers in (("early_kept", (0, cut)), ("late_kept", (cut, num_layers))):
            rows = edited_images.mixed_rows(generator, seeds, FLAGS.num_columns, layers, view)
            columns = ["kept"] + ["new"] * FLAGS.num_columns
            title = f"{FLAGS.generator}: layers {layers[0]}-{layers[1] - 1} of {num_layers} kept"
            picture = pictures.labelled_rows(rows, [f"seed {seed}" for seed in seeds], columns, title=title)
            pictures.save_png(directory / f"{name}.png", picture)
        (directory / "run.flags").write_text(outputs.flagfile(FLAGS.get_key_flags_for_module(sys.argv[0])))
    print(f"pictures: {FLAGS.workdir}")


if __name__ == "__main__":
    logging.set_verbosity(logging.WARNING)
    app.run(one_line_errors(main))
