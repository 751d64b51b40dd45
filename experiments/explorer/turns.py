"""Whose turn it is to use the generator, and how often it was compiled."""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import jax

_COMPILED = "/jax/core/compile/backend_compile_duration"
_compilations: list[float] = []  # seconds of each compilation of this process


def _note_compilation(event: str, duration_secs: float, **kwargs: str | int) -> None:
    if event == _COMPILED:
        _compilations.append(duration_secs)


@functools.cache
def _listen() -> None:
    """Counts the compilations of this process from the first call on."""
    jax.monitoring.register_event_duration_secs_listener(_note_compilation)


def num_compilations() -> int:
    """Returns how many programs were compiled, or read from the compilation cache."""
    _listen()
    return len(_compilations)


class Turns:
    """Lets pictures that a person waits for go before long work in the background."""

    def __init__(self):
        self._condition = threading.Condition()
        self._waiting = 0
        self._taken = False

    @contextmanager
    def first(self) -> Iterator[None]:
        """Holds the turn while the block runs; waits for at most one block."""
        with self._condition:
            self._waiting += 1
            self._condition.wait_for(lambda: not self._taken)
            self._waiting -= 1
            self._taken = True
        try:
            yield
        finally:
            self._release()

    @contextmanager
    def later(self) -> Iterator[None]:
        """Holds the turn while the block runs; waits until no picture waits."""
        with self._condition:
            self._condition.wait_for(lambda: not self._taken and not self._waiting)
            self._taken = True
        try:
            yield
        finally:
            self._release()

    def _release(self) -> None:
        with self._condition:
            self._taken = False
            self._condition.notify_all()
