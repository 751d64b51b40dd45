"""Errors that the user's input causes, and their one-line messages."""

import difflib
from collections.abc import Iterable

_MAX_MESSAGE = 2000  # characters; a message may list names of a hostile file


class InputError(ValueError):
    """A flag, file, name or number that cannot be used.

    The message names the input, the value found and the value required. Its text is one
    printable line of bounded length, even if a part of it comes from a hostile file.
    """

    def __str__(self) -> str:
        text = super().__str__()
        return printable(text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]} ...")


def printable(text: str) -> str:
    """Returns the text with every unprintable character as its Python escape code.

    This covers line breaks, control characters, the starts of terminal escape
    sequences, and characters that change the direction of the text.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def first_line(error: BaseException, limit: int = 200) -> str:
    """Returns the first line of the error's message that is not blank, as printable
    text.

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
