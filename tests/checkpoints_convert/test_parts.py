"""Networks within flat state dicts: encoders' checkpoints, and training codes that keep
generator and discriminator in one dictionary.
"""

import pickle
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from checkpoints_convert import __main__ as command
from checkpoints_convert import dcgan_pytorch, formats, networks, parts
from ganspace_jax.errors import InputError
from ganspace_jax.files.inert.records import Name, Record
from ganspace_jax.generators import stylegan2, zoo
from tests import stylegan2_files
from tests.dcgan_files import drawn
from tests.golden_arrays import GOLDEN

TINY = stylegan2.Config(z_dim=3, w_dim=3, channels=(2, 3), mapping_layers=2, mapping_width=3, scaled_demodulation=True)
JUDGE = {
    "0.weight": np.zeros((8, 3, 4, 4), np.float32),
    "2.weight": np.zeros((16, 8, 4, 4), np.float32),
    "3.weight": np.zeros(16, np.float32),
    "3.running_mean": np.zeros(16, np.float32),
    "5.weight": np.zeros((32, 16, 4, 4), np.float32),
    "6.running_mean": np.zeros(32, np.float32),
    "8.weight": np.zeros((1, 32, 4, 4), np.float32),
}


def _drawn(config, seed=0):
    abstract, rng = zoo.abstract_generator("stylegan2", config), np.random.default_rng(seed)
    draw = lambda x: jnp.asarray(rng.standard_normal(x.shape, np.float32))  # noqa: E731
    return abstract._replace(params=jax.tree.map(draw, abstract.params))


def _under(prefix, state):
    return {f"{prefix}.{name}": array for name, array in state.items()}


def _found(content):
    """Source of a checkpoint's content, as `formats.read` returns it."""
    return formats.Source("x.pt", "torch file", parts.with_parts(networks.find(content, {}), formats.names_of))


def _converted(content, options=None, network="auto"):
    found, chosen = formats.recognize(_found(content), "auto", network)
    return chosen.name, formats.convert(found, chosen, options or {}, "x.pt"), formats.notes(found, chosen, {})


def _assert_same(found, expected):
    assert found.definition == expected.definition
    jax.tree.map(np.testing.assert_array_equal, found.params, expected.params)


ENCODER = {
    "encoder.input_layer.0.weight": np.zeros((8, 3, 3, 3), np.float32),
    "encoder.body.0.res_layer.1.weight": np.zeros((8, 8, 3, 3), np.float32),
    "encoder.body.0.res_layer.2.running_mean": np.zeros(8, np.float32),
    "encoder.styles.0.linear.weight": np.zeros((3, 8), np.float32),
}


@pytest.mark.parametrize("shape", [(3,), (1, 3), (4, 3), (1, 4, 3), (9, 3)])
@pytest.mark.parametrize("place", ["beside", "inside"])
def test_an_encoders_decoder_has_the_files_mean_w(shape, place):
    """encoder4editing, pSp, ReStyle, SAM, HyperStyle; equal rows are one mean w."""
    generator = _drawn(TINY)
    file = stylegan2_files.as_rosinality(generator)
    mean = np.broadcast_to(file["latent_avg"], shape)
    state = {**ENCODER, **_under("decoder", file["g_ema"])}
    content = {"state_dict": state, "opts": {"output_size": 8}, "global_step": 3}
    (content if place == "beside" else state)["latent_avg"] = mean
    name, found, notes = _converted(content)
    assert name == "state_dict.decoder" and notes == []
    _assert_same(found, generator)


def test_rows_that_differ_are_averaged_aloud():
    file = stylegan2_files.as_rosinality(_drawn(TINY))
    rows = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    _, found, notes = _converted({"state_dict": _under("decoder", file["g_ema"]), "latent_avg": rows})
    np.testing.assert_allclose(found.params["mapping"]["w_avg"], rows.astype(np.float64).mean(0), rtol=1e-6)
    assert len(notes) == 1 and "latent_avg has 4 rows that differ" in notes[0]
    with pytest.raises(InputError, match=r"latent_avg: has shape \(5, 3\), needed is .* or \(4, 3\)"):
        _converted({"state_dict": _under("decoder", file["g_ema"]), "latent_avg": np.arange(15.0).reshape(5, 3)})


def test_a_mean_w_within_the_state_dict_itself_is_kept():
    generator = _drawn(TINY)
    file = stylegan2_files.as_rosinality(generator)
    _, found, _ = _converted({**file["g_ema"], "latent_avg": file["latent_avg"]})
    _assert_same(found, generator)


def test_an_option_reaches_the_part():
    file = stylegan2_files.as_rosinality(_drawn(TINY))
    _, found, _ = _converted({"state_dict": {**ENCODER, **_under("decoder", file["g_ema"])}}, {"lr_mlp": 0.5})
    assert found.merge().config.mapping_learning_rate == 0.5


@pytest.mark.parametrize("extra", ["decoder.unet.0.weight", "decoder.convs.0.fusion.weight"])
def test_an_array_within_the_part_that_the_network_lacks_is_refused(extra):
    file = stylegan2_files.as_rosinality(_drawn(TINY))
    state = {**ENCODER, **_under("decoder", file["g_ema"]), extra: np.zeros(2, np.float32)}
    with pytest.raises(InputError, match=f"x.pt: parameter {extra.partition('.')[2]}: nothing in this architecture"):
        _converted({"state_dict": state, "latent_avg": file["latent_avg"]})


@pytest.mark.parametrize("file", ["stylegan3_t_32", "stylegan2_ada_ffhq32"])
def test_nvidias_networks_are_found_within_encoders(file):
    """ReStyle's StyleGAN3 decoder, with its own w_avg and a latent_avg beside it."""
    found, network = formats.recognize(formats.read(GOLDEN / f"{file}.pkl"))
    expected = formats.convert(found, network._replace(arguments={}, clamps={}), {}, "x")
    state = {**ENCODER, **_under("decoder", network.arrays)}
    name, made, notes = _converted({"state_dict": state, "latent_avg": np.zeros((16, 3)), "opts": {}})
    assert name == "state_dict.decoder" and "conv_clamp, taken as 256" in notes[0]
    _assert_same(made, expected)


BESIDE = (
    ("generator", "discriminator"), ("G", "D"), ("netG", "netD"), ("model.generator", "model.discriminator"),
    ("gen", "critic"), ("gen", "disc"), ("generator", "dis_x"), ("G", "val_fid.inception"), ("gan.net.G", "gan.net.D"),
    ("module.generator", "module.discriminator"),
)  # fmt: skip


@pytest.mark.parametrize("names", BESIDE)
@pytest.mark.parametrize("judge_first", [False, True])
def test_a_dcgan_beside_its_discriminator_is_found(names, judge_first):
    state = drawn((5, 4, 3, 3))
    pieces = [_under(names[0], state), _under(names[1], JUDGE)]
    flat = {key: array for piece in pieces[:: -1 if judge_first else 1] for key, array in piece.items()}
    name, found, _ = _converted({"epoch": 3, "state_dict": {**flat, "validation_z": np.zeros((8, 5))}})
    assert name == f"state_dict.{names[0].removeprefix('module.')}"
    _assert_same(found, dcgan_pytorch.convert(state))


@pytest.mark.parametrize(
    "names",
    [
        ("generator", "generator_ema"), ("G", "G_ema"), ("online.G", "ema.G"), ("ema.online_G.generator", "ema.ema_G.g"),
        ("generator", "ema_generator"),
    ],
)  # fmt: skip
def test_moving_averages_come_first(names):
    plain, average = drawn((5, 4, 3)), drawn((5, 4, 3), seed=1)
    name, found, _ = _converted({**_under(names[0], plain), **_under(names[1], average), **_under("D", JUDGE)})
    assert name == names[1]
    _assert_same(found, dcgan_pytorch.convert(average))
    _assert_same(_converted({**_under(names[0], plain), **_under(names[1], average)}, network=names[0])[1],
                 dcgan_pytorch.convert(plain))  # fmt: skip


@pytest.mark.parametrize("beside", ["final.weight", "fc.weight", "to_image.0.weight", "display.weight", "d1.weight"])
@pytest.mark.parametrize("name", ["main", "gen", "decoder"])
def test_layers_beside_a_chain_are_not_left_out(name, beside):
    """They could be layers of the same generator, as nothing else names them."""
    shape = (8, 5) if beside == "fc.weight" else (3, 3, 3, 3)
    state = {**_under(name, drawn((5, 4, 3))), beside: np.zeros(shape, np.float32)}
    with pytest.raises(InputError):
        _converted(state)


def test_a_generator_in_attributes_is_one_whole():
    """Its first module is called a generator, and its last layer lies beside it."""
    state = drawn((5, 4, 3, 3))
    renamed = {("out.weight" if name == "main.6.weight" else f"gen.{name}"): array for name, array in state.items()}
    name, found, _ = _converted(renamed)
    assert name == ""
    _assert_same(found, dcgan_pytorch.convert(state))


def test_a_network_is_not_searched_for_parts():
    file = stylegan2_files.as_rosinality(_drawn(TINY))
    assert [each.name for each in _found(file).networks] == ["g_ema", ""]
    assert [each.name for each in _found(_under("generator", drawn((5, 4, 3)))).networks] == [""]


def test_a_part_of_a_module_without_arguments_has_its_own_clamps():
    """An encoder that was stored as a whole module, of which no argument is known."""
    state, _, clamps = stylegan2_files.as_pytorch(_drawn(TINY))
    arrays = {**ENCODER, **_under("decoder", state)}
    whole = networks.Network("", arrays, clamps={**_under("decoder", dict.fromkeys(clamps, 0.5)), "encoder": 3.0})
    (part,) = parts.find(whole, lambda part, _: "synthesis.b4.const" in part.arrays)
    assert part.name == "decoder" and part.clamps == dict.fromkeys(clamps, 0.5) and part.arrays.keys() == state.keys()
    (found,) = (one for one in formats.FORMATS if one.matches(part.arrays))
    assert formats.convert(found, part, {}, "x").merge().config.conv_clamp == 0.5


def test_parts_lie_at_most_four_modules_deep():
    state = drawn((5, 4, 3))
    path = "a.b.c.generator"
    assert _converted(_under(path, state))[0] == ""  # a chain of convolutions alone is a whole under any prefix
    deep = {**_under(path, state), "x.weight": np.zeros((2, 2), np.float32)}
    assert [each.name for each in _found(deep).networks] == ["", path]
    assert parts.MAX_DEPTH == 4 and [each.name for each in _found(_under("z", deep)).networks] == [""]


def test_the_command_names_the_part_and_what_it_assumed(tmp_path, monkeypatch, capsys):
    found, network = formats.recognize(formats.read(GOLDEN / "stylegan2_ada_ffhq32.pkl"))
    (tmp_path / "e4e.pkl").write_bytes(pickle.dumps({"state_dict": _under("decoder", network.arrays)}, protocol=4))
    monkeypatch.setattr(command, "_write", lambda made, *_: made.mkdir())
    flags.FLAGS.mark_as_parsed()
    for option, notes in (([], 1), (["conv_clamp=inf", "lr_multiplier=0.01"], 0)):
        with flagsaver.flagsaver(source=str(tmp_path / "e4e.pkl"), output=str(tmp_path / f"out{notes}"), option=option):
            command.main()
        said = capsys.readouterr().out.splitlines()
        assert said[0].startswith("found: ") and f"({found.name}), state_dict.decoder, " in said[0]
        assert [line.startswith("note: not in the file: conv_clamp") for line in said].count(True) == notes


@pytest.mark.parametrize("name", ["input.input", "convs.0.conv.weight", "style.1.bias"])
def test_a_parameter_of_a_part_that_is_an_object_is_named(name):
    state = stylegan2_files.as_rosinality(_drawn(TINY))["g_ema"]
    content = {"state_dict": {**_under("decoder", state), **ENCODER}}
    content["state_dict"][f"decoder.{name}"] = Record(Name("own", "Packed"))
    with pytest.raises(InputError, match=rf"parameter {re.escape(name)}: is a own\.Packed"):
        _converted(content)


def test_parts_share_what_lies_beside_them():
    """A hostile file has very many parts, and very many arrays beside them."""
    one = np.ones(1, np.float32)
    beside = {f"b{index}": one for index in range(3)}
    state = {**beside, **{f"m{index}.x.const": one for index in range(3)}, "m1.mean": one}
    found = list(parts.find(networks.Network("", state), lambda part, _: "const" in part.arrays))
    assert [part.name for part in found] == ["m0.x", "m1.x", "m2.x"]
    assert [set(part.beside) - set(beside) for part in found] == [set(), {"mean"}, set()]
    assert len({id(part.beside.maps[1].maps[0]) for part in found}) == 1


def test_clamps_and_objects_of_a_part_have_its_names():
    one = np.ones(1, np.float32)
    whole = networks.Network(
        "", {"a.x.w": one, "ab.w": one}, clamps={"a.x": 1.0, "ab.y": 2.0, "z": 3.0}, foreign={"a.x.v": "Own"}
    )
    found = {part.name: part for part in parts.find(whole, lambda part, _: "w" in part.arrays)}
    assert (found["a.x"].clamps, found["a.x"].foreign) == ({}, {"v": "Own"})
    assert (found["ab"].clamps, found["ab"].foreign) == ({"y": 2.0}, {})
