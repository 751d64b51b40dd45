"""Converts a published checkpoint to a directory that every experiment's --generator takes.

    python -m checkpoints_convert --source=weights.pth --output=runs/faces

The format is told from the file's content; nothing in the file is executed. Every parameter has to be used exactly once, and
the images have to be finite, before anything is written. preview.png shows seeds 0 to 15.
"""

import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from absl import app, flags, logging

from checkpoints_convert import formats
from ganspace_jax import images, latents
from ganspace_jax.failures import InputError, one_line_errors
from ganspace_jax.generators import base, zoo

FLAGS = flags.FLAGS
flags.DEFINE_string(
    "source", None, "Checkpoint file, or directory with pytorch_model.bin and config.json.", required=True
)
flags.DEFINE_string("output", None, "Directory of the converted checkpoint.", required=True)
flags.DEFINE_string("format", "auto", f"auto, or one of: {', '.join(one.name for one in formats.FORMATS)}.")


def main(_):
    """One checkpoint."""
    source = formats.read(FLAGS.source)
    found, arrays = formats.recognize(source, FLAGS.format, FLAGS.source)
    generator = found.convert(arrays, source)
    print(_description(found, generator))
    preview = _preview(generator)
    zoo.save(FLAGS.output, generator)
    images.save_png(pathlib.Path(FLAGS.output) / "preview.png", images.grid(preview, 8))
    print(f"written: {FLAGS.output}")


def _description(found, generator):
    module = generator.merge()
    count = sum(leaf.size for leaf in jax.tree.leaves(generator.params))
    config = ", ".join(f"{f.name}={getattr(module.config, f.name)}" for f in dataclasses.fields(module.config))
    return (
        f"{found.description}: {module.config.resolution} px, z {module.z_dim}, "
        f"{module.num_classes or 'no'} classes, {count:,} parameters\n{config}"
    )


def _preview(generator):
    """Sixteen images; with labels, of the first classes."""
    module = generator.merge()
    z = jnp.asarray(latents.from_seeds(list(range(16)), module.z_dim, module.prior))
    label = None
    if module.num_classes:
        label = jax.nn.one_hot(jnp.arange(16) % module.num_classes, module.num_classes)
    made = np.asarray(base.synthesize(generator, base.map_latents(generator, z, label), label=label))
    if not np.isfinite(made).all():
        raise InputError(f"--source={FLAGS.source}: its images are not finite; nothing was written")
    return made


if __name__ == "__main__":
    logging.set_verbosity(logging.WARNING)
    app.run(one_line_errors(main))
