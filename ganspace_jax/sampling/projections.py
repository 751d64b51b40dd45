"""Coordinates of samples of a layer along given directions, and their latents."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ganspace_jax.errors import InputError
from ganspace_jax.generators import synthesis
from ganspace_jax.generators.base import Generator
from ganspace_jax.run import Progress, Run
from ganspace_jax.sampling import layers, scored_images
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.shapes import Array, Float, Int, PRNGKey

_CHUNK_BYTES = 2**27  # of the layer
_MOST_ROWS = 1024


class Projections(NamedTuple):
    """Samples of a layer.

    Attributes:
        coordinates: coordinates along the directions.
        latents: latents of the samples; no columns if the layer is the latent itself.
    """

    coordinates: Float[np.ndarray, "n c"]
    latents: Float[np.ndarray, "n l"]


def measure(
    generator: Generator, spec: LayerSpec, directions: Float[np.ndarray, "c d"], mean: Float[np.ndarray, "d"],
    *, num_samples: int, seed: int, run: Run = Run(),
) -> Projections:  # fmt: skip
    """Returns the coordinates (y - mean) V^T of samples 0 to num_samples - 1 of a seed.

    Args:
        generator: the generator.
        spec: resolved layer.
        directions: rows V.
        mean: mean of the flattened layer.
        num_samples: number of samples.
        seed: seed of the samples, which are those of a decomposition.
        run: samples per step, progress and stopping.

    Raises:
        InputError: if an activation is not finite.
        Interrupted: if run.should_stop returned True.
    """
    key, rows = synthesis.seeded_key(seed), jnp.asarray(directions, jnp.float32)
    size = run.batch_size or max(1, min(_MOST_ROWS, _CHUNK_BYTES // (4 * len(mean))))
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for indices, count in scored_images.batches(num_samples, size):
        found = _project(
            generator.definition, generator.params, spec.layer_spec(), key, jnp.asarray(indices), rows,
            jnp.asarray(mean, jnp.float32),
        )  # fmt: skip
        parts.append((np.asarray(found[0])[:count], np.asarray(found[1])[:count]))
        if not np.isfinite(parts[-1][0]).all():
            raise InputError(f"layer {spec.layer}: NaN or infinity in samples {indices[0]} to {indices[count - 1]}")
        run.report(Progress(int(indices[count - 1]) + 1, num_samples, "sample", "coordinates"))
        scored_images.check_stop(run)
    return Projections(*(np.concatenate(part).astype(np.float64) for part in zip(*parts, strict=True)))


@functools.partial(jax.jit, static_argnames=("definition", "spec"))
def _project(
    definition: Any, params: Any, spec: LayerSpec, key: PRNGKey, indices: Int[Array, "n"], rows: Array, mean: Array
) -> tuple[Array, Array]:
    activation, latent = layers.read(Generator(definition, params), spec, key, indices)
    return jnp.matmul(activation - mean, rows.T, precision=lax.Precision.HIGHEST), latent
