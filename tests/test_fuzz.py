"""Damaged files of every kind that the program reads: an InputError of one printable
line, or the result of the whole file.

`pytest -s tests/test_fuzz.py` prints how many files were tried and what became of them;
--mutations=3000 tries fifteen times as many.
"""

import dataclasses
import json
import logging
import pathlib
import shutil
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jaxtyping
import numpy as np
import pytest

from checkpoints_convert import formats
from ganspace_jax.directions import components, foreign_files
from ganspace_jax.directions.components import Components, Source
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.errors import InputError
from ganspace_jax.files import resume
from ganspace_jax.generators import base, stylegan2, zoo
from ganspace_jax.run import Run
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.statistics.monotone_curves import Curve
from tests import mutations

GOLDEN = pathlib.Path(__file__).parent / "golden"
MODEL = stylegan2.Config(z_dim=4, w_dim=4, channels=(3, 2), mapping_layers=2)


class Subject(NamedTuple):
    """A file or a directory that is damaged, and how it is read."""

    path: pathlib.Path
    read: Callable[[pathlib.Path], Any]


class Outcome(NamedTuple):
    """What became of damaged files: counts."""

    line: int = 0
    same: int = 0
    other: int = 0
    exception: int = 0


@pytest.fixture(autouse=True)
def as_users_run():
    """Without the annotations' checks, which would refuse arrays before the checks that
    users have.
    """
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def _own_components(directory):
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.uniform(0.1, 0.9, shape).astype(np.float32)  # noqa: E731
    spec = LayerSpec("b8", "w", None, 0.7, 3)
    options = {**dataclasses.asdict(spec), "num_samples": 9, "seed": 4, "estimator": "exact"}
    source = Source("g", "0a1b", "decomposition", options, 9, 2, "float32", ("a sentence",))
    figures = [draw(3) for _ in range(6)]
    curve = Curve(np.arange(1, 5, dtype=np.float32), np.sort(draw(4)))
    named = (NamedDirection("a", (0, 2), draw(6), curve, "m"), NamedDirection("b"), NamedDirection("c", None, draw(6)))
    own = Components(
        draw(3, 2, 2, 5), draw(2, 2, 5), draw(3), draw(3, 6), draw(6), *figures, draw(3), spec, source, named
    )  # fmt: skip
    path = directory / "components.npz"
    components.save(path, own)
    return Subject(path, lambda path: vars(foreign_files.load_components(path)))


def _own_checkpoint(directory):
    generator = base.split(stylegan2.StyleGAN2(MODEL, key=jax.random.key(0)))
    zoo.save(directory / "model", generator)

    def read(path):
        loaded = zoo.load(path)
        return loaded.params, repr(loaded.config)

    return Subject(directory / "model", read)


CHANGES = (
    lambda x: x.astype(np.int32), lambda x: x.astype(np.float16), lambda x: x.astype(np.float64),
    lambda x: x.astype(">f4"), lambda x: x.astype(np.complex64), lambda x: x > 0.5, lambda x: x.astype(str),
    lambda x: x[:0], lambda x: x[..., :0], lambda x: np.float32(1.0), lambda x: np.concatenate([x, x[:1]]),
    lambda x: x.reshape(1, -1), lambda x: x[..., None], np.asfortranarray, lambda x: -x, lambda x: x * np.float32(0.9),
    lambda x: x[::-1], *(
        lambda x, value=value: np.where(x == x.max(), value, x).astype(np.float64 if value > 1e38 else np.float32)
        for value in (np.nan, np.inf, -np.inf, 1e30, 1e300, 0.0)
    ),
)  # fmt: skip
VALUES = (None, True, -1, 0, 1.5, 2**70, float("nan"), float("inf"), "x", "a\x1b[31mb", "a\nb", "\u202e", "", [], [1],
          ["\x00"], {}, {"a": "\x1b"})  # fmt: skip


def _changed_components(arrays):
    """Yields the arrays of components files with one array or one field changed."""
    for name in arrays:
        if name != "about":
            with np.errstate(all="ignore"):
                yield from ({**arrays, name: change(arrays[name])} for change in CHANGES)
        yield {key: value for key, value in arrays.items() if key != name}
        yield {**arrays, f"{name}_more": arrays[name]}
    about = json.loads(str(arrays["about"]))
    for part, whole in about.items():
        entries = whole[0] if part == "named" else whole
        for name in entries:
            shorter = {key: value for key, value in entries.items() if key != name}
            for changed in (shorter, *({**entries, name: value} for value in VALUES)):
                own = [changed, *whole[1:]] if part == "named" else changed
                yield {**arrays, "about": np.array(json.dumps({**about, part: own}))}
        yield from ({**arrays, "about": np.array(json.dumps({**about, part: value}))} for value in VALUES)
    for text in ("", "{", "3", "null", "[]", '{"spec": 1}', "[" * 5000, "\x1b[2J", json.dumps({**about, "more": 1})):
        yield {**arrays, "about": np.array(text)}


SHAPES = ((3, 4), (), (7,))
ABOUT = {"seed": 3, "layer": "w", "fingerprint": "0a1b2c"}


def _sweep_states(directory):
    """The state of a run: one finished sweep, and a sweep with two saved states."""
    rng = np.random.default_rng(0)
    state = lambda: [rng.standard_normal(shape) for shape in SHAPES]  # noqa: E731
    stop = Run(state=directory / "work" / "state", save_every=0.0)
    (directory / "work").mkdir()
    record, kept = resume.of(stop), {}
    record.begin_run(ABOUT)
    kept["finished"] = state()
    record.begin_sweep(kept["finished"])
    record.finish_sweep(kept["finished"])
    record.begin_sweep(kept["finished"])
    for position in (20, 40):
        kept[position] = state()
        record.keep(position, kept[position])

    def read(path):
        """Returns "sound": what is read was saved like this, or is computed again."""
        again = resume.of(Run(state=path / "state"))
        again.begin_run(ABOUT)
        finished = again.begin_sweep(kept["finished"])
        assert finished is None or _equal(finished, kept["finished"])
        again.begin_sweep(kept["finished"])
        resumed = again.resume(kept[20])
        assert resumed is None or _equal(resumed[1], kept[resumed[0]])
        return "sound"

    return Subject(directory / "work", read)


def _of_converter(name):
    def prepare(directory):
        shutil.copy(GOLDEN / name, directory / name)

        def read(path):
            found, network = formats.recognize(formats.read(path))
            return found.name, dict(network.arrays)

        return Subject(directory / name, read)

    return prepare


def _of_directions(name):
    def prepare(directory):
        path = directory / pathlib.Path(name).name
        shutil.copy(GOLDEN / name, path)
        return Subject(path, lambda path: vars(foreign_files.load_components(path)))

    return prepare


# Kind: (what prepares it, files tried with --mutations=300, whether it has checksums).
KINDS = {
    "own components, bytes": (_own_components, 300, True),
    "own checkpoint directory": (_own_checkpoint, 330, True),
    "run states": (_sweep_states, 200, True),
    "torch zip": (_of_converter("stylegan2_rosinality_f32.pt"), 150, True),
    "torch zip of DCGAN": (_of_converter("dcgan_64.pth"), 150, True),
    "published .npz": (_of_directions("published/ffhq_pca.npz"), 150, True),
    "network pickle of torch": (_of_converter("stylegan2_ada_ffhq32.pkl"), 250, False),
    "network pickle of TensorFlow": (_of_converter("stylegan2_tf_f32.pkl"), 250, False),
    "torch of the old format": (_of_converter("stylegan2_rosinality_f32_oldformat.pt"), 200, False),
    "published .npy": (_of_directions("published/stylegan_ffhq_pose_w_boundary.npy"), 200, False),
    "exported edit": (
        _of_directions("published/StyleGAN2-Light_direction-ffhq-ipca-w-style-comp15-range8-9.pkl"), 200, False,
    ),
}  # fmt: skip


def _equal(a, b):
    if isinstance(a, dict | list | tuple) and type(a) is type(b) and len(a) == len(b):
        if isinstance(a, dict):
            return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
        return all(map(_equal, a, b))
    if hasattr(a, "dtype"):
        return hasattr(b, "dtype") and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    return type(a) is type(b) and a == b


def _outcome(subject, whole):
    try:
        found = subject.read(subject.path)
    except InputError as error:
        assert str(error).isprintable(), str(error)
        return "line"
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
        return "exception"
    return "same" if _equal(found, whole) else "other"


def _put_back(pristine, path):
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    shutil.copytree(pristine, path) if pristine.is_dir() else shutil.copy(pristine, path)


def _try(subject, pristine, count, is_protected):
    """Damages one file after the other, and counts what becomes of them."""
    rng, found = np.random.default_rng(0), dict.fromkeys(Outcome._fields, 0)
    whole = subject.read(subject.path)
    for number in range(count):
        _put_back(pristine, subject.path)
        files = [subject.path] if subject.path.is_file() else sorted(p for p in subject.path.rglob("*") if p.is_file())
        file = files[rng.integers(len(files))]
        name, data = mutations.one(rng, file.read_bytes())
        file.write_bytes(data)
        outcome = _outcome(subject, whole)
        found[outcome] += 1
        if outcome == "exception" or (outcome == "other" and is_protected):
            print(f"{outcome}: mutation {number}, {name} of {file.relative_to(subject.path.parent)}")
    return Outcome(**found)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_bytes(kind, tmp_path, request, caplog):
    prepare, tried, is_protected = KINDS[kind]
    subject = prepare(tmp_path)
    pristine = tmp_path / "pristine"
    shutil.copytree(subject.path, pristine) if subject.path.is_dir() else shutil.copy(subject.path, pristine)
    caplog.set_level(logging.ERROR)
    count = tried * request.config.getoption("--mutations") // 300
    found = _try(subject, pristine, count, is_protected)
    _report(kind, found)
    assert not found.exception
    assert not found.other or not is_protected
    assert found.line or kind == "run states"  # which are computed again


def test_changed_arrays_and_fields_of_components(tmp_path):
    """Every change, with the checksum that the whole file has, and a part of them
    without one, as in files of earlier versions.
    """
    subject = _own_components(tmp_path)
    whole = subject.read(subject.path)
    with np.load(subject.path) as file:
        arrays = dict(file)
    for name, leave_out in (("with its checksum", ()), ("without a checksum", ("checksum",))):
        found = dict.fromkeys(Outcome._fields, 0)
        for changed in _changed_components(arrays):
            kept = {key: value for key, value in changed.items() if key not in leave_out}
            np.savez(subject.path, **kept)
            outcome = _outcome(subject, whole)
            found[outcome] += 1
            if outcome == "exception" or (outcome == "other" and not leave_out):
                print(
                    f"{outcome}: {[key for key in changed if changed[key] is not arrays.get(key)]}, {changed.get('about')}"
                )
        _report(f"own components, one array or field changed, {name}", Outcome(**found))
        assert not found["exception"] and found["line"] > 400
        assert leave_out or not found["other"]


def _report(kind, found):
    print(f"\n| {kind} | {sum(found):,} | {found.line + found.same:,} | {found.other:,} | {found.exception:,} |")
