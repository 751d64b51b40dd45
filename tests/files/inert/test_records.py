"""Objects of unknown classes become records; nothing in a file is imported or called,
whatever it contains.
"""

import contextlib
import os
import pathlib
import pickle
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import limits, network_pickles, records, torch_files
from ganspace_jax.files.inert.records import Name, Record
from tests.files.inert import watch
from tests.foreign_pickles import Foreign, dumps, instructions, zip_file


def _read(tmp_path, data) -> Any:
    """Returns the value of a pickle, or the message of a refusal in one line."""
    path = tmp_path / "file.pkl"
    path.write_bytes(data)
    with watch.nothing_happens(path):
        try:
            return network_pickles.read(path)
        except InputError as error:
            text = str(error)
    assert text.startswith(f"{path}: ") and text.isprintable() and len(text) < 500
    return text


def test_the_watch_sees_imports_calls_and_files(tmp_path):
    acts = (
        lambda: __import__("this_is_nowhere"),
        lambda: os.system("true"),
        lambda: (tmp_path / "a").read_text(),
        lambda: eval("1"),
    )
    for act in acts:
        with (
            pytest.raises(AssertionError),
            watch.nothing_happens(tmp_path / "b"),
            contextlib.suppress(ImportError, OSError),
        ):
            act()


def test_an_object_keeps_its_arguments_state_items_and_entries(tmp_path):
    state = {"lr": 0.1, "steps": [1, 2]}
    found = _read(tmp_path, dumps({"a": Foreign("own.place", "Thing", (1, "x"), state, (3, 4), {"k": 5})}))["a"]
    assert type(found) is Record and found.name == Name("own.place", "Thing") and str(found.name) == "own.place.Thing"
    assert (found.arguments, found.state, found.items, found.entries) == ((1, "x"), state, [3, 4], {"k": 5})
    assert found.attributes == state and found.keywords == {}


@pytest.mark.parametrize(
    ("state", "attributes"),
    [
        ((None, {"a": 1}), {"a": 1}), (({"a": 1}, {"b": 2}), {"a": 1, "b": 2}), (({"a": 1}, None), {"a": 1}),
        ([1], {}), ((1, 2), {}), ("text", {}), (({}, {}, {}), {}),
    ],
)  # fmt: skip
def test_attributes_can_lie_in_slots(tmp_path, state, attributes):
    found = _read(tmp_path, dumps(Foreign("a", "B", state=state)))
    assert found.attributes == attributes and found.state == state


@pytest.mark.parametrize(
    "data",
    [
        b"(U\x01xia\nB\n.", b"(ca\nB\nU\x01xo.", b"ca\nB\nU\x01x\x85\x81.", b"ca\nB\nU\x01x\x85R.",
        b"\x8c\x01a\x8c\x01B\x93U\x01x\x85\x81.",
    ],
)  # fmt: skip
def test_every_instruction_that_makes_an_object_makes_a_record(tmp_path, data):
    found = _read(tmp_path, b"\x80\x04" + data)
    assert (found.name, found.arguments) == (Name("a", "B"), ("x",))


def test_keywords_are_kept(tmp_path):
    found = _read(tmp_path, b"\x80\x04ca\nB\n)}U\x01kK\x01s\x92.")
    assert (found.arguments, found.keywords) == ((), {"k": 1})


# Functions of Python and of packages here, and known names called in an unknown way.
CALLS = {
    "posix.system": ("touch executed",), "builtins.eval": ("open('executed', 'w')",), "builtins.exec": ("1",),
    "builtins.__import__": ("antigravity",), "builtins.getattr": ("a", "upper"), "__builtin__.getattr": ("a", "upper"),
    "builtins.open": ("executed", "w"), "builtins.compile": ("1", "a", "eval"), "importlib.import_module": ("this",),
    "operator.attrgetter": ("__class__",), "functools.partial": (1,), "copyreg._reconstructor": (1,), "torch.load": ("a",),
    "copy_reg.__newobj__": (1,), "numpy.load": ("executed",), "numpy.core.multiarray.fromfile": ("a",), "numpy.matrix": (1,),
    "collections.Counter": (), "torch_utils.persistence._src_to_module": ("import os",), "subprocess.Popen": (["true"],),
    "dnnlib.util.open_url": ("http://a",), "pickle.loads": (b"N.",), "torch.FloatStorage": (4,), "builtins.list": ([1],),
    "ganspace_jax.files.inert.limits.as_key": (1,), "pathlib.PosixPath": ("/", "data"), "": (), "a.": (), ".b": (),
    "nt.system": ("a",), "_io.FileIO": ("executed", "w"), "types.CodeType": (1, 2), "weakref.ref": (1,), "sys.exit": (),
    "collections.OrderedDict.fromkeys": (1,), "numpy.dtype": (1,) * 17, "torch.device": (1,),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_a_call_of_anything_else_is_kept_and_never_made(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    module, _, attribute = name.rpartition(".")
    found = _read(tmp_path, dumps({"deep": [({"er": Foreign(module, attribute, CALLS[name])},)]}))
    record = found["deep"][0][0]["er"]
    assert type(record) is Record and record.name == Name(module, attribute) and record.arguments == CALLS[name]
    zip_file(tmp_path / "file.pt", dumps([Foreign(module, attribute, CALLS[name], {"a": 1})]))
    with watch.nothing_happens(tmp_path / "file.pt"):
        (record,) = torch_files.read(tmp_path / "file.pt")
    assert record.name == Name(module, attribute) and record.state == {"a": 1}
    assert not pathlib.Path("executed").exists()


def test_calling_a_record_is_a_record(tmp_path):
    """As getattr(os, "system")("touch executed"), and the call of a method."""
    inner = instructions(Foreign("builtins", "getattr", ("os", "system")))
    found = _read(tmp_path, b"\x80\x02" + inner + instructions(("touch executed",)) + b"R.")
    callee, argument = found.arguments
    assert found.name == callee.name == Name("builtins", "getattr") and argument == "touch executed"
    found = _read(tmp_path, b"\x80\x02" + inner * 2 + b"\x85R" + b")R" * 50 + b".")
    assert type(found) is Record


HOSTILE_STATES = {
    "methods": {"__reduce__": 1, "__call__": 2, "__class__": 3, "__hash__": 4, "__eq__": 5, "__dict__": 6},
    "slots": (None, {"name": 1, "state": 2, "items": 3, "__class__": 4}),
    "a call": Foreign("posix", "system", ("touch executed",)),
}


@pytest.mark.parametrize("state", HOSTILE_STATES.values(), ids=HOSTILE_STATES)
def test_a_state_sets_nothing_but_the_state(tmp_path, monkeypatch, state):
    monkeypatch.chdir(tmp_path)
    found = _read(tmp_path, dumps(Foreign("a", "B", (1,), state)))
    assert type(found) is Record and found.name == Name("a", "B") and found.items == () and callable(found) is False
    assert (
        hash(found) == object.__hash__(found) and found == found and found != _read(tmp_path, dumps(Foreign("a", "B")))
    )
    assert not pathlib.Path("executed").exists()


def test_records_and_short_tuples_are_keys_and_other_keys_do_no_harm(tmp_path):
    """As in the state of an optimizer, whose keys are tensors."""
    kind = instructions(Foreign("a", "Kind", (1,)))
    strange = [np.ones(2), (1, (2, 3)), (1 << 20, 1), [1], "a" * 500, "a\x1b[2J", 1 << 100, (1, 2, 3, 4, 5), (0.5,), {}]
    entries = b"".join(instructions(key) + b"K\x01" for key in strange)
    data = b"\x80\x02}(" + kind + b"K\x02ca\nB\nK\x03" + instructions(("a", 1)) + b"K\x04" + entries + b"u."
    found = _read(tmp_path, data)
    assert found["a", 1] == 4 and found[Name("a", "B")] == 3 and len(found) == 3 + len(strange)
    (record,) = (key for key, value in found.items() if value == 2)
    assert record.name == Name("a", "Kind")
    kept = [key for key, value in found.items() if value == 1]
    assert all(type(key) is Record and str(key) == "<pickle.key>" for key in kept)
    for key, original in zip(kept, strange, strict=True):
        assert repr(key.arguments[0]) == repr(original)
    assert len(_read(tmp_path, b"\x80\x04\x8f(" + kind + kind + b"K\x01]\x90.")) == 4
    assert len(_read(tmp_path, b"\x80\x04(" + kind + kind + b"K\x01]\x91.")) == 4


def test_arrays_that_are_no_numbers_are_records_wherever_they_are(tmp_path):
    """Also where the file refers to the array again."""
    again = np.array([1, "a"], object)
    found = _read(tmp_path, pickle.dumps([again, again, np.zeros(2, "i4,f4"), np.array(["2020-01-01"], "M8[D]")], 4))
    assert [type(one) for one in found] == [Record] * 4 and found[0] is found[1]
    assert found[0].name == Name("numpy", "ndarray") and found[0].state[-1] == [1, "a"]
    numbers = np.arange(3.0)
    one, two, three = _read(tmp_path, pickle.dumps([numbers, numbers, [numbers]], 2))
    assert type(one) is np.ndarray and one is two is three[0]


PERSISTENT = {
    "text": b"Pos.system\n.", "number": b"K\x01Q.", "empty": b")Q.", "record": instructions(Foreign("a", "B")) + b"Q.",
    "unknown kind": instructions(("shelf", 1, 2)) + b"Q.", "kind": b"(" + instructions(Foreign("a", "B")) + b"K\x01tQ.",
    "array": instructions((np.ones(2), 1)) + b"Q.", "module": b"(U\x06modulecposix\nsystem\nU\x01aU\x01btQ.",
    "module of text": instructions(("module", "os")) + b"Q.", "list": b"]Q.", "name": b"cposix\nsystem\nQ.",
    "storage": b"(U\x07storagecos\nStorage\nU\x010U\x03cpuK\x04tQ.",
    "short storage": b"(U\x07storagectorch\nFloatStorage\ntQ.",
    "key": b"(U\x07storagectorch\nFloatStorage\n]U\x03cpuK\x04tQ.", "count": b"(U\x07storagectorch\nFloatStorage\nU\x010N]tQ.",
    "type": instructions(("storage", [1], "0", "cpu", 4)) + b"Q.",
    "view": b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x04K\x01tQ.",
    "record as key": b"(U\x07storagectorch\nFloatStorage\n" + instructions(Foreign("a", "B")) + b"U\x03cpuK\x04tQ.",
}  # fmt: skip


@pytest.mark.parametrize("data", PERSISTENT.values(), ids=PERSISTENT)
def test_references_of_every_shape_are_inert(tmp_path, data):
    found = _read(tmp_path, b"\x80\x02" + data)
    assert type(found) in (Record, str, Name)
    zip_file(tmp_path / "a.pt", b"\x80\x02" + data, [("0", bytes(16))])
    with watch.nothing_happens(tmp_path / "a.pt"):
        try:
            assert type(torch_files.read(tmp_path / "a.pt")) in (Record, Name)
        except InputError as error:
            assert "a.pt: damaged: " in str(error)


_STORAGE = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x04tQ"


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("version", [b"", b"_v2", b"_v3"])
def test_a_record_in_place_of_a_part_of_a_tensor_makes_no_tensor(tmp_path, place, version):
    """A storage, an offset, a shape, strides or a type."""
    parts = [_STORAGE, b"K\x00", b"K\x04\x85", b"K\x01\x85"]
    parts += [b"\x89", b"}", b"ctorch\nfloat32\n"] if version == b"_v3" else []
    if place == len(parts):
        return
    place = 6 if version == b"_v3" and place == 4 else place
    parts[place] = instructions(Foreign("a", "B"))
    zip_file(
        tmp_path / "a.pt",
        b"\x80\x02ctorch._utils\n_rebuild_tensor" + version + b"\n(" + b"".join(parts) + b"tR.",
        [("0", bytes(16))],
    )
    try:
        assert type(torch_files.read(tmp_path / "a.pt")) is Record
    except InputError as error:
        assert "a.pt: damaged: " in str(error)


def _doubled(count):
    """A record of two records, which are one, of two records, ..."""
    return b"\x80\x02ca\nB\nq\x000)" + b"".join(b"q\x010h\x00h\x01h\x01\x86R" for _ in range(count)) + b"."


BOMBS = {
    "shared records": (_doubled(60), None),
    "shared records as states": (b"\x80\x02ca\nB\n)R" + b"2ca\nB\n)R2\x86b" * 40 + b".", None),
    "nested records": (b"\x80\x02" + b"ca\nB\n" * 600 + b")R" + b"\x85R" * 599 + b".", None),
    "tuples in records": (b"\x80\x02ca\nB\n)" + b"2\x86" * 40 + b"R.", "in so many places"),
    "a deep tuple in a record": (b"\x80\x02ca\nB\n)" + b"\x85" * 300_000 + b"R.", "nested more than 100 deep"),
    "a deep key": (b"\x80\x02})" + b"\x85" * 300_000 + b"K\x01s.", "nested more than 100 deep"),
    "many records": (b"\x80\x02](ca\nB\nq\x00)R" + b"h\x00)R" * 100_000 + b"e.", "many times the file"),
    "many keys": (b"\x80\x02}(" + b"]N" * 100_000 + b"u.", "many times the file"),
    "an array in many records": (
        b"\x80\x02](" + pickle.dumps(np.zeros(5000), 2)[2:-1] + b"r\xe8\x03\x00\x00ca\nB\nr\xe9\x03\x00\x00"
        + b"j\xe9\x03\x00\x00j\xe8\x03\x00\x00\x85R" * 200 + b"e.",
        "in so many places",
    ),
    "a record as its own state": (b"\x80\x02ca\nB\n)R2b.", None),
    "a record in itself": (b"\x80\x02ca\nB\n)Rq\x00}U\x01ah\x00sb.", None),
    "a record in its arguments": (b"\x80\x02]q\x00ca\nB\nh\x00\x85Rq\x010h\x00h\x01a0h\x01.", None),
    "an object in its own state": (
        b"\x80\x02}q\x000ctorch_utils.persistence\n_reconstruct_persistent_obj\n"
        b"}(U\x04typeU\x05classU\x0aclass_nameU\x01AU\x05stateh\x00u\x85Rq\x010h\x00U\x01bh\x01s0h\x01.", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("data", "message"), BOMBS.values(), ids=BOMBS)
def test_bombs_of_records_end_in_bounded_time_and_memory(tmp_path, data, message):
    tracemalloc.start()
    started = time.process_time()
    try:
        found = _read(tmp_path, data)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000 + 60 * len(data)
    finally:
        tracemalloc.stop()
    assert time.process_time() - started < 20  # a bomb that goes off never ends
    assert type(found) is Record if message is None else message in found


def test_a_record_counts_once_however_often_it_is_met():
    """So an object may be in many places, and in itself."""
    record = Record(Name("a", "B"), state=[0] * 50)
    record.extend([record] * 10)
    records.check_extent([record] * 10, 40)
    with pytest.raises(ValueError, match="in so many places"):
        records.check_extent([record.state] * 10, 40)


def test_a_record_costs_bytes():
    allowance = limits.Allowance(0)
    with pytest.raises(ValueError, match="many times the file"):
        for _ in range(limits.MIN_BYTES // 100):
            records.make(allowance, Name("a", "B"))


def test_long_and_unprintable_names_are_shown_in_part():
    assert str(Name("a\x1b", "b" * 5)) == repr("a\x1b.bbbbb")
    assert len(str(Name("a" * 500, "b"))) < 110
