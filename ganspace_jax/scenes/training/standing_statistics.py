"""Standing statistics: batch norm's means and variances for each truncation.

They are BigGAN's, section 3.1.

During training, batch norm uses each batch's own statistics. Afterwards the generator
gets fixed statistics, collected over many samples at each truncation. With fixed
statistics an image no longer depends on the other images in its batch.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ganspace_jax.generators import base
from ganspace_jax.generators.biggan_deep import BigGANDeep
from ganspace_jax.sampling import labels, latents
from ganspace_jax.shapes import Array, PRNGKey

BatchStatistics = dict[str, Array]  # mean and variance of each batch norm: "layers.0.bn_1.mean"


def collect(generator: BigGANDeep, key: PRNGKey, *, num_batches: int = 8, batch_size: int = 64) -> BigGANDeep:
    """Returns the generator with statistics at each of its truncations.

    The samples are of all classes. The statistics are those of all batches together.
    The mean is the mean of the batches' means. The variance is the mean of the batches'
    variances plus the variance of their means.

    Args:
        num_batches: number of batches at each truncation.
        batch_size: samples per batch.
    """
    split = base.split(generator)
    num_steps = generator.config.num_statistics
    params = split.params
    for row in range(num_steps):
        psi = row / max(num_steps - 1, 1) if num_steps > 1 else 1.0
        batches = [
            _read_batch(*split, key, jnp.float32(psi), first, batch_size)
            for first in range(0, num_batches * batch_size, batch_size)
        ]
        params = _write(params, row, _pooled(batches))
    return nnx.merge(split.definition, params)


@functools.partial(jax.jit, static_argnames=("definition", "batch_size"))
def _read_batch(definition, params, key, psi, first, batch_size) -> BatchStatistics:
    """Returns the statistics of one batch.

    Every truncation uses the same z and labels, so that its rows differ only by psi.
    """
    generator: Any = base.merge(definition, params)
    indices = first + jnp.arange(batch_size)
    z = psi * latents.sample(key, indices, generator.z_dim, generator.prior)
    label = labels.sample(key, indices, "all", generator.num_classes)
    activations = generator(generator.map_latents(z), label=label, batch_statistics=True)[1]
    return {name: value for name, value in activations.items() if name.endswith((".mean", ".variance"))}


def _pooled(batches: list[BatchStatistics]) -> BatchStatistics:
    """Returns the statistics of the samples of equally large batches."""
    result = {}
    for name in (name.removesuffix(".mean") for name in batches[0] if name.endswith(".mean")):
        means = jnp.stack([batch[f"{name}.mean"] for batch in batches])
        variances = jnp.stack([batch[f"{name}.variance"] for batch in batches])
        result |= {f"{name}.mean": means.mean(0), f"{name}.variance": variances.mean(0) + means.var(0)}
    return result


def _write(params: Any, row: int, statistics: BatchStatistics) -> Any:
    """Writes statistics into a row of the generator's arrays.

    layers.0.bn_1.mean -> params["layers_0"]["bn_1"]["running_means"][row]
    """
    params = jax.tree.map(lambda x: x, params)
    for name, value in statistics.items():
        *path, kind = name.replace("layers.", "layers_").split(".")
        place = functools.reduce(lambda tree, part: tree[part], path, params)
        stored = {"mean": "running_means", "variance": "running_vars"}[kind]
        place[stored] = place[stored].at[row].set(value)
    return params
