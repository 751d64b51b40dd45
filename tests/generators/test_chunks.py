"""Batches in pieces are what they are as a whole, on the CPU alone."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.generators import base, biggan_deep, chunks, stylegan2, synthesis
from ganspace_jax.sampling import layers
from ganspace_jax.sampling.layers import LayerSpec


def _run(batch):
    x, keys, nothing = batch
    assert nothing is None
    return {"rows": x * 2.0 + jax.vmap(jax.random.normal)(keys)[:, None], "sum": x.sum(1)}


@pytest.mark.parametrize("count", [1, 5, 8, 9])
def test_rows_come_back_in_their_order(count):
    """Of 4 to a piece, the last one filled up."""
    x = jnp.arange(count * 3.0).reshape(count, 3)
    batch = (x, jax.random.split(jax.random.key(0), count), None)
    sizes = []

    def run(batch):
        sizes.append(len(batch[0]))
        return _run(batch)

    found = jax.jit(lambda batch: chunks.in_chunks(run, batch, chunks._CACHE_BYTES // 4))(batch)
    assert min(sizes) == {1: 1, 5: 3, 8: 4, 9: 3}[count]
    jax.tree.map(np.testing.assert_array_equal, found, _run(batch))


def test_other_devices_take_the_batch_whole():
    batch = (jnp.ones((8, 3)), jax.random.split(jax.random.key(0), 8), None)
    traced = jax.jit(lambda batch: chunks.in_chunks(lambda batch: batch[0] * 2.0, batch, chunks._CACHE_BYTES)).trace(
        batch
    )
    assert "while" in traced.lower(lowering_platforms=("cpu",)).as_text()
    assert "while" not in traced.lower(lowering_platforms=("tpu",)).as_text()


def test_images_and_activations_are_those_of_whole_batches(monkeypatch):
    """With random noise, an offset for all rows and one for each; a row a piece, as
    where one image fills the cache.
    """
    config = stylegan2.Config(z_dim=4, w_dim=4, channels=(6, 5, 3), mapping_layers=2)
    generator = base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))
    shapes = base.activation_shapes(generator)
    assert chunks.largest_activation(generator, "b8.conv0") == 4 * 8 * 8 * 5
    assert chunks.largest_activation(generator, "b4.conv1.style") == 0
    z = jax.random.normal(jax.random.key(1), (5, 4))
    offsets = {
        "b8.conv1": jnp.arange(math.prod(shapes["b8.conv1"]) / 1.0).reshape(shapes["b8.conv1"]) / 100,
        "b4.conv1": jnp.arange(5.0)[:, None, None, None],
    }
    spec = LayerSpec("b16.conv0", "w")

    def results():
        jax.clear_caches()
        settings = dict(noise=jax.random.split(jax.random.key(2), 5), offsets=offsets)
        image, activations = synthesis.synthesize_with_activations(
            generator, synthesis.map_latents(generator, z), ("b16.conv1",), **settings
        )
        observe = jax.jit(lambda: layers.read(generator, spec, jax.random.key(0), jnp.arange(5)))
        return image, activations, observe(), "while" in observe.lower().as_text()

    *whole, _ = results()
    monkeypatch.setattr(chunks, "_CACHE_BYTES", 1)
    monkeypatch.setattr(jax, "local_device_count", lambda backend: 1)
    *cut, in_pieces = results()
    assert in_pieces
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), cut, whole)


def test_each_sample_keeps_its_class(monkeypatch):
    config = biggan_deep.Config(5, 3, 4, ((False, 2, 2),), attention_position=-1, embed_width=2, num_statistics=3)
    generator = base.split(biggan_deep.BigGANDeep(config, key=jax.random.key(0)))
    spec = LayerSpec("layers.0", "z", "all")
    observe = lambda: layers.read(generator, spec, jax.random.key(0), jnp.arange(6))  # noqa: E731
    whole = observe()
    monkeypatch.setattr(chunks, "_CACHE_BYTES", 1)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), observe(), whole)
