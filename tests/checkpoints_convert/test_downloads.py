"""Downloads, from a server on the loopback that misbehaves in the ways servers do."""

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

from checkpoints_convert import catalogue, downloads, formats
from ganspace_jax.errors import InputError

CONTENT = (pathlib.Path(__file__).parents[1] / "golden" / "dcgan_64.pth").read_bytes()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class _Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT everywhere but under /missing; the attributes say what it does wrong."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.version = '"1"'
        self.drops = 0  # answers that end half way
        self.failures = 0  # answers that are 503
        self.ranges = True
        self.any_version = False  # gives ranges of whatever there is now
        self.kind = "application/octet-stream"
        self.surplus = b""  # comes behind the rest that was asked for
        self.seen = []  # (path, Range) of every request
        self.answers = []  # the status of those that got content

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
            return self.send_error(416)  # with a page, as most servers do
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
    """Where the one file of `_checkpoint` goes in a cache."""

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

    def left(self):
        """What is there, beside the lock."""
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
    """The one line of a fetch that fails."""
    with pytest.raises(InputError) as raised:
        _fetch(checkpoint, place)
    message = str(raised.value)
    assert len(message.splitlines()) == 1 and not place.file.exists()
    return message


def test_a_name_becomes_a_file_that_converts(server, place, monkeypatch, capsys):
    checkpoint = _checkpoint(server.address(), size=len(CONTENT), sha256=SHA256)
    monkeypatch.setitem(catalogue.CATALOGUE, "faces", checkpoint)
    path = downloads.resolve("faces", place.cache)
    assert path == place.file and path.read_bytes() == CONTENT
    assert place.left() == {"weights.pth"} and "a licence" in capsys.readouterr().out
    assert formats.recognize(formats.read(path))[0].name == "dcgan"


def test_a_file_that_exists_goes_before_a_name(place, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("stylegan2-ffhq").write_bytes(b"mine")
    assert downloads.resolve("stylegan2-ffhq", place.cache) == pathlib.Path("stylegan2-ffhq")
    assert not place.cache.exists()


def test_the_second_time_it_comes_from_the_cache(server, place, monkeypatch):
    first = _fetch(_checkpoint(server.address()), place)
    assert len(server.seen) == 1
    monkeypatch.setitem(sys.modules, "requests", None)  # cannot be imported any more
    assert _fetch(_checkpoint(server.address()), place) == first
    assert len(server.seen) == 1


def test_a_broken_download_is_gone_on_with(server, place):
    server.drops = 1
    assert _fetch(_checkpoint(server.address()), place).read_bytes() == CONTENT
    (_, first), (_, second) = server.seen
    assert first is None and 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= len(CONTENT) // 2
    assert server.answers == [200, 206] and place.left() == {"weights.pth"}


@pytest.mark.parametrize(("attribute", "value"), [("ranges", False), ("version", None), ("version", 'W/"weak"')])
def test_it_begins_anew_where_the_server_cannot_go_on(server, place, attribute, value):
    """It knows no ranges, or its mark cannot tell two versions of the file apart."""
    setattr(server, attribute, value)
    server.drops = 2
    assert _fetch(_checkpoint(server.address()), place).read_bytes() == CONTENT
    assert server.answers == [200] * 3


def test_attempts_are_bounded_and_the_next_run_goes_on(server, place):
    server.drops = 99
    message = _failure(_checkpoint(server.address()), place)
    assert "broke the connection" in message and "a later run goes on" in message
    assert len(server.seen) == downloads.ATTEMPTS and place.left() == {"weights.pth.part", "weights.pth.part.json"}
    here = place.part.stat().st_size
    server.drops = 0
    assert _fetch(_checkpoint(server.address()), place).read_bytes() == CONTENT
    assert server.seen[downloads.ATTEMPTS :] == [("/weights.pth", f"bytes={here}-")]


def test_a_process_that_ended_before_the_move_needs_no_second_download(server, place):
    place.directory.mkdir(parents=True)
    place.part.write_bytes(CONTENT)
    place.note.write_text(json.dumps({"address": server.address(), "version": '"1"', "size": len(CONTENT)}))
    assert _fetch(_checkpoint(server.address()), place).read_bytes() == CONTENT
    assert server.seen == [] and place.left() == {"weights.pth"}


@pytest.mark.parametrize(
    ("note", "any_version"),
    [
        (None, False),
        ("not JSON", False),
        ({"version": '"0"'}, False),
        ({"version": '"0"'}, True),  # a server that knows no If-Range: its ETag tells
        ({"size": len(CONTENT) + 1}, False),
        ({"address": "http://127.0.0.1/other"}, False),
    ],
)
def test_the_part_of_another_file_is_not_glued_to_this_one(server, place, note, any_version):
    server.any_version = any_version
    place.directory.mkdir(parents=True)
    place.part.write_bytes(b"x" * 1000)
    if isinstance(note, dict):
        note = json.dumps({"address": server.address(), "version": '"1"', "size": len(CONTENT)} | note)
    if note is not None:
        place.note.write_text(note)
    assert _fetch(_checkpoint(server.address()), place).read_bytes() == CONTENT
    assert place.left() == {"weights.pth"}


def test_a_part_that_is_too_long_is_thrown_away(server, place):
    place.directory.mkdir(parents=True)
    place.part.write_bytes(CONTENT + b"x")
    place.note.write_text(json.dumps({"address": server.address(), "version": '"1"', "size": len(CONTENT)}))
    assert _fetch(_checkpoint(server.address()), place).read_bytes() == CONTENT
    assert len(server.seen) == 2 and server.answers == [200] and place.left() == {"weights.pth"}


def test_what_comes_beyond_the_announced_end_is_not_kept(server, place):
    server.drops, server.surplus = 1, b"x"
    assert _fetch(_checkpoint(server.address()), place).read_bytes() == CONTENT
    assert server.answers == [200, 206, 200]


@pytest.mark.parametrize(
    ("published", "said"),
    [
        ({"size": 7}, f"announces {len(CONTENT)} bytes, the published file has 7"),
        ({"sha256": "0" * 64}, f"sent a file that has the sha256 {SHA256}, the published file {'0' * 64}"),
    ],
)
def test_another_file_than_the_published_one_is_not_kept(server, place, published, said):
    assert said in _failure(_checkpoint(server.address(), **published), place)
    assert len(server.seen) == 1 and place.left() == set()


def test_what_is_not_there_is_asked_for_once(server, place):
    address = server.address("/missing.pth")
    message = _failure(_checkpoint(address), place)
    assert "answered 404" in message and f"By hand: put {address} at {place.file}" in message
    assert len(server.seen) == 1 and place.left() == set()


def test_a_page_is_not_taken_for_a_checkpoint(server, place):
    server.kind = "text/html; charset=utf-8"
    assert "a web page in place of the file" in _failure(_checkpoint(server.address()), place)
    assert len(server.seen) == 1 and place.left() == set()


def test_a_busy_server_is_asked_again(server, place):
    server.failures = downloads.ATTEMPTS - 1
    assert _fetch(_checkpoint(server.address()), place).read_bytes() == CONTENT
    assert len(server.seen) == downloads.ATTEMPTS


def test_without_a_network_one_line_says_what_to_put_where(place):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/weights.pth"
        message = _failure(_checkpoint(address), place)
    assert re.search("cannot be reached .*refused", message) and "attempts" not in message
    assert f"By hand: put {address} at {place.file}" in message


def test_the_next_address_is_tried(server, place):
    checkpoint = _checkpoint(server.address("/missing.pth"), server.address("/mirror"))
    assert _fetch(checkpoint, place).read_bytes() == CONTENT
    assert [path for path, _ in server.seen] == ["/missing.pth", "/mirror"]


def test_several_files_make_a_directory(server, place):
    def checkpoint(second):
        files = [catalogue.File(name, (server.address(path),)) for name, path in (("a", "/a"), ("b", second))]
        return catalogue.Checkpoint("faces", "dcgan", 64, tuple(files), "a licence", "nowhere")

    assert f"put {server.address('/missing')} at {place.directory / 'b'}" in _failure(checkpoint("/missing"), place)
    assert place.left() == {"a"}
    assert _fetch(checkpoint("/b"), place) == place.directory
    assert place.left() == {"a", "b"} and [path for path, _ in server.seen] == ["/a", "/missing", "/b"]


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


def test_a_disk_that_is_too_small_is_told_before_anything_comes(server, place, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=len(CONTENT) - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert "MB are needed there" in _failure(_checkpoint(server.address()), place)
    assert place.left() == set()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full is Linux's")
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


def test_without_requests_one_line_says_what_to_install(server, place, monkeypatch):
    monkeypatch.setitem(sys.modules, "requests", None)
    importlib.reload(downloads)  # what only reads local files must do without
    assert "pip install -r requirements-convert.txt" in _failure(_checkpoint(server.address()), place)


def test_the_bar_counts_the_bytes_of_the_whole_file(server, place, monkeypatch):
    bars = []

    class Bar(downloads.tqdm):
        def __init__(self, **settings):
            super().__init__(**{**settings, "disable": True})
            bars.append((settings["initial"], settings["total"]))

        def update(self, n=1):
            bars[-1] = (bars[-1][0] + n, bars[-1][1])

    monkeypatch.setattr(downloads, "tqdm", Bar)
    server.drops = 1
    _fetch(_checkpoint(server.address()), place)
    assert [total for _, total in bars] == [len(CONTENT)] * 2
    assert bars[0][0] < len(CONTENT) == bars[1][0]


def test_the_cache_is_where_the_environment_says(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert downloads.default_cache() == pathlib.Path("/somewhere/ganspace_jax")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/person")
    assert downloads.default_cache() == pathlib.Path("/home/person/.cache/ganspace_jax")
