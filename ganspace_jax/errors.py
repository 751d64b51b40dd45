"""What goes wrong by a user's hand: one exception type, shown as one line by every command; and being told to stop."""

import contextlib
import difflib
import functools
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import ParamSpec

P = ParamSpec("P")


class InputError(ValueError):
    """A flag, file, name or number that cannot be used; the message says which, what was found and what would be right."""


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message, at most 200 characters.

    An error without a message gives the name of its type.
    """
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def nearest(name: str, names: Iterable[str], count: int = 3) -> str:
    """Returns "did you mean 'x' or 'y'? " with at most `count` similar names.

    Returns "" if no name is similar.
    """
    similar = difflib.get_close_matches(name, list(names), n=count, cutoff=0.5)
    return f"did you mean {' or '.join(map(repr, similar))}? " if similar else ""


class Interrupted(Exception):  # noqa: N818 - nothing went wrong
    """The run was told to stop, and has saved what it had; the message says how to go on."""


@contextlib.contextmanager
def stop_on_sigterm() -> Iterator[Callable[[], bool]]:
    """Yields a function that tells whether SIGTERM has come: schedulers send it before they take a machine away."""
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        yield lambda: bool(received)
    finally:
        signal.signal(signal.SIGTERM, before)


def one_line_errors(main: Callable[P, None]) -> Callable[P, None]:
    """Wraps a command's main: an InputError or a file error is printed as one line, and the exit status is 1.

    So is an Interrupted, with the status that shells give to what SIGTERM ends.
    """

    @functools.wraps(main)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            main(*args, **kwargs)
        except InputError as error:
            sys.exit(f"error: {error}")
        except Interrupted as error:
            print(error, file=sys.stderr)
            sys.exit(128 + signal.SIGTERM)
        except OSError as error:
            sys.exit(f"error: {error.filename or 'file'}: {error.strerror or error}")

    return wrapped
