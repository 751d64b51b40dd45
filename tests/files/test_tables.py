"""Tables: every cell is where its title is, in Markdown and in padded columns."""

import pytest

from ganspace_jax.files import tables

HEADER = ("name", "px", "share", "address")
ROWS = [
    ("stylegan2-cats", "1,024", "5.0%", "https://one"),
    ("dcgan", "64", "12.5%", ""),
    ("", "", "-0.1%", "two"),
]


def test_a_markdown_table():
    assert tables.markdown(HEADER, ROWS) == (
        "| name | px | share | address |\n"
        "| --- | --- | --- | --- |\n"
        "| stylegan2-cats | 1,024 | 5.0% | https://one |\n"
        "| dcgan | 64 | 12.5% | |\n"
        "| | | -0.1% | two |"
    )


def test_an_aligned_table():
    assert tables.aligned(HEADER, ROWS) == (
        "name               px  share  address\n"
        "stylegan2-cats  1,024   5.0%  https://one\n"
        "dcgan              64  12.5%\n"
        "                       -0.1%  two"
    )


@pytest.mark.parametrize(
    "number", ["7", "-0.5", "+3", "1e-05", "1,234.5", "nan", "-inf", "12 %", "7.5 deg", "90°", "3 px"]
)
def test_columns_of_numbers_are_aligned_to_the_right(number):
    lines = tables.aligned(("a long title", "b"), [(number, "x"), ("1", "x"), ("", "x")]).split("\n")
    assert lines == ["a long title  b", number.rjust(12) + "  x", "           1  x", "              x"]


@pytest.mark.parametrize("text", ["v0", "1 2 3", "-", "0.5 (0.4 to 0.6)", "12 components", "2026-11-25", "infinite"])
def test_columns_with_a_text_are_aligned_to_the_left(text):
    lines = tables.aligned(("a long title of it", "b"), [(text, "x"), ("1", "x")]).split("\n")
    assert lines[1] == text.ljust(18) + "  x" and lines[2] == "1".ljust(18) + "  x"


def test_a_table_without_rows_is_its_header():
    assert tables.aligned(("a", "b"), []) == "a  b"
    assert tables.markdown(("a", "b"), []) == "| a | b |\n| --- | --- |"


def test_a_cell_cannot_break_the_table_or_reach_the_terminal():
    assert tables.markdown(("a",), [("b|c\nd\x1b[31m",)]).split("\n")[2:] == [r"| b\|c\nd\x1b[31m |"]
    assert tables.aligned(("a", "b"), [("x\ny", "\x1b[31m")]).split("\n")[1:] == [r"x\ny  \x1b[31m"]


def test_a_row_of_another_length_is_refused():
    for write in (tables.markdown, tables.aligned):
        with pytest.raises(ValueError, match="a row of 1 cells in a table of 2 columns"):
            write(("a", "b"), [("1", "2"), ("3",)])
