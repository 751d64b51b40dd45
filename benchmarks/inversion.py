"""Measures inversion: how near faces come, and CPU seconds and memory.

    python -m benchmarks.inversion --only=network,scenes,batches
    python -m benchmarks.inversion --only=faces --faces=DIR [--picture=FILE] \
        [--num_starts=16 --num_steps=300 --rate=0.15 --penalty=1e-5]

- faces: the generator in DIR (docs/checkpoints.md makes one) inverts its own samples,
  and a picture that it never saw. Writes runs/benchmarks/inversion_faces.png.
- network: CPU seconds and memory of a StyleGAN2 of 256 px with random weights.
- scenes: CPU seconds for rendered scenes, from the encoders of the shipped generators.
- batches: CPU milliseconds per step and image, for several batch sizes.

Prints tables. CPU seconds are those of all threads, without compilation.
"""

import argparse
import concurrent.futures
import multiprocessing
import pathlib
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from benchmarks import machine
from ganspace_jax.files import picture_files, pictures
from ganspace_jax.generators import base, stylegan2, synthesis, zoo
from ganspace_jax.run import Run
from ganspace_jax.sampling import encoder, image_batches, inversion, inverted_batches, random_samples
from ganspace_jax.sampling.inversion import Inversion
from ganspace_jax.sampling.latent_files import Inputs
from ganspace_jax.scenes import factors, rendering

PARTS = ("network", "scenes", "batches", "faces")  # the network first: a child's memory counts its parent's
SHIPPED = ("stylegan2-scenes", "biggan-deep-scenes")
CHANNELS_256 = (512, 512, 512, 512, 512, 256, 128)
NUM_FACES, NUM_SCENES, SUPERSAMPLING = 16, 64, 2
SEED = 1  # of samples and scenes; inversion's own random images have seed 0
BATCH_SIZES = (8, 16, 32, 64)
NUM_TIMED = {"network": 2, "batches": 5}  # steps that are timed
DEFAULT_STEPS = Inversion().num_steps_shared + Inversion().num_steps


def cpu_seconds(run: Callable[[], Any]) -> float:
    """Returns the CPU seconds of this process during a call."""
    began = time.process_time()
    run()
    return time.process_time() - began


def step_seconds(generator: base.Generator, batch: int, num_steps: int) -> float:
    """Returns the CPU seconds of one step of inversion, for one image.

    The first run compiles. A run of one step and a longer one then differ by
    `num_steps` steps alone.

    Args:
        generator: the generator.
        batch: number of images, and of rows per batch.
        num_steps: steps that are timed.
    """
    images = np.zeros((batch, *base.image_shape(generator)), np.float32)

    def run(count: int) -> float:
        spec = Inversion(start="mean", num_steps_shared=0, num_steps=count)
        label = 0 if generator.num_classes else None
        return cpu_seconds(lambda: inversion.invert(generator, images, spec, Run(batch), label=label))

    run(1)
    return (run(1 + num_steps) - run(1)) / (num_steps * batch)


def measure_network(batch: int) -> dict[str, str]:
    """Returns the row of a StyleGAN2 of 256 px with random weights. Runs in a child."""
    config = stylegan2.Config(512, 512, CHANNELS_256)
    generator = base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))
    per_step = step_seconds(generator, batch, NUM_TIMED["network"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {
        "batch": str(batch),
        "CPU s per image and step": f"{per_step:.2f}",
        f"CPU s per image, {DEFAULT_STEPS} steps (from {NUM_TIMED['network']})": f"{per_step * DEFAULT_STEPS:.0f}",
        "peak memory, GB": f"{peak:.1f}",
    }


def network() -> Iterator[dict[str, str]]:
    """Yields the rows of batches of 1 and 4, each from a process of its own."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context, max_tasks_per_child=1) as pool:
        yield from pool.map(measure_network, (1, 4))


def scenes() -> Iterator[dict[str, str]]:
    """Yields one row for each shipped generator, with labels unknown."""
    for name in SHIPPED:
        generator = zoo.load(name)
        begin = encoder.load(zoo.resolve(name) / "encoder", generator)
        drawn = factors.sample_factors(jax.random.key(SEED), NUM_SCENES)
        images = np.asarray(rendering.render_in_chunks(drawn, generator.resolution, SUPERSAMPLING))
        inverted_batches.invert(generator, images, Inversion(num_steps_shared=1, num_steps=1), start=begin)
        began = time.process_time()
        found, _ = inverted_batches.invert(generator, images, start=begin)
        spent = time.process_time() - began
        yield {"generator": name, f"CPU s, {NUM_SCENES} images": f"{spent:.1f}", **_nearness(found.psnr)}


def batches() -> Iterator[dict[str, str]]:
    """Yields one row for each shipped generator and batch size."""
    for name in SHIPPED:
        generator = zoo.load(name)
        for size in BATCH_SIZES:
            spent = 1000 * step_seconds(generator, size, NUM_TIMED["batches"])
            yield {"generator": name, "batch": str(size), "CPU ms per image and step": f"{spent:.1f}"}


def faces(directory: str, picture: str | None, seed: int, spec: Inversion) -> list[dict[str, str]]:
    """Returns a row for the generator's own samples and one for the picture, and draws
    all of them.
    """
    generator = zoo.load(directory)
    samples = random_samples.draw(generator, 0, NUM_FACES, seed=seed)
    inputs = Inputs(samples.layers, None, samples.weights, [])
    made = [batch["image"] for batch in image_batches.generate(generator, inputs, synthesis.Synthesis())]
    images = np.clip(np.concatenate(made), -1.0, 1.0)
    if picture is not None:
        images = np.concatenate([images, picture_files.read_one(pathlib.Path(picture), images.shape[1:])[0][None]])
    began = time.process_time()
    found, _ = inverted_batches.invert(generator, images, spec)
    spent = time.process_time() - began
    path = pathlib.Path("runs/benchmarks/inversion_faces.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures.save_png(path, pictures.grid(np.concatenate([images, found.images]), len(images)))
    print(f"written: {path} (above: pictures, below: found); {spent:.0f} CPU s with compilation and start")
    groups = {"own samples": slice(0, NUM_FACES), "picture": slice(NUM_FACES, None)}
    return [
        {"faces": name, **_nearness(found.psnr[rows]), "distance [sd]": f"{found.distance[rows].mean():.2f}"}
        for name, rows in groups.items()
        if len(found.psnr[rows])
    ]


def _nearness(psnr: np.ndarray) -> dict[str, str]:
    return {
        "PSNR, median": f"{np.median(psnr):.1f} dB",
        "10th percentile": f"{np.percentile(psnr, 10):.1f} dB",
    }


def main():
    """Prints the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="network,scenes,batches", help=f"parts, by commas, of: {', '.join(PARTS)}")
    parser.add_argument("--faces", help="directory of the generator of faces")
    parser.add_argument("--picture", help="picture of a face, cropped to it")
    parser.add_argument("--num_steps", type=int, default=Inversion.num_steps, help="steps for faces")
    parser.add_argument("--penalty", type=float, help="penalty for faces")
    parser.add_argument("--num_starts", type=int, default=Inversion.num_starts, help="starts for faces")
    parser.add_argument("--rate", type=float, default=Inversion.rate, help="learning rate for faces")
    parser.add_argument("--seed", type=int, default=SEED, help="seed of the samples of faces")
    flags = parser.parse_args()
    spec = Inversion(num_steps=flags.num_steps, penalty=flags.penalty, num_starts=flags.num_starts, rate=flags.rate)
    parts = {
        "network": network,
        "scenes": scenes,
        "batches": batches,
        "faces": lambda: faces(flags.faces, flags.picture, flags.seed, spec),
    }
    for name in flags.only.split(","):
        if name == "faces" and flags.faces is None:
            parser.error("--only=faces needs --faces=DIR")
        rows = []
        for row in parts[name]():
            rows.append(row)
            print(row, flush=True)
        print(f"\n{name}\n{machine.table(rows)}\n", flush=True)


if __name__ == "__main__":
    main()
