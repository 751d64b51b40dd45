"""Fuzzing the converter: whatever is done to a file, it is read, or refused in one line
that names it, in bounded memory.

A few hundred mutations in the suite; `pytest tests/files/inert/test_hostile_files.py
--mutations=20000` for a long run.
"""

import pathlib
import tracemalloc

import numpy as np
import pytest

from checkpoints_convert import formats, sources
from ganspace_jax.errors import InputError
from ganspace_jax.files.inert.records import Name, Record
from tests.foreign_pickles import Foreign, dumps, module

GOLDEN = pathlib.Path(__file__).parents[2] / "golden"
FILES = (
    "stylegan2_ada_ffhq32.pkl", "stylegan2_tf_f32.pkl", "stylegan3_r_32.pkl", "progan_32.pkl", "stylegan1_ganspace_64.pt",
    "stylegan2_rosinality_f32.pt", "stylegan2_rosinality_f32_oldformat.pt", "dcgan_64.pth", "biggan_ajbrock_32_G_ema.pth",
)  # fmt: skip
_MODULE = module(
    "Generator", {"w": np.ones((4, 64), np.float32), "packed": Foreign("own", "Packed", (1, "x"))}, {"b": np.ones(64)},
    {"main": module("Block", {f"w{i}": np.ones(64, np.float32) for i in range(8)}), "none": None},
    path=Foreign("pathlib", "Path"),
)  # fmt: skip
_TRAINER = Foreign(
    "own", "Trainer", (1, {"a": [2]}), ({"g_ema": _MODULE, "steps": {1, 2}}, {"slot": (3, "b")}), ([4], "c"), {"k": 5}
)
_TENSOR = Foreign("torch._utils", "_rebuild_tensor_v2", (Foreign("own", "Storage", ("0",)), 0, (4,), (1,), False, {}))
FOREIGN = {  # files of objects that exist nowhere
    "module.pkl": dumps(_MODULE),
    "trainer.pkl": dumps({"trainer": _TRAINER, "opt": [_TENSOR, Foreign("posix", "system", ("touch executed",))]}),
}
_MEMORY = 16  # times the file; what a sound one takes is 4


@pytest.fixture
def num_mutations(request):
    """Of all files together."""
    return request.config.getoption("--mutations")


def _flip_bits(rng, data):
    for place in rng.integers(0, len(data), rng.integers(1, 20)):
        data[place] ^= 1 << rng.integers(8)
    return data


def _flip_bits_at_an_end(rng, data):
    """Where the pickle itself is, and the archive's index."""
    span = min(len(data), 4000)
    start = rng.choice([0, len(data) - span])
    return data[:start] + _flip_bits(rng, data[start : start + span]) + data[start + span :]


def _cut(rng, data):
    return data[: rng.integers(0, len(data))]


def _remove(rng, data):
    start, length = rng.integers(0, len(data)), rng.integers(1, 1000)
    return data[:start] + data[start + length :]


def _repeat(rng, data):
    start, length = rng.integers(0, len(data)), rng.integers(1, 1000)
    return data[: start + length] + data[start:]


def _exchange(rng, data):
    """Two stretches of the same length."""
    length = int(rng.integers(1, 500))
    a, b = sorted(int(x) for x in rng.integers(0, len(data) - length, 2))
    if a + length > b:
        return data[::-1]
    return data[:a] + data[b : b + length] + data[a + length : b] + data[a : a + length] + data[b + length :]


def _enlarge_a_number(rng, data):
    """Sizes, lengths and counts become huge wherever they are."""
    place = int(rng.integers(0, max(1, len(data) - 8)))
    return data[:place] + bytes([255] * int(rng.integers(1, 8))) + data[place + 8 :]


MUTATIONS = (_flip_bits, _flip_bits_at_an_end, _cut, _remove, _repeat, _exchange, _enlarge_a_number)


def _outcome(path):
    """What was said, or "read"; anything but an InputError of one line that names the
    file fails the test.
    """
    try:
        formats.recognize(formats.read(path))
    except InputError as error:
        message = str(error)
        assert len(message.splitlines()) == 1 and path.name in message and message.isprintable(), message
        return message
    return "read"


def test_mutated_files_are_read_or_refused_in_one_line(tmp_path, num_mutations):
    rng, said, names = np.random.default_rng(0), [], (*FILES, *FOREIGN)
    tracemalloc.start()
    for count in range(num_mutations):
        name, mutate = names[count % len(names)], MUTATIONS[rng.integers(len(MUTATIONS))]
        data = bytes(mutate(rng, bytearray(FOREIGN.get(name) or (GOLDEN / name).read_bytes())))
        path = tmp_path / name
        path.write_bytes(data)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        said.append(_outcome(path))
        used = tracemalloc.get_traced_memory()[1] - before
        assert used < _MEMORY * len(data) + 2**23, (name, mutate.__name__, count, used)
    tracemalloc.stop()
    assert {path.name for path in tmp_path.iterdir()} == set(names)  # nothing but what was written here
    share = said.count("read") / len(said)
    print(f"\n{len(said)} mutations: {share:.0%} read, {len(set(said)) - 1} different refusals")
    assert 0.05 < share < 0.95  # flipped weights are still weights


def _changes(rng, arrays):
    """One mutation of the arrays that a sound file holds: missing, extra, exchanged,
    longer or deeper.
    """
    names = list(arrays)
    name, other = (names[i] for i in rng.integers(0, len(names), 2))
    kind = rng.integers(5)
    if kind == 0:
        return {key: value for key, value in arrays.items() if key != name}
    if kind == 1:
        return {**arrays, f"{name}_more": arrays[other]}
    if kind == 2:
        return {**arrays, name: arrays[other], other: arrays[name]}
    if kind == 3:
        return {**arrays, name: np.concatenate([np.atleast_1d(arrays[name])] * 2)}
    return {**arrays, name: arrays[name][None]}


def test_mutated_networks_are_converted_or_refused_in_one_line(num_mutations):
    """Missing, extra, exchanged and wrongly shaped arrays: refused by name, but where
    the exchange cannot be seen.
    """
    rng = np.random.default_rng(1)
    known = {name: formats.recognize(formats.read(GOLDEN / name)) for name in FILES}
    for count in range(num_mutations // 10):
        name = FILES[count % len(FILES)]
        found, network = known[name]
        arrays = _changes(rng, network.arrays)
        try:
            formats.convert(found, network._replace(arrays=arrays), {}, name)
        except InputError as error:
            assert len(str(error).splitlines()) == 1 and str(error).startswith(f"{name}: "), str(error)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"variables": 3}, "variables: not a list of names and arrays"),
        ({"components": {"a\nb": 3}}, r"a\nb/: a int where a network belongs"),
    ],
)
def test_networks_that_hold_something_else_are_refused_by_the_name_of_the_file(state, said, tmp_path, monkeypatch):
    path = tmp_path / "network.pkl"
    path.write_bytes((GOLDEN / "progan_32.pkl").read_bytes())
    network = Record(Name("tfutil", "Network"), state={"variables": [], **state})
    monkeypatch.setattr(sources, "_KINDS", {"pickle": ("pickle", lambda _: (network, network, network))})
    with pytest.raises(InputError) as caught:
        formats.read(path)
    assert str(caught.value) == f"--source={path}: {said}"
