"""The encoder: its sizes, its files, what it learns, and the shipped ones."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.files import checkpoints
from ganspace_jax.generators import base, biggan, biggan_deep, stylegan2, synthesis, zoo
from ganspace_jax.sampling import encoder, encoder_training, inversion_losses, random_samples, reading_training
from ganspace_jax.scenes import factors, rendering

STYLEGAN = stylegan2.Config(z_dim=6, w_dim=5, channels=(6, 5), mapping_layers=2)
SMALL = {"channels": (8, 8), "dense_width": 24}


def _generator(config=STYLEGAN, network=stylegan2.StyleGAN2, seed=0):
    return base.split(network(config, key=jax.random.key(seed)))


@pytest.fixture(scope="module")
def generator():
    return _generator()


@pytest.fixture(scope="module")
def reader(generator):
    return encoder.new(generator, key=jax.random.key(1), **SMALL)


def test_whitened_latents_of_samples_have_unit_covariance(generator, reader):
    """So that every direction counts as much as it varies."""
    w = random_samples.draw(generator, 0, 4000, seed=3).layers
    whitened = np.asarray(reader.network().whiten(jnp.asarray(w)), np.float64)
    np.testing.assert_allclose(whitened.mean(0), 0.0, atol=0.1)
    np.testing.assert_allclose(np.cov(whitened, rowvar=False), np.eye(5), atol=0.15)


def test_latents_undo_whitening(generator, reader):
    w = random_samples.draw(generator, 0, 7, seed=4).layers
    np.testing.assert_allclose(reader.network().latents(reader.network().whiten(jnp.asarray(w))), w, atol=1e-4)


def _biggan_deep():
    config = biggan_deep.Config(
        z_dim=5, num_classes=3, channel_width=4, blocks=((False, 2, 2), (True, 2, 1)), attention_position=1,
        num_statistics=2,
    )  # fmt: skip
    return _generator(config, biggan_deep.BigGANDeep)


def test_a_generator_with_classes_has_class_probabilities():
    generator = _biggan_deep()
    reader = encoder.new(generator, key=jax.random.key(0), **SMALL)
    samples = encoder_training.draw(generator, jax.random.key(2), 0, 4)
    latents, weights = encoder.encode(reader, samples.images)
    assert latents.shape == (4, *generator.latent_shape) and weights.shape == (4, 3)
    np.testing.assert_allclose(weights.sum(1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(latents, np.repeat(latents[:, :1], latents.shape[1], 1))
    assert encoder.encode(reader, -samples.images)[1].shape == (4, 3)


def test_chunks_of_one_z_are_all_read():
    """BigGAN's layers hold parts of z, so their latents differ."""
    config = biggan.Config(6, 3, ((True, 4, 4),), embed_width=3)
    generator = _generator(config, biggan.BigGAN)
    reader = encoder.new(generator, key=jax.random.key(0), **SMALL)
    assert reader.config.is_chunked and reader.config.target_size == generator.z_dim
    samples = encoder_training.draw(generator, jax.random.key(2), 0, 3)
    network = reader.network()
    np.testing.assert_allclose(network.latents(network.whiten(samples.latents)), samples.latents, atol=1e-4)


@pytest.mark.parametrize(
    ("image_size", "read_size"),
    [((8, 8), (8, 8)), ((1024, 1024), (64, 64)), ((4, 6), (8, 8)), ((96, 64), (64, 40)), ((512, 256), (64, 32))],
)
def test_images_are_read_at_64_px_at_most(image_size, read_size):
    config = encoder.Config("", (*image_size, 3), (2, 5), is_chunked=False, num_classes=0)
    assert config.read_size == read_size
    network = encoder.Network(config, key=jax.random.key(0))
    assert network(jnp.zeros((1, *image_size, 3))).whitened.shape == (1, 5)


def test_reduced_images_are_means_over_areas():
    images = jax.random.uniform(jax.random.key(0), (2, 16, 8, 3))
    expected = np.asarray(images, np.float64).reshape(2, 8, 2, 4, 2, 3).mean((2, 4))
    np.testing.assert_allclose(encoder.reduced(images, (8, 4)), expected, atol=1e-6)
    uneven = encoder.reduced(images, (6, 5))
    np.testing.assert_allclose(uneven.mean((1, 2)), images.mean((1, 2)), atol=1e-5)


def test_saved_encoder_comes_back_bit_equal(tmp_path, generator, reader):
    encoder.save(tmp_path / "encoder", reader)
    loaded = encoder.load(tmp_path / "encoder", generator)
    assert loaded.config == reader.config and loaded.definition == reader.definition
    jax.tree.map(np.testing.assert_array_equal, loaded.params, reader.params)


def test_the_encoder_of_another_generator_is_refused(tmp_path, generator, reader):
    """Even if its configuration is the same; the message names both."""
    encoder.save(tmp_path / "encoder", reader)
    other = _generator(seed=1)
    with pytest.raises(InputError, match=f"encoder.*{zoo.fingerprint(generator)}.*{zoo.fingerprint(other)}"):
        encoder.load(tmp_path / "encoder", other)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"family": "stylegan2"}, "'stylegan2', not an encoder"),
        ({"colour": 1}, "colour"),
        ({"channels": []}, "number of entries"),
        ({"dense_width": 10**9}, "out of range"),
        ({"image_shape": [-8, 8, 3]}, "out of range"),
    ],
)
def test_what_is_not_an_encoder_is_refused(tmp_path, reader, change, reason):
    encoder.save(tmp_path / "encoder", reader)
    path = tmp_path / "encoder" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(checkpoints.CheckpointError, match=f"encoder.*{reason}"):
        encoder.load(tmp_path / "encoder")


def test_images_of_another_size_are_refused(reader):
    with pytest.raises(InputError, match=r"\[2, 16, 16, 3\].* \[n, 8, 8, 3\]"):
        encoder.encode(reader, np.zeros((2, 16, 16, 3), np.float32))


def test_the_loss_is_the_unexplained_fraction_of_variance(generator, reader):
    """Outputs of zero explain nothing; the metric weighs directions."""
    samples = encoder_training.draw(generator, jax.random.key(5), 0, 2000)
    network = reader.network()
    network.head.weight[...] = jnp.zeros_like(network.head.weight[...])
    whitened = np.asarray(network.whiten(samples.latents), np.float64)
    assert float(encoder_training.loss(network, samples, jnp.eye(5))[0]) == pytest.approx(1.0, abs=0.1)
    metric = jnp.zeros((5, 5)).at[2, 2].set(5.0)
    expected = np.square(whitened[:, 2]).mean()
    assert float(encoder_training.loss(network, samples, metric)[0]) == pytest.approx(expected, rel=1e-4)


def test_the_metric_is_the_effect_on_the_image(generator, reader, monkeypatch):
    """Compared with finite differences along each whitened coordinate."""
    monkeypatch.setattr(encoder_training, "_METRIC_JACOBIANS", 1)
    key = jax.random.key(6)
    metric = encoder_training.image_metric(reader, generator, key)
    samples, network = encoder_training.draw(generator, key, 0, 4), reader.network()
    base_point, step = network.whiten(samples.latents), 1e-2

    def make(whitened):
        return np.asarray(synthesis.synthesize(generator, network.latents(whitened)), np.float64).reshape(-1)

    columns = [make(base_point.at[:, k].add(step)) - make(base_point.at[:, k].add(-step)) for k in range(5)]
    product = np.array(columns) @ np.array(columns).T
    expected = 0.95 * product * 5 / np.trace(product) + 0.05 * np.eye(5)
    np.testing.assert_allclose(metric, expected, atol=0.02 * np.abs(expected).max())
    assert np.trace(metric) == pytest.approx(5.0, rel=1e-5)


def test_training_learns_and_compiles_once(generator, reader):
    recipe = reading_training.Recipe(num_images=9600, batch_size=64, learning_rate=5e-3)
    definitions = reader.definition, generator.definition
    program = encoder_training.Program(generator.params, jnp.eye(5), jax.random.key(7))
    state = reading_training.init(jax.tree.map(jnp.copy, reader.params), recipe)
    encoder_training.update.clear_cache()
    for _ in range(recipe.num_steps):
        state, terms = encoder_training.update(definitions, recipe, program, state)
    assert encoder_training.update._cache_size() == 1
    assert float(terms["latents"]) < 0.7
    trained = encoder.Encoder(reader.definition, state.params)
    np.testing.assert_array_equal(trained.params["scale"], reader.params["scale"])
    before, after = (encoder_training.accuracy(one, generator, jax.random.key(8), 100, 64) for one in (reader, trained))
    assert after["explained"] > before["explained"] + 0.2 and after["psnr_median"] > before["psnr_median"] + 1.0


@pytest.mark.parametrize(("name", "least"), [("stylegan2-scenes", 22.0), ("biggan-deep-scenes", 20.0)])
def test_the_shipped_encoders_read_rendered_scenes(name, least):
    """Scenes of the renderer, which training never used."""
    generator = zoo.load(name)
    shipped = encoder.load(zoo.resolve(name) / "encoder", generator)
    true = factors.sample_factors(jax.random.key(20_240_601), 128)
    images = rendering.render_in_chunks(true, 32, 2)
    latents, weights = encoder.encode(shipped, images)
    if weights is not None:
        assert np.mean(np.asarray(weights.argmax(1)) == np.asarray(true.shape)) >= 0.8
        weights = jax.nn.one_hot(weights.argmax(1), generator.num_classes)
    made = synthesis.synthesize(generator, latents, synthesis.Synthesis(label=weights))
    assert np.median(inversion_losses.psnr(made, np.clip(images, -1, 1))) >= least
