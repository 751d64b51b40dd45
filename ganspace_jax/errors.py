"""Errors that the user's input causes, their one-line messages, and the signal to stop."""

import contextlib
import difflib
import functools
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import ParamSpec

P = ParamSpec("P")


class InputError(ValueError):
    """A flag, file, name or number that cannot be used.

    The message names the input, the value found and the value required. Its text is one
    printable line, even if a part of it comes from a hostile file.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


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
    """A run that received the signal to stop and saved its state.

    The message says how to resume the run.
    """


def printable(text: str) -> str:
    """Returns the text with every unprintable character as its Python escape code.

    This covers line breaks, control characters, the starts of terminal escape sequences,
    and characters that change the direction of the text.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def first_line(error: BaseException, limit: int = 200) -> str:
    """Returns the first line of the error's message that is not blank, as printable text.

    If the message has no such line, returns the name of the error's type.

    Args:
        error: Exception of any type.
        limit: Largest number of characters of the result.
    """
    lines = [line.strip() for line in str(error).splitlines()]
    line = next(filter(None, lines), type(error).__name__)
    return printable(line[:limit])[:limit]


def nearest(name: str, names: Iterable[str], count: int = 3) -> str:
    """Returns a hint for an error message: "did you mean 'x' or 'y'? ".

    If no name is close, returns an empty text.

    Args:
        name: Name that the user gave.
        names: Names that exist; repeated names count once.
        count: Largest number of names in the hint.
    """
    near = difflib.get_close_matches(name, dict.fromkeys(names), n=count, cutoff=0.5)
    return f"did you mean {' or '.join(map(repr, near))}? " if near else ""


@contextlib.contextmanager
def stop_on_sigterm() -> Iterator[Callable[[], bool]]:
    """Yields a function that returns whether the process has received SIGTERM.

    Schedulers send this signal before they preempt a machine.
    """
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        yield lambda: bool(received)
    finally:
        signal.signal(signal.SIGTERM, before)


def one_line_errors(main: Callable[P, None]) -> Callable[P, None]:
    """Wraps a command's main function, so that it prints an error as one line.

    The exit status is 1 for an InputError or an OSError. It is 143 for an Interrupted,
    as shells report for a process that SIGTERM ended.
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
            sys.exit(printable(f"error: {error.filename or 'file'}: {error.strerror or error}"))

    return wrapped
