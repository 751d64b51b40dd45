"""Saves the state of a run of several sweeps, so that the same command continues it.

A run is a fixed sequence of sweeps, and nothing random happens between them. So it is
enough to repeat the run: finished sweeps return their results at once, the unfinished
sweep continues from its last saved states, and everything else is computed again,
bit-equal. Orbax saves every so many seconds:

    about.json   what the run is; a different run is refused
    finished/    results of sweeps, by their numbers
    running-4/   the last two states of the unfinished sweep 4, by position

In a run of several processes each process has such a directory of its own. Damaged
parts are moved to a directory beside it, state.damaged. Other files in the directory
remain as they are.
"""

import json
import logging
import math
import pathlib
import re
import shutil
import time
from collections.abc import Iterator
from typing import Any, TypeVar

import jax

from ganspace_jax import errors
from ganspace_jax.errors import InputError
from ganspace_jax.files import run_identities, set_aside
from ganspace_jax.files.checkpoints import CheckpointError
from ganspace_jax.files.run_states import RunCheckpoints
from ganspace_jax.run import Interrupted, Run

Tree = TypeVar("Tree")

_IN_WORDS = {  # of entries that are no flags
    "batch_per_device": "samples per device and step (set by --batch_size)",
    "num_devices": "devices",
    "num_processes": "processes",
    "fingerprint": "generator weights",
}
_ABOUT, _FINISHED = "about.json", "finished"
_RUNNING = re.compile(r"running-\d+")


class Resume:
    """A record that stores nothing, for runs that cannot be resumed.

    Attributes:
        seconds: time between two saves.
    """

    seconds = math.inf

    def begin_run(self, about: dict[str, Any]) -> None:
        """Checks that a saved run is this one. Must be called first.

        Args:
            about: everything on which the bits of the result depend, as JSON values.

        Raises:
            InputError: if the directory holds a different run.
        """

    def begin_sweep(self, like: Tree) -> Tree | None:
        """Returns the result of the next sweep, in the structure of `like`, if it was
        finished before.
        """
        del like
        return None

    def resume(self, like: Tree) -> tuple[int, Tree] | None:
        """Returns the (position, states) from which this sweep continues, if it was
        unfinished.
        """
        del like
        return None

    def keep(self, position: int, states: Any) -> None:
        """Saves the states after a step if it is time.

        Raises:
            Interrupted: after saving, if the run was told to stop.
        """

    def finish_sweep(self, result: Any) -> None:
        """Records the result of the sweep; it is saved with the next states."""


NO_RESUME = Resume()


def of(run: Run) -> Resume:
    """Returns the record in the run's state directory, or one that stores nothing."""
    return NO_RESUME if run.state is None else DirectoryResume(run)


def discard(run: Run) -> None:
    """Removes the saved state of a run whose results are safe. Files of other programs
    and of other runs remain.
    """
    if run.state is None:
        return
    root = pathlib.Path(run.state)
    directory = _own_directory(root)
    if _is_ours(directory):
        for part in _parts(directory):
            shutil.rmtree(part, ignore_errors=True)
        (directory / _ABOUT).unlink(missing_ok=True)
    for empty in {directory, root}:
        if empty.is_dir() and not any(empty.iterdir()):
            empty.rmdir()


def _is_ours(directory: pathlib.Path) -> bool:
    """Returns whether about.json was written by a run like this one."""
    try:
        return run_identities.MARK in (run_identities.read(directory / _ABOUT) or {})
    except run_identities.DamagedError:
        return False


def _parts(directory: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields the directories of states in a state directory."""
    if directory.is_dir():
        for path in sorted(directory.iterdir()):
            if path.is_dir() and (path.name == _FINISHED or _RUNNING.fullmatch(path.name)):
                yield path


def _own_directory(root: pathlib.Path) -> pathlib.Path:
    """Returns the directory of this process."""
    return root if jax.process_count() == 1 else root / f"process-{jax.process_index()}"


class DirectoryResume(Resume):
    """A record in a directory, which is made with the first save."""

    def __init__(self, run: Run):
        assert run.state is not None
        self._root = pathlib.Path(run.state)
        self._directory = _own_directory(self._root)
        self.seconds, self._should_stop = run.save_every, run.should_stop
        self._about: dict[str, Any] = {}
        self._sweep, self._last_save = -1, time.monotonic()
        self._unsaved: dict[int, Any] = {}  # results of finished sweeps, by number
        self._open: dict[pathlib.Path, RunCheckpoints] = {}

    def begin_run(self, about: dict[str, Any]) -> None:
        self._about = json.loads(json.dumps(about))
        path = self._directory / _ABOUT
        try:
            saved = run_identities.read(path)
        except run_identities.DamagedError as error:
            self._set_all_aside(f"{path}: damaged: {error}")
            return
        if saved is None:
            if any(_parts(self._directory)):
                self._set_all_aside(f"{path}: is missing")
            return
        if run_identities.MARK not in saved:
            raise InputError(f"{path}: was not written by this program; name another work directory")
        run_identities.check(self._directory, saved, self._about, lambda name: _IN_WORDS.get(name, f"--{name}"))

    def _set_all_aside(self, reason: str) -> None:
        """Moves states for which no file tells to which run they belong."""
        about = [path for path in [self._directory / _ABOUT] if path.exists()]
        moved = [set_aside.move(part, self._root) for part in (*about, *_parts(self._directory))]
        logging.getLogger(__name__).warning("%s; moved to %s; this run starts again", reason, moved[0].parent)

    def begin_sweep(self, like: Tree) -> Tree | None:
        self._sweep += 1
        saved = self._restore(self._finished, like, self._sweep, self._sweep)
        return None if saved is None else saved[1]

    def resume(self, like: Tree) -> tuple[int, Tree] | None:
        return self._restore(self._running, like)

    @property
    def _finished(self) -> pathlib.Path:
        return self._directory / _FINISHED

    @property
    def _running(self) -> pathlib.Path:
        return self._directory / f"running-{self._sweep}"

    def _restore(self, path: pathlib.Path, like: Tree, *steps: int) -> tuple[int, Tree] | None:
        """Returns None if no saved state is sound. The sweep then starts again."""
        if not path.is_dir():
            return None
        try:
            return self._states(path).restore(like, *steps)
        except CheckpointError as error:  # about.json fits, so other shapes are damage
            del self._open[path]
            moved = set_aside.move(path, self._root)
            logging.getLogger(__name__).warning("%s; moved to %s; this sweep starts again", error, moved)
            return None

    def _states(self, path: pathlib.Path) -> RunCheckpoints:
        if path not in self._open:
            keep = None if path == self._finished else 2
            self._open[path] = RunCheckpoints(path, keep, root=self._root)
        return self._open[path]

    def keep(self, position: int, states: Any) -> None:
        stopping = self._should_stop()
        if not stopping and time.monotonic() - self._last_save < self.seconds:
            return
        self._save(position, states)
        self._last_save = time.monotonic()
        if stopping:
            raise Interrupted(f"stopped; saved in {self._directory}; the same command continues from there")

    def finish_sweep(self, result: Any) -> None:
        self._unsaved[self._sweep] = result

    def _save(self, position: int, states: Any) -> None:
        try:
            self._write_about()
            for sweep, result in self._unsaved.items():
                self._states(self._finished).save(sweep, result)
            self._unsaved = {}
            self._states(self._running).save(position, states)
        except Exception as error:  # Orbax and TensorStore raise many types for full disks and lost directories
            kept = "" if isinstance(error, CheckpointError) else "; states that were saved before are intact"
            reason = errors.first_line(error, limit=1000)
            raise InputError(f"{self._directory}: the state of the run cannot be saved: {reason}{kept}") from None
        for path in _parts(self._directory):
            if path not in (self._finished, self._running):  # the result of that sweep is saved by now
                shutil.rmtree(path, ignore_errors=True)

    def _write_about(self) -> None:
        """Raises FileNotFoundError if the work directory has been deleted, instead of
        making it again.
        """
        if not self._root.parent.is_dir():
            raise FileNotFoundError(f"{self._root.parent} is gone")
        path = self._directory / _ABOUT
        if not path.exists():
            self._directory.mkdir(parents=True, exist_ok=True)
            run_identities.write(path, self._about)
