"""Growing: the larger networks begin by computing what the smaller ones computed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ganspace_jax.errors import InputError
from ganspace_jax.files import checkpoints
from ganspace_jax.generators import base, biggan_deep, ops, stylegan2, synthesis, zoo
from ganspace_jax.sampling import latents
from ganspace_jax.scenes import probe
from ganspace_jax.scenes.factors import sample_factors
from ganspace_jax.scenes.rendering import render
from ganspace_jax.scenes.training import discriminator as discriminators
from ganspace_jax.scenes.training import growing, spectral_norm


def _generator(channels, seed):
    config = stylegan2.Config(z_dim=8, w_dim=8, channels=channels, mapping_layers=2, use_noise=False)
    return stylegan2.StyleGAN2(config, key=jax.random.key(seed))


def _discriminator(channels, seed):
    return discriminators.Discriminator(discriminators.Config(channels), key=jax.random.key(seed))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A run of 8x8 pixels: its networks and its workdir."""
    directory = tmp_path_factory.mktemp("small")
    generator, discriminator = _generator((12, 8), 1), _discriminator((6, 10), 2)
    zoo.save(directory / "generator", base.split(generator))
    discriminators.save(directory / "discriminator", discriminator)
    return generator, discriminator, directory


def test_grown_generator_makes_the_old_image_larger(small):
    generator, _, directory = small
    grown = growing.grow_generator(_generator((12, 8, 4), 3), directory / "generator")
    z = jax.random.normal(jax.random.key(4), (5, 8))
    old, new = (np.asarray(g(g.map_latents(z))[0]) for g in (generator, grown))
    assert new.shape == (5, 16, 16, 3)
    np.testing.assert_allclose(new, ops.upsample2d(jnp.asarray(old), (1, 3, 3, 1)), atol=1e-6)


def test_grown_discriminator_judges_larger_pixels_alike(small):
    _, discriminator, directory = small
    grown = growing.grow_discriminator(_discriminator((6, 6, 10), 5), directory / "discriminator")
    images = jax.random.normal(jax.random.key(6), (8, 8, 8, 3))
    larger = jnp.repeat(jnp.repeat(images, 2, axis=1), 2, axis=2)
    np.testing.assert_allclose(grown(larger), discriminator(images), rtol=1e-4, atol=1e-5)


def test_new_layers_learn(small):
    """The identity is a start, not a dead end: a gradient reaches every parameter of
    the new blocks' output layers.
    """
    _, _, directory = small
    z = jax.random.normal(jax.random.key(4), (4, 8))
    generator = growing.grow_generator(_generator((12, 8, 4), 3), directory / "generator")
    discriminator = growing.grow_discriminator(_discriminator((6, 6, 10), 5), directory / "discriminator")

    def loss(networks):
        made, judge = (nnx.merge(d, s) for d, s in zip(definitions, networks, strict=True))
        return jnp.sum(judge(made(made.map_latents(z))[0]))

    definitions, states = zip(*(nnx.split(network) for network in (generator, discriminator)), strict=True)
    of_generator, of_discriminator = jax.grad(loss)(states)
    assert np.all(np.asarray(of_generator["synthesis"]["b16"]["torgb"]["weight"][...]) != 0)
    assert np.all(np.asarray(of_discriminator["b16"]["conv1"]["weight"][...]) != 0)


def test_same_resolution_continues(small):
    generator, discriminator, directory = small
    again = growing.grow_generator(_generator((12, 8), 7), directory / "generator")
    judge = growing.grow_discriminator(_discriminator((6, 10), 8), directory / "discriminator")
    for old, new in ((generator, again), (discriminator, judge)):
        jax.tree.map(np.testing.assert_array_equal, nnx.state(old), nnx.state(new))


def test_what_does_not_fit_is_refused(small):
    """Four times the resolution, other widths, and a first block that cannot be the
    identity: each is named.
    """
    directory = small[2]
    with pytest.raises(InputError, match="has 8 pixels; to grow to 32, it must have 16 or 32"):
        growing.grow_generator(_generator((12, 8, 4, 4), 3), directory / "generator")
    with pytest.raises(InputError, match=r"generator: array \S+ has shape"):
        growing.grow_generator(_generator((12, 10, 4), 3), directory / "generator")
    with pytest.raises(InputError, match="--discriminator_channels: .* 4 and 6"):
        growing.grow_discriminator(_discriminator((4, 6, 10), 5), directory / "discriminator")


def test_the_shipped_stylegan2_can_be_trained_on():
    """They fit the present code, and the discriminator tells rendered scenes from the
    generator's blurred ones.
    """
    shipped = zoo.ZOO["stylegan2-scenes"]
    channels = tuple(checkpoints.load_config(shipped / "discriminator")["channels"])
    discriminator = growing.grow_discriminator(_discriminator(channels, 0), shipped / "discriminator")
    factors = sample_factors(jax.random.key(1), 32)
    real = render(factors, 32, supersampling=2)
    blurred = ops.upsample2d(real.reshape(32, 16, 2, 16, 2, 3).mean((2, 4)), (1, 3, 3, 1))
    assert float(jnp.mean(discriminator(real) > discriminator(blurred))) > 0.9


def test_the_shipped_biggan_draws_what_it_is_asked_for():
    """Every shape, as the shipped probe reads it."""
    generator, classes = zoo.load("biggan-deep-scenes"), np.arange(60) % 6
    z = latents.sample(jax.random.key(1), jnp.arange(60), generator.merge().z_dim, generator.merge().prior)
    drawn = synthesis.synthesize(generator, synthesis.map_latents(generator, z), label=jax.nn.one_hot(classes, 6))
    assert np.mean(probe.read_factors(probe.load(probe.SHIPPED), drawn).shape == classes) > 0.9


def test_the_shipped_biggan_can_be_trained_on():
    """Its discriminator fits the present code, and prefers a rendered scene with its
    own label to others.
    """
    shipped = zoo.ZOO["biggan-deep-scenes"]
    config = {k: v for k, v in checkpoints.load_config(shipped / "discriminator").items() if k != "family"}
    empty = discriminators.Discriminator(
        discriminators.Config(**{**config, "channels": tuple(config["channels"])}), key=jax.random.key(0)
    )
    definition, params = nnx.split(growing.grow_discriminator(empty, shipped / "discriminator"))
    vectors = spectral_norm.init(params, jax.random.key(0))
    discriminator = nnx.merge(definition, spectral_norm.normalize(params, vectors, num_iterations=20)[0])
    factors = sample_factors(jax.random.key(1), 64)
    real, label = render(factors, 32, supersampling=2), jax.nn.one_hot(factors.shape, 6)
    right, wrong = (discriminator(real, one) for one in (label, jnp.roll(label, 1, axis=1)))
    assert np.mean(right > wrong) > 0.9


def _biggan(blocks, seed):
    config = biggan_deep.Config(4, 3, 8, biggan_deep.parse_blocks(blocks), attention_position=1, num_statistics=1)
    return biggan_deep.BigGANDeep(config, key=jax.random.key(seed))


def test_a_grown_biggan_hands_the_old_activations_on(tmp_path):
    """Every trained array is kept, and without what the new block adds the image is the
    old one, larger.
    """
    old, grown = _biggan(["4-4", "4-2up"], 1), _biggan(["4-4", "4-2up", "2-2up"], 2)
    zoo.save(tmp_path, base.split(old))
    grown = growing.grow_generator(grown, tmp_path)
    z, label = jax.random.normal(jax.random.key(3), (5, 4)), jax.nn.one_hot(jnp.arange(5) % 3, 3)
    grown.layers_3.conv_3.weight[...] = jnp.zeros_like(grown.layers_3.conv_3.weight[...])
    (_, small), (_, large) = (g(g.map_latents(z), label=label) for g in (old, grown))
    doubled = np.repeat(np.repeat(small["bn"], 2, axis=1), 2, axis=2)
    np.testing.assert_allclose(large["bn"], doubled, atol=1e-6)
    np.testing.assert_array_equal(grown.conv_to_rgb.weight[...], old.conv_to_rgb.weight[...])


def test_a_biggan_grows_only_behind_its_blocks(tmp_path):
    zoo.save(tmp_path, base.split(_biggan(["4-4", "4-2up"], 1)))
    for blocks in (["4-4", "4-4", "4-2up"], ["4-4", "4-2up", "2-1up"]):
        with pytest.raises(InputError, match="--blocks: .* have to come first"):
            growing.grow_generator(_biggan(blocks, 2), tmp_path)


def test_under_spectral_norm_the_shortcut_is_the_identity(tmp_path):
    make = lambda channels, seed: discriminators.Discriminator(  # noqa: E731
        discriminators.Config(channels, num_classes=3, equalized=False), key=jax.random.key(seed)
    )
    old = make((6, 10), 1)
    discriminators.save(tmp_path, old)
    grown = growing.grow_discriminator(make((6, 6, 10), 2), tmp_path)
    np.testing.assert_array_equal(grown.b16.skip.weight[0, 0], np.eye(6))
    np.testing.assert_array_equal(grown.b8.conv0.weight[...], old.b8.conv0.weight[...])
    largest = np.linalg.svd(np.asarray(grown.b16.conv1.weight).reshape(-1, 6), compute_uv=False)
    np.testing.assert_allclose(largest, 1.0, rtol=1e-5)
