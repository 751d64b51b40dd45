"""Images of random samples, batch by batch, and the scores that a function reads from
them.

A score is a number that a function reads from an image.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ganspace_jax.generators import synthesis
from ganspace_jax.generators.base import Generator
from ganspace_jax.run import Interrupted, Progress, Run
from ganspace_jax.sampling import labels
from ganspace_jax.sampling import latents as latent_draws
from ganspace_jax.sampling.labels import Label
from ganspace_jax.shapes import Array, Float

_BATCH_PIXELS = 2**18  # 256 images of 32 x 32 pixels
_CHUNK = 1024  # samples that are mapped together

Latents = Float[Array | np.ndarray, "n layers d"]
Weights = Float[Array | np.ndarray, "n classes"] | None


class Samples(NamedTuple):
    """Random samples of a generator.

    Attributes:
        latent: the latent that edits move: w, or z without a mapping network.
        layers: per-layer latents.
        weights: class weights; None without classes.
    """

    latent: Float[np.ndarray, "n l"]
    layers: Float[np.ndarray, "n layers d"]
    weights: Float[np.ndarray, "n classes"] | None


def draw(generator: Generator, first: int, stop: int, *, seed: int, label: Label = None) -> Samples:
    """Returns the random samples of these numbers, [first, stop). Sample i depends on
    the seed and i alone.

    Args:
        generator: the generator.
        first: number of the first sample.
        stop: number after the last sample.
        seed: seed of the samples.
        label: class of the samples; None: all classes.
    """
    key, indices = synthesis.seeded_key(seed), jnp.arange(first, stop)
    resolved = labels.resolve("all" if label is None and generator.num_classes else label, generator)
    z = latent_draws.sample(key, indices, generator.z_dim, generator.prior)
    own = labels.sample(key, indices, resolved, generator.num_classes)
    mapped = np.asarray(synthesis.map_latents(generator, z, own))
    latent = mapped[:, 0] if generator.has_mapping else np.asarray(z)
    return Samples(latent, mapped, None if own is None else np.asarray(own))


def draw_in_chunks(generator: Generator, count: int, *, seed: int, label: Label = None) -> Iterator[Samples]:
    """Yields the samples 0 to count - 1 in chunks."""
    for first in range(0, count, _CHUNK):
        yield draw(generator, first, min(first + _CHUNK, count), seed=seed, label=label)


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
    for samples in draw_in_chunks(generator, count, seed=seed, label=label):
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
    size = run.batch_size or max(1, _BATCH_PIXELS // math.prod(generator.image_size))
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
