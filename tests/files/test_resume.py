"""Interruptions: a run that was stopped, killed, or lost its disk goes on, to the very
bits of an uninterrupted one.
"""

import contextlib
import logging
import pathlib
import random
import resource
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

from ganspace_jax.directions import components
from ganspace_jax.errors import InputError
from ganspace_jax.files import resume
from ganspace_jax.generators import base, stylegan2, zoo
from ganspace_jax.run import Interrupted, Run
from ganspace_jax.sampling import sweeps
from tests import calls

ROOT = pathlib.Path(__file__).parents[2]
SETTINGS = dict(layer="b8.conv1", latent_space="z", num_samples=640, num_components=3, batch_size=20, seed=3)
ESTIMATORS = ("exact", "randomized", "incremental")


@pytest.fixture(scope="module")
def generator():
    config = stylegan2.Config(z_dim=4, w_dim=4, channels=(3, 2), mapping_layers=2)
    return base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))


@pytest.fixture(scope="module")
def whole(generator):
    """Results of runs that nothing interrupted."""
    return {name: calls.decompose(generator, estimator=name, **SETTINGS) for name in ESTIMATORS}


@pytest.fixture(autouse=True)
def one_batch_a_step(monkeypatch):
    """So that what is stopped at some step is stopped within a group; the commands
    below run as they are.
    """
    monkeypatch.setattr(sweeps, "STEP_SECONDS", 0.0)


def _assert_equal(found, expected):
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(found, name), value, err_msg=name)


class Stop:
    """Says stop at the calls with these numbers."""

    def __init__(self, *calls):
        self.calls, self.count = calls, 0

    def __call__(self):
        self.count += 1
        return self.count in self.calls


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_run_that_is_stopped_again_and_again_ends_bit_equal(tmp_path, generator, whole, estimator):
    """At every seventh step of what is left, so within groups, at their ends, and
    between sweeps over all samples.
    """
    attempts = 0
    while True:
        attempts += 1
        kept = dict(state=tmp_path / "state", save_every=1e9)
        try:
            found = calls.decompose(generator, estimator=estimator, should_stop=Stop(7), **kept, **SETTINGS)
            break
        except Interrupted as stopped:
            assert "the same command continues" in str(stopped)
    assert attempts >= 5
    _assert_equal(found, whole[estimator])
    resume.discard(Run(state=tmp_path / "state"))
    assert not list(tmp_path.iterdir())


def test_a_resumed_run_does_not_sample_again(tmp_path, generator, whole):
    first, again = [], []
    kept = dict(state=tmp_path / "state", save_every=1e9, **SETTINGS)
    with pytest.raises(Interrupted):
        calls.decompose(generator, should_stop=Stop(23), report=first.append, **kept)
    found = calls.decompose(generator, report=again.append, **kept)
    assert first[-1].done == 460 and again[-1].done == 640
    # Five groups at once, then the finished part of the sixth.
    assert [progress.done for progress in again[:6]] == [80, 160, 240, 320, 400, 460]
    _assert_equal(found, whole["exact"])


@pytest.mark.parametrize(("seconds", "asked"), [(0.0, 32), (1e9, 16)])
def test_a_step_takes_no_longer_than_the_time_between_saves(tmp_path, generator, monkeypatch, seconds, asked):
    """With 4 batches in each of 8 groups: one by one, or the first and the
    other three.
    """
    monkeypatch.setattr(sweeps, "STEP_SECONDS", 1e9)
    stop = Stop()
    calls.decompose(generator, state=tmp_path / "state", save_every=seconds, should_stop=stop, **SETTINGS)
    assert stop.count == asked


def test_another_run_is_refused_by_what_differs(tmp_path, generator):
    with pytest.raises(Interrupted):
        calls.decompose(generator, state=tmp_path / "state", save_every=1e9, should_stop=Stop(3), **SETTINGS)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(
        InputError, match="state: holds an unfinished run with 3 for --seed, this run has 4; repeat its flags"
    ):
        calls.decompose(generator, state=tmp_path / "state", **{**SETTINGS, "seed": 4})
    assert sorted(tmp_path.rglob("*")) == before


def _damage(directory):
    for path in directory.rglob("*"):
        if path.is_file():
            path.write_bytes(b"")


@pytest.mark.parametrize(
    ("estimator", "part"),
    [
        *(("exact", part) for part in ("running", "finished", "both of running", "about.json", "no about.json")),
        ("randomized", "running"),
        ("randomized", "finished"),
        ("incremental", "running"),  # it has one sweep only
    ],
)
def test_damaged_states_cost_time_only(tmp_path, generator, whole, caplog, estimator, part):
    """The state before the last, or the beginning of the sweep, takes its place. The
    log tells so, and the damaged files are set aside.
    """
    kept = dict(state=tmp_path / "state", save_every=0.0, estimator=estimator, **SETTINGS)
    with pytest.raises(Interrupted):
        calls.decompose(generator, should_stop=Stop(11), **kept)
    if part.endswith("about.json"):
        about = tmp_path / "state" / "about.json"
        about.unlink() if part.startswith("no") else about.write_text(about.read_text().replace("640", "641"))
    else:
        steps = sorted((tmp_path / "state").glob(f"{part.split()[-1]}*/*"), key=lambda path: int(path.name))
        for step in steps if part.startswith("both") else steps[-1:]:
            _damage(step)
    with caplog.at_level(logging.WARNING, logger="ganspace_jax.files"):
        found = calls.decompose(generator, **kept)
    assert f"moved to {tmp_path / 'state.damaged'}" in caplog.text
    assert any((tmp_path / "state.damaged").iterdir())
    _assert_equal(found, whole[estimator])
    before = sorted((tmp_path / "state.damaged").rglob("*"))
    resume.discard(Run(state=tmp_path / "state"))
    assert {path.name for path in tmp_path.iterdir()} == {"state.damaged"}
    assert sorted((tmp_path / "state.damaged").rglob("*")) == before


@pytest.mark.parametrize("interrupted", [False, True])
def test_files_that_a_run_did_not_write_remain(tmp_path, generator, whole, interrupted):
    """Notes, and the state of a training in the same work directory."""
    others = ("notes/running-3.txt", "running-", "7/arrays", "process-1/notes", "training.json")
    for name in others:
        (tmp_path / "state" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "state" / name).write_text(name)
    kept = dict(state=tmp_path / "state", save_every=0.0, **SETTINGS)
    if interrupted:
        with pytest.raises(Interrupted):
            calls.decompose(generator, should_stop=Stop(11), **kept)
    _assert_equal(calls.decompose(generator, **kept), whole["exact"])
    resume.discard(Run(state=tmp_path / "state"))
    found = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert {path.read_text() for path in found} == set(others) and len(found) == len(others)


def test_an_about_file_of_another_program_is_left_alone(tmp_path, generator):
    (tmp_path / "about.json").write_text('{"author": "me"}')
    with pytest.raises(InputError, match="about.json: was not written by this program; name another work directory"):
        calls.decompose(generator, state=tmp_path, **SETTINGS)
    (tmp_path / "finished").mkdir()
    resume.discard(Run(state=tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"about.json", "finished"}


def test_a_full_disk_leaves_the_last_good_state(tmp_path, generator, whole):
    """A limit on the size of files stands for it: writing fails in the same place, with
    another number.
    """
    with pytest.raises(Interrupted):
        calls.decompose(generator, state=tmp_path / "state", save_every=1e9, should_stop=Stop(9), **SETTINGS)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
        with pytest.raises(
            InputError, match="state: the state of the run cannot be saved: .*; states that were saved before"
        ):
            calls.decompose(generator, state=tmp_path / "state", save_every=0.0, **SETTINGS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    again = []
    found = calls.decompose(generator, state=tmp_path / "state", save_every=1e9, report=again.append, **SETTINGS)
    _assert_equal(found, whole["exact"])
    assert [progress.done for progress in again[:3]] == [80, 160, 180]


def test_a_vanished_workdir_ends_the_run(tmp_path, generator):
    workdir = tmp_path / "work"
    with pytest.raises(InputError, match=r"work.state: the state of the run cannot be saved: \S+work is gone"):
        calls.decompose(generator, state=workdir / "state", save_every=0.0, **SETTINGS)
    assert not workdir.exists()


def _command(workdir, model, estimator, every):
    flags = [f"--{name}={value}" for name, value in {**SETTINGS, "batch_size": 5}.items()]
    return [
        *(sys.executable, "-m", "experiments.decompose", f"--generator={model}", f"--estimator={estimator}"),
        *(f"--checkpoint_every={every}", f"--workdir={workdir}", *flags),
    ]


def _assert_succeeds(command):
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def _start(command, workdir):
    """Returns after its first save."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not (workdir / "state" / "about.json").exists():
        assert process.poll() is None, process.communicate()[1]
    return process


@pytest.fixture(scope="module")
def commands(tmp_path_factory, generator):
    """Directory, and the components that uninterrupted commands write."""
    directory = tmp_path_factory.mktemp("commands")
    zoo.save(directory / "model", generator)
    written = {}
    for estimator in ("exact", "randomized"):
        _assert_succeeds(_command(directory / estimator, directory / "model", estimator, 1e9))
        written[estimator] = (directory / estimator / "components.npz").read_bytes()
    return directory, written


def test_killed_commands_end_where_whole_ones_end(commands, tmp_path, pytestconfig):
    """At random moments after the first save; --kills=20 for a long run."""
    directory, written = commands
    chance = random.Random(0)
    for number in range(pytestconfig.getoption("--kills")):
        for estimator, expected in written.items():
            workdir = tmp_path / f"{estimator}{number}"
            command = _command(workdir, directory / "model", estimator, chance.choice((0.0, 0.02, 0.1)))
            killed = _start(command, workdir)
            with contextlib.suppress(subprocess.TimeoutExpired):
                killed.wait(chance.uniform(0.0, 2.0))
            killed.send_signal(signal.SIGKILL)
            killed.communicate()
            _assert_succeeds(command)
            assert (workdir / "components.npz").read_bytes() == expected
            names = {path.name for path in workdir.iterdir()}
            assert names == {"components.npz", "summary.json", "run.flags", "variance.png"}


def test_sigterm_saves_and_ends_and_two_runs_are_one_too_many(commands, tmp_path):
    """Status 143, one line, and the same command goes on; while it runs, another one in
    its workdir is refused.
    """
    directory, written = commands
    command = _command(tmp_path / "work", directory / "model", "exact", 0.0)
    first = _start(command, tmp_path / "work")
    first.send_signal(signal.SIGSTOP)  # so that it is still there
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 1
    assert (
        second.stderr == f"error: --workdir={tmp_path / 'work'}: another run is writing there; name another directory\n"
    )
    first.send_signal(signal.SIGTERM)
    last_line = first.communicate()[1].splitlines()[-1]
    assert last_line.startswith(f"stopped; saved in {tmp_path / 'work' / 'state'}; the same command continues")
    assert first.returncode == 143
    assert not (tmp_path / "work" / "components.npz").exists()
    _assert_succeeds(command)
    assert (tmp_path / "work" / "components.npz").read_bytes() == written["exact"]
    assert components.load(tmp_path / "work" / "components.npz").source.num_samples == 640
