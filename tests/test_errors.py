"""Error messages: one printable line, whatever a file or a user put into them."""

import pytest

from ganspace_jax import command_line
from ganspace_jax.errors import InputError, first_line, nearest, printable

HOSTILE = "a\x1b[31mred\x1b]0;title\x07\x9b2J\r\nnext\x00\u202eback\udc80é"


def test_text_that_is_printed_has_no_control_characters():
    text = printable(HOSTILE)
    assert text.isprintable() and text.isascii() is False
    assert text == r"a\x1b[31mred\x1b]0;title\x07\x9b2J\r\nnext\x00\u202eback\udc80é"
    assert printable("all 3 plain, é ü 漢 words") == "all 3 plain, é ü 漢 words"


def test_an_input_error_is_one_printable_line_wherever_it_is_shown():
    error = InputError(f"file {HOSTILE}: bad")
    assert str(error) == f"{error}" == printable(f"file {HOSTILE}: bad") and str(error).isprintable()
    for raised in (InputError(HOSTILE), FileNotFoundError(2, "none", HOSTILE)):

        def fail(raised=raised):
            raise raised

        with pytest.raises(SystemExit) as caught:
            command_line.exit_with_one_line(fail)
        assert caught.value.code.startswith(f"error: {printable(HOSTILE)}") and caught.value.code.isprintable()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("first\nsecond"), "first"),
        (ValueError("\n  \n indented\nmore"), "indented"),
        (ValueError(), "ValueError"),
        (KeyError(), "KeyError"),
        (ValueError(" \n"), "ValueError"),
        (ValueError("a\x1b[31mb"), r"a\x1b[31mb"),
        (ValueError("x" * 500), "x" * 200),
        (InputError(), "InputError"),
    ],
)
def test_the_first_line_of_an_error_is_safe_and_never_empty(error, line):
    assert first_line(error) == line


def test_the_first_line_is_never_longer_than_its_limit():
    """Although escape codes are longer than the characters that they replace."""
    assert len(first_line(ValueError("\x1b" * 500))) == 200
    assert first_line(ValueError("abcdef"), limit=3) == "abc"


def test_near_names_are_named():
    names = ("stylegan2-scenes", "stylegan3-scenes", "biggan-scenes", "stylegan2-scenes")
    assert nearest("stylegan2-scene", names, count=1) == "did you mean 'stylegan2-scenes'? "
    assert nearest("stylegan2-scenes", names, count=2) == "did you mean 'stylegan2-scenes' or 'stylegan3-scenes'? "
    assert nearest("qqq", names) == "" == nearest("a", ())
    assert nearest("a\x1bbc", ["a\x1bbd"]).isprintable()


def test_an_input_error_that_lists_a_hostile_file_is_short():
    error = InputError("no such network; the file has: " + ", ".join(["name\n"] * 100_000))
    assert len(str(error)) < 13_000 and str(error).endswith(" ...") and str(error).isprintable()
