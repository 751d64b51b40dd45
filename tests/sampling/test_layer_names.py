"""Layers by the names of other codes: names and numbers are those of the reference
arrays.
"""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

from checkpoints_convert import biggan_huggingface, progan_netdissect, stylegan_tensorflow
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, dcgan, progan, stylegan, stylegan2, stylegan3, synthesis
from ganspace_jax.sampling import layer_names, layers
from ganspace_jax.sampling.layers import LayerSpec
from tests import golden_arrays
from tests.golden_arrays import error, load, part

TOLERANCE = 1e-4
WITHIN_THE_MAPPING = ("style.", "g_mapping.", "input")


def _small(module, kind, **settings):
    return base.split(kind(module.Config(**settings), key=jax.random.key(0)))


@pytest.fixture(scope="module")
def small_stylegan2():
    return _small(stylegan2, stylegan2.StyleGAN2, z_dim=6, w_dim=6, channels=(4, 4, 4), mapping_layers=2)


@pytest.fixture(scope="module")
def small_progan():
    return _small(progan, progan.ProGAN, z_dim=5, channels=(6, 5, 4))


def _golden(name):
    arrays = load(name)
    parameters = part(arrays, "param/")
    if name == "stylegan2_rosinality_f32":
        return golden_arrays.stylegan2_generator(arrays), arrays
    if name == "stylegan1_tf_64":
        config: Any = arrays["config"]
        return stylegan_tensorflow.convert(parameters, config["G_static_kwargs"]), arrays
    if name == "progan_32":
        return progan_netdissect.convert(parameters), arrays
    config: Any = arrays["config"]
    return biggan_huggingface.convert(parameters, config["config_json"]), {**arrays, **load(f"{name}_acts")}


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize("name", ["stylegan2_rosinality_f32", "stylegan1_tf_64", "progan_32", "biggan_deep_hf_128"])
def test_a_name_of_the_originals_network_means_the_layer_with_its_numbers(name):
    generator, arrays = _golden(name)
    label = jnp.asarray(arrays["input/label"]) if "input/label" in arrays else None
    latents = synthesis.map_latents(generator, jnp.asarray(arrays["input/z"]))
    activations = jax.jit(lambda x, y: generator.merge()(x, label=y))(latents, label)[1]
    references = part(arrays, "output/act/")
    found = {theirs for theirs in references if not theirs.startswith(WITHIN_THE_MAPPING)}
    assert len(found) >= 8
    for theirs in found:
        assert error(activations[layers.find(theirs, generator)], references[theirs]) < TOLERANCE, theirs
    for theirs in references.keys() - found:
        with pytest.raises(InputError, match="lies within the mapping network|is a constant"):
            layers.find(theirs, generator)


def test_names_of_nvidias_code(small_stylegan2):
    small = _small(stylegan3, stylegan3.StyleGAN3, z_dim=4, w_dim=4, resolution=16, channel_base=64, channel_max=4)
    assert layers.find("mapping", small_stylegan2) == layers.find("mapping", small) == "w"
    assert layers.find("synthesis.b8.conv0.affine", small_stylegan2) == "b8.conv0.style"
    assert layers.find("synthesis.input", small) == layers.find("input", small) == "input"
    own = next(layer for layer in layers.layer_shapes(small) if layer.startswith("L3_") and "." not in layer)
    assert layers.find(f"synthesis.{own}", small) == layers.find(f"synthesis.{own}".lower(), small) == own


def test_the_latent_and_the_image_have_names_too(small_stylegan2, small_progan):
    small = _small(stylegan, stylegan.StyleGAN, z_dim=4, w_dim=4, channels=(4, 4), mapping_layers=2)
    assert layers.find("style", small_stylegan2) == layers.find("g_mapping", small) == "w"
    assert layers.find("g_synthesis", small) == "torgb"
    assert layers.find("g_synthesis.blocks.8x8", small) == "b8.epi2"
    assert layers.find("output_16x16", small_progan) == "output"
    assert layers.find("layer3.relu", small_progan) == "layer3"


def test_all_names_lead_to_layers_and_none_hides_a_layer(small_stylegan2, small_progan):
    for generator in (small_stylegan2, small_progan):
        shapes = layers.layer_shapes(generator)
        names = layer_names.of_other_codes(generator, shapes)
        assert names and set(names.values()) <= set(shapes) and not set(names) & set(shapes)
        assert all(layers.find(layer, generator) == layer for layer in list(shapes)[1:4])


def test_a_spec_is_resolved_to_our_name(small_stylegan2):
    resolved = layers.resolve(LayerSpec("convs.1"), small_stylegan2)
    assert resolved == layers.resolve(LayerSpec("b8.conv1"), small_stylegan2)
    assert layers.describe_name("convs.1", resolved.layer) == "layer convs.1: b8.conv1 of this generator"
    assert layers.describe_name("b8.conv1", resolved.layer) == layers.describe_name(None, "w") == ""


def test_a_name_of_another_family_is_no_layer(small_progan):
    """StyleGAN has a layer b8.conv1 as well, but no convs.1."""
    small = _small(stylegan, stylegan.StyleGAN, z_dim=4, w_dim=4, channels=(4, 4), mapping_layers=2)
    deep = _small(dcgan, dcgan.DCGAN, z_dim=4, channels=(4, 4))
    for name, generator in (("convs.1", small), ("style", small_progan), ("style.3", small_progan), ("gen_z", deep)):
        with pytest.raises(InputError, match=f"--layer={name}: this generator has no such layer"):
            layers.find(name, generator)


def test_an_unknown_layer_is_refused_with_near_names_only(small_stylegan2):
    for name, near in (("b8.conv", "'b8.conv"), ("convs.8", "'convs.")):
        with pytest.raises(
            InputError, match=f"--layer={name}: .*; did you mean {near}.* --list_layers lists all"
        ) as error:
            layers.find(name, small_stylegan2)
        assert len(str(error.value)) < 220 and "torgb.style" not in str(error.value)
