"""Measures the explorer over HTTP: a drag, a burst of moves, and memory.

    python -m benchmarks.explorer
    python -m benchmarks.explorer --moves=10000

- drag: 50 moves of a slider, each after the picture of the one before. Prints the time
  from the move to the picture, and that time without the picture's own.
- burst: 60 moves in a second while a picture takes 0.5 s. Prints how many pictures are
  made, and when the last one is shown; once as a page sends them, with one request in
  flight, and once with all requests in flight.
- memory: the resident memory of the server before and after many moves.
"""

import argparse
import contextlib
import http.client
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

from experiments.explorer import server
from experiments.explorer.explorer import Answer, Explorer

NUM_DRAG = 50
NUM_BURST, BURST_SECONDS, SLOW_SECONDS = 60, 1.0, 0.5


class Page:
    """A connection to a server."""

    def __init__(self, port: int):
        self._host = f"127.0.0.1:{port}"
        self._connection = http.client.HTTPConnection(self._host, timeout=120)

    def ask(self, **entries: Any) -> tuple[dict[str, Any], bytes]:
        """Returns the answer to a message and its payload."""
        headers = {"Content-Type": "application/json", "Origin": f"http://{self._host}"}
        self._connection.request("POST", "/api/message", json.dumps(entries), headers)
        line, _, data = self._connection.getresponse().read().partition(b"\n")
        return json.loads(line), data

    def move(self, sigma: float, **entries: Any) -> dict[str, Any]:
        """Returns the answer to a picture of the first slider at sigma."""
        edit = {"group": "components", "number": 0, "sigma": sigma}
        state = {"starts": [{"seed": 1}], "edits": [edit]}
        return self.ask(id=1, kind="picture", state=state, which=0, moving=True, **entries)[0]


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[tuple[int, int]]:
    """Yields the port and the process number of an explorer."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "experiments.explore", f"--workdir={directory}/explore", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        try:
            link = next((line for line in process.stdout if line.startswith("open ")), "")
            found = re.search(r":(\d+)/", link)
            if found is None:
                sys.exit("error: the explorer did not start")
            yield int(found[1]), process.pid
        finally:
            process.terminate()
            process.wait()


def quantile(seconds: list[float], share: float) -> float:
    """Returns a quantile in milliseconds."""
    return 1000 * sorted(seconds)[min(len(seconds) - 1, int(share * len(seconds)))]


def measure_drag(page: Page) -> None:
    """Prints the times of a drag."""
    page.move(0.0)
    whole, own = [], []
    for k in range(NUM_DRAG):
        began = time.perf_counter()
        answer = page.move(-2.5 + 0.1 * k)
        whole.append(time.perf_counter() - began)
        own.append(answer["seconds"])
    added = [a - b for a, b in zip(whole, own, strict=True)]
    for name, seconds in (("move to picture", whole), ("the picture's own", own), ("added by all else", added)):
        print(f"drag: {name:17} p50 {quantile(seconds, 0.5):6.1f} ms, p95 {quantile(seconds, 0.95):6.1f} ms")


def measure_memory(page: Page, process: int, moves: int) -> None:
    """Prints the resident memory of the server over many moves."""
    for k in range(moves + 1):
        if k % max(1, moves // 5) == 0:
            status = pathlib.Path(f"/proc/{process}/status").read_text()
            print(f"memory: after {k:6,} moves {int(status.split('VmRSS:')[1].split()[0]) / 1024:7.1f} MB", flush=True)
        page.move((k % 61) / 10 - 3)


class Slow(Explorer):
    """An explorer whose pictures take 0.5 s."""

    def __init__(self):
        self.made: list[float] = []
        self._lock = threading.Lock()

    def handle(self, content: dict[str, Any], payload: bytes = b"", is_gone: Any = lambda: False) -> Answer:
        """Returns a picture of one byte, unless the page has stopped to wait."""
        with self._lock:
            if is_gone():
                return {"error": "dropped"}, b""
            time.sleep(SLOW_SECONDS)
            self.made.append(content["state"]["edits"][0]["sigma"])
        return {"seconds": SLOW_SECONDS}, b"x"


@contextlib.contextmanager
def slow_server() -> Iterator[tuple[Slow, int]]:
    """Yields a slow explorer and its port."""
    explorer = Slow()
    with server.bound("127.0.0.1", 0) as bound:
        running = server.server(server.application(explorer))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [bound]})
        thread.start()
        yield explorer, bound.getsockname()[1]
        running.should_exit = True
        thread.join()


def burst_of_a_page(port: int) -> float:
    """Moves a slider as a page does; returns the seconds from the last move to its
    picture.
    """
    page, newest, began = Page(port), 0, time.monotonic()
    shown = -1
    while shown != NUM_BURST:
        newest = min(NUM_BURST, 1 + int((time.monotonic() - began) / BURST_SECONDS * NUM_BURST))
        if newest != shown:
            page.move(float(newest))
            shown = newest
    return time.monotonic() - began - BURST_SECONDS


def burst_of_requests(port: int) -> float:
    """Sends a request for each move at once; returns the seconds from the last move to
    its picture.
    """
    threads = [
        threading.Thread(target=lambda k=k: Page(port).move(float(k), client="tab")) for k in range(1, NUM_BURST + 1)
    ]
    for thread in threads:
        thread.start()
        time.sleep(BURST_SECONDS / NUM_BURST)
    last = time.monotonic()
    threads[-1].join()
    return time.monotonic() - last


def main():
    """Prints one line per figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=1000, help="moves of the measurement of memory")
    parser.add_argument("--generator", default="stylegan2-scenes", help="zoo name or checkpoint directory")
    moves = parser.parse_args().moves
    with started(f"--generator={parser.parse_args().generator}") as (port, process):
        page = Page(port)
        measure_drag(page)
        measure_memory(page, process, moves)
    for name, burst in (("one request in flight", burst_of_a_page), ("all in flight", burst_of_requests)):
        with slow_server() as (explorer, port):
            settled = burst(port)
            print(
                f"burst: {name:21} {NUM_BURST} moves, {len(explorer.made)} pictures made, the last one "
                f"{'is' if explorer.made[-1] == NUM_BURST else 'is not'} the last move, shown {settled:.2f} s after it"
            )


if __name__ == "__main__":
    main()
