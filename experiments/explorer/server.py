"""Serves the explorer's page over HTTP, only to the person who started it.

Host and Origin of each request are checked, so that a page from elsewhere in the same
browser can neither read nor change anything. With a token, which the link contains, the
page can also be opened from another machine.
"""

import asyncio
import hashlib
import hmac
import mimetypes
import pathlib
import secrets
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from experiments.explorer import messages
from experiments.explorer.explorer import Explorer
from experiments.explorer.messages import MessageError
from ganspace_jax.errors import InputError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
PAGE = pathlib.Path(__file__).with_name("page")
_TYPES = ("application/json", "application/octet-stream")
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_MAX_CLIENTS = 256  # pages whose newest request is remembered
_SECONDS_TO_END = 2


class Guard:
    """Refuses requests that do not come from the page, and adds the security headers.

    Attributes:
        app: the application behind it.
        hosts: host names under which the page may be opened.
        token: token of the link; "" without one.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...], token: str = ""):
        self.app, self.hosts, self.token = app, hosts, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return  # a websocket; nothing of the page opens one
        refusal = self._refusal(Request(scope))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        await (refusal or self.app)(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:
        """Returns the answer to a request that is refused; None for a good one."""
        given = request.query_params.get("token") or request.cookies.get(cookie_name(self.token), "")
        is_known = bool(self.token) and hmac.compare_digest(given.encode(), self.token.encode())
        host = request.headers.get("host", "")
        if len(request.headers.getlist("host")) != 1 or not (is_known or hostname(host) in self.hosts):
            return PlainTextResponse("error: unknown host\n", 400)
        if self.token and not is_known:
            return PlainTextResponse("error: open the whole link, with its token\n", 403)
        if request.method not in ("GET", "HEAD") and not _is_same_origin(request.headers, host, is_known):
            return PlainTextResponse("error: the request does not come from this page\n", 403)
        return None


def cookie_name(token: str) -> str:
    """Returns the name of the cookie of a token. Because browsers send cookies to all
    ports of a host, explorers with different tokens have different cookies.
    """
    return f"ganspace_explorer_{hashlib.sha256(token.encode()).hexdigest()[:8]}"


def hostname(host: str) -> str:
    """Returns the name in a Host header, without the port; "" for a damaged one."""
    try:
        parts = urlsplit(f"//{host}")
        return "" if parts.username is not None or parts.path or parts.query else (parts.hostname or "")
    except ValueError:
        return ""


def _is_same_origin(headers: Headers, host: str, is_known: bool) -> bool:
    """Returns whether Origin names the host of the request.

    Behind a proxy, a request with the token may name the host that the proxy forwards.
    """
    origins = headers.getlist("origin")
    if len(origins) != 1:
        return False
    try:
        origin = urlsplit(origins[0])
    except ValueError:
        return False
    hosts = [host, headers.get("x-forwarded-host", "")] if is_known else [host]
    return origin.scheme in ("http", "https") and bool(origin.netloc) and origin.netloc in hosts


class Desk:
    """Answers messages: pictures one after another, strips one after another, and all
    other messages beside them.

    Attributes:
        count: number of pictures that pages have asked for under a name.
    """

    def __init__(self, explorer: Explorer):
        self._explorer = explorer
        strips, self._others = ThreadPoolExecutor(1, "strips"), ThreadPoolExecutor(4, "messages")
        self._threads = {"picture": ThreadPoolExecutor(1, "pictures"), "strip": strips, "save": strips}
        self._newest: dict[tuple[str, int], int] = {}  # number of the newest picture that a page waits for
        self.count = 0

    async def answer(self, request: Request) -> Response:
        """Answers one message."""
        try:
            content, payload = messages.read(await _body(request))
        except MessageError as error:
            return JSONResponse({"id": None, "error": str(error)}, 400)
        except ClientDisconnect:
            return Response(status_code=499)
        is_old = self._number(content)
        gone = asyncio.create_task(_until_gone(request))
        try:
            threads = self._threads.get(str(content.get("kind")), self._others)
            answer, data = await asyncio.get_running_loop().run_in_executor(
                threads, self._explorer.handle, content, payload, lambda: gone.done() or is_old()
            )
        finally:
            gone.cancel()
        status = 400 if answer.pop("bad", False) else 200
        kind = "application/octet-stream" if data else "application/json"
        return Response(messages.write(answer, data), status, media_type=kind)

    def _number(self, content: dict[str, Any]) -> Callable[[], bool]:
        """Returns a function that tells whether the page has sent a newer state for the
        same picture.
        """
        client, which = content.get("client"), content.get("which", 0)
        if content.get("kind") != "picture" or not isinstance(client, str) or type(which) is not int:
            return lambda: False
        self.count += 1
        key, own = (client[:64], which), self.count
        self._newest[key] = own
        while len(self._newest) > _MAX_CLIENTS:
            del self._newest[next(iter(self._newest))]
        return lambda: self._newest.get(key, own) != own


def application(
    explorer: Explorer, hosts: tuple[str, ...] = LOOPBACK, token: str = "", desk: Desk | None = None
) -> Guard:
    """Returns the application of an explorer, by default with a desk of its own."""
    desk = desk or Desk(explorer)
    files = {path.name: path for path in sorted(PAGE.iterdir()) if path.is_file()} if PAGE.is_dir() else {}

    async def index(request: Request) -> Response:
        if token and request.query_params.get("token"):
            answer = RedirectResponse("./", 303)
            answer.set_cookie(cookie_name(token), token, httponly=True, samesite="strict", path="/")
            return answer
        return _file(files, "index.html")

    async def page_file(request: Request) -> Response:
        return _file(files, request.path_params["name"])

    return Guard(
        Starlette(
            routes=[
                Route("/", index),
                Route("/api/message", desk.answer, methods=["POST"]),
                Route("/{name}", page_file),
            ]
        ),
        hosts,
        token,
    )


def _file(files: dict[str, pathlib.Path], name: str) -> Response:
    """Returns a file of the page."""
    if name not in files:
        return PlainTextResponse("error: there is no such file\n", 404)
    kind = "text/javascript" if name.endswith(".js") else mimetypes.guess_type(name)[0]
    return Response(files[name].read_bytes(), media_type=kind or "application/octet-stream")


async def _body(request: Request) -> bytes:
    """Returns the body of a request.

    Raises MessageError for a body that is too large, or of another type.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _TYPES:
        raise MessageError(f"message: its type must be one of {', '.join(_TYPES)}")
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > messages.MAX_BYTES:
            raise MessageError(f"message: has more than {messages.MAX_BYTES:,} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


async def _until_gone(request: Request) -> None:
    """Returns when the page has closed its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def new_token() -> str:
    """Returns a random token."""
    return secrets.token_urlsafe(24)


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """Yields a socket that is bound to host and port; port 0 is any free one.

    Raises:
        InputError: if the address cannot be used.
    """
    flag = f"--port={port}" if host in LOOPBACK else f"--host={host} --port={port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError, OverflowError) as error:
        raise InputError(f"--host={host}: no such address: {error}") from None
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    with made:
        try:
            made.bind(address)
            made.listen(128)
        except OSError as error:
            raise InputError(f"{flag}: {error.strerror}; name another one, or none for a free port") from None
        yield made


def link(bound: socket.socket, host: str, token: str = "") -> str:
    """Returns the link to the page. For all addresses it names this machine."""
    host = socket.gethostname() if host in ("0.0.0.0", "::") else host
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{bound.getsockname()[1]}/{f'?token={token}' if token else ''}"


def server(app: ASGIApp) -> uvicorn.Server:
    """Returns a server, which `run` starts."""
    config = uvicorn.Config(
        app, log_level="error", access_log=False, lifespan="off", ws="none", server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=_SECONDS_TO_END, h11_max_incomplete_event_size=64 * 1024,
    )  # fmt: skip
    return uvicorn.Server(config)


def run(app: ASGIApp, bound: socket.socket) -> None:
    """Serves until a signal comes."""
    server(app).run(sockets=[bound])
