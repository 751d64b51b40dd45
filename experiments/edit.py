r"""Applies edits to images of chosen seeds: a strip an edit and seed.

    python -m experiments.edit --components=runs/stylegan2_scenes_w/components.npz --edit="E(v3, 0-4)=2.5" --seeds=1,2,3 \
        --workdir=runs/edit

Writes into workdir: edit.png (rows: seeds, columns: steps from -sigma to +sigma), and run.flags. Several --edit are applied
together.
"""

import dataclasses
import sys

import numpy as np
from absl import app, flags, logging

from ganspace_jax import components as components_room
from ganspace_jax import decomposition, edits, images, latents, visualization, workdirs
from ganspace_jax.failures import one_line_errors
from ganspace_jax.generators import zoo

FLAGS = flags.FLAGS
flags.DEFINE_string("generator", "stylegan2-scenes", f"Zoo name ({', '.join(zoo.ZOO)}) or checkpoint directory.")
flags.DEFINE_string("components", "runs/stylegan2_scenes_w/components.npz", "File written by experiments.decompose.")
flags.DEFINE_multi_string(
    "edit", None, 'Edit such as "E(v3, 0-4)=2.5"; layers inclusive. Repeat for several.', required=True
)
flags.DEFINE_list("seeds", ["1", "2", "3"], "Published seeds.")
flags.DEFINE_integer("num_columns", 7, "Images a strip.", lower_bound=2)
flags.DEFINE_enum("mode", "latent", ["latent", "activation"], "What is moved.")
flags.DEFINE_bool("centred", False, "First set each image's own coordinate to the mean.")
flags.DEFINE_float("truncation_psi", 1.0, "Truncation, after the edit.")
flags.DEFINE_integer("truncation_cutoff", None, "Layers truncated; all by default.")
flags.DEFINE_string("label", None, "Class name or index; by default that of the components.")
flags.DEFINE_string("workdir", None, "Directory to write into.", required=True)


def main(_):
    """One picture of strips."""
    with workdirs.outputs(FLAGS.workdir) as directory:
        wanted = [edits.parse(text) for text in FLAGS.edit]
        seeds = latents.parse_seeds(FLAGS.seeds)
        found = components_room.load(FLAGS.components)
        generator = zoo.load(FLAGS.generator)
        components_room.check_generator(found, FLAGS.generator, decomposition.fingerprint(generator))
        shares = np.linspace(-1.0, 1.0, FLAGS.num_columns)
        columns = [[dataclasses.replace(edit, sigma=edit.sigma * share) for edit in wanted] for share in shares]
        view = _view(generator.merge())
        starts = [visualization.starting_latents(generator, found, seed, view) for seed in seeds]
        rows = np.stack([visualization.edited_images(generator, found, start, columns, view) for start in starts])
        labels = [" ".join(f"{edit.sigma:+.1f}" for edit in column) for column in columns]
        picture = images.labelled_rows(rows, [f"seed {s}" for s in seeds], labels, title=" ".join(map(str, wanted)))
        images.save_png(directory / "edit.png", picture)
        (directory / "run.flags").write_text(workdirs.flagfile(FLAGS.get_key_flags_for_module(sys.argv[0])))
    print(f"written: {FLAGS.workdir}/edit.png")


def _view(module):
    label = None
    if FLAGS.label is not None:
        label = latents.parse_label(FLAGS.label, module.class_names, module.num_classes)
    return visualization.View(FLAGS.mode, FLAGS.centred, FLAGS.truncation_psi, FLAGS.truncation_cutoff, label)


if __name__ == "__main__":
    logging.set_verbosity(logging.WARNING)
    app.run(one_line_errors(main))
