"""The converter on the reference files: each is recognized by its content alone and
makes the reference's images.
"""

import errno
import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys
import zipfile
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver
from PIL import Image

from checkpoints_convert import __main__ as command
from checkpoints_convert import biggan_ajbrock, biggan_huggingface, formats, networks, stylegan_tensorflow
from ganspace_jax.errors import InputError
from ganspace_jax.files.checkpoints import CheckpointError
from ganspace_jax.files.inert import network_pickles
from ganspace_jax.generators import synthesis, zoo
from tests.dcgan_files import drawn
from tests.golden_arrays import error, load

ROOT = pathlib.Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"


class Case(NamedTuple):
    file: str
    format: str
    arrays: str
    network: str = ""


CASES = (
    Case("stylegan3_t_32.pkl", "stylegan3_pytorch", "stylegan3_t_32", "G_ema"),
    Case("stylegan3_r_32.pkl", "stylegan3_pytorch", "stylegan3_r_32", "G_ema"),
    Case("stylegan2_ada_ffhq32.pkl", "stylegan2_pytorch", "stylegan2_ada_ffhq32", "G_ema"),
    Case("stylegan2_ada_cifar32.pkl", "stylegan2_pytorch", "stylegan2_ada_cifar32", "G_ema"),
    Case("stylegan2_tf_f32.pkl", "stylegan2_tensorflow", "stylegan2_tf_f32", "Gs"),
    Case("stylegan2_rosinality_f32.pt", "stylegan2_rosinality", "stylegan2_rosinality_f32", "g_ema"),
    Case("stylegan2_rosinality_f32_oldformat.pt", "stylegan2_rosinality", "stylegan2_rosinality_f32", "g_ema"),
    Case("stylegan1_tf_64.pkl", "stylegan_tensorflow", "stylegan1_tf_64", "Gs"),
    Case("stylegan1_ganspace_64.pt", "stylegan_ganspace", "stylegan1_tf_64"),
    Case("biggan_ajbrock_32_G_ema.pth", "biggan_ajbrock", "biggan_ajbrock_32"),
    Case("biggandeep_ajbrock_32_G_ema.pth", "biggan_ajbrock", "biggandeep_ajbrock_32"),
    Case("biggan_deep_hf_128", "biggan_huggingface", "biggan_deep_hf_128"),
    Case("progan_32.pkl", "progan_tensorflow", "progan_32", "Gs"),
    Case("progan_32.pth", "progan_netdissect", "progan_32"),
    Case("dcgan_64.pth", "dcgan", "dcgan_64"),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_a_file_makes_the_reference_images(case):
    source = formats.read(GOLDEN / case.file)
    assert {one.name for one in formats.FORMATS for each in source.networks if one.matches(each.arrays)} == {
        case.format
    }
    found, network = formats.recognize(source)
    assert (found.name, network.name) == (case.format, case.network)
    generator, reference = formats.convert(found, network, {}, "x"), load(case.arrays)
    if case.format == "stylegan_ganspace":
        generator = _with_noise_of(generator, reference)
    label = jnp.asarray(reference["input/label"]) if "input/label" in reference else None
    z = jnp.asarray(reference["input/z"].reshape(len(reference["input/z"]), -1))
    image = synthesis.synthesize(generator, synthesis.map_latents(generator, z, label), label=label)
    expected = "image_ganspace_eps1e-5" if case.format == "stylegan_ganspace" else "image"
    assert error(image, reference[f"output/{expected}"]) < 1e-4


def _with_noise_of(generator, reference):
    """With the noise images that GANSpace's files leave out."""
    arrays = {key.removeprefix("param/"): value for key, value in reference.items() if key.startswith("param/")}
    whole = stylegan_tensorflow.convert(arrays, reference["config"]["G_static_kwargs"])
    take = lambda path, ours, theirs: theirs if "noise_const" in jax.tree_util.keystr(path) else ours  # noqa: E731
    return generator._replace(params=jax.tree_util.tree_map_with_path(take, generator.params, whole.params))


def test_networks_are_chosen_by_name():
    source = formats.read(GOLDEN / "progan_32.pkl")
    chosen = {name: formats.recognize(source, "auto", name)[1] for name in ("auto", "Gs", "G")}
    assert chosen["auto"] is chosen["Gs"] and chosen["G"].name == "G"
    assert not np.array_equal(chosen["G"].arrays["4x4/Dense/weight"], chosen["Gs"].arrays["4x4/Dense/weight"])
    with pytest.raises(InputError, match=r"--network=G_ema: .*progan_32\.pkl has: Gs, G"):
        formats.recognize(source, "auto", "G_ema")


def test_a_clamp_is_read_from_the_layers():
    """The constructor arguments of StyleGAN3's files do not name it, and one that they
    did name would not hold.
    """
    (network, *_) = formats.read(GOLDEN / "stylegan3_t_32.pkl").networks
    assert "conv_clamp" not in network.arguments and len(network.clamps) == 15
    layers = network._replace(arguments={**network.arguments, "conv_clamp": 1.0}, clamps={"a": 0.5, "b": 0.5})
    (found,) = (one for one in formats.FORMATS if one.name == "stylegan3_pytorch")
    assert formats.convert(found, layers, {}, "x").merge().config.conv_clamp == 0.5


def test_the_class_of_a_network_says_how_its_kernels_lie():
    """Fused kernels the other way round, under the class of the code that stores them
    so: the same ProGAN.
    """
    (network, *_) = formats.read(GOLDEN / "progan_32.pkl").networks
    kept = {name: array for name, array in network.arrays.items() if "32x32" not in name and "lod0" not in name}
    lower = {name.replace("lod1", "lod0"): array for name, array in kept.items()}  # where all layers are of one width
    turned = {
        name: array.transpose(0, 1, 3, 2) if name.endswith("Conv0_up/weight") else array
        for name, array in lower.items()
    }
    found, expected = (
        _converted("progan_32.pkl", lambda network, change=change: change).params
        for change in ({"arrays": turned, "class_name": "dnnlib.tflib.network.Network"}, {"arrays": lower})
    )
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_the_functions_that_built_a_network_are_read_from_its_components():
    """By which the first code of StyleGAN2 is known, which has no conv_clamp."""
    (network, *_) = formats.read(GOLDEN / "stylegan2_tf_f32.pkl").networks
    functions = [network.arguments[name] for name in ("synthesis_func", "mapping_func")]
    assert functions == ["G_synthesis_stylegan2", "G_mapping"]
    clamped = lambda network: {"arguments": {**network.arguments, "conv_clamp": 0.5}}  # noqa: E731
    assert _converted("stylegan2_tf_f32.pkl", clamped).merge().config.conv_clamp is None


def test_wrappers_are_seen_through():
    """A training checkpoint: the generator is found, its moving average before it, and
    no discriminator taken for it.
    """
    (state,) = formats.read(GOLDEN / "dcgan_64.pth").networks
    judge = {"main.0.weight": np.zeros((8, 3, 4, 4), np.float32), "main.2.weight": np.zeros((16, 8, 4, 4), np.float32)}
    own = {f"module.{key}": value for key, value in state.arrays.items()}
    wrapped = {"epoch": 3, "mean": np.ones(2), "netD": judge, "netG": own, "ema": {"netG": own}}
    found = networks.find(wrapped, {"a": 1})
    assert [network.name for network in found] == ["ema.netG", "", "netD", "netG"]
    chosen, network = formats.recognize(formats.Source("x", "torch file", found), "auto", "netG")
    assert chosen.name == "dcgan" and set(network.arrays) == set(state.arrays) and network.arguments == {"a": 1}
    np.testing.assert_array_equal(network.beside["mean"], np.ones(2))
    assert formats.recognize(formats.Source("x", "torch file", found))[1].name == "ema.netG"
    listed = networks.find([3, (judge, {"netG": own})], {})
    assert [network.name for network in listed] == ["1.0", "1.1.netG"]
    assert formats.recognize(formats.Source("x", "torch file", listed))[1].name == "1.1.netG"


@pytest.mark.parametrize(
    ("file", "arguments", "message"),
    [
        (ROOT / "README.md", (), r"README\.md: is a plain text; known formats: stylegan2, stylegan3, "),
        ("missing.pth", (), r"--source=missing\.pth: no such file"),
        (GOLDEN / "dcgan_64.pth", ("progan_tensorflow",), "is a DCGAN of the PyTorch tutorial, dcgan"),
        (GOLDEN / "dcgan_64.pth", ("other",), "--format=other: no such format; there are: auto, stylegan2_pytorch"),
    ],
)
def test_what_is_not_recognized_is_named(file, arguments, message):
    with pytest.raises(InputError, match=message):
        formats.recognize(formats.read(file), *arguments)


def test_a_pickle_of_something_else_is_named(tmp_path):
    for data in (b"\x80\x02}.", b"\x80\x02K\x01.", b"\x80\x04NNN\x87."):
        (tmp_path / "a.pkl").write_bytes(data)
        with pytest.raises(InputError, match=r"a\.pkl: a pickle with no network; known formats"):
            formats.recognize(formats.read(tmp_path / "a.pkl"))


def _converted(file, changes=None, options=None):
    found, network = formats.recognize(formats.read(GOLDEN / file))
    return formats.convert(found, network._replace(**(changes(network) if changes else {})), options or {}, "x.pkl")


def _out_of_memory(*_):
    raise MemoryError


def test_what_does_not_fit_is_one_line_that_names_the_file(monkeypatch):
    with pytest.raises(InputError, match=r"x\.pkl: parameter synthesis\.input\.phases: missing"):
        _converted("stylegan3_t_32.pkl", lambda network: {"arrays": {
            name: array for name, array in network.arrays.items() if name != "synthesis.input.phases"}})  # fmt: skip
    for argument, number in (("num_layers", 10**9), ("mapping_kwargs", {"num_layers": 10**9})):
        with pytest.raises(InputError, match=rf"x\.pkl: constructor argument {argument}.*: gives 100000000"):
            _converted("stylegan3_t_32.pkl", lambda n, a=argument, v=number: {"arguments": {**n.arguments, a: v}})
    with pytest.raises(InputError, match=r"x\.pkl: parameter synthesis\.L0_36_8\.up_filter: not the filter"):
        _converted("stylegan3_t_32.pkl", lambda n: {"arguments": {**n.arguments, "filter_size": 10**9}})
    with pytest.raises(InputError, match=r"x\.pkl: not a sound ProGAN of .* \(TypeError: "):
        _converted("progan_32.pkl", lambda n: {"arguments": {"pixelnorm_epsilon": None}})
    with pytest.raises(InputError, match=r"x\.pkl: not a sound BigGAN-deep of .* \(KeyError: 'layers'\)"):
        _converted("biggan_deep_hf_128", lambda n: {"arguments": {"eps": 1}})
    with pytest.raises(
        InputError, match="configuration is in config.json; give the directory that contains both files"
    ):
        _converted("biggan_deep_hf_128/pytorch_model.bin")
    with pytest.raises(InputError, match="--option=G_ch: the options for biggan_ajbrock are: BN_eps, SN_eps, G_depth"):
        _converted("biggan_ajbrock_32_G_ema.pth", options={"G_ch": 1})
    with pytest.raises(InputError, match="x.pkl: makes images of 32 pixels"), monkeypatch.context() as patch:
        patch.setattr(formats, "_MAX_RESOLUTION", 16)
        _converted("progan_32.pth")
    with pytest.raises(InputError, match=r"x\.pkl: needs more memory than there is"):
        formats.convert(formats.FORMATS[0]._replace(convert=_out_of_memory), networks.Network("", {}), {}, "x.pkl")
    with pytest.raises(InputError, match="--option=a: the options for progan_netdissect are: none"):
        _converted("progan_32.pth", options={"a": 1})


def test_a_stylegan_with_a_dense_layer_for_its_constant_is_refused_as_such():
    """It is known as a StyleGAN, so that the option can be named."""
    (network, *_) = formats.read(GOLDEN / "stylegan1_tf_64.pkl").networks
    renamed = {name.replace("Const/const", "Dense/weight"): array for name, array in network.arrays.items()}
    network = network._replace(arrays=renamed, arguments={**network.arguments, "const_input_layer": False})
    found, network = formats.recognize(formats.Source("x.pkl", "pickle", (network,)))
    assert found.name == "stylegan_tensorflow"
    with pytest.raises(InputError, match=r"x\.pkl: const_input_layer=False: only networks with True convert"):
        formats.convert(found, network, {}, "x.pkl")


def test_options_reach_the_configuration():
    assert set(biggan_ajbrock.OPTIONS) == {"BN_eps", "SN_eps", "G_depth"}
    config = _converted("biggan_ajbrock_32_G_ema.pth", options={"BN_eps": 0.5}).merge().config
    assert config.epsilon == 0.5
    assert _converted("stylegan1_ganspace_64.pt", options={"epsilon": 1e-8}).merge().config.epsilon == 1e-8
    for options, rate in (({}, 0.01), ({"lr_mlp": 0.5}, 0.5)):
        config = _converted("stylegan2_rosinality_f32.pt", options=options).merge().config
        assert config.mapping_learning_rate == rate
    config = _converted("dcgan_64.pth", options={"num_classes": 8}).merge().config
    assert (config.z_dim, config.num_classes) == (16, 8)
    with pytest.raises(InputError, match=r"x\.pkl: --option=num_classes=24: must be a whole number from 0 to 23"):
        _converted("dcgan_64.pth", options={"num_classes": 24})


@pytest.mark.parametrize(("channels", "converts"), [(1, True), (2, False), (3, True), (4, True), (5, False)])
def test_networks_of_grey_rgb_and_rgba_images_convert(channels, converts):
    network = networks.Network("", drawn((3, 4, channels)))
    (found,) = (one for one in formats.FORMATS if one.matches(network.arrays))
    if converts:
        assert formats.convert(found, network, {}, "x").merge().config.image_channels == channels
    else:
        with pytest.raises(
            InputError, match=f"x: makes images of {channels} channels; networks of 1 .* 4 .RGBA. convert"
        ):
            formats.convert(found, network, {}, "x")


def _refuses_the_configuration(directory):
    with pytest.raises(
        InputError,
        match=r"must contain pytorch_model\.bin or model\.safetensors, and a readable config\.json of up to 64 KiB",
    ):
        formats.read(directory)


def test_where_a_configuration_is_silent_the_packages_defaults_hold(tmp_path):
    shutil.copy(GOLDEN / "biggan_deep_hf_128" / "pytorch_model.bin", tmp_path)
    for config, eps in (({}, 1e-4), ({"eps": 0.5}, 0.5)):
        (tmp_path / "config.json").write_text(json.dumps(config))
        (network,) = formats.read(tmp_path).networks
        assert dict(network.arguments) == {**biggan_huggingface.DEFAULTS, "eps": eps}


def test_a_directory_wants_its_configuration(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({}))
    with pytest.raises(InputError, match=r"pytorch_model\.bin: no such file"):
        formats.read(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    with pytest.raises(InputError, match=r"weights in several files, which model\.safetensors\.index\.json lists"):
        formats.read(tmp_path)
    for text in ("[]", "{", "[" * 30_000, json.dumps({"a": " " * 2**16})):
        (tmp_path / "config.json").write_text(text)
        _refuses_the_configuration(tmp_path)
    (tmp_path / "config.json").unlink()
    os.mkfifo(tmp_path / "config.json")
    _refuses_the_configuration(tmp_path)
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").symlink_to("/dev/zero")
    _refuses_the_configuration(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(
        InputError, match=r"must contain pytorch_model\.bin or model\.safetensors, and a readable config\.json"
    ):
        formats.read(tmp_path)


def _run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "checkpoints_convert", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )


def test_the_command_writes_a_whole_directory(tmp_path):
    result = _run(f"--source={GOLDEN / 'progan_32.pkl'}", f"--output={tmp_path / 'new' / 'out'}", "--network=G")
    assert result.returncode == 0, result.stderr
    said = result.stdout.splitlines()
    assert said[0] == "found: ProGAN of the official TensorFlow code (progan_tensorflow), G, 25 arrays; also there: Gs"
    assert said[1].startswith("ProGAN of the official TensorFlow code: 32 px, z 24, no classes, ")
    assert said[-1] == f"written: {tmp_path / 'new' / 'out'}"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out"]
    with Image.open(tmp_path / "new" / "out" / "preview.png") as preview:
        assert preview.size == (8 * 32, 2 * 32)
    variables = dict(network_pickles.read(GOLDEN / "progan_32.pkl")[0].state["variables"])
    params = zoo.load(tmp_path / "new" / "out").params
    np.testing.assert_array_equal(params["output"]["bias"], variables["ToRGB_lod0/bias"])


def test_a_mistake_at_the_command_line_is_one_line(tmp_path):
    source = tmp_path / "other.pkl"
    source.write_bytes(pickle.dumps({"network": {"dense.weight": np.ones(2)}}, protocol=4))
    result = _run(f"--source={source}", f"--output={tmp_path / 'out'}")
    assert result.returncode == 1 and len(result.stderr.strip().splitlines()) == 1
    assert "other.pkl: a pickle with a network with parameters such as dense.weight; known formats" in result.stderr
    assert list(tmp_path.iterdir()) == [source]


def _convert(source, output, **more):
    flags.FLAGS.mark_as_parsed()
    with flagsaver.flagsaver(source=str(source), output=str(output), **more):
        command.main()


@pytest.mark.parametrize("place", ["file/out", "/proc/out", "loop"])
def test_an_output_that_cannot_be_made_is_named_before_the_work(tmp_path, monkeypatch, place):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.setattr(command, "_convert", None)  # the work
    with pytest.raises(InputError, match=rf"--output=\S*{place}: .*; name another directory"):
        _convert(GOLDEN / "progan_32.pth", tmp_path / place)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "loop"}


def test_a_source_that_is_no_regular_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for source in (tmp_path / "pipe", tmp_path / "loop", "/dev/zero"):
        with pytest.raises(InputError, match=f"--source={source}: is no regular file"):
            _convert(source, tmp_path / "out")


def _files(directory):
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files if path.suffix in (".json", ".png")}


def test_converting_again_replaces_a_conversion_of_the_same_file_and_nothing_else(tmp_path, monkeypatch):
    source, output = tmp_path / "model.pth", tmp_path / "out"
    shutil.copy(GOLDEN / "progan_32.pth", source)
    output.mkdir()  # an empty directory is in nobody's way
    _convert(source, output)
    first = _files(output)
    record = json.loads(first["conversion.json"])
    assert (record["source"], record["format"], record["network"]) == ("model.pth", "progan_netdissect", "")
    (output / "stale").write_text("of the first")
    _convert(source, output)
    assert _files(output) == first and not (output / "stale").exists()

    with monkeypatch.context() as patch:
        patch.setattr(command.zoo, "save", _full)
        with pytest.raises(
            InputError, match=r"--output=\S*out: cannot be written: No space left on device; name another"
        ):
            _convert(source, output)
    assert _files(output) == first and {path.name for path in tmp_path.iterdir()} == {"model.pth", "out"}

    source.write_bytes((GOLDEN / "dcgan_64.pth").read_bytes())
    with pytest.raises(
        InputError, match=r"--output=.*out: contains the conversion of another file, model\.pth; name another"
    ):
        _convert(source, output)
    for name in ("conversion.json", "preview.png"):
        (output / name).unlink()
        with pytest.raises(InputError, match="out: exists and is no conversion"):
            _convert(source, output)
    with pytest.raises(InputError, match=r"model\.pth: exists and is no conversion"):
        _convert(source, source)
    with pytest.raises(InputError, match="--option=epsilon: must be NAME=NUMBER"):
        _convert(source, tmp_path / "other", option=["epsilon"])


def _full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _full_in_tensorstore(*_):
    raise CheckpointError("hidden/new: cannot be written: No space left on device")


@pytest.mark.parametrize("place", ["zoo.save", "pictures.save_png"])
@pytest.mark.parametrize("failure", [_full, _full_in_tensorstore])
def test_a_full_disk_is_one_line_that_names_the_output(tmp_path, monkeypatch, place, failure):
    room, name = place.split(".")
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)  # the command leaves it silent
    monkeypatch.setattr(command, "_preview", lambda *_: np.zeros((16, 2, 2, 3)))
    monkeypatch.setattr(getattr(command, room), name, failure)
    with pytest.raises(
        InputError, match=r"^--output=\S*out: cannot be written: No space left on device; name another directory$"
    ):
        _convert(GOLDEN / "progan_32.pth", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_for_the_arrays_is_named_before_they_are_written(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=50_000)
    monkeypatch.setattr(command.shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(command.zoo, "save", None)
    with pytest.raises(InputError, match=r"--output=\S*out: the disk has 0\.1 MB free, the arrays need 0\.1 MB; name"):
        _convert(GOLDEN / "progan_32.pth", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_dcgan_is_said_to_be_able_to_have_classes(tmp_path, monkeypatch, capsys):
    """One line that names the option, unless the option is given."""
    monkeypatch.setattr(command, "_write", lambda made, *_: made.mkdir())
    _convert(GOLDEN / "dcgan_64.pth", tmp_path / "a")
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert len(said) == 1 and "class" in said[0] and "--option=num_classes=NUMBER" in said[0]
    _convert(GOLDEN / "dcgan_64.pth", tmp_path / "b", option=["num_classes=4"])
    said = capsys.readouterr().out
    assert "note: " not in said and "z 20, 4 classes" in said


def test_an_rgba_network_has_an_rgba_preview(tmp_path, monkeypatch):
    monkeypatch.setattr(command.synthesis, "synthesize", lambda *_, **__: np.full((1, 4, 4, 4), -1.0))
    _convert(GOLDEN / "progan_32.pth", tmp_path / "out")
    with Image.open(tmp_path / "out" / "preview.png") as preview:
        assert preview.mode == "RGBA" and np.all(np.asarray(preview) == 0)


def test_images_that_are_not_finite_leave_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(command.synthesis, "synthesize", lambda *_, **__: np.full((1, 32, 32, 3), np.nan))
    with pytest.raises(InputError, match="its images are not finite; nothing was written"):
        _convert(GOLDEN / "progan_32.pth", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_parameters_holds_no_network(tmp_path):
    (tmp_path / "empty.pth").write_bytes(b"")
    with zipfile.ZipFile(tmp_path / "empty.pth", "w") as archive:
        archive.writestr("empty/data.pkl", pickle.dumps({"g_ema": {}}, protocol=2))
    with pytest.raises(InputError, match=r"empty\.pth: .*no network"):
        formats.recognize(formats.read(tmp_path / "empty.pth"))
