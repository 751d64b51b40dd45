r"""Makes images of seeds or of given latents, and on request the arrays behind them.

    python -m experiments.generate --generator=stylegan2-scenes --seeds=0-63 \
        --workdir=runs/images
    python -m experiments.generate --generator=DIR --latents=FILE --save_arrays \
        --activations=a,b --workdir=runs/images

Writes into workdir: one PNG per image, run.flags, and with --save_arrays arrays.npz:
`image` (float32, NHWC, before clipping), `w` if it is equal in all layers, and the
activations of --activations. FILE holds `z` [n, z_dim], w [n, latent_dim] or per-layer
latents [n, layers, latent_dim], and for conditional generators `label` [n, classes]. It
is a file of NumPy, torch or safetensors, or a pickle, such as a projector or an encoder
writes. Latents of a file are used as they are.
"""

import numpy as np
from absl import flags

from ganspace_jax import command_line, shared_flags
from ganspace_jax.errors import InputError
from ganspace_jax.files import pictures
from ganspace_jax.sampling import image_batches, labels, latent_files

FLAGS = flags.FLAGS
shared_flags.define("seeds", generator="stylegan2-scenes")
shared_flags.define(
    "latents", "latent_space", "label", "truncation_psi", "truncation_cutoff", "noise_mode", "noise_seed"
)
flags.DEFINE_bool("save_arrays", False, "Write arrays.npz as well.")
flags.DEFINE_list("activations", [], "Layers that --save_arrays writes as well.")
shared_flags.define("batch_size", "compute_dtype", "workdir")

_DEFAULT_SEEDS = ("0-15",)


def main():
    """Makes all images."""
    if FLAGS.activations and not FLAGS.save_arrays:
        raise InputError("--activations: are written with --save_arrays only; add it")
    seeds = shared_flags.seeds_from_flags(_DEFAULT_SEEDS)
    with command_line.outputs() as directory:
        _, generator = command_line.load_generator()
        inputs = _inputs(generator, seeds)
        settings = shared_flags.synthesis_from_flags(generator)
        batches, names = [], iter(inputs.names)
        with command_line.progress_bar("images") as report:
            run = shared_flags.run_from_flags(report=report, should_stop=lambda: False)
            for batch in image_batches.generate(generator, inputs, settings, FLAGS.activations, run):
                for image in batch["image"]:
                    pictures.save_png(directory / f"{next(names)}.png", pictures.to_uint8(image))
                batches.append(batch if FLAGS.save_arrays else {})
        if FLAGS.save_arrays:
            arrays = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
            if inputs.w is not None:
                arrays["w"] = inputs.w
            _save(directory / "arrays.npz", arrays)
    print(f"images: {FLAGS.workdir}")


def _save(path, arrays):
    np.savez(path, **arrays)


def _inputs(generator, seeds):
    if FLAGS.latents is not None:
        return command_line.load_latents(generator)
    label = labels.resolve(FLAGS.label, generator)
    if label is not None:
        print(labels.describe(label, generator))
    return latent_files.from_seeds(generator, seeds, label, FLAGS.truncation_psi)


if __name__ == "__main__":
    command_line.start(main, needs=("workdir",))
