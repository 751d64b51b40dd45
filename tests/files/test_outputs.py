"""Output directories: all files of a run or none, and the flagfile that repeats it."""

import errno
import os
import pathlib
import signal
import subprocess
import sys

import pytest

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
    """Neither files nor the directories made for them, however deep; what was there
    stays.
    """
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
        if path.name == "new":
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


ROOT = pathlib.Path(__file__).parents[2]

# Arguments: the target, and the name of the path whose renaming the process never
# finishes, or "block".
WRITER = """
import pathlib, sys
from ganspace_jax.files import outputs

target, where = pathlib.Path(sys.argv[1]), sys.argv[2]
rename = pathlib.Path.rename

def wait():
    print("waiting", flush=True)
    sys.stdin.readline()

def rename_or_wait(path, to):
    if path.name == where:
        wait()
    return rename(path, to)

pathlib.Path.rename = rename_or_wait
with outputs.replacement(target) as made:
    made.mkdir()
    (made / "theirs").write_text("theirs")
    if where == "block":
        wait()
"""


def _start_writer(target, where):
    """Returns a process that waits at a certain place within `replacement`."""
    command = [sys.executable, "-c", WRITER, str(target), where]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "waiting\n"
    return process


def _end(process, kill):
    if kill:
        process.send_signal(signal.SIGKILL)
    process.communicate("")
    return process.returncode


def _replace(target):
    with outputs.replacement(target) as made:
        made.mkdir()
        (made / "ours").write_text("ours")


def _names(directory):
    return {path.name for path in directory.iterdir()}


def test_leftovers_of_a_killed_process_are_removed_by_the_next(tmp_path):
    assert _end(_start_writer(tmp_path / "model", "block"), kill=True) == -signal.SIGKILL
    assert len(_names(tmp_path)) == 1
    _replace(tmp_path / "other")
    assert len(_names(tmp_path)) == 2  # a leftover belongs to one target
    _replace(tmp_path / "model")
    assert _names(tmp_path) == {"model", "other"} and _names(tmp_path / "model") == {"ours"}


def test_a_directory_comes_back_if_its_replacement_was_killed_between_the_renames(tmp_path):
    _replace(tmp_path / "model")
    _end(_start_writer(tmp_path / "model", "new"), kill=True)
    assert not (tmp_path / "model").exists()
    with pytest.raises(RuntimeError), outputs.replacement(tmp_path / "model"):
        assert _names(tmp_path / "model") == {"ours"}
        raise RuntimeError
    assert _names(tmp_path) == {"model"} and _names(tmp_path / "model") == {"ours"}


def test_a_living_process_keeps_its_files(tmp_path):
    """Its lock protects them, whichever process removes leftovers meanwhile."""
    process = _start_writer(tmp_path / "model", "block")
    _replace(tmp_path / "model")
    assert len(_names(tmp_path)) == 2
    assert _end(process, kill=False) == 0
    assert _names(tmp_path) == {"model"} and _names(tmp_path / "model") == {"theirs"}


def _leave(path):
    """Makes a scratch directory as a process leaves it that is killed between the
    renames.
    """
    (path / "old").mkdir(parents=True)
    (path / "old" / "planted").write_text("planted")


@pytest.mark.parametrize("whose", ["another user's", "a link", "another target's", "no directory"])
def test_what_is_no_leftover_of_ours_stays(tmp_path, monkeypatch, whose):
    path = tmp_path / ".model.writing-abcdefgh"
    if whose == "a link":
        _leave(tmp_path / "elsewhere")
        path.symlink_to("elsewhere")
    elif whose == "another target's":
        path = tmp_path / ".model.writing-b.writing-abcdefgh"
        _leave(path)
    elif whose == "no directory":
        path.write_text("")
    else:
        _leave(path)
        uid = os.geteuid()
        monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    before = _names(tmp_path)
    with outputs.replacement(tmp_path / "model") as made:
        assert not (tmp_path / "model").exists()
        made.mkdir()
    assert _names(tmp_path) == before | {"model"} and _names(tmp_path / "model") == set()


def test_the_older_directory_survives_if_no_rename_works(tmp_path, monkeypatch):
    """It then stays in the scratch directory, and the next run moves it back."""
    _replace(tmp_path / "model")
    rename = pathlib.Path.rename

    def rename_first_only(path, target):
        if path.name != "model":
            raise OSError("disk")
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "rename", rename_first_only)
        with pytest.raises(OSError, match="disk"):
            _replace(tmp_path / "model")
    assert "model" not in _names(tmp_path)
    with pytest.raises(RuntimeError), outputs.replacement(tmp_path / "model"):
        raise RuntimeError
    assert _names(tmp_path) == {"model"} and _names(tmp_path / "model") == {"ours"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (outputs.outputs, "--workdir={}: cannot be written: No space left on device, at b; what was there before "),
        (outputs.replacement, "{}: cannot be written: No space left on device, at new; what was there before "),
    ],
)
def test_a_full_disk_is_named_by_the_directory(tmp_path, make, message):
    with pytest.raises(InputError) as caught, make(tmp_path / "target") as made:
        made.mkdir(exist_ok=True)
        for number, name in enumerate(("c", "b", "a")):
            (made / name).write_text(name)
            os.utime(made / name, ns=(0, 2**62 if name == "b" else number))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert str(caught.value).startswith(message.format(tmp_path / "target"))
    with pytest.raises(InputError, match="device, at c.npz; "), make(tmp_path / "target"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere/c.npz")
    with pytest.raises(PermissionError), make(tmp_path / "target"):
        raise PermissionError(errno.EACCES, "denied", "elsewhere")
    assert not _names(tmp_path)


@pytest.mark.parametrize("make", [outputs.outputs, outputs.claim, outputs.replacement])
def test_an_empty_name_is_refused(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=": is empty; name a directory|^: is empty"), make(""):
        pytest.fail("the work began")
    assert not _names(tmp_path)


@pytest.mark.parametrize("names", [["run.flags"], []])
def test_a_directory_in_the_place_of_a_file_leaves_no_mixed_results(tmp_path, names):
    """Found before the work, if the name of the file is given."""
    (tmp_path / "run.flags" / "notes").mkdir(parents=True)
    (tmp_path / "a.txt").write_text("before")
    with pytest.raises(InputError, match="run.flags: is a directory; move it"):  # noqa: SIM117
        with outputs.outputs(tmp_path, names) as scratch:
            assert not names
            for name in ("a.txt", "run.flags"):
                (scratch / name).write_text("after")
    assert _names(tmp_path) == {"a.txt", "run.flags"} and _names(tmp_path / "run.flags") == {"notes"}
    assert (tmp_path / "a.txt").read_text() == "before"


def test_only_scratch_directories_of_this_program_are_removed(tmp_path):
    others = {".writing-notes", ".writing-abcdefg", ".writing-ABCDEFGH", ".writing-file1234"}
    for name in ("abcdefgh", "notes", "abcdefg", "ABCDEFGH"):
        (tmp_path / f".writing-{name}").mkdir()
    (tmp_path / ".writing-file1234").write_text("")
    with outputs.outputs(tmp_path):
        assert len(_names(tmp_path)) == 5
    assert _names(tmp_path) == others


def test_files_of_the_user_survive_a_replacement(tmp_path):
    """Files of the program that the new directory lacks do not."""
    old = tmp_path / "model"
    (old / "notes" / "deep").mkdir(parents=True)
    for name in ("notes/deep/a", "b", "config.json", "preview.png"):
        (old / name).write_text(f"old {name}")
    (old / "link").symlink_to("nowhere")
    with outputs.replacement(old, own=("config.json", "preview.png")) as made:
        made.mkdir()
        (made / "config.json").write_text("new")
    assert _names(old) == {"notes", "b", "link", "config.json"}
    assert (old / "notes" / "deep" / "a").read_text() == "old notes/deep/a" and (old / "b").read_text() == "old b"
    assert (old / "config.json").read_text() == "new" and os.readlink(old / "link") == "nowhere"


def test_errors_name_the_target_and_not_the_scratch_path(tmp_path):
    with pytest.raises(InputError) as caught, outputs.replacement(tmp_path / "model", "--output=") as made:
        raise InputError(f"{made}: cannot be written")
    assert str(caught.value) == f"{tmp_path / 'model'}: cannot be written"
