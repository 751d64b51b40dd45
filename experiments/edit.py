r"""Applies edits to images of chosen seeds: a strip an edit and seed.

    python -m experiments.edit --components=runs/stylegan2_scenes_w/components.npz --edit="E(v3, 0-4)=2.5" --seeds=1,2,3 \
        --workdir=runs/edit
    python -m experiments.edit --list

Writes into workdir: edit.png (rows: seeds, columns: steps from -sigma to +sigma), run.flags, and with --export the edit as the
original's viewer exports it; where --components is such a file, edit.pkl stays of its network and component. Several --edit
are applied together. --edit=ganspace:NAME is one of the edits that the original published, which --list shows; --components
are then those of the network that it is of.
"""

import dataclasses
import sys

import numpy as np
from absl import app, flags, logging

from ganspace_jax.directions import components as components_room
from ganspace_jax.directions import edited_images, edits, foreign_files, published_edits
from ganspace_jax.errors import InputError, one_line_errors
from ganspace_jax.files import checkpoints, outputs, pictures
from ganspace_jax.generators import zoo
from ganspace_jax.methods import decomposition
from ganspace_jax.sampling import latents

FLAGS = flags.FLAGS
flags.DEFINE_string("generator", "stylegan2-scenes", f"Zoo name ({', '.join(zoo.ZOO)}) or checkpoint directory.")
flags.DEFINE_string("components", "runs/stylegan2_scenes_w/components.npz", "Components, of this program or of others.")
flags.DEFINE_multi_string(
    "edit", [], 'Edit such as "E(v3, 0-4)=2.5", layers inclusive, or ganspace:NAME. Repeat for several.'
)
flags.DEFINE_bool("list", False, "Shows the published edits, with --generator those of its family, and ends.")
flags.DEFINE_list("seeds", ["1", "2", "3"], "Published seeds.")
flags.DEFINE_integer("num_columns", 7, "Images a strip.", lower_bound=2)
flags.DEFINE_enum("mode", "latent", ["latent", "activation"], "What is moved.")
flags.DEFINE_bool("centred", False, "First set each image's own coordinate to the mean.")
flags.DEFINE_float("truncation_psi", 1.0, "Truncation, after the edit.")
flags.DEFINE_integer("truncation_cutoff", None, "Layers truncated; all by default.")
flags.DEFINE_string("label", None, "Class name or index; by default that of the components.")
flags.DEFINE_string("export", None, "Name under which a single edit is written as edit.pkl, for the original's viewer.")
flags.DEFINE_string("workdir", None, "Directory to write into.")


@flags.multi_flags_validator(
    ["edit", "workdir", "list"], "--edit and --workdir are needed; --list shows published edits"
)
def _are_enough(values):
    return values["list"] or (values["edit"] and values["workdir"] is not None)


def main(_):
    """One picture of strips."""
    if FLAGS.list:
        print(published_edits.table(_published()))
        return
    with outputs.outputs(FLAGS.workdir) as directory:
        seeds = latents.parse_seeds(FLAGS.seeds)
        found = foreign_files.load_components(FLAGS.components)
        wanted = [_parse(text, found) for text in FLAGS.edit]
        generator = zoo.load(FLAGS.generator)
        components_room.check_generator(found, FLAGS.generator, decomposition.fingerprint(generator))
        shares = np.linspace(-1.0, 1.0, FLAGS.num_columns)
        columns = [[dataclasses.replace(edit, sigma=edit.sigma * share) for edit in wanted] for share in shares]
        view = _view(generator.merge())
        for edit in wanted:  # before the strip's smaller and negative steps, of which a message would speak
            checked = edit if view.mode == "latent" else dataclasses.replace(edit, layers=None)
            edits.check(checked, len(found), generator.merge().latent_shape[0])
        starts = [edited_images.starting_latents(generator, found, seed, view) for seed in seeds]
        rows = np.stack([edited_images.edited_images(generator, found, start, columns, view) for start in starts])
        labels = [" ".join(f"{edit.sigma:+.1f}" for edit in column) for column in columns]
        picture = pictures.labelled_rows(rows, [f"seed {s}" for s in seeds], labels, title=" ".join(map(str, wanted)))
        pictures.save_png(directory / "edit.png", picture)
        if FLAGS.export is not None:
            _export(directory / "edit.pkl", found, wanted, generator.merge(), seeds[0])
        (directory / "run.flags").write_text(outputs.flagfile(FLAGS.get_key_flags_for_module(sys.argv[0])))
    print(f"written: {FLAGS.workdir}/edit.png")


def _published():
    """All, or those of the family of a generator that was named."""
    if not FLAGS["generator"].present:
        return published_edits.published()
    family = checkpoints.load_config(zoo.resolve(FLAGS.generator))["family"]
    found = [edit for edit in published_edits.published() if edit.family == family]
    if not found:
        raise InputError(f"--generator={FLAGS.generator}: no edits of {family} were published")
    return found


def _parse(text, found):
    if not text.startswith(published_edits.PREFIX):
        return edits.parse(text)
    named = published_edits.find(text)
    published_edits.check(named, len(found), found.source.latent_space)
    return named.edit


def _export(path, found, wanted, module, seed):
    if len(wanted) != 1:
        raise InputError(f"--export={FLAGS.export}: of a single --edit only, there are {len(wanted)}")
    exported = foreign_files.export(
        found,
        wanted[0],
        name=FLAGS.export,
        num_layers=module.latent_shape[0],
        truncation=FLAGS.truncation_psi,
        seed=seed,
        published=foreign_files.load_edit(FLAGS.components) if FLAGS.components.endswith(".pkl") else None,
    )
    foreign_files.save_edit(path, exported)


def _view(module):
    label = None
    if FLAGS.label is not None:
        label = latents.parse_label(FLAGS.label, module.class_names, module.num_classes)
    return edited_images.View(FLAGS.mode, FLAGS.centred, FLAGS.truncation_psi, FLAGS.truncation_cutoff, label)


if __name__ == "__main__":
    logging.set_verbosity(logging.WARNING)
    app.run(one_line_errors(main))
