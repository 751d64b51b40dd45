"""What Orbax prints before it raises is dropped, and the messages of other code are
not.
"""

import errno
import logging
import os
import sys
import types

import pytest

from ganspace_jax.files import orbax_errors


def test_only_the_log_records_of_orbax_are_dropped(caplog):
    logger = logging.getLogger("absl")

    def log(path):
        logger.handle(logger.makeRecord("absl", logging.ERROR, path, 1, path, (), None))

    with orbax_errors.silence():
        log("/site-packages/orbax/checkpoint/future.py")
        log("/site-packages/absl/app.py")
    log("/site-packages/orbax/checkpoint/later.py")
    assert [os.path.basename(record.pathname) for record in caplog.records] == ["app.py", "later.py"]


def test_only_late_reports_to_a_closed_loop_are_dropped(monkeypatch):
    reports = []
    monkeypatch.setattr(sys, "unraisablehook", reports.append)
    with orbax_errors.silence():
        hook = sys.unraisablehook
    with orbax_errors.silence():
        assert sys.unraisablehook is hook  # one hook, however often files are read
    late = types.SimpleNamespace(exc_value=RuntimeError("Event loop is closed"))
    other = types.SimpleNamespace(exc_value=RuntimeError("other"))
    for report in (late, other):
        sys.unraisablehook(report)
    assert reports == [other]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("RESOURCE_EXHAUSTED: writing\n[os_error_code='28']"), os.strerror(errno.ENOSPC)),
        (OSError(errno.EACCES, os.strerror(errno.EACCES), "file"), os.strerror(errno.EACCES)),
        (ValueError("DATA_LOSS: bad\nmore"), "DATA_LOSS: bad"),
        (OSError("disk"), "disk"),
    ],
)
def test_the_reason_of_the_operating_system_comes_first(error, reason):
    assert orbax_errors.reason(error) == reason


def test_late_errors_of_orbax_s_tasks_are_dropped_and_those_of_other_tasks_stay(caplog):
    """asyncio logs them when it frees the tasks, which is after the error was told."""
    with orbax_errors.silence():
        pass
    for text, is_kept in (("orbax/checkpoint/a.py", False), ('Error writing in OCDBT "x"', False), ("mine.py", True)):
        caplog.clear()
        logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: <Task %s>", text)
        assert bool(caplog.records) is is_kept
    logging.getLogger("asyncio").error("orbax is slow")
    assert len(caplog.records) == 2
