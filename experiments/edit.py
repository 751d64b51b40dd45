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
--truncation_psi, --seeds and --label.

Named directions, such as those of experiments.find_attribute, have names and layers of
their own: --edit=light_intensity=2. --edit=horizontal:=0.5 sets a value, in the unit of
the scorer; the columns then go from the image's own value to it. With --scorer=probe
the images are read and moved until they have the value, at most five times, and asked
and reached values are printed. Circular values, such as --edit=object_hue:=0.6, need
the scorer: they follow the local gradient, the shorter way round.

--latents=FILE edits the pictures whose latents a projector or an encoder wrote, as
experiments.generate reads them. --images=me.png finds the latents of pictures and edits
them, as experiments.invert and --latents in one command.
"""

import dataclasses
import functools

import jax.numpy as jnp
import numpy as np
from absl import flags

from ganspace_jax import command_line, named_scorers, own_pictures, shared_flags, value_edits
from ganspace_jax.directions import edited_images, edits, foreign_files, published_edits
from ganspace_jax.directions.edited_images import View
from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError
from ganspace_jax.files import checkpoints, pictures
from ganspace_jax.generators import synthesis, zoo
from ganspace_jax.run import Run
from ganspace_jax.sampling import layers

FLAGS = flags.FLAGS
shared_flags.define("generator", "components", "latent_space")
flags.DEFINE_multi_string(
    "edit",
    [],
    'Edit such as "E(v3, 0-4)=2.5", layers inclusive, light_intensity=2, horizontal:=0.5 or ganspace:NAME. '
    "Repeat the flag for several.",
)
flags.DEFINE_bool("list", False, "List the published edits, with --generator those of its family, and end.")
shared_flags.define("seeds", "latents", "images", "encoder", "num_columns", "mode", "centred")
shared_flags.define("label", "truncation_psi", "truncation_cutoff", "noise_mode", "noise_seed")
shared_flags.define("probe", scorer=None)
flags.DEFINE_string("export", None, "Name under which the edit is written as edit.pkl, for the original's viewer.")
shared_flags.define("workdir")

_DEFAULT_SEEDS = ("1", "2", "3")
_NUM_REFERENCE = 256  # random images that give the standard deviations of a scorer


def main():
    """Draws one picture of strips."""
    if FLAGS.list:
        print(published_edits.table(_published()))
        return
    missing = [f"--{name}" for name in ("components", "edit", "workdir") if not FLAGS[name].value]
    if missing:
        raise InputError(f"{' and '.join(missing)}: needed; --list shows the published edits{command_line.example()}")
    plain = [Edit.parse(text) for text in FLAGS.edit if not published_edits.is_published(text)]
    for edit in plain:
        edits.check_sigma(edit.sigma, f"--edit={edit}")
    if FLAGS.export is not None and len(FLAGS.edit) != 1:
        raise InputError(f"--export={FLAGS.export}: exports exactly one --edit, {len(FLAGS.edit)} were given")
    if FLAGS.scorer is not None and all(edit.value is None for edit in plain):
        raise InputError(f"--scorer={FLAGS.scorer}: is used by edits that set a value, such as horizontal:=0.5")
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
        scored = [edit for edit in chosen if FLAGS.scorer is not None and edit.value is not None]
        _check([edit for edit in chosen if edit not in scored], found, view, generator.latent_shape[0])
        starts = _starts(name, generator, found, seeds, view)
        subject = (name, generator, found, starts, view)
        picture = _set_strips(subject, chosen, scored) if scored else _strips(subject, chosen)
        pictures.save_png(directory / "edit.png", picture)
        if FLAGS.export is not None:
            _export(directory / "edit.pkl", found, chosen[0], generator.latent_shape[0], seeds[0])
    print(f"written: {FLAGS.workdir}/edit.png")


def _starts(name, generator, found, seeds, view):
    if FLAGS.images:
        return edited_images.starts_of_file(own_pictures.invert(name, generator, FLAGS.label))
    if FLAGS.latents is not None:
        return edited_images.starts_of_file(command_line.load_latents(generator, found))
    return [edited_images.start_of_seed(generator, seed, view.synthesis) for seed in seeds]


def _check(chosen, found, view, num_layers):
    """Checks the whole edits, before the strip's smaller steps, which a message would
    name.
    """
    for edit in chosen:
        try:
            resolved = edits.resolve(edit, found)
        except InputError as error:
            hint = "; give --scorer to set a value that has no direction" if edit.value is not None else ""
            raise InputError(f"{error}{hint}") from None
        edits.check(
            resolved if view.mode == "latent" else dataclasses.replace(resolved, layers=None), len(found), num_layers
        )
    print("".join(f"note: {line}\n" for line in value_edits.out_of_reach(found, chosen)), end="")


def _strips(subject, chosen):
    """Returns strips of steps, from -sigma to sigma, or from the own value to a set
    value.
    """
    _, generator, found, starts, view = subject
    shares = edits.shares(chosen, FLAGS.num_columns)
    columns = [[edit.scaled(share) for edit in chosen] for share in shares]
    rows = [edited_images.edited_images(generator, found, start, columns, view) for start in starts]
    labels = [" ".join(_column_label(edit) for edit in column) for column in columns]
    title = f"{' '.join(map(str, chosen))}; steps in standard deviations"
    return pictures.labelled_rows(np.stack(rows), [start.name for start in starts], labels, title=title)


def _column_label(edit):
    return f"{edit.sigma:+.1f}" if edit.value is None else f"{edit.share:.0%}"


def _set_strips(subject, chosen, scored):
    """Returns strips whose images the scorer reads, until they have the values of the
    edits.
    """
    name, generator, found, starts, view = subject
    if view.mode == "activation":
        raise InputError("--mode=activation: cannot be used with --scorer; leave one of them out")
    edited_images.check_layer_latents(found, generator)
    reference = functools.partial(
        named_scorers.reference_images, generator, found, num_samples=_NUM_REFERENCE, seed=0, label=view.synthesis.label
    )
    scorer = named_scorers.load(FLAGS.scorer, reference, generator_name=name, probe_directory=FLAGS.probe)
    steps = [edit for edit in chosen if edit not in scored]
    latents = np.stack([edited_images.move(generator, found, start, steps, view) for start in starts])
    settings = _settings(starts, view)
    with command_line.progress_bar("path") as report:
        set_values = value_edits.apply(generator, scorer, found, scored, latents, settings, Run(report=report))
    print(value_edits.table(set_values, [start.name for start in starts]))
    shares = np.linspace(0.0, 1.0, FLAGS.num_columns)
    columns = [synthesis.synthesize(generator, jnp.asarray(set_values.at(float(share))), settings) for share in shares]
    rows = np.stack([np.asarray(column) for column in columns], axis=1)
    title = f"{' '.join(map(str, chosen))}; shares of the way"
    return pictures.labelled_rows(rows, [start.name for start in starts], [f"{s:.0%}" for s in shares], title=title)


def _settings(starts, view):
    """Returns the view's settings, with the classes of the pictures if they have
    some.
    """
    if any(start.label is None for start in starts):
        return view.synthesis
    return dataclasses.replace(view.synthesis, label=np.stack([np.asarray(start.label) for start in starts]))


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
    if not published_edits.is_published(text):
        return Edit.parse(text)
    named = published_edits.find(text)
    published_edits.check(named, len(found), found.spec.latent_space)
    return named.edit


def _use_published_settings(generator):
    """Sets the flags that the user left out to the values of the publication."""
    named = [published_edits.find(text) for text in FLAGS.edit if published_edits.is_published(text)]
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
