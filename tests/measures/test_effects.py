"""Effects: they grow with the step, stay in the moved layers, and have the known size
of an affine generator.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan2, synthesis
from ganspace_jax.measures import effects
from ganspace_jax.measures.scorers import Scorer
from tests import calls

NAMES = ("bright", "red", "left", "hidden")


def _read(images):
    """Mean, the sign of the mean as a category, a half's mean; and a value that only
    some images show.
    """
    images = np.asarray(images, np.float64)
    bright = images.mean((1, 2, 3))
    hidden = np.where(np.arange(len(images)) % 2, bright, np.nan)
    return np.stack([bright, images[..., 0].mean((1, 2)) > 0, images[:, :, :8].mean((1, 2, 3)), hidden], axis=1)


SCORER = Scorer(NAMES, np.array([0.5, 1.0, 0.25, 0.5]), (None,) * 4, ("red",), _read)


def test_summary_is_over_the_images_that_show_the_value():
    changes = np.zeros((1, 4, 3))
    changes[0, :, 0] = [3.0, -3.0, 4.0, -4.0]
    changes[0, :, 1] = [1.0, 2.0, np.nan, np.nan]
    changes[0, :, 2] = np.nan
    found = effects.summarize(changes, ["a", "b", "c"])
    assert found.names == ("a", "b", "c")
    np.testing.assert_allclose(found.size, [[np.sqrt(12.5), np.sqrt(2.5), 0.0]])
    np.testing.assert_allclose(found.slope, [[0.0, 1.5, 0.0]])


@pytest.fixture(scope="module")
def generator():
    config = stylegan2.Config(z_dim=4, w_dim=5, channels=(4, 4, 4), mapping_layers=2, mapping_learning_rate=1.0)
    return base.split(stylegan2.StyleGAN2(config, key=jax.random.key(1)))


@pytest.fixture(scope="module")
def components(generator):
    return calls.decompose(generator, num_samples=500, num_components=2, batch_size=100)


def test_changes_are_those_of_the_images_at_both_ends(generator, components):
    """Edits written out by hand give the images; the changes are the differences of the
    readings.
    """
    module = generator.merge()
    found = effects.measure(generator, components, SCORER, num_samples=6, sigma=1.5, seed=4)
    assert found.shape == (2, 6, 4)
    z = jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(jax.random.key(4), i), (4,)))(jnp.arange(6))
    start = np.asarray(synthesis.map_latents(generator, z))
    for k in range(2):
        step = 1.5 * components.latent_stdevs[k] * components.latent_components[k]
        before, after = (_read(module(jnp.asarray(start + sign * step))[0]) for sign in (-1, 1))
        expected = (after - before) / SCORER.scales
        expected[:, 1] = before[:, 1] != after[:, 1]
        np.testing.assert_allclose(found[k], expected, rtol=1e-3, atol=1e-4)
        assert np.isnan(found[k, :, 3]).tolist() == [True, False] * 3


def test_measure_follows_sigma_and_layers(generator, components):
    """No step has no effect; a longer step has a larger effect; unmoved layers make a
    difference.
    """
    none, some, more, early = (
        effects.summarize(
            effects.measure(generator, components, SCORER, num_samples=16, sigma=sigma, layers=layers), NAMES
        )
        for sigma, layers in ((0.0, None), (0.5, None), (2.0, None), (2.0, (0, 1)))
    )
    assert none.size.shape == (2, 4) and np.all(none.size == 0)
    assert np.all(more.size.sum(1) > some.size.sum(1)) and np.all(some.size.sum(1) > 0)
    assert np.any(early.size != more.size)
    assert np.all(np.abs(more.slope) <= more.size + 1e-9)


def test_directions_of_another_space_are_refused(generator):
    found = calls.decompose(generator, latent_space="z", num_samples=500, num_components=2, batch_size=100)
    with pytest.raises(InputError, match="directions in z, but this generator's layers hold w"):
        effects.measure(generator, found, SCORER, num_samples=2)


def test_table_and_strongest_agree():
    size = np.zeros((2, 8))
    size[0, 3], size[1, 7], size[1, 2] = 1.25, 0.5, 0.25
    found = effects.Effects(tuple("abcdefg_"), size, size)
    assert effects.strongest(found, 1) == ["_", "c"]
    lines = effects.table(found, [0, 1]).splitlines()
    assert len(lines) == 4 and [line.count("**") for line in lines[2:]] == [2, 2]
    assert lines[2].split(" | ")[4] == "**1.25**" and lines[3].split(" | ")[8] == "**0.50** |"


def test_measure_at_given_latents_is_measure_at_random_ones(generator, components):
    z = jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(jax.random.key(4), i), (4,)))(jnp.arange(3))
    start = np.asarray(synthesis.map_latents(generator, z))
    random = effects.measure(generator, components, SCORER, num_samples=3, sigma=1.5, layers=(0, 2), seed=4)
    own = effects.measure_at(generator, components, SCORER, start, None, sigma=1.5, layers=(0, 2))
    np.testing.assert_allclose(own, random, rtol=1e-4, atol=1e-5)
    other = effects.measure_at(generator, components, SCORER, start[:1] + 1, None, sigma=1.5, layers=(0, 2))
    assert other.shape == (2, 1, 4) and np.abs(other - own[:, :1])[..., 0].max() > 1e-3
