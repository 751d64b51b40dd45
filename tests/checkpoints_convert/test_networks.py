"""Networks are found wherever they lie in a file, and an object of an unknown class
matters only where a network needs it.
"""

import pathlib

import numpy as np
import pytest

from checkpoints_convert import formats, networks
from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import network_pickles, torch_files
from ganspace_jax.files.inert.records import Name, Record
from ganspace_jax.files.inert.torch_tensors import PERSISTENT
from tests.dcgan_files import drawn
from tests.foreign_pickles import Foreign, dumps, instructions, module, zip_file

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"
ONE = np.ones(1, np.float32)


def _found(tmp_path, value):
    """The networks of a pickle, by name in their order."""
    (tmp_path / "file.pkl").write_bytes(dumps(value))
    found = networks.find(network_pickles.read(tmp_path / "file.pkl"), {})
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


def _module(class_name="Generator", modules=None, **state):
    tables = {"_parameters": {"w": ONE}, "_buffers": {}, "_modules": modules or {}}
    return Record(Name(PERSISTENT, class_name), state={**tables, **state})


def test_constructor_arguments_are_joined_and_clamps_read_from_the_layers():
    layers = {
        "b4": _module(modules={"conv1": _module(conv_clamp=np.int64(256))}),
        "b8": _module(conv_clamp=None),
        "no": None,
    }
    arguments = {"img_channels": np.int64(3), "mapping_kwargs": {"num_layers": np.int64(2)}}
    root = _module(_init_args=(64, 0, 32, 16), _init_kwargs=arguments, modules={"synthesis": _module(modules=layers)})
    (network,) = networks.find({"G": root, "G_ema": None, "D": None}, {})
    expected = {"z_dim": 64, "c_dim": 0, "w_dim": 32, "img_resolution": 16, "img_channels": 3}
    assert network.arguments == {**expected, "mapping_kwargs": {"num_layers": 2}}
    assert type(network.arguments["img_channels"]) is int
    assert network.clamps == {"synthesis.b4.conv1": 256.0, "synthesis.b8": None}
    with pytest.raises(
        InputError, match=r"conv_clamp: 256\.0 in synthesis\.b4\.conv1 and None in synthesis\.b8; only one"
    ):
        networks.conv_clamp(network)


def test_arguments_of_another_network_do_not_refuse_the_file():
    """As a discriminator's; a converter refuses by name what it does not know."""
    found = networks.find(
        {"G": _module(_init_args=(1,) * 7), "D": _module(_init_args=3, _init_kwargs=[], conv_clamp="x")}, {}
    )
    first, second = ({one.name: one for one in found}[name] for name in "GD")
    assert list(first.arguments)[5:] == ["number 6", "number 7"]
    assert second.arguments == {} and second.foreign == {"conv_clamp": "str"}


def test_attributes_are_the_arguments_of_a_plain_class(tmp_path):
    sizes = {"z_dim": 4, "c_dim": 0, "w_dim": 5, "img_resolution": 8, "img_channels": 3}
    mapping = module("MappingNetwork", modules={"fc0": module("Layer", {"weight": ONE}, bias_gain=0.5)}, num_layers=3)
    found = _found(tmp_path, {"G": module("Generator", modules={"mapping": mapping}, **sizes)})
    assert found["G"].arguments == {**sizes, "mapping_kwargs": {"num_layers": 3, "lr_multiplier": 0.5}}
    config = Foreign("huggingface", "Config", state={"output_dim": 128})
    assert _found(tmp_path, module("BigGAN", {"w": ONE}, config=config))[""].arguments == {"output_dim": 128}


def _network(**state):
    return Record(Name("tfutil", "Network"), state={"variables": [("lod", np.float32(0))], **state})


def test_a_components_variables_and_arguments_are_joined():
    part = {"static_kwargs": {"depth": 8, "own": 1}, "build_func_name": "f", "variables": [("w", np.ones(2))]}
    parts = {"mapping": _network(**part), "other": _network(variables=[], build_func_name=b"g"), "none": None}
    whole = {"static_kwargs": {"own": 2}, "components": parts}
    (network,) = networks.find((None, None, _network(**whole)), {})
    assert (network.name, network.class_name) == ("Gs", "tfutil.Network")
    assert set(network.arrays) == {"mapping/w", "lod"}
    assert network.arguments == {"own": 2, "depth": 8, "mapping_func": "f"}
    whole["static_kwargs"] |= {"mapping_func": "h"}
    assert networks.find((None, None, _network(**whole)), {})[0].arguments["mapping_func"] == "h"
    for broken in ({"variables": [("w", None)]}, {"static_kwargs": 1}, {"components": {"a": {}}}, {"variables": 3}):
        with pytest.raises(InputError, match="variables|static_kwargs|where a network belongs"):
            networks.find((None, None, _network(**broken)), {})


@pytest.mark.parametrize("file", ["stylegan2_tf_f32.pkl", "stylegan2_ada_ffhq32.pkl"])
@pytest.mark.parametrize("place", [
    lambda g, d, average: average, lambda g, d, average: (average,), lambda g, d, average: (d, average, g, 3),
    lambda g, d, average: {"step": 3, "models": [{"x": (average, d)}]},
    lambda g, d, average: Record(Name("own", "Trainer"), state={"average": average, "D": d, "steps": 5}),
    lambda g, d, average: Record(Name("own", "make"), (1, average)),
])  # fmt: skip
def test_nvidias_networks_are_found_anywhere(file, place):
    content = network_pickles.read(GOLDEN / file)
    g, d, average = content if isinstance(content, tuple) else (content[name] for name in ("G", "D", "G_ema"))
    expected = networks.find(content, {})[0]
    found, network = formats.recognize(formats.Source("x", "pickle", networks.find(place(g, d, average), {})))
    assert found.name == ("stylegan2_tensorflow" if "tf" in file else "stylegan2_pytorch")
    assert network.arguments == expected.arguments and network.clamps == expected.clamps
    assert network.arrays.keys() == expected.arrays.keys()
    assert all(network.arrays[name] is array or array.size for name, array in expected.arrays.items())
    name = next(name for name in expected.arrays if name.endswith(("const", "w_avg")))
    np.testing.assert_array_equal(network.arrays[name], expected.arrays[name])


def test_networks_have_their_own_names_outside_of_the_usual_three():
    own, other = _network(name="Gs"), _network(name="E")
    assert [one.name for one in networks.find((other, own), {})] == ["Gs", "E"]
    assert [one.name for one in networks.find({"a": _network(name="b\n")}, {})] == ["a"]


def test_all_networks_are_found_moving_averages_first(tmp_path):
    found = _found(
        tmp_path, {"G": module("G", {"w": ONE}), "D": module("D", {"w": ONE}), "G_ema": module("G", {"w": ONE})}
    )
    assert list(found) == ["G_ema", "G", "D"]


def _dcgan():
    """The whole module of a DCGAN: one Sequential in a class of the author's own."""
    layers = {}
    for name, array in drawn((10, 8, 3)).items():
        _, number, leaf = name.split(".")
        kind = "_buffers" if leaf.startswith(("running", "num")) else "_parameters"
        tables = layers.setdefault(number, {"_parameters": {}, "_buffers": {}, "_modules": {}})
        tables[kind][leaf] = array
    kinds = [("conv", "ConvTranspose2d"), ("batchnorm", "BatchNorm2d")]
    made = {
        number: Foreign(f"torch.nn.modules.{file}", name, state=tables)
        for number, tables in layers.items()
        for file, name in [kinds["running_mean" in tables["_buffers"]]]
    }
    main = Foreign("torch.nn.modules.container", "Sequential", state={"_modules": made})
    return module("Generator", modules={"main": main})


def _pair(generator):
    """A module of both networks."""
    layers = module("Block", {"0.weight": np.ones((8, 3, 4, 4)), "1.weight": np.ones((1, 8, 4, 4))})
    return module("Gan", modules={"netD": module("Discriminator", modules={"main": layers}), "netG": generator})


def _adam():
    return Foreign("torch.optim", "Adam", state={"state": {}, "param_groups": [{"params": [np.ones(2)]}]})


HOLDERS = {
    "alone": lambda g: g,
    "DataParallel": lambda g: Foreign("torch.nn.parallel.data_parallel", "DataParallel", state={"_modules": {"module": g}}),
    "average": lambda g: module("AveragedModel", buffers={"n_averaged": np.array(3)}, modules={"module": g}),
    "average of an own class": lambda g: Foreign("ema", "EMA", state={"ema_model": g, "decay": 0.9}),
    "trainer": lambda g: {"trainer": Foreign("lightning", "Trainer", state={"model": _pair(g), "optimizers": [_adam()]})},
    "attribute of a module": lambda g: module("Lit", {"w": ONE}, helpers=[g]),
    "items": lambda g: Foreign("collections", "deque", items=(1, g)),
    "entries": lambda g: Foreign("own", "Dict", entries={"g": g}),
}  # fmt: skip


@pytest.mark.parametrize("holder", HOLDERS)
def test_whole_modules_are_found_anywhere_and_equal_their_state_dict(tmp_path, holder):
    found = networks.find(_written(tmp_path, HOLDERS[holder](_dcgan())), {})
    format_, network = formats.recognize(formats.Source("x", "pickle", found))
    assert format_.name == "dcgan" and network.foreign == {}
    assert network.arrays.keys() == drawn((10, 8, 3)).keys()
    for name, array in drawn((10, 8, 3)).items():
        np.testing.assert_array_equal(network.arrays[name], array)
    formats.convert(format_, network, {}, "x")


def _written(tmp_path, value):
    (tmp_path / "file.pkl").write_bytes(dumps(value))
    return network_pickles.read(tmp_path / "file.pkl")


def test_a_part_of_a_network_does_not_come_before_the_whole(tmp_path):
    """One module below a network is no reason to leave out the network's own arrays."""
    inner = module("Net", modules={"a": module("A", {"w": ONE})})
    own, number = {"labels": np.ones((2, 3))}, {"steps": np.array(4)}
    assert list(_found(tmp_path, module("G", own, modules={"net": inner}))) == ["", "net"]
    assert list(_found(tmp_path, module("Average", number, modules={"net": inner}))) == ["net", ""]


def test_a_generator_comes_before_the_object_around_it(tmp_path):
    found = _found(tmp_path, _pair(module("Generator", {"w": ONE}, modules={"layer": module("A")})))
    assert list(found) == ["netG", "netD", ""]


def test_objects_in_a_state_dict_matter_only_where_parameters_belong(tmp_path):
    state = {f"module.{name}": array for name, array in drawn((10, 8, 3)).items()}
    beside = {
        "args": Foreign("own", "Args"),
        "main.0._extra_state": Foreign("io", "BytesIO"),
        "best": Foreign("own", "Best"),
    }
    (network,) = networks.find(_written(tmp_path, {"g": {**state, **beside}, "opt": Foreign("torch", "Adam")}), {})
    assert network.foreign == {}
    state["module.main.0.weight"] = Foreign("quant.boxes", "PackedTensor", (1,))
    source = formats.Source("x", "pickle", networks.find(_written(tmp_path, {"g": state}), {}))
    assert source.networks[0].foreign == {"main.0.weight": "quant.boxes.PackedTensor"}


@pytest.mark.parametrize("name", ["input.input", "convs.0.conv.weight", "style.1.bias", "conv1.conv.modulation.weight"])
def test_a_parameter_that_is_an_object_is_named(name):
    """Also if it is one of those by which a layout is recognized."""
    content = torch_files.read(GOLDEN / "stylegan2_rosinality_f32.pt")
    content["g_ema"][name] = Record(Name("quant.boxes", "PackedTensor"))
    found, network = formats.recognize(formats.Source("x.pt", "torch file", networks.find(content, {})))
    with pytest.raises(InputError, match=rf"^x\.pt: parameter {name}: is a quant\.boxes\.PackedTensor; only arrays"):
        formats.convert(found, network, {}, "x.pt")


def test_what_is_no_array_in_a_module_or_a_network_of_tensorflow_is_named(tmp_path):
    packed = Foreign("own", "Packed")
    found = _found(tmp_path, {"G": module("G", {"w": ONE, "v": packed}, modules={"scripted": packed, "b": 3})})
    assert found["G"].foreign == {"v": "own.Packed", "scripted": "own.Packed", "b": "int"}
    (network,) = networks.find(_network(variables=[("w", ONE), ("v", Record(Name("own", "Packed")))]), {})
    assert network.foreign == {"v": "own.Packed"}


def test_a_call_beside_the_network_is_neither_made_nor_in_the_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    canary = Foreign("posix", "system", ("touch CANARY",))
    entries = map(instructions, ("g", _dcgan(), "hook", [canary], canary, canary))
    zip_file(tmp_path / "a.pt", b"\x80\x02}(" + b"".join(entries) + b"u.")
    found, network = formats.recognize(formats.read(tmp_path / "a.pt"))
    assert formats.convert(found, network, {}, "a.pt").merge().z_dim == 10
    assert {path.name for path in tmp_path.iterdir()} == {"a.pt"}


def test_objects_without_end_are_searched_in_bounded_time():
    """Records within records, records of each other, and modules of each other."""
    deep = Record(Name("a", "B"), state={"g": {"w": ONE}})
    assert [one.name for one in networks.find(deep, {})] == ["g"]
    for _ in range(2000):
        deep = Record(Name("a", "B"), (deep, deep), state={"x": deep})
    ring = Record(Name("a", "B"), state={"g": {"w": ONE}})
    ring.state["ring"] = [ring, {"again": ring}]
    assert networks.find(deep, {}) == ()
    assert [one.name for one in networks.find({"a": ring}, {})] == ["a.g"]
    doubled = Record(Name("a", "B"), state={"_parameters": {"w": ONE}, "_modules": {}})
    for _ in range(50):
        doubled = Record(Name("a", "B"), state={"_modules": {"a": doubled, "b": doubled}})
    with pytest.raises(InputError, match="contains too many modules and arrays"):
        networks.find(doubled, {})
    many = {"_parameters": {str(index): ONE for index in range(networks._MAX_ARRAYS + 1)}}
    with pytest.raises(InputError, match="a network of more than 10,000 arrays"):
        networks.find(Record(Name("a", "B"), state=many), {})


def test_the_same_values_in_many_places_are_searched_in_bounded_time():
    """Children of one module, state dicts, and components with long names."""
    leaf = Record(Name("a", "B"), state={"_modules": {"x": Record(Name("a", "B"), state={"_modules": {}})}})
    for _ in range(3):
        leaf = Record(Name("a", "B"), state={"_modules": {f"c{index}": leaf for index in range(300)}})
    with pytest.raises(InputError, match="contains too many modules and arrays"):
        networks.find(leaf, {})
    state = {f"{index}.w": ONE for index in range(1000)}
    assert len(networks.find([state] * 100, {})) == 100
    with pytest.raises(InputError, match="contains too many modules and arrays"):
        networks.find([state] * 201, {})
    network = _network()
    for _ in range(16):
        network = _network(components={"a" * 390: network, "b" * 390: network})
    with pytest.raises(InputError, match="contains too many modules and arrays"):
        networks.find(network, {})


def test_long_texts_in_arguments_use_up_visits():
    texts = _network(variables=[("w", ONE)], static_kwargs={"a": [np.array(["x" * 4000])] * 300})
    assert len(networks.find((None, None, texts), {})[0].arguments["a"]) == 300
    texts.state["components"] = {
        str(index): _network(static_kwargs=texts.state["static_kwargs"]) for index in range(20)
    }
    with pytest.raises(InputError, match="contains too many modules and arrays"):
        networks.find((None, None, texts), {})
