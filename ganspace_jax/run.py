"""How a long computation reports its progress, stops, and resumes."""

import dataclasses
import os
from collections.abc import Callable
from typing import NamedTuple

from ganspace_jax.errors import InputError


class Progress(NamedTuple):
    """How far a computation is.

    Attributes:
        done: finished units.
        total: all units.
        unit: name of one unit, such as "sample".
        note: what the computation does at the moment; may be empty.
    """

    done: int
    total: int
    unit: str
    note: str = ""


class Interrupted(Exception):  # noqa: N818 - nothing went wrong
    """A computation that was told to stop and has saved its state; the message tells
    how to resume.
    """


@dataclasses.dataclass(frozen=True)
class Run:
    """How a computation runs. A Run changes a result by rounding only.

    Attributes:
        batch_size: samples or images per step over all devices; None: as many as fit.
        memory_gb: host memory for the arrays of an estimator, in GB.
        state: directory in which an unfinished run is saved; None: nothing is saved.
        save_every: time between two saves of the state, in seconds.
        report: function that is called with the progress after each step.
        should_stop: function that is polled after each step. If it returns True, the
            run saves its state and raises Interrupted.

    Raises:
        InputError: if a number is out of range.
    """

    batch_size: int | None = None
    memory_gb: float = 4.0
    state: str | os.PathLike[str] | None = None
    save_every: float = 300.0
    report: Callable[[Progress], object] = lambda progress: None
    should_stop: Callable[[], bool] = lambda: False

    def __post_init__(self):
        """Checks the numbers."""
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"--batch_size={self.batch_size}: must be at least 1")
        if not 0 < self.memory_gb < float("inf"):
            raise InputError(f"--memory_budget_gb={self.memory_gb}: must be a positive number of GB")
        if not self.save_every >= 0:
            raise InputError(f"--checkpoint_every={self.save_every}: must be a number of seconds, at least 0")
