"""Archives: each kind lists and extracts the same file; hostile ones do no harm."""

import bz2
import gzip
import io
import lzma
import os
import pathlib
import random
import shutil
import tarfile
import zipfile

import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import archives

BODY = random.Random(0).randbytes(5000)
NAMES = ("a/weights.pt", "../../escape", "/absolute")


def _tar(mode):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:
        for name in NAMES:
            info = tarfile.TarInfo(name)
            info.size = len(BODY)
            archive.addfile(info, io.BytesIO(BODY))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo("special")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    return content.getvalue()


def _zip(bodies, compression=zipfile.ZIP_DEFLATED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, body in bodies.items():
            archive.writestr(name, body)
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return content.getvalue()


MANY = {
    "zip": _zip(dict.fromkeys(NAMES, BODY)),
    **{kind: _tar(mode) for kind, mode in (("tar", "w"), ("gzip", "w:gz"), ("bzip2", "w:bz2"), ("xz", "w:xz"))},
}


@pytest.mark.parametrize("kind", MANY)
def test_regular_files_are_listed_and_extracted_to_the_given_path(kind, tmp_path):
    path = tmp_path / "archive"
    path.write_bytes(MANY[kind])
    assert archives.kind(MANY[kind][:512]) == kind
    members = archives.members(path)
    assert [(member.name, member.size, member.head) for member in members] == [
        (name, len(BODY), BODY[: archives.HEAD]) for name in NAMES
    ]
    for number, name in enumerate(NAMES):
        archives.extract(path, name, tmp_path / str(number))
        assert (tmp_path / str(number)).read_bytes() == BODY
    assert {entry.name for entry in tmp_path.iterdir()} == {"archive", "0", "1", "2"}
    with pytest.raises(InputError, match="archive: has no file special"):
        archives.extract(path, "special", tmp_path / "3")


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_one_compressed_file_is_one_member(compress, tmp_path):
    path = tmp_path / "weights.pt.gz"
    path.write_bytes(compress(BODY))
    (member,) = archives.members(path)
    assert (member.name, member.size, member.head) == ("weights.pt", None, BODY[: archives.HEAD])
    archives.extract(path, member.name, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == BODY


def _huge_header():
    info = tarfile.TarInfo("./PaxHeaders/x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    return gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + bytes(1 << 22))


def _long_header(text, count=1):
    info = tarfile.TarInfo("./PaxHeaders/x")
    info.type, info.size = tarfile.XHDTYPE, len(text)
    member = tarfile.TarInfo("a.pt").tobuf(tarfile.USTAR_FORMAT)
    return (info.tobuf(tarfile.USTAR_FORMAT) + text + bytes(-len(text) % 512) + member) * count + bytes(1024)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_long_header(b"1" * 5000), "its headers are too long"),  # tarfile searches it in quadratic time
        (_long_header(b"10 a=1234\n" * 50_000, 10), "its headers are too long"),
        (_zip({"bomb.pt": bytes(10 << 20)}), "bomb.pt expands to more than 200 times the archive"),
        (_huge_header(), r"reads 1,073,741,824 bytes at once"),
        (MANY["gzip"][:-2000], "is cut short; download or copy it again"),
        (MANY["zip"][:-30], "is cut short; download or copy it again"),
    ],
)
def test_bombs_and_damaged_archives_are_refused_in_one_line(data, message, tmp_path):
    (tmp_path / "archive").write_bytes(data)
    with pytest.raises(InputError, match=f"archive: an archive that .*{message}") as caught:
        archives.members(tmp_path / "archive")
    assert str(caught.value).isprintable()


def test_a_file_that_expands_too_much_is_not_written_whole(tmp_path):
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(bytes(32 << 20)))
    with pytest.raises(InputError, match="expands to more than 200 times its size"):
        archives.extract(tmp_path / "bomb.gz", "bomb", tmp_path / "out")
    assert (tmp_path / "out").stat().st_size < 32 << 20


@pytest.mark.parametrize("data", [MANY["zip"], gzip.compress(BODY)])
def test_a_member_larger_than_the_free_space_is_refused(data, tmp_path, monkeypatch):
    (tmp_path / "archive").write_bytes(data)
    name = archives.members(tmp_path / "archive")[0].name
    usage = shutil.disk_usage(tmp_path)._replace(free=4000)
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(InputError, match=r"needs more space than .* has, 0\.0 MB; set TMPDIR"):
        archives.extract(tmp_path / "archive", name, tmp_path / "out")


def test_an_archive_of_very_many_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 2)
    for kind in ("zip", "tar"):
        (tmp_path / kind).write_bytes(MANY[kind])
        with pytest.raises(InputError, match="more than 2 files"):
            archives.members(tmp_path / kind)
    assert archives.zip_records(tmp_path / "zip") is None


def test_names_are_printable(tmp_path):
    (tmp_path / "archive").write_bytes(_zip({"a\x1b[31m.pt": BODY}))
    (member,) = archives.members(tmp_path / "archive")
    assert member.name == r"a\x1b[31m.pt"
    archives.extract(tmp_path / "archive", member.name, tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == BODY


def test_changed_bytes_raise_nothing_but_input_errors(tmp_path):
    source, path = random.Random(3), pathlib.Path(tmp_path / "archive")
    for data in (MANY["zip"], MANY["tar"], MANY["xz"]):
        for _ in range(40):
            changed = bytearray(data)
            for _ in range(source.randrange(1, 20)):
                changed[source.choice((source.randrange(600), -source.randrange(1, 300)))] = source.randrange(256)
            path.write_bytes(changed)
            try:
                members = archives.members(path)
                assert all(member.name.isprintable() for member in members)
            except InputError as error:
                assert str(error).isprintable()
    assert os.listdir(tmp_path) == ["archive"]
