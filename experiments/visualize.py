"""Draws what components do: rows of components, and the same for random directions.

    python -m experiments.visualize --components=runs/stylegan2_scenes_w/components.npz --workdir=runs/stylegan2_scenes_w

Writes into workdir: components.png and random.png (from the mean latent), the same for each of --seeds, and with --animate
one GIF a component.
"""

import sys

import numpy as np
from absl import app, flags, logging

from ganspace_jax.directions import components as components_room
from ganspace_jax.directions import edited_images, foreign_files
from ganspace_jax.errors import one_line_errors
from ganspace_jax.files import animations, outputs, pictures
from ganspace_jax.generators import zoo
from ganspace_jax.methods import decomposition
from ganspace_jax.sampling import latents

FLAGS = flags.FLAGS
flags.DEFINE_string("generator", "stylegan2-scenes", f"Zoo name ({', '.join(zoo.ZOO)}) or checkpoint directory.")
flags.DEFINE_string("components", None, "File written by experiments.decompose.", required=True)
flags.DEFINE_integer("num_rows", 10, "Components to draw.", lower_bound=1)
flags.DEFINE_integer("num_columns", 7, "Images a row.", lower_bound=2)
flags.DEFINE_float("sigma", 2.0, "Standard deviations at the ends of a row.", lower_bound=0.0)
flags.DEFINE_list("seeds", [], "Published seeds to draw beside the mean latent.")
flags.DEFINE_enum("mode", "latent", ["latent", "activation"], "What is moved.")
flags.DEFINE_bool("centred", False, "First set each image's own coordinate to the mean.")
flags.DEFINE_float("truncation_psi", 1.0, "Truncation, after the edit.")
flags.DEFINE_integer("truncation_cutoff", None, "Layers truncated; all by default.")
flags.DEFINE_string("label", None, "Class name or index; by default that of the components.")
flags.DEFINE_bool("animate", False, "One GIF a component as well.")
flags.DEFINE_string("workdir", None, "Directory to write into.", required=True)


def main(_):
    """All pictures of one components file."""
    with outputs.outputs(FLAGS.workdir) as directory:
        found = foreign_files.load_components(FLAGS.components)
        generator = zoo.load(FLAGS.generator)
        components_room.check_generator(found, FLAGS.generator, decomposition.fingerprint(generator))
        seeds = latents.parse_seeds(FLAGS.seeds)
        for name, basis in (("components", found), ("random", edited_images.random_like(found, seed=0))):
            for seed in (None, *seeds):
                suffix = "" if seed is None else f"_seed{seed}"
                _draw(directory / f"{name}{suffix}.png", generator, basis, seed, name)
        if FLAGS.animate:
            _animate(directory, generator, found)
        (directory / "visualize.flags").write_text(outputs.flagfile(FLAGS.get_key_flags_for_module(sys.argv[0])))
    print(f"pictures: {FLAGS.workdir}")


def _rows(generator, basis, seed, count, num_columns):
    view = _view(generator.merge())
    start = edited_images.starting_latents(generator, basis, seed, view)
    sigmas = np.linspace(-FLAGS.sigma, FLAGS.sigma, num_columns)
    return sigmas, edited_images.component_rows(generator, basis, start, range(count), sigmas, view)


def _draw(path, generator, basis, seed, name):
    count = min(FLAGS.num_rows, len(basis))
    sigmas, rows = _rows(generator, basis, seed, count, FLAGS.num_columns)
    labels = [f"v{k}  {basis.variance_ratio[k]:.1%}" if name == "components" else f"random {k}" for k in range(count)]
    start = "mean latent" if seed is None else f"seed {seed}"
    title = f"{FLAGS.generator}, {basis.source.layer}, {start}"
    pictures.save_png(path, pictures.labelled_rows(rows, labels, [f"{s:+.1f}" for s in sigmas], title=title))


def _animate(directory, generator, basis):
    _, rows = _rows(generator, basis, None, min(FLAGS.num_rows, len(basis)), 25)
    for k, frames in enumerate(rows):
        animations.save_gif(directory / f"component{k:02d}.gif", frames)


def _view(module):
    label = None
    if FLAGS.label is not None:
        label = latents.parse_label(FLAGS.label, module.class_names, module.num_classes)
    return edited_images.View(FLAGS.mode, FLAGS.centred, FLAGS.truncation_psi, FLAGS.truncation_cutoff, label)


if __name__ == "__main__":
    logging.set_verbosity(logging.WARNING)
    app.run(one_line_errors(main))
