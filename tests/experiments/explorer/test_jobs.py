"""Long work: progress, results, failures, cancelling, and bounds."""

import threading

import pytest

from experiments.explorer.jobs import Jobs, Result
from ganspace_jax.errors import InputError


def _wait(jobs, name):
    for thread in list(jobs._threads):
        thread.join(10)
    return jobs.status(name)


def test_a_job_reports_and_its_result_is_fetched():
    jobs, steps = Jobs(), threading.Event()

    def work(job):
        job.report(1, 3)
        assert steps.wait(10)
        job.report(3, 3)
        return Result("a.gif", "image/gif", b"GIF")

    name = jobs.start(work)
    while jobs.status(name)["done"] != 1:
        pass
    assert jobs.status(name) == {"job": name, "done": 1, "total": 3, "state": "running"}
    with pytest.raises(InputError, match="has made nothing; it is running"):
        jobs.fetch(name)
    steps.set()
    assert _wait(jobs, name)["state"] == "done"
    assert jobs.fetch(name) == Result("a.gif", "image/gif", b"GIF")


@pytest.mark.parametrize(
    ("error", "line"), [(InputError("smile: bad\x1b"), r"smile: bad\x1b"), (KeyError("x"), "KeyError: 'x'")]
)
def test_a_failure_is_one_line(error, line):
    jobs = Jobs()

    def work(job):
        raise error

    status = _wait(jobs, name := jobs.start(work))
    assert (status["state"], status["error"]) == ("failed", line)
    with pytest.raises(InputError, match="it is failed"):
        jobs.fetch(name)


def test_a_job_is_cancelled_and_the_end_cancels_all():
    jobs, steps = Jobs(), threading.Event()

    def work(job):
        steps.wait(10)
        job.report(1, 2)

    names = [jobs.start(work) for _ in range(3)]
    with pytest.raises(InputError, match="3 run already"):
        jobs.start(work)
    jobs.find(names[0]).cancel()
    assert jobs.find(names[0]).is_cancelled and not jobs.find(names[1]).is_cancelled
    steps.set()
    jobs.stop()
    assert jobs.status(names[0])["state"] == "cancelled"
    assert all(not thread.is_alive() for thread in jobs._threads)


def test_old_results_are_forgotten():
    jobs = Jobs()
    for k in range(40):
        name = jobs.start(lambda job, k=k: Result(str(k), "text/plain", b""))
        _wait(jobs, name)
    assert len(jobs._jobs) <= 21 and jobs.fetch(name).filename == "39"
    with pytest.raises(InputError, match="job abc: there is none"):
        jobs.status("abc")
