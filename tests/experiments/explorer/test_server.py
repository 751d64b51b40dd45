"""The server on a real socket: who is let in, what is answered, and how it ends."""

import http.client
import json
import socket
import threading

import numpy as np
import pytest

pytest.importorskip("starlette", reason="starlette and uvicorn are in requirements-explore.txt")

from experiments.explorer import messages, server
from ganspace_jax.errors import InputError
from tests.experiments.explorer.conftest import open_explorer

TOKEN = "abcDEF123_-secret"


class Client:
    """A browser's tab, as far as the server sees it."""

    def __init__(self, address, desk):
        self.address, self.desk = address, desk

    def request(self, method, path, body=None, **headers):
        """Returns status, headers and body of the answer. A header of None is left
        out.
        """
        host = f"127.0.0.1:{self.address[1]}"
        given = {"Host": host, "Origin": f"http://{host}", "Content-Type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in given.items():
                for one in value if isinstance(value, list) else [value]:
                    if one is not None:
                        connection.putheader(name, one)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def send(self, kind, payload=b"", **entries):
        """Returns status, answer and payload of a message."""
        body = messages.write({"id": 4, "kind": kind, **entries}, payload)
        status, _, data = self.request("POST", "/api/message", body)
        line, _, rest = data.partition(b"\n")
        return status, json.loads(line), rest


@pytest.fixture(scope="module")
def explorer(tmp_path_factory, components_path):
    made = open_explorer(tmp_path_factory.mktemp("served"), [components_path])
    yield made
    made.stop()


def _served(explorer, *arguments):
    """Yields a client of a server in a thread."""
    with server.bound("127.0.0.1", 0) as bound:
        desk = server.Desk(explorer)
        running = server.server(server.application(explorer, *arguments, desk=desk))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [bound]})
        thread.start()
        yield Client(bound.getsockname(), desk)
        running.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def client(explorer):
    yield from _served(explorer)


@pytest.fixture(scope="module")
def token_client(explorer):
    yield from _served(explorer, (*server.LOOPBACK, "0.0.0.0"), TOKEN)


def test_the_page_and_its_files_come_with_a_strict_policy(client):
    for path in ("/", "/index.html", "/explorer.js", "/explorer.css"):
        status, headers, body = client.request("GET", path)
        assert status == 200 and body
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
        assert headers["x-frame-options"] == "DENY" and "access-control-allow-origin" not in headers
    assert client.request("GET", "/explorer.js")[1]["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    "path",
    [
        "/../state.py",
        "/..%2fstate.py",
        "/%2e%2e/state.py",
        "//etc/passwd",
        "/page/index.html",
        "/state.py",
        "/.",
        "/%00",
    ],
)
def test_no_other_file_is_served(client, path):
    status, _, body = client.request("GET", path)
    assert status in (400, 404) and b"import" not in body and b"root:" not in body


def test_messages_are_answered(client, explorer):
    status, answer, payload = client.send("picture", state={"psi": 0.5}, which=0)
    assert status == 200 and answer["id"] == 4 and payload.startswith(b"\x89PNG")
    direct, data = explorer.handle({"kind": "picture", "state": {"psi": 0.5}})
    assert payload == data and answer["mime"] == direct["mime"]
    status, answer, payload = client.send("about")
    assert status == 200 and answer["generator"]["name"] == "stylegan2-scenes" and not payload


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "127.0.0.1/x",
        "",
        None,
        "[::1",
        "192.168.0.7",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_foreign_host_is_refused(client, host, method):
    body = b'{"kind": "about"}' if method == "POST" else None
    status, headers, data = client.request(method, "/" if body is None else "/api/message", body, Host=host)
    assert status == 400 and len(data.splitlines()) == 1
    assert "set-cookie" not in headers


@pytest.mark.parametrize("host", ["localhost", "localhost:9000", "127.0.0.1:1", "[::1]:8080", "LOCALHOST:80"])
def test_a_tunnel_may_have_another_port(client, host):
    body = b'{"kind": "kept"}'
    assert client.request("GET", "/", Host=host)[0] == 200
    assert client.request("POST", "/api/message", body, Host=host, Origin=f"http://{host}")[0] == 200


@pytest.mark.parametrize(
    "origin",
    [None, "null", "http://evil.example", "http://127.0.0.1:1", "file://", "http://localhost", "http://[", "",
     "twice"],
)  # fmt: skip
def test_a_foreign_origin_changes_nothing(client, explorer, origin):
    if origin == "twice":
        origin = [f"http://127.0.0.1:{client.address[1]}", "http://evil.example"]
    body = messages.write({"kind": "keep", "state": {}, "name": "evil"})
    status, _, _ = client.request("POST", "/api/message", body, Origin=origin)
    assert status == 403
    assert "evil" not in [entry["name"] for entry in explorer.shelf.list()]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
def test_a_type_that_any_page_can_send_is_refused(client, kind):
    status, _, data = client.request("POST", "/api/message", b'{"kind": "about"}', Content_Type=kind)
    assert status == 400 and b"its type must be" in data


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_methods_are_refused(client, method):
    assert client.request(method, "/api/message")[0] in (400, 403, 405)
    assert client.request("GET", "/api/message")[0] in (404, 405)


def test_random_bodies_are_answered_in_one_line(client, explorer):
    client.send("keep", state={}, name="stays")
    random = np.random.default_rng(0)
    bodies = [random.bytes(int(random.integers(0, 100))) for _ in range(60)]
    bodies += [b"", b"{", b"[" * 5000, b'{"id": ' + b"9" * 9000 + b"}", b"null\n", b'{"kind": "picture", "state": NaN}']
    for body in bodies:
        status, _, data = client.request("POST", "/api/message", body)
        assert status == 400 and len(data.strip().splitlines()) == 1
        assert json.loads(data)["error"].isprintable() and b"Traceback" not in data
    assert "stays" in [entry["name"] for entry in explorer.shelf.list()]
    assert client.send("about")[0] == 200


def test_a_body_that_is_too_large_is_refused(client, monkeypatch):
    monkeypatch.setattr(messages, "MAX_BYTES", 1000)
    status, _, data = client.request("POST", "/api/message", b'{"kind": "upload"}\n' + bytes(2000))
    assert status == 400 and b"more than 1,000 bytes" in data
    assert client.send("about")[0] == 200


def test_broken_connections_do_no_harm(client):
    for data in (
        b"\r\n\r\n",
        b"GET",
        b"\x16\x03\x01\x02\x00",
        b"POST /api/message HTTP/1.1\r\nContent-Length: 99\r\n\r\n{",
    ):
        with socket.create_connection(client.address, timeout=10) as raw:
            raw.sendall(data)
    assert client.send("about")[0] == 200


def test_a_token_is_needed_for_all_and_becomes_a_strict_cookie(token_client):
    for path in ("/", "/explorer.js", "/?token=wrong", "/?token="):
        assert token_client.request("GET", path)[0] == 403
    status, headers, _ = token_client.request("GET", f"/?token={TOKEN}")
    cookie = headers["set-cookie"]
    assert status == 303 and headers["location"] == "./"
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower() and "Domain" not in cookie
    given = {"Cookie": cookie.partition(";")[0]}
    assert token_client.request("GET", "/", **given)[0] == 200
    body = b'{"kind": "kept"}'
    assert token_client.request("POST", "/api/message", body)[0] == 403
    assert token_client.request("POST", "/api/message", body, **given)[0] == 200
    for origin in (None, "null", "http://evil.example"):
        assert token_client.request("POST", "/api/message", body, Origin=origin, **given)[0] == 403


def test_the_token_opens_the_page_behind_a_proxy(token_client):
    given = {
        "Cookie": f"{server.cookie_name(TOKEN)}={TOKEN}",
        "Host": "x1-8765.colab.example",
        "Origin": "https://x1-8765.colab.example",
    }
    body = b'{"kind": "kept"}'
    assert token_client.request("POST", "/api/message", body, **given)[0] == 200
    given["Host"] = "localhost:8765"
    assert token_client.request("POST", "/api/message", body, **given)[0] == 403
    assert (
        token_client.request("POST", "/api/message", body, X_Forwarded_Host="x1-8765.colab.example", **given)[0] == 200
    )
    assert token_client.request("POST", "/api/message", body, Host="evil.example")[0] == 400


def test_the_newest_state_wins(client, explorer, monkeypatch):
    """Of many requests of one page, the first and the last picture are made."""
    made, starts, goes_on = [], threading.Event(), threading.Event()
    original = explorer.renderer.picture

    def picture(state, which=0, **options):
        made.append(state.psi)
        starts.set()
        assert goes_on.wait(30)
        return original(state, which, **options)

    monkeypatch.setattr(explorer.renderer, "picture", picture)
    answers = {}

    def ask(k):
        answers[k] = client.send("picture", state={"psi": k / 100}, client="tab 1")

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(20)]
    threads[0].start()
    assert starts.wait(30)
    before = client.desk.count
    for k, thread in enumerate(threads[1:], start=1):
        thread.start()
        while client.desk.count < before + k:
            pass
    goes_on.set()
    for thread in threads:
        thread.join(60)
    assert made == [0.0, 0.19]
    assert answers[19][2].startswith(b"\x89PNG")
    assert sum("dropped" in answer.get("error", "") for _, answer, _ in answers.values()) == 18


def test_a_busy_port_is_one_line():
    with server.bound("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        with (
            pytest.raises(InputError, match=f"--port={port}: Address already in use; name another"),
            server.bound("127.0.0.1", port),
        ):
            pass
    with server.bound("127.0.0.1", port):
        pass


@pytest.mark.parametrize("host", ["no.such.host.invalid", "999.1.1.1", "a" * 300])
def test_an_unusable_host_is_one_line(host):
    with pytest.raises(InputError, match="no such address") as caught, server.bound(host, 0):
        pass
    assert str(caught.value).isprintable()


def test_the_link_names_host_port_and_token():
    with server.bound("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        assert server.link(bound, "127.0.0.1") == f"http://127.0.0.1:{port}/"
        assert server.link(bound, "0.0.0.0") == f"http://{socket.gethostname()}:{port}/"
        assert server.link(bound, "::1", "abc") == f"http://[::1]:{port}/?token=abc"
    assert len({server.new_token() for _ in range(100)}) == 100
