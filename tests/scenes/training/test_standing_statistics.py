"""Standing statistics: those of all samples together, at each truncation, whatever the
batches.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.generators import base, biggan_deep
from ganspace_jax.sampling import labels, latents
from ganspace_jax.scenes.training import standing_statistics


@pytest.fixture(scope="module")
def generator():
    config = biggan_deep.Config(4, 3, 8, ((False, 2, 2), (True, 2, 1)), attention_position=-1, num_statistics=3)
    return biggan_deep.BigGANDeep(config, key=jax.random.key(0))


def _first_input(generator, psi, count):
    """gen_z's output for the samples that `collect` draws: the input of the first batch
    norm, known in closed form.
    """
    key, indices = jax.random.key(5), jnp.arange(count)
    z = psi * latents.sample(key, indices, 4, "truncated_normal")
    label = labels.sample(key, indices, "all", 3)
    x = generator(generator.map_latents(z), label=label)[1]["gen_z"]
    return np.asarray(x, np.float64).reshape(-1, 16)


@pytest.mark.parametrize("batches", [(1, 64), (8, 8)])
def test_statistics_are_those_of_all_samples(generator, batches):
    collected = standing_statistics.collect(generator, jax.random.key(5), num_batches=batches[0], batch_size=batches[1])
    for row, psi in enumerate((0.0, 0.5, 1.0)):
        x = _first_input(generator, psi, 64)
        norm = collected.layers_0.bn_0
        np.testing.assert_allclose(norm.running_means[...][row], x.mean(0), atol=1e-5)
        np.testing.assert_allclose(norm.running_vars[...][row], x.var(0), rtol=1e-4)


def test_images_no_longer_depend_on_their_batch(generator):
    """And with one batch's own statistics stored, that batch's images are those of
    training.
    """
    collected = standing_statistics.collect(generator, jax.random.key(5), num_batches=1, batch_size=16)
    key, indices = jax.random.key(5), jnp.arange(16)
    mapped = collected.map_latents(latents.sample(key, indices, 4, "truncated_normal"))
    label = labels.sample(key, indices, "all", 3)
    trained = collected(mapped, label=label, batch_statistics=True)[0]
    np.testing.assert_allclose(collected(mapped, label=label)[0], trained, atol=1e-4)
    np.testing.assert_allclose(collected(mapped[:3], label=label[:3])[0], trained[:3], atol=1e-4)


def test_nothing_but_statistics_changes(generator):
    collected = base.split(
        standing_statistics.collect(generator, jax.random.key(5), num_batches=1, batch_size=8)
    ).params
    before = base.split(generator).params
    for (path, old), new in zip(jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(collected), strict=True):
        name = jax.tree_util.keystr(path)
        assert bool(np.any(np.asarray(old) != np.asarray(new))) == ("running" in name), name
