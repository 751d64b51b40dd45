"""What goes wrong by a user's hand: one exception type, shown as one line by every command."""

import functools
import sys
from collections.abc import Callable
from typing import ParamSpec

P = ParamSpec("P")


class InputError(ValueError):
    """A flag, file, name or number that cannot be used; the message says which, what was found and what would be right."""


def one_line_errors(main: Callable[P, None]) -> Callable[P, None]:
    """Wraps a command's main: an InputError or a file error is printed as one line, and the exit status is 1."""

    @functools.wraps(main)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            main(*args, **kwargs)
        except InputError as error:
            sys.exit(f"error: {error}")
        except OSError as error:
            sys.exit(f"error: {error.filename or 'file'}: {error.strerror or error}")

    return wrapped
