r"""Applies edits to images of chosen seeds, or of own pictures: one strip per image.

    python -m experiments.edit --components=runs/stylegan2_scenes_w/components.npz \
        --edit="E(v3, 0-4)=2.5" --seeds=1,2,3 --workdir=runs/edit
    python -m experiments.edit --list

Writes into workdir: edit.png (rows: images; columns: steps from -sigma to +sigma),
run.flags, and with --export the edit as the original's viewer exports it. If
--components is such a file, edit.pkl keeps its network and component. Several --edit
are applied together. --edit=ganspace:NAME is one of the edits that the original
published, which --list shows; --components must then belong to the network of that
edit. Flags that you leave out then get the values of the publication: --centred,
--truncation_psi, --seeds and --label. --latents=FILE edits the pictures whose latents a
projector or an encoder wrote, as experiments.generate reads them. --images=me.png finds
the latents of pictures and edits them, as experiments.invert and --latents in one
command.
"""

import dataclasses

import numpy as np
from absl import flags

from ganspace_jax import command_line, own_pictures, shared_flags
from ganspace_jax.directions import edited_images, edits, foreign_files, published_edits
from ganspace_jax.directions.edited_images import View
from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError
from ganspace_jax.files import checkpoints, pictures
from ganspace_jax.generators import zoo
from ganspace_jax.sampling import layers

FLAGS = flags.FLAGS
shared_flags.define("generator", "components", "latent_space")
flags.DEFINE_multi_string(
    "edit", [], 'Edit such as "E(v3, 0-4)=2.5", layers inclusive, or ganspace:NAME. Repeat the flag for several.'
)
flags.DEFINE_bool("list", False, "List the published edits, with --generator those of its family, and end.")
shared_flags.define(
    "seeds",
    "latents",
    "images",
    "encoder",
    "num_columns",
    "mode",
    "centred",
    "label",
    "truncation_psi",
    "truncation_cutoff",
)
flags.DEFINE_string("export", None, "Name under which the edit is written as edit.pkl, for the original's viewer.")
shared_flags.define("workdir")

_DEFAULT_SEEDS = ("1", "2", "3")


def main():
    """Draws one picture of strips."""
    if FLAGS.list:
        print(published_edits.table(_published()))
        return
    missing = [f"--{name}" for name in ("components", "edit", "workdir") if not FLAGS[name].value]
    if missing:
        raise InputError(f"{' and '.join(missing)}: needed; --list shows the published edits{command_line.example()}")
    plain = [Edit.parse(text) for text in FLAGS.edit if not text.startswith(published_edits.PREFIX)]
    for edit in plain:
        edits.check_sigma(edit.sigma, f"--edit={edit}")
    if FLAGS.export is not None and len(FLAGS.edit) != 1:
        raise InputError(f"--export={FLAGS.export}: exports exactly one --edit, {len(FLAGS.edit)} were given")
    with command_line.outputs() as directory:
        found = command_line.load_components()
        chosen = [_parse(text, found) for text in FLAGS.edit]
        name, generator = command_line.load_generator(found)
        _use_published_settings(generator)
        seeds = shared_flags.seeds_from_flags(_DEFAULT_SEEDS)
        view = View(shared_flags.synthesis_from_flags(generator), FLAGS.mode, FLAGS.centred)
        layer = found.spec.layer
        found, view = edited_images.resolve(found, view, generator)
        if line := layers.describe_name(layer, found.spec.layer):
            print(line)
        num_layers = generator.latent_shape[0]
        for edit in chosen:  # before the strip's smaller steps, which a message would name
            edits.check(
                edit if view.mode == "latent" else dataclasses.replace(edit, layers=None), len(found), num_layers
            )
        starts = _starts(name, generator, found, seeds, view)
        pictures.save_png(directory / "edit.png", _strips(generator, found, chosen, starts, view))
        if FLAGS.export is not None:
            _export(directory / "edit.pkl", found, chosen[0], num_layers, seeds[0])
    print(f"written: {FLAGS.workdir}/edit.png")


def _starts(name, generator, found, seeds, view):
    if FLAGS.images:
        return edited_images.starts_of_file(own_pictures.invert(name, generator, FLAGS.label))
    if FLAGS.latents is not None:
        return edited_images.starts_of_file(command_line.load_latents(generator, found))
    return [edited_images.start_of_seed(generator, seed, view.synthesis) for seed in seeds]


def _strips(generator, found, chosen, starts, view):
    shares = np.linspace(-1.0, 1.0, FLAGS.num_columns)
    columns = [[dataclasses.replace(edit, sigma=edit.sigma * share + 0.0) for edit in chosen] for share in shares]
    rows = [edited_images.edited_images(generator, found, start, columns, view) for start in starts]
    labels = [" ".join(f"{edit.sigma:+.1f}" for edit in column) for column in columns]
    title = f"{' '.join(map(str, chosen))}; steps in standard deviations"
    return pictures.labelled_rows(np.stack(rows), [start.name for start in starts], labels, title=title)


def _published():
    """Returns all published edits, or those of the family of --generator."""
    if FLAGS.generator is None:
        return published_edits.published()
    family = checkpoints.load_config(zoo.resolve(FLAGS.generator))["family"]
    own = [edit for edit in published_edits.published() if edit.family == family]
    if not own:
        raise InputError(f"--generator={FLAGS.generator}: no edits of {family} were published")
    return own


def _parse(text, found):
    if not text.startswith(published_edits.PREFIX):
        return Edit.parse(text)
    named = published_edits.find(text)
    published_edits.check(named, len(found), found.spec.latent_space)
    return named.edit


def _use_published_settings(generator):
    """Sets the flags that the user left out to the values of the publication."""
    named = [published_edits.find(text) for text in FLAGS.edit if text.startswith(published_edits.PREFIX)]
    if not named or not isinstance(generator.config, zoo.FAMILIES[named[0].family][0]):
        return
    values = published_edits.settings(named, generator.class_names, generator.num_classes)
    if FLAGS.latents is not None or FLAGS.images:
        del values["seeds"]
    chosen = {name: value for name, value in values.items() if not FLAGS[name].present}
    for name, value in chosen.items():
        FLAGS[name].value = value
    if chosen:
        texts = [f"--{name}={','.join(value) if isinstance(value, list) else value}" for name, value in chosen.items()]
        print(f"as published: {' '.join(texts)}")


def _export(path, found, edit, num_layers, seed):
    exported = foreign_files.export(
        found,
        edit,
        name=FLAGS.export,
        num_layers=num_layers,
        truncation=FLAGS.truncation_psi,
        seed=seed,
        published=foreign_files.load_edit(FLAGS.components) if FLAGS.components.endswith(".pkl") else None,
    )
    foreign_files.save_edit(path, exported)


if __name__ == "__main__":
    command_line.start(main)
