"""Images of random samples, batch by batch, and the scores that a function reads from
them.

A score is a number that a function reads from an image.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from ganspace_jax.generators import synthesis
from ganspace_jax.generators.base import Generator
from ganspace_jax.run import Interrupted, Progress, Run
from ganspace_jax.sampling import random_samples
from ganspace_jax.sampling.labels import Label
from ganspace_jax.sampling.random_samples import Samples
from ganspace_jax.shapes import Array, Float

_BATCH_PIXELS = 2**18  # 256 images of 32 x 32 pixels

Latents = Float[Array | np.ndarray, "n layers d"]
Weights = Float[Array | np.ndarray, "n classes"] | None


def read_in_chunks(
    generator: Generator, read: Callable[[Any], Float[np.ndarray, "b f"]], count: int, *, seed: int,
    label: Label = None, run: Run = Run(),
) -> Iterator[tuple[Samples, Float[np.ndarray, "n f"]]]:  # fmt: skip
    """Yields samples and the scores of their images, chunk by chunk.

    Args:
        generator: the generator.
        read: function that maps images to scores.
        count: number of samples.
        seed: seed of the samples.
        label: class of the samples; None: all classes.
        run: batch size, progress and stopping.

    Raises:
        InputError: if an image is not finite.
        Interrupted: if run.should_stop returned True.
    """
    done = 0
    for samples in random_samples.draw_in_chunks(generator, 0, count, seed=seed, label=label):
        values = [read(made) for made in images(generator, samples.layers, samples.weights, run)]
        done += len(samples.latent)
        run.report(Progress(done, count, "image", "scores"))
        yield samples, np.concatenate(values)


def images(
    generator: Generator, latents: Latents, weights: Weights = None, run: Run = Run()
) -> Iterator[Float[np.ndarray, "b h w c"]]:
    """Yields the images of latents, batch by batch. All batches run one program.

    Raises:
        InputError: if an image is not finite.
        Interrupted: if run.should_stop returned True.
    """
    size = run.batch_size or max(1, min(len(latents), _BATCH_PIXELS // math.prod(generator.image_size)))
    for rows, count in batches(len(latents), size):
        own = None if weights is None else jnp.asarray(weights[rows])
        made = np.asarray(synthesis.synthesize(generator, jnp.asarray(latents[rows]), label=own), np.float32)[:count]
        synthesis.check_finite(made, "images")
        check_stop(run)
        yield made


def batches(count: int, size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Yields the rows of each batch and their number; the last row again fills the last
    batch.
    """
    for first in range(0, count, size):
        yield np.minimum(np.arange(first, first + size), count - 1), min(size, count - first)


def check_stop(run: Run) -> None:
    """Raises Interrupted if the run was told to stop."""
    if run.should_stop():
        raise Interrupted("stopped; this run wrote no results")
