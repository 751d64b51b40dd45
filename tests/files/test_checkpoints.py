"""Checkpoints: what is written comes back bit-equal; what is damaged, missing or of
another shape is named.
"""

import errno
import hashlib
import json
import os
import pathlib
import resource
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.files import checkpoints, checksums

ROOT = pathlib.Path(__file__).parents[2]

ARRAYS = {
    "layer": {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "half": np.ones(2, jnp.bfloat16)},
    "count": np.int32(7),
}
CONFIG = {"family": "anything", "size": 3}


@pytest.fixture
def directory(tmp_path):
    checkpoints.save_arrays(tmp_path / "model", ARRAYS, CONFIG)
    return tmp_path / "model"


def test_round_trip(directory):
    arrays = checkpoints.load_arrays(directory, ARRAYS)
    np.testing.assert_array_equal(arrays["layer"]["weight"], ARRAYS["layer"]["weight"])
    assert arrays["layer"]["half"].dtype == jnp.bfloat16 and arrays["count"] == 7
    assert checkpoints.load_config(directory) == CONFIG
    assert {p.name for p in directory.parent.iterdir()} == {"model"}


def test_no_file_tells_where_it_was_written(directory):
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert files and not [path for path in files if directory.parent.name.encode() in path.read_bytes()]


def test_saving_again_replaces_all(directory):
    checkpoints.save_arrays(directory, {"other": np.zeros(3)}, {"family": "new"})
    assert list(checkpoints.load_arrays(directory, {"other": np.zeros(3)})) == ["other"]
    assert checkpoints.load_config(directory) == {"family": "new"}


def test_a_failed_save_leaves_the_old_one_alone(directory):
    with pytest.raises(TypeError):
        checkpoints.save_arrays(directory, {"a": np.zeros(1)}, {"family": object()})
    checkpoints.load_arrays(directory, ARRAYS)
    assert {p.name for p in directory.parent.iterdir()} == {"model"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: {**a, "count": np.zeros(2)}, r"array count has shape \(\), config.json asks for \(2,\)"),
        (lambda a: {**a, "extra": np.zeros(2)}, r"array extra has shape none \(missing\)"),
        (lambda a: {"count": a["count"]}, r"array layer.half has shape \(2,\), .* none \(no such array\)"),
    ],
)
def test_another_layout_is_refused_by_name(directory, change, message):
    with pytest.raises(checkpoints.CheckpointError, match=message):
        checkpoints.load_arrays(directory, change(ARRAYS))


def test_damage_is_named(directory):
    for path in (directory / "arrays").rglob("*"):
        if path.is_file() and path.stat().st_size > 64:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(checkpoints.CheckpointError, match="arrays: damaged: "):
        checkpoints.load_arrays(directory, ARRAYS)


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "no config.json"), ("{", "cannot be read"), ("[]", "no 'family'"), ("{}", "no 'family'")],
)
def test_bad_configurations_are_named(tmp_path, text, message):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(checkpoints.CheckpointError, match=message):
        checkpoints.load_config(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(checkpoints.CheckpointError, match="no arrays/ in it"):
        checkpoints.load_arrays(tmp_path, ARRAYS)


def _scaled(scale):
    return jax.tree.map(lambda a: np.asarray(a * scale, np.asarray(a).dtype), ARRAYS)


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({**ARRAYS, "count": np.int32(6)}, "count"),
        ({**ARRAYS, "count": np.array(7, np.uint32)}, "count"),  # has the same bytes
        ({**ARRAYS, "layer": {**ARRAYS["layer"], "half": np.array([1, 1.0078125], jnp.bfloat16)}}, "layer.half"),
        (
            {**ARRAYS, "layer": {**ARRAYS["layer"], "weight": ARRAYS["layer"]["weight"] * np.float32(-1)}},
            "layer.weight",
        ),
    ],
)
def test_an_array_that_differs_from_its_checksum_is_named(directory, changed, name):
    checkpoints.save_arrays(directory.parent / "other", changed, CONFIG)
    shutil.rmtree(directory / "arrays")
    shutil.copytree(directory.parent / "other" / "arrays", directory / "arrays")
    with pytest.raises(checkpoints.CheckpointError, match=f"model: damaged: array {name} differs from its checksum"):
        checkpoints.load_arrays(directory, ARRAYS)
    (directory / "checksums.json").unlink()  # as older versions wrote checkpoints
    assert set(checkpoints.load_arrays(directory, ARRAYS)) == set(ARRAYS)


def test_a_configuration_that_differs_from_its_checksum_is_named(directory):
    path = directory / "config.json"
    path.write_text(json.dumps(dict(reversed(CONFIG.items()))))  # another layout of the same values
    checkpoints.load_arrays(directory, ARRAYS)
    path.write_text(json.dumps({**CONFIG, "size": 4}))
    with pytest.raises(checkpoints.CheckpointError, match="damaged: config.json differs from its checksum"):
        checkpoints.load_arrays(directory, ARRAYS)
    sums = json.loads((directory / "checksums.json").read_text())
    del sums["config.json"]  # as older versions wrote checkpoints
    (directory / "checksums.json").write_text(json.dumps(sums))
    checkpoints.load_arrays(directory, ARRAYS)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "cannot be read"), ("null", "must map names"), ("[]", "must map names"), ("{}", "no checksum of array")],
)
def test_damaged_checksums_are_named(directory, text, message):
    (directory / "checksums.json").write_text(text)
    with pytest.raises(checkpoints.CheckpointError, match=f"checksums.json: .*{message}"):
        checkpoints.load_arrays(directory, ARRAYS)


def test_a_checksum_is_of_type_shape_and_numbers():
    array = np.array([[1, 2], [3, 4]], np.int16)
    expected = hashlib.sha256(b"int16 (2, 2)\n" + bytes([1, 0, 2, 0, 3, 0, 4, 0])).hexdigest()
    for same in (array, np.asfortranarray(array), jnp.asarray(array)):
        assert checksums.of_array(same) == expected
    others = [array.view(np.uint16), array.reshape(4), array.reshape(1, 4), array.T, array + np.int16(1)]
    assert len({checksums.of_array(x) for x in [array, *others]}) == 6


def _mutate(rng, data):
    """Flips a bit, cuts the end, zeroes a part, or inserts bytes."""
    place, kind = int(rng.integers(len(data))), rng.integers(4)
    if kind == 0:
        return data[:place] + bytes([data[place] ^ (1 << int(rng.integers(8)))]) + data[place + 1 :]
    return data[:place] + (b"", bytes(30), b"12345")[kind - 1] + data[place + (len(data), 30, 0)[kind - 1] :]


def test_a_changed_file_gives_the_same_arrays_or_is_named(directory, tmp_path):
    arrays = {"weight": np.random.default_rng(1).standard_normal((40, 50)).astype(np.float32), "n": np.int32(3)}
    checkpoints.save_arrays(directory, arrays, CONFIG)
    rng, refused = np.random.default_rng(0), 0
    files = sorted(path for path in directory.rglob("*") if path.stat().st_size and path.is_file())
    for _ in range(60):
        path = files[rng.integers(len(files))]
        whole = path.read_bytes()
        path.write_bytes(_mutate(rng, whole))
        try:
            found = checkpoints.load_arrays(directory, arrays)
        except checkpoints.CheckpointError as error:
            refused += 1
            assert str(error).startswith(str(directory)) and str(error).isprintable()
        else:
            jax.tree.map(np.testing.assert_array_equal, found, arrays)
        path.write_bytes(whole)
    assert 15 < refused < 50


def test_every_shipped_network_has_checksums_and_agrees_with_them():
    directories = [path.parent for path in sorted((ROOT / "ganspace_jax" / "models").rglob("config.json"))]
    assert len(directories) >= 5
    for directory in directories:
        assert "config.json" in json.loads((directory / "checksums.json").read_text())
        checkpoints.load_arrays(directory, checkpoints._read(directory / "arrays"))


@pytest.mark.parametrize("writer", ["config", "arrays"])
def test_a_full_disk_is_one_error_that_names_the_directory(directory, monkeypatch, writer):
    def fail(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if writer == "config":
        monkeypatch.setattr(pathlib.Path, "write_text", fail)
    else:
        monkeypatch.setattr(checkpoints, "_write", fail)
    with pytest.raises(InputError) as caught:
        checkpoints.save_arrays(directory, _scaled(2), CONFIG)
    assert str(caught.value).startswith(f"{directory}: cannot be written: No space left on device")
    monkeypatch.undo()
    checkpoints.load_arrays(directory, ARRAYS)
    assert {p.name for p in directory.parent.iterdir()} == {"model"}


def test_orbax_prints_nothing_before_the_error(directory, capfd, caplog):
    """A limit on the size of files stands for a full disk: writing fails in the same
    place, with another number.
    """
    numbers = np.random.default_rng(0).standard_normal(2**17)  # 1 MB
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**18, hard))
        with pytest.raises(checkpoints.CheckpointError) as caught:
            checkpoints.save_arrays(directory, {"a": numbers}, CONFIG)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(caught.value) == f"{directory}: cannot be written: File too large"
    assert capfd.readouterr() == ("", "") and not caplog.records


def test_the_zoo_is_imported_without_orbax():
    program = "import sys, ganspace_jax.generators.zoo; sys.exit(any(name.startswith('orbax') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0
