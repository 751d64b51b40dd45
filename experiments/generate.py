"""Makes images of seeds or of given latents, and on request the arrays behind them.

    python -m experiments.generate --generator=stylegan2-scenes --seeds=0-63 --workdir=runs/images
    python -m experiments.generate --generator=DIR --latents=FILE.npz --save_arrays --activations=a,b --workdir=runs/images

Writes into workdir: one PNG an image, run.flags, and with --save_arrays arrays.npz: `image` (float32, NHWC, before clipping),
`w` where it is one for all layers, and the activations asked for. FILE.npz holds `z` [n, z_dim], or `ws` [n, layers,
latent_dim], and for conditional generators `label` [n, classes]. Latents of a file are used as they are.
"""

import sys

import numpy as np
from absl import app, flags, logging
from tqdm import tqdm

from ganspace_jax.errors import InputError, one_line_errors
from ganspace_jax.files import outputs, pictures
from ganspace_jax.generators import zoo
from ganspace_jax.sampling import image_batches, latents

FLAGS = flags.FLAGS
flags.DEFINE_string("generator", "stylegan2-scenes", f"Zoo name ({', '.join(zoo.ZOO)}) or checkpoint directory.")
flags.DEFINE_list("seeds", None, "Published seeds and ranges of them, such as 1,2,8-11; by default 0-15.")
flags.DEFINE_string("latents", None, "File of z or of per-layer latents, in place of seeds.")
flags.DEFINE_string("label", None, "For conditional generators: class name or index; with seeds also all, in turn.")
flags.DEFINE_float("truncation_psi", 1.0, "Truncation.")
flags.DEFINE_integer("truncation_cutoff", None, "Layers truncated; all by default.", lower_bound=0)
flags.DEFINE_enum(
    "noise_mode", "const", ["const", "none", "random"], "Noise: the checkpoint's own, none, or drawn anew."
)
flags.DEFINE_integer("noise_seed", 0, "Seed of random noise.", lower_bound=0)
flags.DEFINE_bool("save_arrays", False, "Write arrays.npz as well.")
flags.DEFINE_list("activations", [], "With --save_arrays: layers to write as well.")
flags.DEFINE_integer("batch_size", None, "Images a step; by default as many as fit into memory.", lower_bound=1)
flags.DEFINE_enum(
    "compute_dtype", None, ["float32", "bfloat16"], "Of the generator's convolutions; by default the checkpoint's own."
)
flags.DEFINE_string("workdir", None, "Directory to write into.", required=True)


def main(_):
    """All images."""
    if FLAGS.activations and not FLAGS.save_arrays:
        raise InputError("--activations: are written with --save_arrays only; add it")
    with outputs.outputs(FLAGS.workdir) as directory:
        generator = zoo.load(FLAGS.generator, compute_dtype=FLAGS.compute_dtype)
        inputs = _inputs(generator)
        settings = image_batches.Settings(
            FLAGS.truncation_psi, FLAGS.truncation_cutoff, FLAGS.noise_mode, FLAGS.noise_seed, FLAGS.activations
        )
        batches, names = [], iter(inputs.names)
        with tqdm(total=len(inputs.names), unit="image") as bar:
            for batch in image_batches.generate(
                generator, inputs, settings, batch_size=FLAGS.batch_size, on_progress=bar.update
            ):
                for image in batch["image"]:
                    pictures.save_png(directory / f"{next(names)}.png", pictures.to_uint8(image))
                batches.append(batch if FLAGS.save_arrays else {})
        if FLAGS.save_arrays:
            arrays = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
            _save(directory / "arrays.npz", arrays if inputs.w is None else {**arrays, "w": inputs.w})
        (directory / "run.flags").write_text(outputs.flagfile(FLAGS.get_key_flags_for_module(sys.argv[0])))
    print(f"images: {FLAGS.workdir}")


def _save(path, arrays):
    np.savez(path, **arrays)


def _inputs(generator):
    module = generator.merge()
    if FLAGS.latents is None:
        label = latents.parse_label(FLAGS.label, module.class_names, module.num_classes)
        seeds = latents.parse_seeds(FLAGS.seeds if FLAGS.seeds is not None else ["0-15"])
        return image_batches.from_seeds(generator, seeds, label, FLAGS.truncation_psi)
    if FLAGS.seeds is not None:
        raise InputError("--seeds: cannot be given beside --latents; leave one of them out")
    label = None
    if FLAGS.label is not None:
        label = latents.parse_label(FLAGS.label, module.class_names, module.num_classes)
    return image_batches.from_file(generator, FLAGS.latents, label)


if __name__ == "__main__":
    logging.set_verbosity(logging.WARNING)
    app.run(one_line_errors(main))
