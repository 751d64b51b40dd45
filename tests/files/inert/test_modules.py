"""Whole modules: their arrays have the names that state_dict() gives them."""

import io
import pickle
import struct

import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import modules, network_pickles, torch_files
from ganspace_jax.files.inert.records import Name, Record
from tests.foreign_pickles import Foreign, dumps, instructions, module, zip_file


def _read(tmp_path, value):
    (tmp_path / "file.pkl").write_bytes(dumps(value))
    return network_pickles.read(tmp_path / "file.pkl")


def _state_dict(root, visits=1000):
    return modules.state_dict(root, iter(range(visits)))


def test_arrays_have_dotted_names(tmp_path):
    """Without parameters that are None, and without buffers that are not persistent."""
    norm = module("Norm", {"weight": np.ones(2)}, {"mean": np.zeros(2), "cache": np.ones(3)}, skipped=["cache"])
    layers = Foreign("torch.nn.modules.container", "Sequential", state={"_modules": {"0": norm, "1": module("Relu")}})
    root = module("Generator", {"w": np.ones(1), "bias": None}, modules={"main": layers, "again": norm, "none": None})
    found = _state_dict(_read(tmp_path, root))
    assert list(found) == ["w", "main.0.weight", "main.0.mean", "again.weight", "again.mean"]
    assert all(type(array) is np.ndarray for array in found.values())


def test_attributes_can_lie_beside_slots(tmp_path):
    state = (module("A", {"w": np.ones(1)}).state, {"slot": 1})
    assert list(_state_dict(_read(tmp_path, Foreign("a", "A", state=state)))) == ["w"]


def test_what_is_no_array_and_no_module_stands_under_its_name(tmp_path):
    packed = Foreign("quant", "Packed", (1,))
    root = module("Generator", {"w": packed}, {"b": [1]}, {"scripted": packed, "number": 3})
    found = _state_dict(_read(tmp_path, root))
    assert [type(found[name]) for name in ("w", "b", "scripted", "number")] == [Record, list, Record, int]


def test_modules_are_told_from_other_objects(tmp_path):
    assert modules.is_module(_read(tmp_path, module("A")))
    for other in (Foreign("a", "B"), Foreign("a", "B", state={"_modules": 3}), {"_modules": {}}, None):
        assert not modules.is_module(_read(tmp_path, other))


def test_tables_of_another_kind_are_empty(tmp_path):
    state = {"_parameters": 3, "_buffers": [1], "_modules": {1: 2}, "_non_persistent_buffers_set": 5}
    assert _state_dict(_read(tmp_path, Foreign("a", "B", state=state))) == {}


def test_modules_without_end_are_refused():
    ring = Record(Name("a", "B"), state={"_modules": {}})
    ring.state["_modules"]["a"] = ring
    doubled = Record(Name("a", "B"), state={"_modules": {}})
    for _ in range(50):
        doubled = Record(Name("a", "B"), state={"_modules": {"a": doubled, "b": doubled}})
    for root, message in ((ring, "modules that are nested too deeply"), (doubled, "too many modules and arrays")):
        with pytest.raises(InputError, match=message):
            _state_dict(root)


def _old_file(path, value, numbers):
    """A file of torch.save before torch 1.6, with one storage, "0"."""
    head = b"".join(pickle.dumps(x, protocol=2) for x in (torch_files._LEGACY_MAGIC, 1001, {"little_endian": True}))
    storage = pickle.dumps(["0"], 2) + struct.pack(f"<q{len(numbers)}f", len(numbers), *numbers)
    path.write_bytes(head + value + storage)


def test_the_older_format_refers_to_the_source_of_a_class(tmp_path):
    reference = b"(U\x06modulecmodel\nGenerator\nU\x08model.py" + instructions("class Generator: ...") + b"tQ"
    storage = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x03NtQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00K\x03\x85K\x01\x85\x89}tR"
    state = b"}(U\x0b_parameters}U\x06weight" + tensor + b"sU\x08_modules}u"
    _old_file(tmp_path / "a.pt", b"\x80\x02" + reference + b")\x81" + state + b"b.", [1.0, 2.0, 3.0])
    root = torch_files.read(tmp_path / "a.pt")
    assert root.name == Name("model", "Generator")
    np.testing.assert_array_equal(_state_dict(root)["weight"], np.array([1, 2, 3], np.float32))


_STORAGE = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x04tQ"
_TENSOR = b"(" + _STORAGE + b"K\x00K\x04\x85K\x01\x85\x89}t"
WRAPPED = {
    "version 1": b"ctorch._utils\n_rebuild_tensor\n(" + _STORAGE + b"K\x00K\x04\x85K\x01\x85tR",
    "version 2": b"ctorch._utils\n_rebuild_tensor_v2\n" + _TENSOR + b"R",
    "version 3": b"ctorch._utils\n_rebuild_tensor_v3\n((U\x07storagectorch.storage\nUntypedStorage\nU\x010U\x03cpuK\x10tQ"
    b"K\x00K\x04\x85K\x01\x85\x89}ctorch\nfloat32\ntR",
    "parameter with a state": b"ctorch._utils\n_rebuild_parameter_with_state\n(ctorch._utils\n_rebuild_tensor_v2\n"
    + _TENSOR + b"R\x88}}U\x04noteK\x01stR",
    "type": b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\ncown\nTensor\n" + _TENSOR + b"}tR",
    "type of an unknown kind": b"ctorch._tensor\n_rebuild_from_type_v2\n(cposix\nsystem\ncown\nTensor\n" + _TENSOR + b"}tR",
    "type of a record": b"ctorch._tensor\n_rebuild_from_type_v2\n(ca\nB\n)Rcown\nTensor\n" + _TENSOR + b"}tR",
    "sparse": b"ctorch._utils\n_rebuild_sparse_tensor\n(K\x01ctorch._utils\n_rebuild_tensor_v2\n" + _TENSOR + b"RtR",
    "quantised": b"ctorch._utils\n_rebuild_qtensor\n((U\x07storagectorch\nQInt8Storage\nU\x010U\x03cpuK\x10tQK\x00tR",
    "parameter of a record": b"ctorch._utils\n_rebuild_parameter\n(ca\nB\n)R\x88}tR",
    "storage of a new kind": b"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nNewStorage\nU\x010U\x03cpuK\x04tQ"
    b"K\x00K\x04\x85K\x01\x85\x89}tR",
}  # fmt: skip


@pytest.mark.parametrize("kind", WRAPPED)
def test_tensors_of_known_kinds_are_arrays_and_other_kinds_are_records(tmp_path, kind):
    numbers = np.array([1, 2, 3, 4], np.float32)
    zip_file(tmp_path / "a.pt", b"\x80\x02" + WRAPPED[kind] + b".", [("0", numbers.tobytes())])
    found = torch_files.read(tmp_path / "a.pt")
    if kind.startswith(("version", "parameter with", "type")) and "of" not in kind:
        np.testing.assert_array_equal(found, numbers)
        assert found.dtype == np.float32
    else:
        assert type(found) is Record


def test_types_of_bytes_must_fit(tmp_path):
    odd = WRAPPED["version 3"].replace(b"float32", b"float64").replace(b"K\x04\x85", b"K\x03\x85")
    zip_file(tmp_path / "a.pt", b"\x80\x02" + odd + b".", [("0", bytes(16))])
    with pytest.raises(InputError, match=r"a\.pt: damaged: a tensor of shape \(3,\) reaches beyond its storage"):
        torch_files.read(tmp_path / "a.pt")


def test_persistent_objects_lie_in_torch_files_too(tmp_path):
    """Wherever the package lies that has NVIDIA's code."""
    meta = {"type": "class", "version": 6, "module_src": "import os", "class_name": "Generator", "state": {"z_dim": 4}}
    for place in ("torch_utils.persistence", "third.party.torch_utils.persistence"):
        value = Foreign(place, "_reconstruct_persistent_obj", (Foreign("dnnlib.util", "EasyDict", (), None, (), meta),))
        zip_file(tmp_path / "a.pt", dumps(value))
        found = torch_files.read(tmp_path / "a.pt")
        assert found.name.name == "Generator" and found.attributes == {"z_dim": 4}
    zip_file(tmp_path / "a.pt", dumps(Foreign(place, "_reconstruct_persistent_obj", ({"class_name": 3},))))
    assert torch_files.read(tmp_path / "a.pt").name.name == "_reconstruct_persistent_obj"


def test_a_pickle_taken_out_of_a_torch_file_is_named(tmp_path):
    (tmp_path / "data.pt").write_bytes(b"\x80\x02" + WRAPPED["version 2"] + b".")
    with pytest.raises(
        InputError, match=r"data\.pt: is the data\.pkl of a torch file without its numbers; give the whole"
    ):
        network_pickles.read(tmp_path / "data.pt")


def test_files_that_end_early_are_cut_short(tmp_path):
    whole, text = io.BytesIO(), dumps({"a": "text"})
    zip_file(whole, text, [("0", bytes(400))])
    cut = [(whole.getvalue()[:-10], torch_files), (whole.getvalue()[:100], torch_files)]
    for data, reader in (*cut, (text[:-1], network_pickles), (text[:-4], network_pickles), (b"\x80", network_pickles)):
        (tmp_path / "a.pt").write_bytes(data)
        with pytest.raises(InputError, match=r"a\.pt: cut short: "):
            reader.read(tmp_path / "a.pt")
    broken = bytearray(whole.getvalue())
    broken[broken.index(b"PK\x01\x02") + 16] ^= 1  # a checksum
    (tmp_path / "a.pt").write_bytes(broken)
    with pytest.raises(InputError, match=r"a\.pt: damaged: "):
        torch_files.read(tmp_path / "a.pt")
