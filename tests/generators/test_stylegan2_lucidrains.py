"""lucidrains' StyleGAN2 fulfils the generator contract; its numbers are tested with its
converter.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.generators import base, stylegan2_lucidrains, synthesis, zoo

CONFIG = stylegan2_lucidrains.Config(latent_dim=6, channels=(5, 4, 3), mapping_layers=2)


@pytest.fixture(scope="module")
def small():
    return base.split(stylegan2_lucidrains.StyleGAN2Lucidrains(CONFIG, key=jax.random.key(0)))


def _latents(generator, count=2):
    return jax.random.normal(jax.random.key(1), (count, *generator.latent_shape))


def test_it_is_a_network_of_the_contract(small):
    module = small.merge()
    assert isinstance(module, base.Network)
    assert (small.z_dim, small.num_classes, small.class_names, small.resolution) == (6, 0, (), 16)
    assert (small.latent_shape, small.latent_space, small.mean_latent.shape) == ((3, 6), "w", (6,))
    names = base.activation_shapes(small)
    assert names["b8.conv1"] == (8, 8, 4) and names["b16.image"] == (16, 16, 3)
    with pytest.raises(ValueError, match="not conditional"):
        module.map_latents(jnp.ones((1, 6)), jnp.ones((1, 2)))


def test_each_latent_acts_on_its_own_block(small):
    latents = _latents(small, 1)
    module = jax.jit(small.merge())
    for index, side in enumerate((4, 8, 16)):
        before, after = module(latents)[1], module(latents.at[:, index].add(1.0))[1]
        changed = {name for name in before if not np.array_equal(before[name], after[name])}
        assert {f"b{side}.{layer}.style" for layer in ("conv1", "conv2", "torgb")} <= changed
        assert min(int(name[1:].split(".")[0]) for name in changed) == side


def test_offsets_are_added_where_they_are_named(small):
    latents = _latents(small)
    shift = jnp.ones((1, 4))
    style = small.merge()(latents, offsets={"b8.conv2.style": shift})[1]["b8.conv2.style"]
    np.testing.assert_allclose(style - small.merge()(latents)[1]["b8.conv2.style"], 1.0, rtol=1e-5)


def test_truncation_pulls_to_the_mean_latent(small):
    mean = jnp.arange(6.0)
    shifted = small._replace(params={**small.params, "mapping": {**small.params["mapping"], "w_avg": mean}})
    latents = _latents(small, 1)
    pulled = mean + 0.3 * (latents - mean)
    for psi, cutoff, expected in ((0.3, None, pulled), (0.3, 1, latents.at[:, :1].set(pulled[:, :1]))):
        image = synthesis.synthesize(shifted, latents, truncation_psi=psi, truncation_cutoff=cutoff)
        np.testing.assert_allclose(image, synthesis.synthesize(shifted, expected), atol=1e-5)


def test_a_directory_rebuilds_every_configuration(tmp_path):
    config = dataclasses.replace(CONFIG, constant_input=False, image_blur=(), image_channels=4, normalize_latents=False)
    generator = base.split(stylegan2_lucidrains.StyleGAN2Lucidrains(config, key=jax.random.key(0)))
    zoo.save(tmp_path / "made", generator)
    again = zoo.load(tmp_path / "made")
    assert again.config == config
    latents = _latents(generator)
    image = synthesis.synthesize(generator, latents)
    np.testing.assert_array_equal(synthesis.synthesize(again, latents), image)
    assert image.shape == (2, 16, 16, 4)
    half = synthesis.synthesize(zoo.load(tmp_path / "made", compute_dtype="bfloat16"), latents)
    assert half.dtype == jnp.float32 and 0 < jnp.abs(half - image).max() < 0.1 * jnp.abs(image).max()
