"""Files of arrays: the content tells the format, objects become inert values, and
nothing in a file is executed.
"""

import contextlib
import os
import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import array_files, numpy_files, safetensors_files
from tests import tensor_files

ARRAY = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)


def _written(write, *arguments, **arrays):
    """Returns a function that writes a file of NumPy, whatever the ending of its
    name.
    """

    def to(path):
        with path.open("wb") as file:
            write(file, *arguments, **arrays)

    return to


WRITERS = {
    "npy": _written(np.save, ARRAY),
    "npy of version 2": _written(np.lib.format.write_array, ARRAY, version=(2, 0)),
    "npz": _written(np.savez, w=ARRAY),
    "compressed npz": _written(np.savez_compressed, w=ARRAY),
    "torch": lambda path: tensor_files.write_torch(path, ARRAY),
    "older torch": lambda path: tensor_files.write_torch(path, {"w": ARRAY}, legacy=True),
    "parameter": lambda path: tensor_files.write_torch(path, tensor_files.Parameter(ARRAY)),
    "safetensors": lambda path: tensor_files.write_safetensors(path, {"w": ARRAY}),
    "pickle": lambda path: path.write_bytes(pickle.dumps({"w": ARRAY})),
    "pickle of Python 2": lambda path: path.write_bytes(pickle.dumps(ARRAY, protocol=2)),
}


@pytest.mark.parametrize("kind", WRITERS)
def test_the_content_tells_the_format_and_not_the_ending(tmp_path, kind):
    for ending in (".npy", ".npz", ".pt", ".pth", ".pkl", ".safetensors", ".bin", ""):
        path = tmp_path / f"file{ending}"
        WRITERS[kind](path)
        found = array_files.read(path)
        np.testing.assert_array_equal(found["w"] if isinstance(found, dict) else found, ARRAY)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_np_save_pickles_is_read_as_inert_values(tmp_path, protocol):
    """ReStyle saves a dictionary of lists of arrays by np.save."""
    steps = {"a/b.jpg": [ARRAY[0], ARRAY[1]], "note": "text", "none": None}
    ragged = np.empty(2, object)
    ragged[:] = [ARRAY[0], ["a", 1]]
    for name, value in (("dictionary", np.array(steps, object)), ("ragged", ragged)):
        with (tmp_path / f"{name}.npy").open("wb") as file:
            header = {"descr": "|O", "fortran_order": False, "shape": value.shape}
            np.lib.format.write_array_header_1_0(file, header)
            pickle.dump(value, file, protocol=protocol)
    found = array_files.read(tmp_path / "dictionary.npy")
    assert list(found) == list(steps) and found["note"] == "text" and found["none"] is None
    np.testing.assert_array_equal(found["a/b.jpg"], ARRAY)
    first, second = array_files.read(tmp_path / "ragged.npy")
    np.testing.assert_array_equal(first, ARRAY[0])
    assert second == ["a", 1]


def test_objects_beside_arrays_in_an_npz_do_not_hide_them(tmp_path):
    np.savez(tmp_path / "a.npz", w=ARRAY, options=np.array({"lr": 0.1}, object), text=np.array(["a"]))
    found = array_files.read(tmp_path / "a.npz")
    np.testing.assert_array_equal(found["w"], ARRAY)
    assert found["options"] == {"lr": 0.1} and found["text"].tolist() == ["a"]
    with pytest.raises(InputError, match=r"a\.npz: damaged: Object arrays cannot be loaded"):
        numpy_files.read(tmp_path / "a.npz")


class _Call:
    """Pickles as a call of a function by name, and a state for what it returns."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


def _write_objects(path, value):
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump(value, file)


def test_nothing_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad = _Call(os.system, ("touch executed",))
    np.save("a.npy", np.array([bad], object))
    np.savez("b.npz", w=ARRAY, bad=np.array(bad, object))
    (tmp_path / "c.pkl").write_bytes(pickle.dumps([bad]))
    _write_objects(tmp_path / "d.npy", bad)
    for name in ("a.npy", "b.npz", "c.pkl", "d.npy"):
        with contextlib.suppress(InputError):
            array_files.read(tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {"a.npy", "b.npz", "c.pkl", "d.npy"}


def _of_objects(shape, values):
    """The pickle of an array of objects, with a state of its own."""
    reconstruct = np.array(None, object).__reduce__()[0]
    return _Call(reconstruct, (np.ndarray, (0,), b"b"), (1, shape, np.dtype(object), False, values))


def test_arrays_of_objects_that_are_none_are_refused(tmp_path):
    nested = [0]
    for _ in range(150):
        nested = [nested]
    for value, message in (
        (_of_objects((10**9,), [1]), r"an array of shape \(1000000000,\) has 1 objects"),
        (_of_objects((1,), b"a"), "has a bytes where a list belongs"),
        (_of_objects((1,), [nested]), "nested more than"),
        ({"a": 1}, "holds something else than arrays of numbers, text and objects"),
    ):
        _write_objects(tmp_path / "a.npy", value)
        with pytest.raises(InputError, match=rf"a\.npy: damaged: .*{message}"):
            array_files.read(tmp_path / "a.npy")


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_safetensors_are_arrays_by_name(tmp_path, dtype):
    arrays = {"a": ARRAY.astype(dtype), "b": ARRAY[:0].astype(dtype), "c": ARRAY[0, 0, 0].astype(dtype)}
    tensor_files.write_safetensors(tmp_path / "a.safetensors", arrays)
    found = safetensors_files.read(tmp_path / "a.safetensors")
    assert sorted(found) == ["a", "b", "c"]
    for name, array in arrays.items():
        assert found[name].dtype == np.float32 and found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array.astype(np.float32))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"dtype": "F32", "shape": [2, 3, 5], "data_offsets": [0, 96]}, "invalid shape"),
        ({"dtype": "F32", "shape": [100], "data_offsets": [0, 400]}, "its header describes more bytes than it has"),
        ({"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}, "invalid value"),
        ({"dtype": "F31", "shape": [1], "data_offsets": [0, 4]}, "unknown variant"),
        ({"shape": [1]}, "missing field"),
        (7, "invalid type"),
    ],
)
def test_safetensors_that_do_not_add_up_are_damaged(tmp_path, entry, message):
    tensor_files.write_safetensors(tmp_path / "a.safetensors", {"a": ARRAY}, a=entry)
    with pytest.raises(InputError, match=rf"a\.safetensors: (damaged|cut short): .*{message}"):
        array_files.read(tmp_path / "a.safetensors")


LISTS = {
    "a number": (2, np.array(2.0)), "of NumPy": (np.float64(2), np.array(2.0)), "a row": ([1, 2.5], [1, 2.5]),
    "rows": ([[1, 2], [3, 4]], [[1, 2], [3, 4]]), "arrays": ([np.ones(2), np.zeros(2)], [[1, 1], [0, 0]]),
}  # fmt: skip
NO_LISTS = ([], [1, "a"], [[1, 2], [3]], [True, False], [np.ones(2), 1.0], "text", None, {"a": 1}, (1, 2))


@pytest.mark.parametrize("kind", LISTS)
def test_lists_of_numbers_and_of_arrays_become_one_array(kind):
    value, expected = LISTS[kind]
    found = array_files.as_array(value)
    assert isinstance(found, np.ndarray) and found.dtype.kind == "f"
    np.testing.assert_array_equal(found, expected)


def test_other_values_stay_as_they_are():
    for value in NO_LISTS:
        assert array_files.as_array(value) is value


def test_files_of_no_arrays_are_told_apart(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("faces/w.pt", "latents")
    with pytest.raises(InputError, match=r"a\.zip: a zip archive without arrays; unpack it .*: faces/w\.pt"):
        array_files.read(tmp_path / "a.zip")
    (tmp_path / "a.npy").write_text("<html>")
    with pytest.raises(
        InputError,
        match=r"a\.npy: is a web page \(HTML\); .*neither an \.npz nor an \.npy, no torch file, no safetensors",
    ):
        array_files.read(tmp_path / "a.npy")
    with pytest.raises(FileNotFoundError):
        array_files.read(tmp_path / "missing.npy")


def test_mutated_files_are_read_or_refused_in_one_line(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "file"
    kinds = {**WRITERS, "objects": _written(np.save, np.array({"a": [ARRAY, "b"]}, object))}
    outcomes = []
    for count in range(600):
        list(kinds.values())[count % len(kinds)](path)
        data = bytearray(path.read_bytes())
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        path.write_bytes(data[: len(data) if count % 4 else rng.integers(len(data))])
        try:
            array_files.read(path)
            outcomes.append("read")
        except InputError as error:
            assert len(str(error).splitlines()) == 1 and str(error).startswith(f"{path}: ")
            outcomes.append("refused")
    assert 60 < outcomes.count("read") < 500


def test_an_npz_that_expands_too_much_is_refused_before_it_is_read(tmp_path, monkeypatch):
    repeated = np.repeat(np.random.default_rng(0).standard_normal((1, 512), np.float32), 18, axis=0)
    for name, array in (("layers", repeated), ("zeros", np.zeros(1 << 20, np.float32))):
        np.savez_compressed(tmp_path / f"{name}.npz", w=array)
        np.testing.assert_array_equal(array_files.read(tmp_path / f"{name}.npz")["w"], array)
    monkeypatch.setattr(numpy_files, "_FREE_BYTES", 1 << 12)
    np.testing.assert_array_equal(array_files.read(tmp_path / "layers.npz")["w"], repeated)
    monkeypatch.setattr(numpy_files, "_value", None)
    with pytest.raises(InputError, match="expand to 4,194,432 bytes, more than 64 times the file"):
        array_files.read(tmp_path / "zeros.npz")
    monkeypatch.setattr(numpy_files, "_MAX_MEMBERS", 0)
    with pytest.raises(InputError, match="1 arrays; the most are 0"):
        array_files.read(tmp_path / "layers.npz")
