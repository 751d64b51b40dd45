"""Effects: changes of known size are measured as such, and a component that does nothing moves no factor."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan2
from ganspace_jax.measures import effects
from ganspace_jax.scenes import probe
from ganspace_jax.scenes import rendering as scenes
from tests import calls


@pytest.fixture(scope="module")
def factors():
    return scenes.sample_factors(jax.random.key(0), 400)


@pytest.mark.parametrize("name", [*scenes.CONTINUOUS])
def test_a_known_shift_has_its_size(factors, name):
    """A tenth of the range is sqrt(12) / 10 standard deviations of a uniform factor; circular ones wrap."""
    low, high = scenes.RANGES[name]
    moved = getattr(factors, name) + 0.1 * (high - low)
    if name in scenes.CIRCULAR:
        moved = low + (moved - low) % (high - low)
    changes = effects.change(name, factors, factors._replace(**{name: moved}))
    shown = ~np.isnan(changes)
    assert shown.sum() == (400 if name != "rotation" else np.isin(factors.shape, (3, 4, 5)).sum())
    np.testing.assert_allclose(changes[shown], 0.1 * np.sqrt(12), rtol=1e-3)
    back = effects.change(name, factors._replace(**{name: moved}), factors)
    np.testing.assert_allclose(back[shown], -changes[shown], rtol=1e-3)


def test_shape_counts_the_images_that_change(factors):
    changed = jnp.where(jnp.arange(400) < 100, (factors.shape + 1) % len(scenes.SHAPES), factors.shape)
    assert effects.change("shape", factors, factors._replace(shape=changed)).mean() == 0.25


def test_rotation_counts_where_it_shows(factors):
    """Turning spheres is not seen, and does not count as no change."""
    turned = factors._replace(rotation=(factors.rotation + 0.3) % (np.pi / 2))
    round_ones = [f._replace(shape=jnp.zeros_like(f.shape)) for f in (factors, turned)]
    assert np.isnan(effects.change("rotation", *round_ones)).all()


def test_summary_is_over_the_images_that_show_the_factor():
    changes = np.zeros((1, 4, len(effects.FACTORS)))
    changes[0, :, 2] = [3.0, -3.0, 4.0, -4.0]
    changes[0, :, 6] = [1.0, 2.0, np.nan, np.nan]
    changes[0, :, 7] = np.nan
    found = effects.summarize(changes)
    np.testing.assert_allclose(found.size[0, [2, 6, 7]], [np.sqrt(12.5), np.sqrt(2.5), 0.0])
    np.testing.assert_allclose(found.slope[0, [2, 6, 7]], [0.0, 1.5, 0.0])


@pytest.fixture(scope="module")
def generator():
    config = stylegan2.Config(z_dim=4, w_dim=5, channels=(4, 4, 4, 4), mapping_layers=2, mapping_learning_rate=1.0)
    return base.split(stylegan2.StyleGAN2(config, key=jax.random.key(1)))


@pytest.fixture(scope="module")
def reader():
    config = probe.Config(resolution=32, channels=(4, 4), dense_width=8)
    return probe.split(probe.Probe(config, key=jax.random.key(2)))


def test_measure_follows_sigma_and_layers(generator, reader):
    """No step, no effect; a longer step, a larger one; layers that are left alone make a difference."""
    found = calls.decompose(generator, num_samples=500, num_components=2, batch_size=100)
    none, some, more, early = (
        effects.summarize(effects.measure(generator, found, reader, num_samples=16, sigma=sigma, layers=layers))
        for sigma, layers in ((0.0, None), (0.5, None), (2.0, None), (2.0, (0, 1)))
    )
    assert none.size.shape == (2, len(effects.FACTORS)) and np.all(none.size == 0)
    assert np.all(more.size.sum(1) > some.size.sum(1)) and np.all(some.size.sum(1) > 0)
    assert np.any(early.size != more.size)
    assert np.all(np.abs(more.slope) <= more.size + 1e-9)


def test_directions_of_another_space_are_refused(generator, reader):
    found = calls.decompose(generator, latent_space="z", num_samples=500, num_components=2, batch_size=100)
    with pytest.raises(InputError, match="directions in z, but this generator's layers take w"):
        effects.measure(generator, found, reader, num_samples=2)


def test_table_and_strongest_agree():
    size = np.zeros((2, len(effects.FACTORS)))
    size[0, 3], size[1, 7], size[1, 2] = 1.25, 0.5, 0.25
    found = effects.Effects(effects.FACTORS, size, size)
    assert effects.strongest(found, 1) == [effects.FACTORS[7], effects.FACTORS[2]]
    lines = effects.table(found, [0, 1]).splitlines()
    assert len(lines) == 4 and [line.count("**") for line in lines[2:]] == [2, 2]
    assert lines[2].split(" | ")[4] == "**1.25**" and lines[3].split(" | ")[8] == "**0.50**"
