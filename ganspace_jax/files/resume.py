"""Saves the state of a run of several sweeps, so that the same command continues it.

A run is a fixed sequence of sweeps, and nothing random happens between them. So it is
enough to repeat the run: finished sweeps return their results at once, the unfinished
sweep continues from its last saved states, and everything else is computed again,
bit-equal. Orbax saves every so many seconds:

    about.json   what the run is; a different run is refused
    finished/    results of sweeps, by their numbers
    running-4/   the last two states of the unfinished sweep 4, by position

In a run of several processes each process has such a directory of its own.
"""

import json
import logging
import math
import os
import pathlib
import shutil
import time
from typing import Any, TypeVar

import jax

from ganspace_jax import errors
from ganspace_jax.errors import InputError
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
    """Removes the saved state of a run whose results are safe."""
    if run.state is None:
        return
    root = pathlib.Path(run.state)
    shutil.rmtree(_own_directory(root), ignore_errors=True)
    if root.is_dir() and not any(root.iterdir()):
        root.rmdir()


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
        path = self._directory / "about.json"
        if not path.exists():
            return
        saved = self._read_about(path)
        for name in sorted(self._about.keys() | saved.keys()):
            if self._about.get(name) != saved.get(name):
                word = _IN_WORDS.get(name, f"--{name}")
                raise InputError(
                    f"{self._directory}: holds an unfinished run with {saved.get(name)} for {word}, this run has "
                    f"{self._about.get(name)}; repeat its flags, name another work directory, or remove that directory"
                )

    def _read_about(self, path: pathlib.Path) -> dict[str, Any]:
        try:
            saved = json.loads(path.read_text())
            if not isinstance(saved, dict):
                raise ValueError("no JSON object")
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: damaged: {errors.first_line(error)}; remove {self._directory}") from None
        return saved

    def begin_sweep(self, like: Tree) -> Tree | None:
        self._sweep += 1
        saved = self._restore(self._finished, like, self._sweep, self._sweep)
        return None if saved is None else saved[1]

    def resume(self, like: Tree) -> tuple[int, Tree] | None:
        return self._restore(self._running, like)

    @property
    def _finished(self) -> pathlib.Path:
        return self._directory / "finished"

    @property
    def _running(self) -> pathlib.Path:
        return self._directory / f"running-{self._sweep}"

    def _restore(self, path: pathlib.Path, like: Tree, *steps: int) -> tuple[int, Tree] | None:
        """Returns None if every saved state is damaged. The sweep then starts again."""
        if not path.is_dir():
            return None
        try:
            return self._states(path).restore(like, *steps)
        except CheckpointError as error:
            logging.getLogger(__name__).warning("%s; this sweep starts again", error)
            return None

    def _states(self, path: pathlib.Path) -> RunCheckpoints:
        if path not in self._open:
            self._open[path] = RunCheckpoints(path, keep=None if path == self._finished else 2)
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
            raise InputError(
                f"{self._directory}: the state of the run cannot be saved: {errors.first_line(error)}; "
                f"states that were saved before are intact"
            ) from None
        for path in self._directory.glob("running-*"):
            if path != self._running:  # the result of that sweep is saved by now
                shutil.rmtree(path, ignore_errors=True)

    def _write_about(self) -> None:
        """Raises FileNotFoundError if the work directory has been deleted, instead of
        making it again.
        """
        if not self._root.parent.is_dir():
            raise FileNotFoundError(f"{self._root.parent} is gone")
        path = self._directory / "about.json"
        if not path.exists():
            self._directory.mkdir(parents=True, exist_ok=True)
            scratch = path.with_name(".about.json.writing")
            scratch.write_text(json.dumps(self._about, indent=2) + "\n")
            os.replace(scratch, path)
