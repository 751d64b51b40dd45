"""Safetensors in and out of the converter: state dicts, directories of Hugging Face,
and checkpoints of this program as one file.
"""

import json
import pathlib
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

from checkpoints_convert import __main__ as command
from checkpoints_convert import formats, own_checkpoints
from ganspace_jax.errors import InputError
from ganspace_jax.files import checkpoints
from ganspace_jax.files.inert import safetensors_files, torch_files
from ganspace_jax.generators import synthesis, zoo

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"


def _convert(source, output, **more):
    flags.FLAGS.mark_as_parsed()
    with flagsaver.flagsaver(source=str(source), output=str(output), **more):
        command.main()


def _as_safetensors(source, target):
    """A state dict of torch.save as a safetensors file."""
    content = torch_files.read(source)
    safetensors_files.write(target, {name: np.asarray(array) for name, array in content.items()}, {"format": "pt"})


def test_a_state_dict_converts_as_from_torch(tmp_path):
    _as_safetensors(GOLDEN / "dcgan_64.pth", tmp_path / "x")
    made = []
    for path in (GOLDEN / "dcgan_64.pth", tmp_path / "x"):
        found, network = formats.recognize(formats.read(path))
        made.append(zoo.fingerprint(formats.convert(found, network, {}, "x")))
    assert found.name == "dcgan" and made[0] == made[1]


def test_a_directory_of_hugging_face_can_have_safetensors(tmp_path):
    shutil.copy(GOLDEN / "biggan_deep_hf_128" / "config.json", tmp_path)
    _as_safetensors(GOLDEN / "biggan_deep_hf_128" / "pytorch_model.bin", tmp_path / "model.safetensors")
    (network,) = formats.read(tmp_path).networks
    (reference,) = formats.read(GOLDEN / "biggan_deep_hf_128").networks
    assert network.arguments == reference.arguments and network.arrays.keys() == reference.arrays.keys()
    for name, array in reference.arrays.items():
        np.testing.assert_array_equal(network.arrays[name], array)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.pkl", b"<html>", r"a\.pkl: is a web page \(HTML\); .* in a browser$"),
        ("b.pt", b"", r"b\.pt: is an empty file; download or copy it again$"),
        (
            "c.pt",
            b"GGUF\x03\x00\x00\x00",
            r"c\.pt: is a GGUF file, .*; known formats: stylegan2, stylegan3, stylegan, ",
        ),
        ("d.pt", b"\xfe\x01\x00\xc3", r"d\.pt: neither a torch file .*; known formats: "),
    ],
)
def test_a_file_of_another_kind_is_called_what_it_is(name, data, message, tmp_path):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=message):
        formats.read(tmp_path / name)


def test_each_family_of_the_known_formats_is_listed_once():
    families = formats._families().partition(";")[0].split(", ")
    assert len(set(families)) == len(families)
    assert {one.name.partition("_")[0] for one in formats.FORMATS} == set(families)


def test_a_conversion_to_one_file_equals_the_one_to_a_directory(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(command, "_preview", lambda *_: made.append(1) or np.zeros((16, 2, 2, 3), np.float32))
    source, single = GOLDEN / "progan_32.pth", tmp_path / "x.safetensors"
    _convert(source, tmp_path / "out")
    _convert(source, single)
    assert len(made) == 2 and {path.name for path in tmp_path.iterdir()} == {"out", "x.safetensors"}
    directory, file = zoo.load(tmp_path / "out"), zoo.load(single)
    assert zoo.fingerprint(directory) == zoo.fingerprint(file)
    z = jnp.asarray(np.random.default_rng(0).standard_normal((2, file.merge().z_dim)), jnp.float32)
    images = [synthesis.synthesize(each, synthesis.map_latents(each, z)) for each in (directory, file)]
    np.testing.assert_array_equal(*images)
    record = json.loads((tmp_path / "out" / "conversion.json").read_text())
    assert checkpoints.load_record(single) == record and record["source"] == "progan_32.pth"
    _convert(source, single)  # the same file again
    with pytest.raises(InputError, match="contains the conversion of another file, progan_32.pth; name another file"):
        _convert(GOLDEN / "dcgan_64.pth", single)
    (tmp_path / "other.safetensors").write_bytes(b"else")
    with pytest.raises(InputError, match="exists and is no conversion; name another file"):
        _convert(source, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="--option=epsilon: must be NAME=NUMBER"):
        _convert(source, single, option=["epsilon"])


def test_the_record_names_the_member_of_an_archive(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "_preview", lambda *_: np.zeros((16, 2, 2, 3), np.float32))
    (tmp_path / "in").mkdir()
    shutil.copy(GOLDEN / "progan_32.pth", tmp_path / "in" / "faces")
    shutil.copy(GOLDEN / "dcgan_64.pth", tmp_path / "in" / "places")
    archive = shutil.make_archive(str(tmp_path / "x"), "gztar", tmp_path / "in")
    _convert(archive, tmp_path / "out", member="./faces")
    record = json.loads((tmp_path / "out" / "conversion.json").read_text())
    assert (record["source"], record["member"], record["format"]) == ("x.tar.gz", "./faces", "progan_netdissect")
    with pytest.raises(InputError, match=r"contains the conversion of another file, x\.tar\.gz, \./faces"):
        _convert(archive, tmp_path / "out", member="./places")


def test_a_checkpoint_of_this_program_becomes_one_file_and_a_directory_again(tmp_path):
    name, single = "stylegan2-scenes", tmp_path / "x.safetensors"
    _convert(name, single)
    _convert(name, single)  # the same generator again
    _convert(single, tmp_path / "out")
    prints = {zoo.fingerprint(zoo.load(each)) for each in (name, single, tmp_path / "out")}
    assert len(prints) == 1 and own_checkpoints.is_own(str(single)) and own_checkpoints.is_own(str(tmp_path / "out"))
    with pytest.raises(InputError, match=r"out: is a checkpoint of this program already; give it as --generator="):
        _convert(tmp_path / "out", tmp_path / "second")
    with pytest.raises(InputError, match="exists and is another generator or none"):
        _convert("biggan-deep-scenes", single)
    (tmp_path / "a.safetensors").mkdir()
    with pytest.raises(InputError, match=r"a\.safetensors: (is a directory|exists)"):
        _convert(name, tmp_path / "a.safetensors")


def test_names_of_other_sources_are_not_taken_for_own_checkpoints(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{")
    for source in ("stylegan2-ffhq", str(tmp_path), str(tmp_path / "x.safetensors"), str(GOLDEN / "dcgan_64.pth")):
        assert not own_checkpoints.is_own(source)
