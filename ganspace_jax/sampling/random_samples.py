"""Random samples of a generator: their latents and their classes."""

from collections.abc import Iterator
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ganspace_jax.generators import synthesis
from ganspace_jax.generators.base import Generator
from ganspace_jax.sampling import labels, latents
from ganspace_jax.sampling.labels import Label
from ganspace_jax.shapes import Float

_CHUNK = 1024  # samples that are mapped together


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

    Raises:
        InputError: if there is no such class, or if the seed is out of range.
    """
    parts = list(draw_in_chunks(generator, first, stop, seed=seed, label=label))
    weights = [part.weights for part in parts if part.weights is not None]
    return Samples(
        np.concatenate([part.latent for part in parts]),
        np.concatenate([part.layers for part in parts]),
        np.concatenate(weights) if weights else None,
    )


def draw_in_chunks(generator: Generator, first: int, stop: int, *, seed: int, label: Label = None) -> Iterator[Samples]:
    """Yields the samples that `draw` returns, in chunks."""
    key = synthesis.seeded_key(seed)
    resolved = labels.resolve("all" if label is None and generator.num_classes else label, generator)
    for begin in range(first, stop, _CHUNK):
        indices = jnp.arange(begin, min(begin + _CHUNK, stop))
        z = latents.sample(key, indices, generator.z_dim, generator.prior)
        own = labels.sample(key, indices, resolved, generator.num_classes)
        mapped = np.asarray(synthesis.map_latents(generator, z, own))
        latent = mapped[:, 0] if generator.has_mapping else np.asarray(z)
        yield Samples(latent, mapped, None if own is None else np.asarray(own))
