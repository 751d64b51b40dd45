"""Downloads from a local server that fails in the ways in which real servers fail."""

import fcntl
import hashlib
import http.server
import importlib
import json
import os
import pathlib
import re
import shutil
import socket
import sys
import threading
from typing import NamedTuple

import pytest

from checkpoints_convert import downloads, formats, transfers
from ganspace_jax.errors import InputError
from ganspace_jax.generators import catalogue

CONTENT = (pathlib.Path(__file__).parents[1] / "golden" / "dcgan_64.pth").read_bytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class _Server(http.server.ThreadingHTTPServer):
    """Server of CONTENT at every path except under /missing.

    Its attributes determine how it fails.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.version = '"1"'
        self.drops = 0  # number of answers that end after half of their bytes
        self.failures = 0  # number of answers with status 503
        self.ranges = True
        self.any_version = False  # serves ranges of any version of the file
        self.kind = "application/octet-stream"
        self.surplus = b""  # bytes sent after the requested range
        self.seen = []  # (path, Range) of every request
        self.answers = []  # status of every answer with content

    def address(self, path="/weights.pth"):
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, span = self.server, self.headers.get("Range")
        server.seen.append((self.path, span))
        if self.path.startswith("/missing"):
            return self.send_error(404)
        if server.failures:
            server.failures -= 1
            return self.send_error(503)
        same = server.any_version or self.headers.get("If-Range") == server.version
        first = int(re.fullmatch(r"bytes=(\d+)-", span)[1]) if span and server.ranges and same else 0
        if first >= len(CONTENT):
            return self.send_error(416)  # with a web page, like most servers
        server.answers.append(206 if first else 200)
        self.send_response(server.answers[-1])
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Type", server.kind)
        body = CONTENT[first:] + (server.surplus if first else b"")
        self.send_header("Content-Length", str(len(body)))
        if server.version:
            self.send_header("ETag", server.version)
        self.end_headers()
        if server.drops:
            server.drops -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with _Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


class _Place(NamedTuple):
    """The paths in a cache of the one file of `_checkpoint`."""

    cache: pathlib.Path

    @property
    def directory(self):
        return self.cache / "faces"

    @property
    def file(self):
        return self.directory / "weights.pth"

    @property
    def part(self):
        return self.directory / "weights.pth.part"

    @property
    def note(self):
        return self.directory / "weights.pth.part.json"

    def contents(self):
        """Returns the names in the directory, without the lock's."""
        return {path.name for path in self.directory.iterdir()} - {".lock"}


@pytest.fixture
def place(tmp_path):
    return _Place(tmp_path / "cache")


def _checkpoint(*addresses, size=None, sha256=None):
    files = (catalogue.File("weights.pth", addresses, size, sha256),)
    return catalogue.Checkpoint("faces", "dcgan", 64, files, "a licence", "nowhere")


def _fetch(checkpoint, place):
    return downloads.fetch(checkpoint, place.cache, pause=0)


def _failure(checkpoint, place):
    """Returns the one-line message of a fetch that fails."""
    with pytest.raises(InputError) as raised:
        _fetch(checkpoint, place)
    message = str(raised.value)
    assert len(message.splitlines()) == 1 and not place.file.exists()
    return message


def test_a_name_becomes_a_file_that_converts(server, place, monkeypatch):
    checkpoint = _checkpoint(server.address(), size=len(CONTENT), sha256=SHA256)
    monkeypatch.setitem(catalogue.CATALOGUE, "faces", checkpoint)
    messages = []
    path = downloads.resolve("faces", place.cache, messages.append)
    assert path == place.file and path.read_bytes() == CONTENT
    assert place.contents() == {"weights.pth"}
    assert messages == [f"faces: downloading into {place.directory}; licence: a licence"]
    assert downloads.resolve("faces", place.cache, messages.append) == path and len(messages) == 1
    assert formats.recognize(formats.read(path))[0].name == "dcgan"


@pytest.mark.parametrize("sha256", [None, SHA256])
def test_a_file_without_a_published_checksum_is_named_with_its_own_after_the_download(server, place, sha256):
    messages, checkpoint = [], _checkpoint(server.address(), sha256=sha256)
    for _ in range(2):  # the second call reads the cache
        downloads.fetch(checkpoint, place.cache, pause=0, report=messages.append)
    line = f"weights.pth: not checked: no published SHA-256; its SHA-256 is {SHA256}"
    assert messages[1:] == ([] if sha256 else [line])


def test_without_a_report_nothing_is_printed(server, place, capsys):
    _fetch(_checkpoint(server.address()), place)
    assert capsys.readouterr().out == ""


def test_an_existing_file_has_precedence_over_a_name(place, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("stylegan2-ffhq").write_bytes(b"mine")
    assert downloads.resolve("stylegan2-ffhq", place.cache) == pathlib.Path("stylegan2-ffhq")
    assert not place.cache.exists()


def test_the_second_fetch_reads_the_cache(server, place, monkeypatch):
    first = _fetch(_checkpoint(server.address()), place)
    assert len(server.seen) == 1
    monkeypatch.setitem(sys.modules, "requests", None)  # its import fails
    assert _fetch(_checkpoint(server.address()), place) == first
    assert len(server.seen) == 1


def test_a_broken_download_resumes(server, place):
    server.drops = 1
    assert _fetch(_checkpoint(server.address()), place).read_bytes() == CONTENT
    (_, first), (_, second) = server.seen
    assert first is None and 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= len(CONTENT) // 2
    assert server.answers == [200, 206] and place.contents() == {"weights.pth"}


@pytest.mark.parametrize(("attribute", "value"), [("ranges", False), ("version", None), ("version", 'W/"weak"')])
def test_a_download_starts_again_if_the_server_cannot_resume(server, place, attribute, value):
    """The server has no ranges, or its mark cannot distinguish two versions."""
    setattr(server, attribute, value)
    server.drops = 2
    assert _fetch(_checkpoint(server.address()), place).read_bytes() == CONTENT
    assert server.answers == [200] * 3


def test_attempts_are_bounded_and_the_next_run_resumes(server, place):
    server.drops = 99
    message = _failure(_checkpoint(server.address()), place)
    assert "broke the connection" in message and "a later run resumes the download" in message
    assert len(server.seen) == transfers.ATTEMPTS and place.contents() == {"weights.pth.part", "weights.pth.part.json"}
    received = place.part.stat().st_size
    server.drops = 0
    assert _fetch(_checkpoint(server.address()), place).read_bytes() == CONTENT
    assert server.seen[transfers.ATTEMPTS :] == [("/weights.pth", f"bytes={received}-")]


def test_a_process_that_ended_before_the_move_needs_no_second_download(server, place):
    place.directory.mkdir(parents=True)
    place.part.write_bytes(CONTENT)
    place.note.write_text(json.dumps({"address": server.address(), "version": '"1"', "size": len(CONTENT)}))
    assert _fetch(_checkpoint(server.address()), place).read_bytes() == CONTENT
    assert server.seen == [] and place.contents() == {"weights.pth"}


@pytest.mark.parametrize(
    ("note", "any_version"),
    [
        (None, False),
        ("not JSON", False),
        ({"version": '"0"'}, False),
        ({"version": '"0"'}, True),  # the server ignores If-Range, but its ETag differs
        ({"size": len(CONTENT) + 1}, False),
        ({"address": "http://127.0.0.1/other"}, False),
    ],
)
def test_the_start_of_a_different_file_is_not_joined_to_this_one(server, place, note, any_version):
    server.any_version = any_version
    place.directory.mkdir(parents=True)
    place.part.write_bytes(b"x" * 1000)
    if isinstance(note, dict):
        note = json.dumps({"address": server.address(), "version": '"1"', "size": len(CONTENT)} | note)
    if note is not None:
        place.note.write_text(note)
    assert _fetch(_checkpoint(server.address()), place).read_bytes() == CONTENT
    assert place.contents() == {"weights.pth"}


def test_a_part_that_is_too_long_is_deleted(server, place):
    place.directory.mkdir(parents=True)
    place.part.write_bytes(CONTENT + b"x")
    place.note.write_text(json.dumps({"address": server.address(), "version": '"1"', "size": len(CONTENT)}))
    assert _fetch(_checkpoint(server.address()), place).read_bytes() == CONTENT
    assert len(server.seen) == 2 and server.answers == [200] and place.contents() == {"weights.pth"}


def test_bytes_after_the_announced_end_are_not_kept(server, place):
    server.drops, server.surplus = 1, b"x"
    assert _fetch(_checkpoint(server.address()), place).read_bytes() == CONTENT
    assert server.answers == [200, 206, 200]


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ({"size": 7}, f"announces {len(CONTENT)} bytes, the catalogue lists 7"),
        ({"sha256": "0" * 64}, f"sent a file that has the sha256 {SHA256}, the catalogue lists {'0' * 64}"),
    ],
)
def test_a_file_that_differs_from_the_catalogue_is_not_kept(server, place, listed, message):
    assert message in _failure(_checkpoint(server.address(), **listed), place)
    assert len(server.seen) == 1 and place.contents() == set()


def test_a_missing_file_is_requested_once(server, place):
    address = server.address("/missing.pth")
    message = _failure(_checkpoint(address), place)
    assert "answered 404" in message and f"By hand: put {address} at {place.file}" in message
    assert len(server.seen) == 1 and place.contents() == set()


def test_a_web_page_is_not_kept_as_a_checkpoint(server, place):
    server.kind = "text/html; charset=utf-8"
    assert "a web page in place of the file" in _failure(_checkpoint(server.address()), place)
    assert len(server.seen) == 1 and place.contents() == set()


def test_a_busy_server_gets_a_second_request(server, place):
    server.failures = transfers.ATTEMPTS - 1
    assert _fetch(_checkpoint(server.address()), place).read_bytes() == CONTENT
    assert len(server.seen) == transfers.ATTEMPTS


def test_without_a_network_one_line_names_the_file_and_its_place(place):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening, so that connections are refused
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/weights.pth"
        message = _failure(_checkpoint(address), place)
    assert re.search("cannot be reached .*refused", message) and "attempts" not in message
    assert f"By hand: put {address} at {place.file}" in message


def test_the_second_address_is_used_if_the_first_fails(server, place):
    checkpoint = _checkpoint(server.address("/missing.pth"), server.address("/mirror"))
    assert _fetch(checkpoint, place).read_bytes() == CONTENT
    assert [path for path, _ in server.seen] == ["/missing.pth", "/mirror"]


def test_several_files_make_a_directory(server, place):
    def checkpoint(second):
        files = [catalogue.File(name, (server.address(path),)) for name, path in (("a", "/a"), ("b", second))]
        return catalogue.Checkpoint("faces", "dcgan", 64, tuple(files), "a licence", "nowhere")

    assert f"put {server.address('/missing')} at {place.directory / 'b'}" in _failure(checkpoint("/missing"), place)
    assert place.contents() == {"a"}
    assert _fetch(checkpoint("/b"), place) == place.directory
    assert place.contents() == {"a", "b"} and [path for path, _ in server.seen] == ["/a", "/missing", "/b"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [(b"", "is empty"), (CONTENT[:-1], "has 282038 bytes"), (b"x" * len(CONTENT), "has the sha256")],
)
def test_a_damaged_file_in_the_cache_is_named(server, place, content, fault):
    place.directory.mkdir(parents=True)
    place.file.write_bytes(content)
    with pytest.raises(InputError, match=rf"weights\.pth: {fault}.*; delete it"):
        _fetch(_checkpoint(server.address(), size=len(CONTENT), sha256=SHA256), place)
    assert place.file.read_bytes() == content and server.seen == []


def test_a_disk_that_is_too_small_is_named_before_the_transfer(server, place, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=len(CONTENT) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert "the download needs 0 MB, 0 MB are free" in _failure(_checkpoint(server.address()), place)
    assert place.contents() == set()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a device that is always full")
def test_a_disk_that_is_full_is_one_line(server, place):
    place.directory.mkdir(parents=True)
    place.part.symlink_to("/dev/full")
    message = _failure(_checkpoint(server.address()), place)
    assert message.startswith(f"--cache={place.cache}: ") and "No space left on device" in message


def test_a_cache_that_cannot_be_written_is_one_line(server, place):
    place.cache.write_text("a file")
    message = _failure(_checkpoint(server.address()), place)
    assert message == f"--cache={place.cache}: {place.directory}: Not a directory" and server.seen == []


def test_two_processes_do_not_write_to_one_file(server, place):
    place.directory.mkdir(parents=True)
    with open(place.directory / ".lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert "another process" in _failure(_checkpoint(server.address()), place)
    assert server.seen == []


def test_without_requests_one_line_names_the_requirements(server, place, monkeypatch):
    monkeypatch.setitem(sys.modules, "requests", None)
    for module in (transfers, downloads):
        importlib.reload(module)  # because importing them must not import requests
    assert "pip install -r requirements-convert.txt" in _failure(_checkpoint(server.address()), place)


def test_the_bar_counts_the_bytes_of_the_whole_file(server, place, monkeypatch):
    bars = []

    class Bar(transfers.tqdm):
        def __init__(self, **settings):
            super().__init__(**{**settings, "disable": True})
            bars.append((settings["initial"], settings["total"]))

        def update(self, n=1):
            bars[-1] = (bars[-1][0] + n, bars[-1][1])

    monkeypatch.setattr(transfers, "tqdm", Bar)
    server.drops = 1
    _fetch(_checkpoint(server.address()), place)
    assert [total for _, total in bars] == [len(CONTENT)] * 2
    assert bars[0][0] < len(CONTENT) == bars[1][0]


def test_the_environment_determines_the_cache(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert downloads.default_cache() == pathlib.Path("/somewhere/ganspace_jax")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/person")
    assert downloads.default_cache() == pathlib.Path("/home/person/.cache/ganspace_jax")
