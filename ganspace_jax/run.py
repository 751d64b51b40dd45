"""How a long computation reports its progress."""

from typing import NamedTuple


class Progress(NamedTuple):
    """Progress of a computation.

    Attributes:
      done: number of finished units.
      total: number of all units.
      unit: name of one unit, such as "image".
      note: short remark to show beside the progress.
    """

    done: int
    total: int
    unit: str
    note: str = ""
