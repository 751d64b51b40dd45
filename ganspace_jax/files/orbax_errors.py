"""Turns what Orbax prints and raises into one line."""

import contextlib
import logging
import os
import re
import sys
from collections.abc import Iterator
from typing import Any

from ganspace_jax.errors import first_line

_TASK = re.compile("orbax|OCDBT|zarr|tensorstore", re.IGNORECASE)
_SYSTEM_ERROR = re.compile(r"os_error_code='(\d+)'")


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Drops the tracebacks that Orbax logs while the block runs.

    Orbax logs each error and then raises it, so the caller can report it in one line.
    """
    _drop_late_reports()
    logger = logging.getLogger("absl")

    def is_foreign(record: logging.LogRecord) -> bool:
        return f"{os.sep}orbax{os.sep}" not in record.pathname

    logger.addFilter(is_foreign)
    try:
        yield
    finally:
        logger.removeFilter(is_foreign)


def _drop_late_reports() -> None:
    """Drops two kinds of tracebacks for the rest of the process.

    After an error, TensorStore's threads report to an event loop that Orbax has closed.
    And asyncio logs the errors of Orbax's other tasks when it frees these. Both can
    happen at any later time, so the hook and the filter stay installed.
    """
    logger = logging.getLogger("asyncio")
    if _is_no_task_of_orbax not in logger.filters:
        logger.addFilter(_is_no_task_of_orbax)
    hook = sys.unraisablehook
    if getattr(hook, "__module__", None) == __name__:
        return

    def report(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            hook(unraisable)

    sys.unraisablehook = report


def _is_no_task_of_orbax(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    return "never retrieved" not in message or not _TASK.search(message)


def reason(error: BaseException) -> str:
    """Returns the operating system's reason, such as "No space left on device".

    If the error has none, returns the first line of its message.
    """
    code = _SYSTEM_ERROR.search(str(error))
    if code:
        return os.strerror(int(code[1]))
    return getattr(error, "strerror", None) or first_line(error)
