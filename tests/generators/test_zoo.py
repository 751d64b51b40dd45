"""The zoo: names and directories become generators, and anything else is answered with
what would be right.
"""

import dataclasses
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.files.checkpoints import CheckpointError
from ganspace_jax.generators import base, stylegan2, stylegan3, synthesis, zoo


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    config = stylegan2.Config(z_dim=3, w_dim=4, channels=(4, 2), mapping_layers=1, conv_clamp=8.0)
    generator = base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))
    directory = tmp_path_factory.mktemp("zoo") / "model"
    zoo.save(directory, generator)
    return generator, directory


def test_a_directory_alone_rebuilds_the_generator(saved):
    generator, directory = saved
    again = zoo.load(directory)
    assert again.merge().config == generator.merge().config
    jax.tree.map(np.testing.assert_array_equal, again.params, generator.params)
    z = jnp.ones((2, 3))
    images = [synthesis.synthesize(g, synthesis.map_latents(g, z)) for g in (generator, again)]
    np.testing.assert_array_equal(*images)


def test_compute_dtype_is_chosen_at_load(saved):
    generator, directory = saved
    half = zoo.load(directory, compute_dtype="bfloat16")
    latents = synthesis.map_latents(half, jnp.ones((2, 3)))
    assert synthesis.activation(half, latents, "b8.conv1").dtype == jnp.bfloat16
    exact = synthesis.synthesize(generator, latents)
    difference = np.abs(np.asarray(synthesis.synthesize(half, latents) - exact)).max()
    assert 0 < difference < 0.05 * np.abs(np.asarray(exact)).max()


def test_the_whole_zoo_loads():
    for name in zoo.ZOO:
        assert isinstance(zoo.load(name).merge(), base.Network)


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        (stylegan2.Config(3, 4, (2,)), "Config(z_dim=3, w_dim=4, channels=(2,), const_channels=None, num_classes=0, "),
        (stylegan3.Config(3, 4, 16), "Config(z_dim=3, w_dim=4, resolution=16, num_classes=0, "),
    ],
)
def test_fields_that_a_later_version_added_are_hashed_only_if_they_act(config, shown):
    """Fingerprints of earlier versions stay. Other images have other fingerprints."""
    (added,) = zoo._ADDED_FIELDS[type(config)]
    value = {"base_size": (4, 2), "square": False}[added]
    described, other = zoo._describe(config), zoo._describe(dataclasses.replace(config, **{added: value}))
    assert described.startswith(shown) and added not in described
    assert f"{added}={value}" in other and config.image_size != dataclasses.replace(config, **{added: value}).image_size


def test_the_fingerprint_of_a_shipped_generator_is_that_of_the_first_release():
    assert zoo.fingerprint(zoo.load("stylegan2-scenes")) == "c91d77271ce4"


def test_unknown_names_get_the_nearest():
    with pytest.raises(CheckpointError, match="did you mean 'stylegan2-scenes'"):
        zoo.load("stylegan2-scene")
    with pytest.raises(CheckpointError, match="neither a generator of the zoo nor a directory or file; the zoo has: "):
        zoo.load("zzz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"family": "stylegan9"}, "unknown family 'stylegan9'; there are stylegan2"),
        ({"colours": 3}, "config.json: .*colours"),
        ({"mapping_layers": 3_000_000}, r"config.json: mapping_layers: is 3e\+06, must be at most 256"),
        ({"channels": [1] * 1000}, "config.json: channels: has 1,000 entries, must have at most 256"),
        ({"z_dim": 10**30}, r"config.json: z_dim: is 1e\+30, must be at most 1,000,000"),
        ({"channels": [4, 3]}, r"array synthesis\.b8\.\S+ has shape"),
    ],
)
def test_configurations_that_do_not_fit_are_named(saved, tmp_path, change, message):
    shutil.copytree(saved[1], tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(CheckpointError, match=message):
        zoo.load(tmp_path / "model")
