"""Writes tables as text: Markdown for reports, and padded columns for a terminal."""

import re
from collections.abc import Sequence

from ganspace_jax.errors import printable

Row = Sequence[str]

# 1,234 or -0.5 or 1e-3 or 12.5% or 7.5 deg
_NUMBER = re.compile(r"[-+−]?(\d[\d,]*(\.\d+)?(e[-+]?\d+)?|nan|inf)( ?%| ?°| [A-Za-z/]{1,4})?", re.IGNORECASE)


def markdown(header: Row, rows: Sequence[Row]) -> str:
    """Returns a Markdown table, without a line break at its end.

    Args:
        header: Titles of the columns.
        rows: Cells, which may contain Markdown; a vertical bar is escaped.
    """
    lines = [_markdown_line(cells) for cells in _printable_rows(header, rows)]
    return "\n".join([lines[0], _markdown_line(["---"] * len(header)), *lines[1:]])


def _markdown_line(cells: Row) -> str:
    escaped = (cell.replace("|", r"\|") for cell in cells)
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in escaped)


def aligned(header: Row, rows: Sequence[Row]) -> str:
    """Returns a table with padded columns, without a line break at its end.

    If all cells of a column are numbers or empty, the column is aligned to the right.
    Otherwise it is aligned to the left. No line ends with blanks.

    Args:
        header: Titles of the columns.
        rows: Cells; a number may have a unit, such as "12 %" or "7.5 deg".
    """
    columns = [_padded(column) for column in zip(*_printable_rows(header, rows), strict=True)]
    return "\n".join("  ".join(cells).rstrip() for cells in zip(*columns, strict=True))


def _padded(column: Row) -> list[str]:
    """Returns the cells of a column, title first, with blanks up to the longest one."""
    width = max(map(len, column))
    numbers = [cell for cell in column[1:] if cell]
    if all(_NUMBER.fullmatch(cell) for cell in numbers):
        return [cell.rjust(width) for cell in column]
    return [cell.ljust(width) for cell in column]


def _printable_rows(header: Row, rows: Sequence[Row]) -> list[list[str]]:
    """Returns the header and the rows without control characters.

    Raises:
        ValueError: A row has another number of cells than the header.
    """
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row of {len(row)} cells in a table of {len(header)} columns: {row}")
    return [[printable(cell) for cell in row] for row in (header, *rows)]
