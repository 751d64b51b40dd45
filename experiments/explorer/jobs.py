"""Long work: it is started, polled, cancelled and fetched."""

import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ganspace_jax import errors
from ganspace_jax.errors import InputError

_MAX_RUNNING = 3
_MAX_FINISHED = 20  # of which the answers are remembered


class Result(NamedTuple):
    """What a job made.

    Attributes:
        filename: name of the file.
        mime: its media type.
        data: its content.
        entries: further entries of the job's status.
    """

    filename: str
    mime: str
    data: bytes
    entries: Mapping[str, Any] = {}


class Cancelled(Exception):  # noqa: N818 - nothing went wrong
    """A job that a person, or the end of the program, has cancelled."""


class Job:
    """A job.

    Attributes:
        done: finished units.
        total: all units; 0 until it is known.
        state: "running", "done", "failed" or "cancelled".
        error: one line about a failure.
        result: what it made; None before it is done.
    """

    def __init__(self):
        self.done, self.total = 0, 0
        self.state, self.error = "running", ""
        self.result: Result | None = None
        self._stop = threading.Event()

    def report(self, done: int, total: int) -> None:
        """Notes the progress. Raises Cancelled if the job was cancelled."""
        self.done, self.total = done, total
        if self._stop.is_set():
            raise Cancelled

    def cancel(self) -> None:
        """Ends the job at its next report."""
        self._stop.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether the job was cancelled; it may still run."""
        return self._stop.is_set()

    def run(self, work: Callable[["Job"], Result]) -> None:
        """Does the work, and notes how it ended."""
        try:
            self.result = work(self)
            self.state = "done"
        except Cancelled:
            self.state = "cancelled"
        except Exception as error:  # a thread has nobody above it who would answer the page
            self.state, self.error = "failed", _line(error)


def _line(error: Exception) -> str:
    line = errors.first_line(error)
    return line if isinstance(error, InputError) else f"{type(error).__name__}: {line}"


class Jobs:
    """The jobs of one explorer. Several threads may use it."""

    def __init__(self):
        self._jobs: dict[str, Job] = {}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def start(self, work: Callable[[Job], Result]) -> str:
        """Starts work in a thread of its own and returns the name of the job.

        Raises:
            InputError: if too many jobs run.
        """
        with self._lock:
            running = [job for job in self._jobs.values() if job.state == "running"]
            if len(running) >= _MAX_RUNNING:
                raise InputError(f"job: {len(running)} run already; wait, or cancel one")
            finished = [name for name, job in self._jobs.items() if job.state != "running"]
            for name in finished[:-_MAX_FINISHED]:
                del self._jobs[name]
            name, job = secrets.token_hex(8), Job()
            self._jobs[name] = job
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            thread = threading.Thread(target=job.run, args=(work,), name=f"job {name}", daemon=True)
            self._threads.append(thread)
        thread.start()
        return name

    def find(self, name: str) -> Job:
        """Returns a job. Raises InputError if there is none of this name."""
        with self._lock:
            if name not in self._jobs:
                raise InputError(f"job {name}: there is none of this name")
            return self._jobs[name]

    def status(self, name: str) -> dict[str, Any]:
        """Returns the progress of a job as JSON values."""
        job = self.find(name)
        return {
            "job": name, "done": job.done, "total": job.total, "state": job.state,
            **({"error": job.error} if job.error else {}), **(job.result.entries if job.result else {}),
        }  # fmt: skip

    def fetch(self, name: str) -> Result:
        """Returns what a job made. Raises InputError if it is not done."""
        job = self.find(name)
        if job.result is None:
            raise InputError(f"job {name}: has made nothing; it is {job.state}")
        return job.result

    def stop(self, seconds: float = 5.0) -> None:
        """Cancels all jobs, and waits for them for some seconds each."""
        with self._lock:
            jobs, threads = list(self._jobs.values()), list(self._threads)
        for job in jobs:
            job.cancel()
        for thread in threads:
            thread.join(seconds)
