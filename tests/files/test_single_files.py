"""Checkpoints in one file: what is written comes back bit-equal; damage is named."""

import json
import os

import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.files import checkpoints, single_files
from ganspace_jax.files.checkpoints import CheckpointError
from ganspace_jax.files.inert import safetensors_files

ARRAYS = {
    "layer": {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "half": np.ones(2, jnp.bfloat16)},
    "count": np.int32(7),
}
CONFIG = {"family": "anything", "size": 3}


@pytest.fixture
def path(tmp_path):
    checkpoints.save_file(tmp_path / "new" / "x.safetensors", ARRAYS, CONFIG, {"source": "a.pt"})
    return tmp_path / "new" / "x.safetensors"


def test_round_trip(path):
    arrays = checkpoints.load_arrays(path, ARRAYS)
    np.testing.assert_array_equal(arrays["layer"]["weight"], ARRAYS["layer"]["weight"])
    assert arrays["layer"]["half"].dtype == jnp.bfloat16 and arrays["count"] == 7 and arrays["count"].dtype == np.int32
    assert checkpoints.load_config(path) == CONFIG and checkpoints.load_record(path) == {"source": "a.pt"}
    assert [entry.name for entry in path.parent.iterdir()] == ["x.safetensors"] and path.stat().st_mode & 0o044
    assert single_files.is_checkpoint(path)


def _changed(path, arrays=None, **metadata):
    content = safetensors_files.read_content(path)
    texts = {name: text for name, text in {**content.metadata, **metadata}.items() if text is not None}
    safetensors_files.write(path, {**content.arrays, **(arrays or {})}, texts)


def test_a_changed_number_or_configuration_is_named(path):
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=r"x\.safetensors: damaged: array \S+ differs from its checksum"):
        checkpoints.load_arrays(path, ARRAYS)
    path.write_bytes(data[:-3])
    with pytest.raises(CheckpointError, match=r"x\.safetensors: cut short: "):
        checkpoints.load_arrays(path, ARRAYS)
    path.write_bytes(data)
    _changed(path, config=json.dumps({**CONFIG, "size": 4}))
    with pytest.raises(CheckpointError, match="damaged: its configuration differs from its checksum"):
        checkpoints.load_config(path)


@pytest.mark.parametrize("text", [None, "[]", "{", "[" * 50_000])
def test_metadata_that_cannot_be_read_is_named(path, text):
    _changed(path, checksums=text)
    for load in (checkpoints.load_config, lambda path: checkpoints.load_arrays(path, ARRAYS)):
        with pytest.raises(CheckpointError, match="damaged: its metadata has no readable entry 'checksums'"):
            load(path)


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({**ARRAYS, "count": np.zeros(2)}, r"array count has shape \(\), its configuration asks for \(2,\)"),
        ({**ARRAYS, "extra": np.zeros(2)}, r"array extra has shape none \(missing\)"),
        ({"count": ARRAYS["count"]}, "array layer.half has shape"),
        ({**ARRAYS, "count": np.float32(0)}, "array count has the type int32, must be float32"),
    ],
)
def test_another_layout_or_type_is_refused_by_name(path, expected, message):
    with pytest.raises(CheckpointError, match=message):
        checkpoints.load_arrays(path, expected)


@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16])
def test_numbers_that_are_not_finite_are_refused(tmp_path, dtype):
    arrays = {"a": np.array([1, np.nan]).astype(dtype)}
    checkpoints.save_file(tmp_path / "x.safetensors", arrays, CONFIG)
    with pytest.raises(CheckpointError, match="array a contains NaN or infinity"):
        checkpoints.load_arrays(tmp_path / "x.safetensors", arrays)


def test_other_files_are_called_what_they_are(tmp_path):
    safetensors_files.write(tmp_path / "a", {"a": np.ones(1)}, {"format": "pt"})
    (tmp_path / "b").write_text("<html>")
    with pytest.raises(
        CheckpointError, match="a: is a safetensors file, no checkpoint of this program; convert it first"
    ):
        checkpoints.load_config(tmp_path / "a")
    with pytest.raises(
        CheckpointError, match=r"b: is a web page \(HTML\), no checkpoint of this program; the site sent"
    ):
        checkpoints.load_config(tmp_path / "b")
    assert not single_files.is_checkpoint(tmp_path / "a") and not single_files.is_checkpoint(tmp_path / "b")


def test_a_file_that_cannot_be_written_leaves_the_old_one_alone(path, monkeypatch):
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(single_files.safetensors_files, "write", full)
    with pytest.raises(InputError, match=r"x\.safetensors: cannot be written: No space left on device"):
        checkpoints.save_file(path, {"a": np.ones(1)}, CONFIG)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("entry", [{"mapping_layers": 10**8}, {"num_layers": 1e300}, {"channels": [4] * 1001}])
def test_a_configuration_of_very_many_layers_is_refused(path, entry):
    checkpoints.save_file(path, ARRAYS, {**CONFIG, **entry})
    with pytest.raises(InputError, match=f"its configuration has {next(iter(entry))} of more than 1,000"):
        single_files.load_config(path)
