r"""Draws what components do: one row of images per component.

    python -m experiments.visualize \
        --components=runs/stylegan2_scenes_w/components.npz \
        --workdir=runs/stylegan2_scenes_w
    python -m experiments.visualize \
        --flagfile=experiments/flags/visualize_stylegan2_scenes.flags

Rows of named directions show their names, and move the layers of their own range.
--named=FILE draws the named directions of a second file below the components.
Writes into workdir: components.png, from the mean latent, and random.png, the same
start with random directions, the baseline. Rows of directions in z start from seed 1
instead: a generator without w has no mean latent, and a mean w has no z that could
move. The title and the last line of output name the start. For every seed it adds
components_seedN.png and random_seedN.png; with --animate=webp, gif or mp4 (which needs
ffmpeg) one animation per component; and visualize.flags, which repeats the run. With
--latents=FILE, which experiments.generate describes, the rows start from the picture in
FILE. For several pictures it adds components_NAME.png and random_NAME.png for each.
"""

import pathlib

import numpy as np
from absl import flags

from ganspace_jax import command_line, shared_flags
from ganspace_jax.directions import components, edited_images, edits, random_directions
from ganspace_jax.directions.edited_images import View
from ganspace_jax.errors import InputError
from ganspace_jax.files import animations, pictures
from ganspace_jax.generators import zoo
from ganspace_jax.sampling import layers

FLAGS = flags.FLAGS


class _FormParser(flags.ArgumentParser):
    """Parser of a flag that names a form of animations, or stands without a value."""

    def parse(self, argument: str) -> str | None:
        """Returns the form of a value; absl gives true to --animate alone."""
        text = argument.lower()
        if text in ("", "false"):
            return None
        if text not in ("true", *animations.FORMS):
            raise ValueError(f"must be {', '.join(animations.FORMS[:-1])} or {animations.FORMS[-1]}")
        return "gif" if text == "true" else text


shared_flags.define("generator", "components", "latent_space")
flags.DEFINE_integer("num_rows", 10, "Components to draw.", lower_bound=1)
flags.DEFINE_string("named", None, "Components file of named directions, which are drawn below the components.")
shared_flags.define("num_columns", "sigma", "seeds", "latents", "mode", "centred")
shared_flags.define("label", "truncation_psi", "truncation_cutoff")
flags.DEFINE(
    _FormParser(), "animate", None, "Write one animation per component as well: webp, gif or mp4; gif without a value.",
    boolean=True,
)  # fmt: skip
shared_flags.define("workdir")

_NUM_FRAMES = 25  # of an animation


def main():
    """Draws all pictures of one components file."""
    edits.check_sigma(FLAGS.sigma, f"--sigma={FLAGS.sigma}")
    if FLAGS.animate not in (None, *animations.forms()):
        raise InputError(f"--animate={FLAGS.animate}: ffmpeg is not installed; install it, or choose webp or gif")
    seeds = shared_flags.seeds_from_flags()
    with command_line.outputs("visualize.flags") as directory:
        loaded = command_line.load_components()
        name, generator = command_line.load_generator(loaded)
        view = View(shared_flags.synthesis_from_flags(generator), FLAGS.mode, FLAGS.centred)
        found, view = edited_images.resolve(loaded, view, generator)
        if line := layers.describe_name(loaded.spec.layer, found.spec.layer):
            print(line)
        starts = _starts(generator, found, seeds, view)
        bases = {
            "components": [found, *_named(generator, view)],
            "random": [random_directions.random_like(found, seed=0)],
        }
        for suffix, start in starts:
            title = f"{pathlib.Path(name).name}, {found.spec.layer}, {start.name}; steps in standard deviations"
            for file_name, drawn in bases.items():
                _draw(directory / f"{file_name}{suffix}.png", (generator, drawn, start, view), file_name, title)
        if FLAGS.animate is not None:
            _animate(directory, generator, found, starts[0][1], view)
    print(f"pictures: {FLAGS.workdir} (rows start from {_described(starts[0][1].name)})")


def _named(generator, view):
    """Returns the components of --named in a list, which is empty without the flag."""
    if FLAGS.named is None:
        return []
    loaded = command_line.load_components(FLAGS.named)
    components.check_generator(loaded, FLAGS.generator or loaded.source.generator, zoo.fingerprint(generator))
    return [edited_images.resolve(loaded, view, generator)[0]]


def _starts(generator, found, seeds, view):
    """Returns (suffix of the files, start) of each pair of pictures."""
    default = ("", edited_images.default_start(generator, found, view.synthesis))
    if FLAGS.latents is not None:
        own = edited_images.starts_of_file(command_line.load_latents(generator, found))
        return [("", own[0])] if len(own) == 1 else [default, *((f"_{start.name}", start) for start in own)]
    return [
        default,
        *((f"_seed{seed}", edited_images.start_of_seed(generator, seed, view.synthesis)) for seed in seeds),
    ]


def _described(name):
    if name.startswith("seed "):
        return f"{name}: z has no mean latent to show"
    return "the mean latent" if name == "mean latent" else name


def _draw(path, subject, file_name, title):
    generator, bases, start, view = subject
    sigmas = np.linspace(-FLAGS.sigma, FLAGS.sigma, FLAGS.num_columns)
    rows, labels = [], []
    for basis in bases:
        count = min(FLAGS.num_rows, len(basis))
        rows.append(edited_images.component_rows(generator, basis, start, range(count), sigmas, view))
        labels += [f"random {k}" if file_name == "random" else _label(basis, k) for k in range(count)]
    columns = [f"{sigma:+.1f}" for sigma in sigmas]
    pictures.save_png(path, pictures.labelled_rows(np.concatenate(rows), labels, columns, title=title))


def _label(basis, k):
    """Returns a component's share of the variance, or its layers if it has a name."""
    if not basis.named:
        return f"v{k}  {components.figure(basis.variance_ratio[k], '.1%')}"
    own = basis.named[k]
    return own.name if own.layers is None else f"{own.name}  {own.range_text()}"


def _animate(directory, generator, basis, start, view):
    sigmas = np.linspace(-FLAGS.sigma, FLAGS.sigma, _NUM_FRAMES)
    count = min(FLAGS.num_rows, len(basis))
    rows = edited_images.component_rows(generator, basis, start, range(count), sigmas, view)
    for k, frames in enumerate(rows):
        animations.save(directory / f"component{k:02d}.{FLAGS.animate}", pictures.to_uint8(frames))


if __name__ == "__main__":
    command_line.start(main, needs=("components", "workdir"))
