"""State dicts of NVIDIA's StyleGAN3 alone: layer names and filters give the network
that the file with constructor arguments gives.
"""

import math

import jax
import ml_dtypes
import numpy as np
import pytest

from checkpoints_convert import formats, networks, stylegan3_state_dicts
from ganspace_jax.errors import InputError
from ganspace_jax.generators import stylegan3, stylegan3_filters
from tests.golden_arrays import GOLDEN

R = {"kernel_size": 1, "radial_filters": True}
PUBLISHED = (
    (1024, 32768, 512, {}), (512, 32768, 512, {}), (256, 16384, 512, {}), (256, 32768, 512, {}), (128, 32768, 512, {}),
    (32, 32768, 512, {}),
    (1024, 65536, 1024, R), (512, 65536, 1024, R), (256, 32768, 1024, R), (64, 65536, 1024, R),
)  # fmt: skip
OTHERS = (
    (256, 32768, 512, {"num_critical": 0}), (256, 32768, 512, {"num_critical": 5}), (32, 123, 77, {"num_critical": 4}),
    (256, 10000, 300, {"num_layers": 10, "margin": 6, "filter_size": 4}), (100, 160, 12, {"num_layers": 5}),
)  # fmt: skip


def _config(resolution, base, most, others):
    return stylegan3.Config(
        z_dim=4, w_dim=5, resolution=resolution, channel_base=base, channel_max=most, mapping_layers=1, **others
    )


def _state(config):
    """Arrays that determine the configuration, with small weights."""
    state: dict[str, np.ndarray] = {"mapping.fc0.weight": np.zeros((config.w_dim, config.z_dim))}
    state["synthesis.input.freqs"] = np.zeros((1, 2))
    for plan in stylegan3.plan_layers(config):
        name = f"synthesis.{plan.name}"
        state[f"{name}.weight"] = np.zeros((1, 1, plan.kernel_size, plan.kernel_size))
        if plan.up_taps > 1:
            state[f"{name}.up_filter"] = plan.up_filter().astype(np.float32)
        if plan.down_taps > 1:
            state[f"{name}.down_filter"] = plan.down_filter().astype(np.float32)
    return state


def _found(state, options=None):
    network = stylegan3_state_dicts.with_arguments(networks.Network("", state), options or {})
    formats_ = [one for one in formats.FORMATS if one.matches(state)]
    assert [one.name for one in formats_] == ["stylegan3_pytorch"]
    return stylegan3.Config(
        z_dim=network.arguments["z_dim"],
        w_dim=network.arguments["w_dim"],
        resolution=network.arguments["img_resolution"],
        mapping_layers=network.arguments["mapping_kwargs"]["num_layers"],
        channel_base=network.arguments["channel_base"],
        channel_max=network.arguments["channel_max"],
        num_layers=network.arguments["num_layers"],
        num_critical=network.arguments["num_critical"],
        first_cutoff=network.arguments["first_cutoff"],
        margin=network.arguments["margin_size"],
        kernel_size=network.arguments["conv_kernel"],
        filter_size=network.arguments["filter_size"],
        radial_filters=network.arguments["use_radial_filters"],
        inner_upsampling=network.arguments["lrelu_upsampling"],
    )


@pytest.mark.parametrize("published", PUBLISHED, ids=str)
def test_published_configurations_are_found(published):
    config = _config(*published)
    assert _found(_state(config)) == config


@pytest.mark.parametrize("other", OTHERS, ids=str)
def test_other_configurations_have_the_same_layers(other):
    config = _config(*other)
    assert stylegan3.plan_layers(_found(_state(config))) == stylegan3.plan_layers(config)


@pytest.mark.parametrize("others", [{"first_cutoff": 3.0}, {"inner_upsampling": 4}], ids=str)
def test_cutoffs_of_a_training_of_its_own_come_from_options(others):
    config = _config(64, 160, 12, others)
    options = {{"inner_upsampling": "lrelu_upsampling"}.get(name, name): value for name, value in others.items()}
    with pytest.raises(InputError, match=r"L\d+_\d+_\d+.*: is another with first_cutoff=2, .* give the values of the"):
        _found(_state(config))
    assert stylegan3.plan_layers(_found(_state(config), options)) == stylegan3.plan_layers(config)


@pytest.mark.parametrize("file", ["stylegan3_t_32", "stylegan3_r_32"])
def test_a_published_layout_is_the_same_without_its_arguments(file):
    found, network = formats.recognize(formats.read(GOLDEN / f"{file}.pkl"))
    expected = formats.convert(found, network, {}, "x")
    alone, options = networks.Network("", network.arrays), {"conv_clamp": expected.merge().config.conv_clamp}
    other = formats.convert(found, alone, options, "x")
    assert other.definition == expected.definition
    jax.tree.map(np.testing.assert_array_equal, other.params, expected.params)
    assert formats.notes(found, network, {}) == []
    (note,) = formats.notes(found, alone, {})
    assert all(words in note for words in ("conv_clamp, taken as 256", "output_scale, taken as 0.25", "lr_multiplier"))


def test_a_transform_for_each_picture_is_dropped_aloud():
    """Encoders of unaligned pictures leave those of their last batch."""
    found, network = formats.recognize(formats.read(GOLDEN / "stylegan3_t_32.pkl"))
    own = np.array([[0, 1, 0.5], [-1, 0, 0.25], [0, 0, 1]], np.float32)
    for rows, expected in (([own, own], own), ([own, np.eye(3)], np.eye(3)), (own, own)):
        changed = network._replace(
            arrays={**network.arrays, "synthesis.input.transform": np.array(rows, np.float32)}, arguments={}, clamps={}
        )
        made = formats.convert(found, changed, {}, "x")
        np.testing.assert_array_equal(made.params["synthesis"]["input"]["transform"], expected)
        is_noted = any("synthesis.input.transform" in note for note in formats.notes(found, changed, {}))
        assert is_noted == (not np.array_equal(expected, own))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda name: "" if ".L2_" in name else name, r"parameters synthesis\.L2_\*: missing from the file"),
        (lambda name: "" if ".L" in name else name, r"parameters synthesis\.L0_\*: missing from the file"),
        (lambda name: "" if "L1_36_12.up_filter" in name else name, r"parameter synthesis\.L1_36_12\.up_filter: is an"),
        (lambda name: name.replace("L1_36", "L1_52"), r"parameter synthesis\.L1_52_12: is another"),
        (lambda name: name.replace("L1_36_12", "L1_36_11"), r"parameter synthesis\.L\d_\d+_\d+: is another"),
    ],
)
def test_a_layer_that_does_not_fit_is_named(change, message):
    state = {change(name): array for name, array in _state(_config(64, 160, 12, {})).items()}
    state.pop("", None)
    with pytest.raises(InputError, match=message):
        _found(state)


def test_a_filter_that_does_not_fit_is_named():
    state = _state(_config(64, 160, 12, {}))
    name = next(name for name in reversed(state) if name.endswith("down_filter"))
    for wrong in (state[name] * 1.001, state[name][:-1], state[name][None], np.float32(1.0)):
        with pytest.raises(InputError, match=f"parameter {name}: is another"):
            _found({**state, name: wrong})
    for option, value in (("first_cutoff", 0), ("output_scale", -1), ("lrelu_upsampling", math.nan)):
        with pytest.raises(InputError, match=f"--option={option}=.*: must be positive"):
            _found(state, {option: value})


def test_a_design_of_another_length_is_not_made():
    """It could need any memory, because the names of layers give its length."""
    for shape in ((10**9,), (12, 12)):
        assert not stylegan3_state_dicts._is_design(np.zeros(12), shape, None)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_filters_of_another_precision_give_the_same_network(dtype):
    config = _config(64, 160, 12, {})
    state = _state(config)
    assert _found({name: array.astype(dtype) for name, array in state.items()}) == _found(state)
    name = next(name for name in state if name.endswith("down_filter"))
    with pytest.raises(InputError, match=f"parameter {name}: is another"):
        _found({**state, name: (state[name] * 1.02).astype(dtype)})


def test_very_many_layers_are_refused_before_they_are_planned():
    state = {f"synthesis.L{index}_999999999_9.weight": np.zeros((1, 1, 1, 1), np.float32) for index in range(999)}
    with pytest.raises(InputError, match="999 layers; networks of up to 40 layers convert"):
        _found({"synthesis.input.freqs": np.zeros((1, 2), np.float32), **state})


def test_a_long_row_in_place_of_a_radial_filter_is_refused_before_the_design(monkeypatch):
    source = formats.read(GOLDEN / "stylegan3_r_32.pkl")
    found, network = formats.recognize(source)
    row = np.zeros(12, np.float32)
    arrays = {name: row if name.endswith("down_filter") else array for name, array in network.arrays.items()}
    monkeypatch.setattr(stylegan3_filters, "radial_lowpass", None)
    with pytest.raises(InputError, match="down_filter: not the filter that the constructor arguments give"):
        formats.convert(found, network._replace(arrays=arrays), {}, "x.pkl")
