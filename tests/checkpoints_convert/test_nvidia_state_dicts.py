"""State dicts of NVIDIA's StyleGAN2 alone: their arrays and two published values make
the network that the file with constructor arguments makes.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from checkpoints_convert import assembly, formats, networks, nvidia_state_dicts
from ganspace_jax.errors import InputError
from ganspace_jax.generators import stylegan2, zoo
from tests import stylegan2_files
from tests.golden_arrays import GOLDEN

BASE = stylegan2.Config(z_dim=4, w_dim=5, channels=(4, 2, 3), conv_clamp=256.0)
CONFIGURATIONS = {
    "skip": BASE,
    "resnet": dataclasses.replace(BASE, architecture="resnet", image_channels=4, mapping_layers=2),
    "orig": dataclasses.replace(BASE, architecture="orig", image_channels=1, mapping_layers=3, mapping_width=7),
    "classes": dataclasses.replace(BASE, num_classes=3, z_dim=6),
    "narrow embedding": dataclasses.replace(BASE, num_classes=3, embed_width=2, mapping_width=6),
    "one mapping layer": dataclasses.replace(BASE, mapping_layers=1),
    "no noise": dataclasses.replace(BASE, use_noise=False),
    "another filter": dataclasses.replace(BASE, resample_filter=(1.0, 4.0, 2.0, 1.0)),
    "a long filter": dataclasses.replace(BASE, resample_filter=(1.0, 7.0, 21.0, 35.0, 35.0, 21.0, 7.0, 1.0)),
    "one resolution": dataclasses.replace(BASE, channels=(4,)),
}


def _drawn(config):
    """A generator with all its arrays from one normal distribution."""
    abstract, rng = zoo.abstract_generator("stylegan2", config), np.random.default_rng(0)
    draw = lambda x: jnp.asarray(rng.standard_normal(x.shape, np.float32))  # noqa: E731
    return abstract._replace(params=jax.tree.map(draw, abstract.params))


def _state(config):
    """A state dict, with a filter of eight taps or more as a row, and the generator."""
    generator = _drawn(config)
    state, _, _ = stylegan2_files.as_pytorch(generator)
    for name in state if len(config.resample_filter) >= 8 else ():
        if name.endswith("resample_filter"):
            state[name] = state[name].sum(0)
    return state, generator


def _converted(state, options=None, **others):
    network = networks.Network("", state, **others)
    (found,) = (one for one in formats.FORMATS if one.matches(state))
    assert found.name == "stylegan2_pytorch"
    return formats.convert(found, network, options or {}, "x.pt"), formats.notes(found, network, options or {})


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_arrays_alone_give_the_network_back(name):
    state, generator = _state(CONFIGURATIONS[name])
    found, _ = _converted(state)
    assert found.merge().config == CONFIGURATIONS[name]
    jax.tree.map(np.testing.assert_array_equal, found.params, generator.params)


@pytest.mark.parametrize("file", ["stylegan2_ada_ffhq32", "stylegan2_ada_cifar32"])
def test_a_published_layout_is_the_same_without_its_arguments(file):
    found, network = formats.recognize(formats.read(GOLDEN / f"{file}.pkl"))
    expected = formats.convert(found, network, {}, "x")
    clamp = expected.merge().config.conv_clamp or math.inf
    alone, _ = _converted(network.arrays, {"conv_clamp": clamp})
    assert alone.definition == expected.definition
    jax.tree.map(np.testing.assert_array_equal, alone.params, expected.params)


@pytest.mark.parametrize(
    ("options", "clamp", "rate", "said"),
    [
        ({}, 256.0, 0.01, ["conv_clamp, taken as 256", "lr_multiplier, taken as 0.01", "--option=conv_clamp=NUMBER"]),
        ({"conv_clamp": 0.5}, 0.5, 0.01, ["lr_multiplier, taken as 0.01", "--option=lr_multiplier=NUMBER"]),
        ({"lr_multiplier": 1}, 256.0, 1.0, ["conv_clamp, taken as 256", "conv_clamp=inf"]),
        ({"conv_clamp": math.inf, "lr_multiplier": 0.5}, None, 0.5, None),
    ],
)
def test_facts_that_no_array_contains_are_assumed_aloud(options, clamp, rate, said):
    found, notes = _converted(_state(BASE)[0], options)
    config = found.merge().config
    assert (config.conv_clamp, config.mapping_learning_rate) == (clamp, rate)
    assert len(notes) == (said is not None)
    assert all(words in notes[0] for words in said or ()) and not any(
        f"{name}, taken" in str(notes) for name in options
    )


def test_layers_of_a_module_without_arguments_give_the_clamp():
    found, notes = _converted(_state(BASE)[0], clamps={"synthesis.b4.conv1": 0.25})
    assert found.merge().config.conv_clamp == 0.25
    assert "conv_clamp" not in notes[0] and "lr_multiplier, taken as 0.01" in notes[0]
    with pytest.raises(InputError, match=r"x\.pt: --option=conv_clamp: the layers in the file contain it"):
        _converted(_state(BASE)[0], {"conv_clamp": 1}, clamps={"synthesis.b4.conv1": 0.25})


def test_a_file_with_arguments_takes_no_option_and_has_no_note():
    state, source, layers = stylegan2_files.as_pytorch(_drawn(BASE))
    found, notes = _converted(state, arguments=source, clamps=layers)
    assert notes == [] and found.merge().config == BASE
    with pytest.raises(InputError, match=r"--option=lr_multiplier: the file contains its arguments; leave"):
        _converted(state, {"lr_multiplier": 1}, arguments=source, clamps=layers)


def test_a_network_without_a_mean_w_gets_one():
    """As training with w_avg_beta=None leaves it."""
    state, _ = _state(BASE)
    del state["mapping.w_avg"]
    w_avg = _converted(state)[0].params["mapping"]["w_avg"]
    assert w_avg.shape == (5,) and np.abs(w_avg).min() > 0


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("mapping.fc0.weight", None, r"parameter mapping\.fc0\.weight: missing"),
        ("synthesis.b16.torgb.bias", None, r"parameter synthesis\.b16\.torgb\.bias: missing"),
        ("synthesis.b8.conv1.noise_strength", None, r"parameter synthesis\.b8\.conv1\.noise_strength: missing"),
        ("synthesis.b8.resample_filter", np.zeros((4, 4)), r"b8\.resample_filter: has shape \(4, 4\) and no taps"),
        ("synthesis.b16.resample_filter", np.eye(4), r"b16\.resample_filter: not the filter"),
        ("synthesis.b8.attention.weight", np.eye(4), r"b8\.attention\.weight: nothing in this architecture uses it"),
        ("encoder.weight", np.eye(4), r"parameter encoder\.weight: nothing in this architecture uses it"),
    ],
)
def test_an_array_that_does_not_fit_is_named(name, array, message):
    state, _ = _state(BASE)
    changed = {key: value for key, value in state.items() if key != name}
    with pytest.raises(InputError, match=r"^x\.pt: .*" + message):
        _converted(changed if array is None else {**changed, name: array})


@pytest.mark.parametrize("option", ["conv_clamp", "lr_multiplier"])
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_an_option_must_be_positive(option, value):
    with pytest.raises(InputError, match=f"--option={option}=.*: must be positive"):
        _converted(_state(BASE)[0], {option: value})


def test_a_configuration_of_another_code_gives_no_arguments():
    """A directory's config.json lies beside any state dict."""
    state, _ = _state(BASE)
    plain, with_config = (networks.Network("", state, arguments) for arguments in ({}, {"z_dim": 99, "layers": []}))
    found, expected = (nvidia_state_dicts.with_arguments(one, {}).arguments for one in (with_config, plain))
    assert found == expected and found["z_dim"] == 4
    whole = with_config._replace(class_name="training.Generator")  # of a whole module, which stores its arguments
    assert nvidia_state_dicts.has_arguments(whole, {})


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_counter_of_an_averaged_model_is_left_out(prefix):
    state, _ = _state(BASE)
    content = {f"{prefix}{name}": array for name, array in state.items()}
    (network,) = networks.find({"n_averaged": np.array(7), **content}, {})
    assert network.arrays.keys() == state.keys()


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_arrays_of_half_precision_become_single(dtype):
    state, _ = _state(dataclasses.replace(BASE, resample_filter=(1.0, 3.0, 3.0, 1.0)))
    network = networks.Network("", {name: np.asarray(array).astype(dtype) for name, array in state.items()})
    (found,) = (one for one in formats.FORMATS if one.matches(network.arrays))
    made = formats.convert(found, network, {}, "x.pt")
    assert {leaf.dtype for leaf in jax.tree.leaves(made.params)} == {np.dtype(np.float32)}
    tensors = assembly.Tensors(network.arrays)
    assert tensors.take("synthesis.b4.const").dtype == np.float32
