"""Network pickles: the reference's numbers come out, and damaged or hostile files cost
neither memory nor time. test_records.py has the objects of unknown classes.
"""

import contextlib
import os
import pathlib
import pickle
import struct
import tracemalloc

import numpy as np
import pytest

from checkpoints_convert import networks
from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import limits, network_pickles, torch_files
from ganspace_jax.files.inert.records import Name, Record

GOLDEN = pathlib.Path(__file__).parents[2] / "golden"
FILES = {
    "stylegan3_t_32": ("G_ema", "param/"),
    "stylegan3_r_32": ("G_ema", "param/"),
    "stylegan2_ada_ffhq32": ("G_ema", "param/"),
    "stylegan2_ada_cifar32": ("G_ema", "param/"),
    "stylegan2_tf_f32": ("Gs", "param/"),
    "stylegan1_tf_64": ("Gs", "param/"),
    "progan_32": ("Gs", "param_tf/"),
}


@pytest.mark.parametrize("name", FILES)
def test_every_parameter_is_the_reference_array(name):
    averaged, prefix = FILES[name]
    network, *others = networks.find(network_pickles.read(GOLDEN / f"{name}.pkl"), {})
    other = next(one for one in others if one.name == "G")
    assert network.name == averaged
    with np.load(GOLDEN / f"{name}.npz") as reference:
        expected = {key.removeprefix(prefix): reference[key] for key in reference.files if key.startswith(prefix)}
    assert set(network.arrays) == set(other.arrays) == set(expected)
    for key, array in expected.items():
        assert network.arrays[key].dtype == array.dtype and network.arrays[key].shape == array.shape
        np.testing.assert_array_equal(network.arrays[key], array)
    assert any(not np.array_equal(network.arrays[key], other.arrays[key]) for key in expected)  # G is another network


def _read(tmp_path, data):
    (tmp_path / "file.pkl").write_bytes(data)
    return network_pickles.read(tmp_path / "file.pkl")


def _refused(tmp_path, data, match=None):
    """Refused in one line that names the file."""
    with pytest.raises(InputError, match=match) as caught:
        _read(tmp_path, data)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 'file.pkl'}: ") and text.isprintable() and len(text) < 500
    return text


ARRAYS = (
    np.arange(6, dtype=np.float32).reshape(2, 3),
    np.asfortranarray(np.arange(6.0).reshape(3, 2)),
    np.arange(-3, 3, dtype=">i2"),
    np.array([True, False]),
    np.array(2.5, np.float16),
    np.array(["one", "three"]),
    np.float64(0.1),
    np.bool_(True),
)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_numbers_are_read_in_every_protocol(tmp_path, protocol):
    data = pickle.dumps({"a": ARRAYS, "again": ARRAYS[0], "set": {1, "b"}}, protocol=protocol)
    for spelled in {data, data.replace(b"numpy._core", b"numpy.core")} if protocol < 4 else {data}:
        found = _read(tmp_path, spelled)
        assert found["set"] == {1, "b"}
        for ours, original in zip((*found["a"], found["again"]), (*ARRAYS, ARRAYS[0]), strict=True):
            assert ours.dtype.newbyteorder("=") == original.dtype.newbyteorder("=") and type(ours) is type(original)
            np.testing.assert_array_equal(ours, original)


def test_numbers_that_python_2_wrote_are_read(tmp_path):
    """There bytes are text; also a class of the old kind, whose instances have an
    instruction of their own.
    """
    numbers = np.array([-1.5, 3e7], np.float32)
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\x02\x85"
    array += b"cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x08"
    array += numbers.tobytes() + b"tb"
    network = _read(tmp_path, b"\x80\x02(ctfutil\nNetwork\no}U\x01a" + array + b"sb.")
    assert network.name == Name("tfutil", "Network")
    np.testing.assert_array_equal(network.state["a"], numbers)


def _blob(numbers, announced=None):
    """A storage as torch.save of the older format writes it."""
    count = len(numbers) if announced is None else announced
    head = b"".join(pickle.dumps(x, protocol=2) for x in (torch_files._LEGACY_MAGIC, 1001, {"little_endian": True}))
    storage = b"\x80\x02(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpu" + pickle.dumps(count, 2)[2:-1] + b"NtQ."
    return head + storage + pickle.dumps(["0"], 2) + struct.pack(f"<q{len(numbers)}f", len(numbers), *numbers)


def _tensor(blob, offset, shape, strides):
    sizes = [
        b"(" + b"".join(b"J" + struct.pack("<i", n) for n in sizes) + b"t" for sizes in ((offset,), shape, strides)
    ]
    storage = b"ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(blob)) + blob + b"\x85R"
    arguments = b"(" + storage + sizes[0][1:-1] + sizes[1] + sizes[2] + b"\x89ccollections\nOrderedDict\n)Rt"
    return b"ctorch._utils\n_rebuild_parameter\n(ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R\x88Nt"


def test_tensors_keep_offset_and_strides(tmp_path):
    data = _tensor(_blob(range(6)), 1, (2, 2), (1, 2))
    np.testing.assert_array_equal(_read(tmp_path, b"\x80\x02" + data + b"R."), [[1.0, 3.0], [2.0, 4.0]])


CALLS = {
    "EXT1": (b"\x82\x01.", "has the instruction EXT1"),
    "NEXT_BUFFER": (b"\x97.", "has the instruction NEXT_BUFFER"),
    "a storage outside": (
        b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x04NtQ.", "is the data.pkl of a torch file without its numbers"
    ),
    "a value": (b"U\x01a)R.", "has a str where a Name or Record belongs"),
    "a list as arguments": (b"ccollections\nOrderedDict\n]R.", "has a list where a tuple belongs"),
    "no keywords": (b"ccollections\nOrderedDict\n)]\x92.", "has a list where a dict belongs"),
    "items of a tuple": (b")K\x01a.", "has a tuple where a list or Record belongs"),
    "entries of a list": (b"]K\x01K\x01s.", "has a list where a dict or Record belongs"),
    "a name of numbers": (b"K\x01K\x02\x93.", "has a int where a str belongs"),
    "a newer protocol": (b"\x80\x06N.", "pickle protocol 6; the highest known one is 5"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "message"), CALLS.values(), ids=CALLS)
def test_no_instruction_reaches_further_than_another(tmp_path, data, message):
    _refused(tmp_path, b"\x80\x02" + data, message)


@pytest.mark.parametrize(
    "target",
    [
        b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n",
        b"cdnnlib\nEasyDict\n",
        b"cnumpy\nndarray\n",
        b"]",
        b"K\x01",
        b"U\x01a",
        b"\x8f",
    ],
)
@pytest.mark.parametrize("state", [b"}U\x08__call__K\x01s", b"N}U\x0a__reduce__K\x01s\x86"])
def test_attributes_are_never_set(tmp_path, target, state):
    _refused(tmp_path, b"\x80\x04" + target + state + b"b.", "sets the state of a ")


def test_a_dictionary_has_no_attributes_and_a_network_only_its_state(tmp_path):
    ordered = b"\x80\x02ccollections\nOrderedDict\n)R}U\x09_metadataK\x01sb."
    assert _read(tmp_path, ordered) == {} and type(_read(tmp_path, ordered)) is dict
    easy = _read(tmp_path, b"\x80\x02cdnnlib.util\nEasyDict\n)\x81U\x0b__setitem__K\x01s.")
    assert easy == {"__setitem__": 1} and type(easy) is dict
    network = _read(tmp_path, b"\x80\x02cdnnlib.tflib.network\nNetwork\n)\x81}U\x0c__setstate__K\x01sb.")
    assert type(network) is Record and network.attributes == {"__setstate__": 1}


def _array(shape, code, state, data):
    sizes = b"(" + b"".join(pickle.dumps(n, 2)[2:-1] for n in shape) + b"t"
    dtype = b"cnumpy\ndtype\nU" + bytes([len(code)]) + code + b"\x89\x88\x87R(K\x03U\x01<" + state + b"tb"
    head = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
    return head + sizes + dtype + b"\x89U" + bytes([len(data)]) + data + b"tb."


def _blob_tensor(offset=0, shape=(2,), strides=(1,), announced=None):
    return b"\x80\x02" + _tensor(_blob(range(4), announced), offset, shape, strides) + b"R."


def _repeated(instructions, count):
    """A text of a million letters, and instructions that use it time and again: by
    place 0 of the memo.
    """
    return b"\x80\x02X" + struct.pack("<I", 10**6) + b"a" * 10**6 + b"q\x000" + instructions * count + b"N."


HUGE = {
    "shape against bytes": (_array((10**6, 10**6), b"f4", b"NNN", b"\0" * 8), "has 8 bytes and not 4,000,000,000,000"),
    "shape of huge integers": (_array((1 << 120,) * 30, b"f4", b"NNN", b"\0" * 8), "an array of shape"),
    "shape of a thousand sizes": (_array((1,) * 1000, b"f4", b"NNN", b"\0" * 4), "no row of up to 32"),
    "negative shape": (_array((-1, -2), b"f4", b"NNN", b"\0" * 8), "sizes that are no counts"),
    "shape of floats": (_array((2.0,), b"f4", b"NNN", b"\0" * 8), "sizes that are no counts"),
    "a type with names": (_array((1,), b"f4", b"N(U\x01at}", b"\0" * 4), "a type with parts"),
    "storage against file": (_blob_tensor(announced=10**12), "a storage of 1,000,000,000,000 numbers is larger"),
    "negative storage": (_blob_tensor(announced=-4), "a storage of -4 numbers"),
    "storage of another size": (_blob_tensor(announced=3), "storage 0 has 4 numbers, 3 were announced"),
    "tensor beyond its storage": (_blob_tensor(2, (2, 2), (1, 1)), r"a tensor of shape \(2, 2\) reaches beyond"),
    "tensor of one number": (_blob_tensor(0, (10**6, 1000), (0, 0)), "its values are many times the file"),
    "negative stride": (_blob_tensor(3, (4,), (-1,)), "sizes that are no counts"),
    "bytes": (b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"abc.", "expected 1099511627776 bytes"),
    "text": (b"\x80\x04\x8d" + struct.pack("<Q", 1 << 62) + b"abc.", "expected 4611686018427387904 bytes"),
    "a place in the memo": (b"\x80\x02Nr\xff\xff\xff\x7f]r\xff\xff\xff\xfeh\x07.", "KeyError"),
    "an integer": (b"\x80\x02\x8b" + struct.pack("<I", 100) + b"\x7f" * 100 + b".", "an integer of 799 bits"),
    "a frame": (b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"(.", "IndexError"),
    "text as bytes, time and again": (_repeated(b"c_codecs\nencode\nh\x00U\x06latin1\x86R", 50), "many times the file"),
}


@pytest.mark.parametrize(("data", "message"), HUGE.values(), ids=HUGE)
def test_sizes_are_compared_before_anything_is_reserved(tmp_path, data, message):
    tracemalloc.start()
    try:
        _refused(tmp_path, data, message)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000 + 8 * len(data)
    finally:
        tracemalloc.stop()


def _long(number):
    return b"\x8a\x0a" + number.to_bytes(10, "little")


_ALIKE = [
    _long(1 + k * (2**61 - 1)) for k in range(1, 500)
]  # numbers of one hash, and more of them than tables can bear
COLLIDING = {
    "keys": b"}(" + b"".join(number + b"N" for number in _ALIKE) + b"u.",
    "items of a set": b"\x8f(" + b"".join(_ALIKE) + b"\x90.",
    "tuples": b"}(" + b"".join(number + b"\x85N" for number in _ALIKE) + b"u.",
}


@pytest.mark.parametrize("data", COLLIDING.values(), ids=COLLIDING)
def test_numbers_that_can_all_have_one_hash_are_kept_in_records(tmp_path, data):
    found = _read(tmp_path, b"\x80\x04" + data)
    assert len(found) == len(_ALIKE) and {type(key) for key in found} == {Record}
    assert _read(tmp_path, b"\x80\x04}" + _long(2**60 - 1) + b"Ns.") == {2**60 - 1: None}


def test_places_of_the_memo_can_not_have_one_hash(tmp_path):
    places = b"N" + b"".join(b"p%d\n" % (1 + k * (2**61 - 1)) for k in range(1, 1000)) + b"."
    _refused(tmp_path, b"\x80\x04" + places, "a number of more than 60 bits as a key")


_TOWER = b")" + b"\x85" * 300_000  # at which Python's own hash overruns the stack
NESTED = {
    "a list in itself": (b"]q\x00h\x00a.", "within themselves"),
    "a dictionary in itself": (b"}q\x00U\x01ah\x00s.", "within themselves"),
    "lists": (b"]" * 100_000 + b"a" * 99_999 + b".", "nested more than 100 deep"),
    "tuples": (_TOWER + b".", "nested more than 100 deep"),
    "doubled tuples": (b")" + b"2\x86" * 60 + b".", "in so many places"),
    "tuples as a key": (b"}" + _TOWER + b"K\x01s.", "nested more than 100 deep"),
    "tuples in a set": (b"\x8f(" + _TOWER + b"\x90.", "nested more than 100 deep"),
    "tuples as a storage type": (
        _tensor(_blob(range(4)).replace(b"ctorch\nFloatStorage\n", _TOWER), 0, (2,), (1,)) + b"R.",
        "a storage that is none|nested",
    ),
    "tuples as keys of pairs": (b"ccollections\nOrderedDict\n](" + _TOWER + b"K\x01\x86e\x85R.", "nested more than 100 deep"),
    "tuples as keys of attributes": (b"ctfutil\nNetwork\n)\x81](" + _TOWER + b"K\x01\x86eb.", "nested more than 100 deep"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "message"), NESTED.values(), ids=NESTED)
def test_what_is_nested_without_end_is_refused(tmp_path, data, message):
    """Also where Python would visit it by recursion, as for a hash."""
    _refused(tmp_path, b"\x80\x04" + data, message)


def test_one_array_in_many_places_does_not_become_many(tmp_path):
    array = pickle.dumps(np.zeros(1000), protocol=2)[2:-1]
    (tmp_path / "file.pkl").write_bytes(
        b"\x80\x02](" + array + b"r\xe8\x03\x00\x00" + b"j\xe8\x03\x00\x00" * 500 + b"e."
    )
    with pytest.raises(InputError, match="the same values in so many places"):
        network_pickles.read(tmp_path / "file.pkl")


def test_too_many_instructions_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "MAX_INSTRUCTIONS", 100)
    assert len(_read(tmp_path, b"\x80\x02](" + b"N" * 90 + b"e.")) == 90
    _refused(tmp_path, b"\x80\x02](" + b"N" * 100 + b"e.", "more than 100 instructions")


def test_instructions_are_counted_in_all_pickles_of_a_file_together(tmp_path, monkeypatch):
    """One blob, of some 30 instructions, that is read time and again."""
    blob = _blob(range(4))
    again = b"ctorch.storage\n_load_from_bytes\nq\x00B" + struct.pack("<I", len(blob)) + blob + b"\x85q\x010"
    monkeypatch.setattr(limits, "MAX_INSTRUCTIONS", 200)
    for times, is_read in ((3, True), (10, False)):
        data = b"\x80\x02" + again + b"h\x00h\x01R0" * times + b"N." + b"\0" * 10**4
        if is_read:
            assert _read(tmp_path, data) is None
        else:
            _refused(tmp_path, data, "pickles of more than 200 instructions")


def test_what_is_no_regular_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.pkl")
    (tmp_path / "loop.pkl").symlink_to("loop.pkl")
    for path in (tmp_path / "pipe.pkl", tmp_path / "loop.pkl", pathlib.Path("/dev/zero"), tmp_path):
        with pytest.raises(InputError, match=f"{path}: is no regular file"):
            network_pickles.read(path)


@pytest.mark.parametrize("name", ["progan_32", "stylegan1_tf_64", "stylegan3_t_32"])
def test_cut_files_are_refused(tmp_path, name):
    data = (GOLDEN / f"{name}.pkl").read_bytes()
    places = np.random.default_rng(0).integers(2, len(data), 25)
    for place in (0, 2, 3, len(data) - 1, *places):
        _refused(tmp_path, data[:place], "cut short: ")


@pytest.mark.parametrize("name", ["progan_32", "stylegan3_t_32"])
def test_changed_files_are_read_or_refused(tmp_path, name):
    """One byte elsewhere than in the numbers, which are most of a file: whatever comes,
    it is a value or one line.
    """
    data = (GOLDEN / f"{name}.pkl").read_bytes()
    rng, refused = np.random.default_rng(1), 0
    for place in rng.integers(0, 4000, 100):
        changed = data[:place] + bytes([data[place] ^ (1 << rng.integers(8))]) + data[place + 1 :]
        with contextlib.suppress(InputError):
            networks.find(_read(tmp_path, changed), {})
            continue
        refused += 1
    assert refused >= 5


def test_what_is_a_pickle_is_told_from_the_first_bytes(tmp_path):
    for text in (b"", b"\x80", b"text", b"PK\x03\x04"):
        (tmp_path / "file").write_bytes(text)
        assert not network_pickles.is_pickle(tmp_path / "file")
    assert network_pickles.is_pickle(GOLDEN / "progan_32.pkl") and not torch_files.is_torch_file(
        GOLDEN / "progan_32.pkl"
    )
