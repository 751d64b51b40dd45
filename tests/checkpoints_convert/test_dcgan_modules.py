"""Whole modules of DCGANs: layers that differ from the tutorial's are named."""

import numpy as np
import pytest

from checkpoints_convert import formats, networks
from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import network_pickles
from tests.dcgan_files import drawn
from tests.foreign_pickles import Foreign, dumps, module

FIRST = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
LATER = {**FIRST, "stride": (2, 2), "padding": (1, 1)}


def _layer(file, name, tables=(), **settings):
    empty = {"_parameters": {}, "_buffers": {}, "_modules": {}}
    return Foreign(f"torch.nn.modules.{file}", name, state={**empty, **dict(tables), **settings})


def _converted(tmp_path, **changes):
    """A generator of two convolutions; changes replace its layers or add some."""
    state = {name.removeprefix("main."): array for name, array in drawn((10, 8, 3)).items()}
    norm = {leaf: state[f"1.{leaf}"] for leaf in ("weight", "bias")}
    means = {leaf: state[f"1.{leaf}"] for leaf in ("running_mean", "running_var")}
    layers = {
        "0": ("conv", "ConvTranspose2d", {"_parameters": {"weight": state["0.weight"]}}, FIRST),
        "1": ("batchnorm", "BatchNorm2d", {"_parameters": norm, "_buffers": means}, {"eps": 1e-5}),
        "2": ("activation", "ReLU", {}, {}),
        "3": ("conv", "ConvTranspose2d", {"_parameters": {"weight": state["3.weight"]}}, LATER),
        "4": ("activation", "Tanh", {}, {}),
    }
    for number, change in changes.items():
        file, name, tables, settings = layers.get(number.removeprefix("layer"), ("", "", {}, {}))
        settings = {**settings, **{key: value for key, value in change.items() if key not in ("file", "name")}}
        layers[number.removeprefix("layer")] = change.get("file", file), change.get("name", name), tables, settings
    made = {number: _layer(file, name, tables, **settings) for number, (file, name, tables, settings) in layers.items()}
    generator = module("Generator", modules={"main": _layer("container", "Sequential", {"_modules": made})})
    (tmp_path / "g.pkl").write_bytes(dumps({"netG": generator}))
    found = networks.find(network_pickles.read(tmp_path / "g.pkl"), {})
    format_, network = formats.recognize(formats.Source("g.pkl", "pickle", found))
    return formats.convert(format_, network, {}, "g.pkl")


def test_the_tutorials_layers_and_those_without_effect_convert(tmp_path):
    plain = _converted(tmp_path)
    others = _converted(
        tmp_path, layer5={"file": "dropout", "name": "Dropout2d"}, layer0={"stride": (2, 2)}, layer6={"name": "BCELoss"}
    )
    assert plain.definition == others.definition
    np.testing.assert_array_equal(plain.params["main_0"]["weight"], others.params["main_0"]["weight"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer2": {"name": "LeakyReLU"}}, r"layer main\.2: is a LeakyReLU; only"),
        ({"layer4": {"name": "Sigmoid"}}, r"layer main\.4: is a Sigmoid; only"),
        ({"layer1": {"name": "InstanceNorm2d"}}, r"layer main\.1: is a InstanceNorm2d; only"),
        ({"layer5": {"file": "upsampling", "name": "Upsample"}}, r"layer main\.5: is a Upsample; only"),
        ({"layer0": {"padding": (1, 1)}}, r"layer main\.0: has padding=\(1, 1\); only .*padding=\(0, 0\)"),
        ({"layer3": {"stride": (1, 1)}}, r"layer main\.3: has stride=\(1, 1\); only .*stride=\(2, 2\)"),
        ({"layer3": {"output_padding": (1, 1)}}, r"layer main\.3: has output_padding=\(1, 1\)"),
        ({"layer3": {"groups": 2}}, r"layer main\.3: has groups=2"),
    ],
)
def test_another_layer_or_setting_is_named(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        _converted(tmp_path, **changes)


def test_the_constant_of_the_batch_norms_is_kept(tmp_path):
    assert _converted(tmp_path, layer1={"eps": 0.8}).merge().config.epsilon == 0.8
