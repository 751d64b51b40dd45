"""Torch's files without torch: both formats give the reference's numbers, and nothing
in a file is ever executed.
"""

import argparse
import collections
import pathlib
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import torch_files
from ganspace_jax.files.inert.records import Name

GOLDEN = pathlib.Path(__file__).parents[2] / "golden"


@pytest.mark.parametrize(
    ("file", "arrays"),
    [("dcgan_64.pth", "dcgan_64"), ("biggan_deep_hf_128/pytorch_model.bin", "biggan_deep_hf_128")],
)
def test_state_dicts_are_the_reference_arrays(file, arrays):
    content = torch_files.read(GOLDEN / file)
    with np.load(GOLDEN / f"{arrays}.npz") as reference:
        names = [key for key in reference.files if key.startswith("param/")]
        assert {f"param/{name}" for name in content} == set(names)
        for name, array in content.items():
            assert array.dtype == reference[f"param/{name}"].dtype
            np.testing.assert_array_equal(array, reference[f"param/{name}"])


def test_old_and_new_format_hold_the_same():
    new, old = (torch_files.read(GOLDEN / f"stylegan2_rosinality_f32{end}.pt") for end in ("", "_oldformat"))
    assert list(new) == ["g_ema", "latent_avg"] and list(new["g_ema"]) == list(old["g_ema"])
    for name, array in new["g_ema"].items():
        np.testing.assert_array_equal(array, old["g_ema"][name])


def test_the_flags_of_a_training_run_are_a_dictionary(tmp_path):
    data = pickle.dumps({"args": argparse.Namespace(lr=0.1, path="faces"), "ada_aug_p": 0.2}, protocol=2)
    _zip_file(tmp_path / "a.pt", data)
    assert torch_files.read(tmp_path / "a.pt") == {"args": {"lr": 0.1, "path": "faces"}, "ada_aug_p": 0.2}


def test_what_training_runs_keep_beside_their_networks_is_read_inertly(tmp_path):
    """Numbers and arrays of NumPy, and what torch pickles by these names, which become
    text and names.
    """
    beside = {
        "loss": np.float64(0.5),
        "mean": np.arange(3.0),
        "names": {1, "b"},
        "history": collections.defaultdict(list, {"fid": [9.5]}),
    }
    data = pickle.dumps(beside, protocol=2)
    _zip_file(tmp_path / "a.pt", data)
    found = torch_files.read(tmp_path / "a.pt")
    assert type(found["loss"]) is np.float64 and found["loss"] == 0.5 and found["names"] == {1, "b"}
    np.testing.assert_array_equal(found["mean"], [0.0, 1.0, 2.0])
    assert type(found["history"]) is dict and found["history"] == {"fid": [9.5]}
    _zip_file(tmp_path / "b.pt", b"\x80\x02(ctorch\ndevice\nX\x04\x00\x00\x00cudaK\x01\x86Rctorch\nfloat32\nt.")
    assert torch_files.read(tmp_path / "b.pt") == ("cuda:1", Name("torch", "float32"))


def _zip_file(path, data, records=()):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", data)
        for name, content in records:
            archive.writestr(f"a/data/{name}", content)


def _tensor_file(path, offset, shape, strides, numbers=(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)):
    """One tensor, written by hand: the pickle's text protocol names torch without
    having it.
    """
    storage = f"(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI{len(numbers)}\ntQ"
    arguments = f"({storage}I{offset}\n(" + "".join(f"I{n}\n" for n in shape) + "t("
    arguments += "".join(f"I{n}\n" for n in strides) + "tI00\nccollections\nOrderedDict\n(tRt"
    text = f"ctorch._utils\n_rebuild_tensor_v2\n{arguments}R."
    _zip_file(path, text.encode(), [("0", struct.pack(f"<{len(numbers)}f", *numbers))])


def test_an_expanded_tensor_repeats_its_numbers(tmp_path):
    _tensor_file(tmp_path / "w.pt", 0, (4, 6), (0, 1))
    np.testing.assert_array_equal(torch_files.read(tmp_path / "w.pt"), np.tile(np.arange(1.0, 7.0), (4, 1)))


def test_views_keep_offset_and_strides(tmp_path):
    _tensor_file(tmp_path / "a.pt", 1, (2, 2), (1, 2))
    np.testing.assert_array_equal(torch_files.read(tmp_path / "a.pt"), [[2.0, 4.0], [3.0, 5.0]])
    _tensor_file(tmp_path / "b.pt", 5, (), ())
    assert torch_files.read(tmp_path / "b.pt") == 6.0


@pytest.mark.parametrize(("offset", "shape", "strides"), [(0, (7,), (1,)), (3, (2, 2), (2, 1)), (-1, (2,), (1,))])
def test_views_beyond_their_storage_are_refused(tmp_path, offset, shape, strides):
    _tensor_file(tmp_path / "a.pt", offset, shape, strides)
    with pytest.raises(InputError, match=r"a\.pt: damaged: a tensor of shape"):
        torch_files.read(tmp_path / "a.pt")


@pytest.mark.parametrize("name", ["dcgan_64.pth", "stylegan2_rosinality_f32_oldformat.pt"])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_cut_files_are_called_cut_short(tmp_path, name, share):
    data = (GOLDEN / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match=f"{name}: cut short: "):
        torch_files.read(tmp_path / name)


def test_what_torch_did_not_write_is_told_apart(tmp_path):
    (tmp_path / "text").write_text("not a checkpoint")
    (tmp_path / "pickle").write_bytes(pickle.dumps(collections.OrderedDict(a=1)))
    for name in ("text", "pickle"):
        assert not torch_files.is_torch_file(tmp_path / name)
    assert torch_files.is_torch_file(GOLDEN / "dcgan_64.pth")
    assert torch_files.is_torch_file(GOLDEN / "stylegan2_rosinality_f32_oldformat.pt")


def test_one_storage_is_not_looked_at_without_end(tmp_path):
    """A view costs a thousand bytes, and three to ask for."""
    _tensor_file(tmp_path / "a.pt", 0, (1,) * 32, (0,) * 32)
    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        once = archive.read("a/data.pkl").removesuffix(b"R.")
    arguments = once.removeprefix(b"ctorch._utils\n_rebuild_tensor_v2\n")
    again = b"ctorch._utils\n_rebuild_tensor_v2\np0\n" + arguments + b"p1\nR" + b"0g0\ng1\nR" * 2000 + b"."
    _zip_file(tmp_path / "a.pt", again, [("0", bytes(24))])
    with pytest.raises(InputError, match=r"a\.pt: damaged: its values are many times the file"):
        torch_files.read(tmp_path / "a.pt")


def test_archives_of_very_many_records_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torch_files, "_MAX_RECORDS", 10)
    _zip_file(tmp_path / "a.pt", pickle.dumps({"a": 1}, protocol=2), [(str(i), b"") for i in range(10)])
    with pytest.raises(InputError, match=r"a\.pt: damaged: an archive of 11 records; the most are 10"):
        torch_files.read(tmp_path / "a.pt")
    monkeypatch.setattr(torch_files, "_MAX_INDEX", 100)  # and this before there is one object for each
    with pytest.raises(InputError, match=r"a\.pt: damaged: an archive whose index has \d+ bytes"):
        torch_files.read(tmp_path / "a.pt")


def test_a_record_that_says_it_is_larger_than_the_file_is_refused(tmp_path):
    """Before a byte of the gigabyte that it speaks of is asked for."""
    _zip_file(tmp_path / "a.pt", pickle.dumps({"a": 1}, protocol=2))
    data = bytearray((tmp_path / "a.pt").read_bytes())
    entry = data.index(b"PK\x01\x02")  # of data.pkl, in the central directory: its sizes are 20 bytes on
    data[entry + 20 : entry + 28] = struct.pack("<2I", 2**30, 2**30)
    (tmp_path / "a.pt").write_bytes(data)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"a\.pt: damaged: its record \S*data.pkl is larger than the file"):
        torch_files.read(tmp_path / "a.pt")
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()
