r"""Judges a generator of procedural scenes: reads its images with the probe, renders
them again, measures their variety.

    python -m experiments.evaluate_scenes --generator=stylegan2-scenes \
        --workdir=runs/evaluate_scenes

Writes into workdir: quality.json, run.flags, samples.png (64 samples) and compare.png
(samples above the renderer's images of their factors). Prints the figures. The exit
status is 1 if the gate of ganspace_jax/scenes/quality.py does not hold.
"""

import json
import sys

import jax
import numpy as np
from absl import flags

from ganspace_jax import command_line, shared_flags
from ganspace_jax.files import pictures
from ganspace_jax.generators import synthesis
from ganspace_jax.sampling import latents
from ganspace_jax.scenes import probe, quality
from ganspace_jax.scenes.chunks import map_chunks

FLAGS = flags.FLAGS
shared_flags.define("generator", "probe")
flags.DEFINE_integer("num_samples", 2000, "Images to judge.", lower_bound=64)
shared_flags.define("seed", "workdir")
flags.DEFINE_integer(
    "supersampling", 2, "Rays per pixel and axis, as in the generator's training.", lower_bound=1, upper_bound=16
)


def main():
    """Generates images, measures them, and writes the report."""
    with command_line.outputs() as directory:
        _, generator = command_line.load_generator()
        reader = probe.load(FLAGS.probe or probe.SHIPPED)
        samples, labels = _generate(generator, jax.random.key(FLAGS.seed))
        report = quality.measure(samples, labels, reader, FLAGS.supersampling)
        missed = quality.shortfalls(report)
        (directory / "quality.json").write_text(json.dumps({**report, "missed": missed}, indent=2) + "\n")
        _save_pictures(samples, reader, directory)
    _print_table(report, missed)
    sys.exit(1 if missed else 0)


def _generate(generator, key):
    """Returns samples and, for a conditional generator, the requested shapes, all
    equally often.
    """
    network = generator.merge()
    labels, chunks = None, {"index": np.arange(FLAGS.num_samples)}
    if network.num_classes:
        labels = chunks["index"] % network.num_classes
        chunks["label"] = np.eye(network.num_classes, dtype=np.float32)[labels]

    def synthesize(chunk):
        z, label = latents.sample(key, chunk["index"], network.z_dim, network.prior), chunk.get("label")
        return synthesis.synthesize(generator, synthesis.map_latents(generator, z, label), label=label)

    return map_chunks(synthesize, chunks), labels


def _save_pictures(samples, reader, directory):
    shown = np.asarray(samples[:64])
    pictures.save_png(directory / "samples.png", pictures.grid(shown, 8), scale=2)
    redrawn = np.asarray(quality.redraw(shown, reader, FLAGS.supersampling)[1])
    pairs = np.stack([x.reshape(4, 16, *x.shape[1:]) for x in (shown, redrawn)], axis=1)
    picture = pictures.labelled_rows(pairs.reshape(8, 16, *shown.shape[1:]), ["generated", "redrawn"] * 4, [""] * 16)
    pictures.save_png(directory / "compare.png", picture)


def _print_table(report, missed):
    print(f"{'median PSNR':28}{report['median_psnr']:8.2f} dB  (at least {quality.MINIMUM_PSNR:.2f})")
    for name, value in report["coverage"].items():
        print(f"{'coverage of ' + name:28}{value:8.2f}     (at least {quality.MINIMUM_COVERAGE:.2f})")
    for name, value in report["class_share"].items():
        print(f"{'share of ' + name:28}{value:8.2f}     (at least {quality.MINIMUM_CLASS_SHARE:.2f})")
    sure = report["sure_of_shape"]
    print(f"{'probe sure of the shape':28}{sure['generated']:8.2f}     (real scenes: {sure['real']:.2f})")
    for name, value in report.get("label_agreement", {}).items():
        print(f"{name + ' where requested':28}{value:8.2f}     (at least {quality.MINIMUM_AGREEMENT:.2f})")
    print("the gate holds" if not missed else "the gate does not hold:\n  " + "\n  ".join(missed))


if __name__ == "__main__":
    command_line.start(main, needs=("generator", "workdir"))
