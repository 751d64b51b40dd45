"""Output directories: all files of a run or none, and the flagfile that repeats it."""

import pathlib

import pytest
from absl import flags

from ganspace_jax.errors import InputError
from ganspace_jax.files import outputs


def test_files_arrive_together_and_others_stay(tmp_path):
    (tmp_path / "old.txt").write_text("old")
    (tmp_path / "a.txt").write_text("before")
    with outputs.outputs(tmp_path) as scratch:
        (scratch / "a.txt").write_text("after")
        assert (tmp_path / "a.txt").read_text() == "before"
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"old.txt": "old", "a.txt": "after"}


def test_a_failure_leaves_nothing(tmp_path):
    """Neither files nor the directories made for them, however deep; what was there stays."""
    target = tmp_path / "one" / "two"
    with pytest.raises(RuntimeError), outputs.outputs(target) as scratch:
        (scratch / "a.txt").write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "file/inside"])
def test_what_cannot_be_written_is_named_before_any_work(tmp_path, name):
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(InputError, match=r"--workdir=.*file.*: cannot be written"), outputs.outputs(tmp_path / name):
        pytest.fail("the work began")
    assert {p.name for p in tmp_path.iterdir()} == {"file"}


def test_a_directory_takes_anothers_place_or_leaves_it(tmp_path, monkeypatch):
    def write(text, fails=False):
        with outputs.replacement(tmp_path / "model") as made:
            made.mkdir()
            (made / text).write_text(text)
            if fails:
                raise KeyboardInterrupt
            assert not (tmp_path / "model" / text).exists()

    write("first")
    write("second")
    with pytest.raises(KeyboardInterrupt):
        write("third", fails=True)
    rename = pathlib.Path.rename

    def rename_but_the_new(path, target):
        if "writing" in path.name:
            raise OSError("disk")
        return rename(path, target)

    monkeypatch.setattr(pathlib.Path, "rename", rename_but_the_new)
    with pytest.raises(OSError, match="disk"):
        write("fourth")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["second"]
    with pytest.raises(InputError, match="second: is a file"), outputs.replacement(tmp_path / "model" / "second"):
        pytest.fail("the work began")
    with pytest.raises(RuntimeError), outputs.replacement(tmp_path / "a" / "b" / "c"):
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_flagfile_is_read_back_alike(tmp_path):
    """Through absl itself: lists, booleans, numbers and words; what was not given stays away."""

    def define():
        values = flags.FlagValues()
        flags.DEFINE_list("widths", ["1"], "", flag_values=values)
        flags.DEFINE_bool("fast", False, "", flag_values=values)
        flags.DEFINE_float("rate", 0.1, "", flag_values=values)
        flags.DEFINE_string("name", None, "", flag_values=values)
        flags.DEFINE_string("place", None, "", flag_values=values)
        return values

    given = define()
    given(["program", "--widths=4,5", "--fast", "--rate=2.5e-3", "--place=a b"])
    text = outputs.flagfile(given[name] for name in ("widths", "fast", "rate", "name", "place"))
    assert "--name" not in text
    path = pathlib.Path(tmp_path / "run.flags")
    path.write_text(text)
    again = define()
    again(again.read_flags_from_files(["program", f"--flagfile={path}"], force_gnu=False))
    for name in ("widths", "fast", "rate", "name", "place"):
        assert again[name].value == given[name].value
