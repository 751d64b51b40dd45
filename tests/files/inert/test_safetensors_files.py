"""Safetensors files: what is written comes back, and damaged files are refused."""

import json
import struct

import ml_dtypes
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import safetensors_files

ARRAYS = {
    "layer.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "half": np.array([0.5, -2], np.float16),
    "brain": np.array([1.5, 3], ml_dtypes.bfloat16),
    "count": np.array(7),
}


def _file(tmp_path, header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(text)) + text + body)
    return tmp_path / "x"


def _entry(kind="F32", shape=(2,), end=8):
    return {"a": {"dtype": kind, "shape": list(shape), "data_offsets": [0, end]}}


def test_round_trip(tmp_path):
    safetensors_files.write(tmp_path / "x", {**ARRAYS, "turned": np.ones((2, 3), np.float32).T}, {"k": "v\n\x1b"})
    content = safetensors_files.read_content(tmp_path / "x")
    assert set(content.arrays) == {*ARRAYS, "turned"} and content.arrays["turned"].shape == (3, 2)
    for name, array in ARRAYS.items():
        assert content.arrays[name].dtype == array.dtype and content.arrays[name].shape == array.shape
        np.testing.assert_array_equal(content.arrays[name], array)
    assert content.metadata == safetensors_files.read_metadata(tmp_path / "x") == {"k": "v\n\x1b"}


def test_a_state_dict_has_numbers_of_16_bits_as_float32(tmp_path):
    safetensors_files.write(tmp_path / "x", ARRAYS, {})
    state = safetensors_files.read(tmp_path / "x")
    assert {name: array.dtype.name for name, array in state.items()} == {
        "layer.weight": "float32", "half": "float32", "brain": "float32", "count": "int64",
    }  # fmt: skip
    np.testing.assert_array_equal(state["brain"], [1.5, 3])
    assert safetensors_files.is_safetensors(tmp_path / "x")


def test_a_file_that_is_cut_short_is_called_so(tmp_path):
    safetensors_files.write(tmp_path / "x", ARRAYS, {})
    data = (tmp_path / "x").read_bytes()
    for length in (0, 4, 8, 40, len(data) - 1):
        (tmp_path / "x").write_bytes(data[:length])
        with pytest.raises(InputError, match="x: cut short: "):
            safetensors_files.read(tmp_path / "x")


@pytest.mark.parametrize(
    ("header", "body", "message"),
    [
        (_entry(shape=(3,)), bytes(8), "damaged: invalid shape"),
        (_entry(end=4), bytes(8), "damaged: "),
        (_entry(), bytes(9), "damaged: longer than its header describes"),
        ({"__metadata__": {}}, bytes(9), "damaged: longer than its header describes"),
        (_entry(shape=(0, 1 << 62), end=0), b"", "damaged: "),
        (_entry(shape=(1,) * 70, end=4), bytes(4), "damaged: "),
        (_entry("F8_E4M3", (8,)), bytes(8), "array a has numbers of the type F8_E4M3; give"),
        ({"a\x1b": _entry()["a"]}, bytes(8), "damaged: has a key that is no name"),
        (b'{"a":' * 50_000, b"", "damaged: "),
        ({**_entry(), "b": _entry()["a"]}, bytes(8), "damaged: invalid offset"),
    ],
)
def test_hostile_files_are_refused_in_one_line(header, body, message, tmp_path):
    with pytest.raises(InputError, match=f"x: {message}") as caught:
        safetensors_files.read(_file(tmp_path, header, body))
    assert str(caught.value).isprintable()


def test_large_headers_and_many_arrays_are_refused_before_they_are_read(tmp_path, monkeypatch):
    (tmp_path / "x").write_bytes(struct.pack("<Q", 1 << 40) + b'{"')
    with pytest.raises(InputError, match="a header of 1,099,511,627,776 bytes; the largest has 16,777,216"):
        safetensors_files.read(tmp_path / "x")
    monkeypatch.setattr(safetensors_files, "_MAX_ARRAYS", 3)
    safetensors_files.write(tmp_path / "y", ARRAYS, {})
    with pytest.raises(InputError, match="4 arrays; the most are 3"):
        safetensors_files.read(tmp_path / "y")
