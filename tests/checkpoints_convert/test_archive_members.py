"""Checkpoints in archives: the only one is taken, and of several one is chosen."""

import pathlib
import zipfile

import pytest

from checkpoints_convert import archive_members, formats
from ganspace_jax.errors import InputError

DCGAN = (pathlib.Path(__file__).parents[1] / "golden" / "dcgan_64.pth").read_bytes()
PICKLE = b"\x80\x02}."


def _archive(tmp_path, **bodies):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for name, body in bodies.items():
            archive.writestr(name.replace("__", "/"), body)
    return tmp_path / "x.zip"


def test_the_only_checkpoint_is_extracted_while_the_block_runs(tmp_path):
    path = _archive(tmp_path, deep__faces=DCGAN, readme=b"notes")
    with archive_members.opened(path) as opened:
        assert opened.member == "deep/faces" and opened.path.read_bytes() == DCGAN
        assert formats.recognize(formats.read(opened.path))[0].name == "dcgan"
    assert not opened.path.parent.exists()
    with archive_members.opened(path, "readme") as opened:
        assert opened.member == "readme" and opened.path.read_bytes() == b"notes"


def test_of_several_checkpoints_one_must_be_named(tmp_path):
    path = _archive(tmp_path, first=DCGAN, second=PICKLE, readme=b"notes")
    with (
        pytest.raises(InputError, match=r"x\.zip: is a zip .*with 2 checkpoints; .*--member=NAME: first, second$"),
        archive_members.opened(path),
    ):
        pass
    with archive_members.opened(path, "second") as opened:
        assert opened.path.read_bytes() == PICKLE
    with (
        pytest.raises(InputError, match=r"--member=secnd: no such file in it; did you mean 'second'\?.*readme"),
        archive_members.opened(path, "secnd"),
    ):
        pass


def test_an_archive_without_a_checkpoint_is_named_with_its_files(tmp_path):
    path = _archive(tmp_path, readme=b"notes")
    with (
        pytest.raises(InputError, match=r"x\.zip: is a zip .*without a checkpoint in it; it has: readme$"),
        archive_members.opened(path),
    ):
        pass
    with zipfile.ZipFile(path, "w") as archive:
        archive.mkdir("empty")
    with pytest.raises(InputError, match="it has no readable file$"), archive_members.opened(path):
        pass


def test_errors_name_the_archive_and_the_member(tmp_path):
    path = _archive(tmp_path, deep__faces=PICKLE)
    with (
        pytest.raises(InputError, match=r"--source=\S*x\.zip, deep/faces: a pickle with no network"),
        archive_members.opened(path) as opened,
    ):
        formats.recognize(formats.read(opened.path))


def test_what_is_no_archive_is_yielded_itself(tmp_path):
    (tmp_path / "model.pth").write_bytes(DCGAN)
    for path in (tmp_path / "model.pth", tmp_path, tmp_path / "missing"):
        with archive_members.opened(path) as opened:
            assert opened == (path, "")
        with pytest.raises(InputError, match="--member=a: .*is no archive"), archive_members.opened(path, "a"):
            pass


def test_a_file_that_is_no_checkpoint_is_described(tmp_path):
    """An archive of a repository has the pointers of Git LFS."""
    path = _archive(
        tmp_path, pointer=b"version https://git-lfs.github.com/spec/v1\noid", page=b"<html>", readme=b"notes"
    )
    with (
        pytest.raises(InputError, match=r"it has: pointer \(a Git LFS pointer.*\), page \(a web page.*\), readme$"),
        archive_members.opened(path),
    ):
        pass
