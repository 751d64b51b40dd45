"""What a run of many sweeps has done so far, in a directory: the same run, started again, goes on from there.

A run is a fixed sequence of sweeps, and between them nothing is drawn at random. So it is enough to repeat it: sweeps that
were finished give their results at once, the one under way goes on from its last saved states, and all else is worked out
again, bit-equal. Saved every so many seconds, by Orbax:

    about.json   what the run is; another one is refused
    finished/    results of sweeps, by their numbers
    running-4/   the last two states of sweep 4, under way, by position

In a run of many processes each has such a directory of its own; see mesh.py.
"""

import json
import math
import os
import pathlib
import shutil
import time
from collections.abc import Callable
from typing import Any, TypeVar

import jax

from ganspace_jax.errors import InputError, Interrupted
from ganspace_jax.files.checkpoints import CheckpointError
from ganspace_jax.files.run_states import RunCheckpoints

Tree = TypeVar("Tree")


class Journal:
    """Remembers nothing: for runs that nobody will continue. seconds: between saves."""

    seconds = math.inf

    def begin_run(self, about: dict[str, Any]) -> None:
        """To be called first; `about` is all that the result depends on, for JSON. Raises InputError for another run."""

    def begin_sweep(self, like: Tree) -> Tree | None:
        """The result of the next sweep, in the structure of `like`, if it was finished before."""
        del like
        return None

    def resume(self, like: Tree) -> tuple[int, Tree] | None:
        """(position, states) to go on from, if this sweep was under way."""
        del like
        return None

    def keep(self, position: int, states: Any) -> None:
        """After each step: saves when it is time. Raises Interrupted, after saving, when the run is to stop."""

    def finish_sweep(self, result: Any) -> None:
        """The result of the sweep, to be saved with the next states."""


class DirectoryJournal(Journal):
    """Remembers in a directory, which is made with the first save; `seconds` between saves.

    should_stop: asked after each step, whether to save and raise Interrupted.
    """

    def __init__(
        self, directory: str | os.PathLike[str], seconds: float, should_stop: Callable[[], bool] = lambda: False
    ):
        self._root = pathlib.Path(directory)
        self._directory = self._root if jax.process_count() == 1 else self._root / f"process-{jax.process_index()}"
        self.seconds, self._should_stop = seconds, should_stop
        self._about: dict[str, Any] = {}
        self._sweep, self._last_save = -1, time.monotonic()
        self._pending: dict[int, Any] = {}  # results that are not yet saved
        self._open: dict[pathlib.Path, RunCheckpoints] = {}

    def begin_run(self, about: dict[str, Any]) -> None:
        self._about = json.loads(json.dumps(about))
        path = self._directory / "about.json"
        if not path.exists():
            return
        found = json.loads(path.read_text())
        for name in sorted(self._about.keys() | found.keys()):
            if self._about.get(name) != found.get(name):
                raise InputError(
                    f"{self._directory}: holds an unfinished run with {name} {found.get(name)}, this one has "
                    f"{self._about.get(name)}; repeat its flags, name another workdir, or remove that directory"
                )

    def begin_sweep(self, like: Tree) -> Tree | None:
        self._sweep += 1
        found = self._restore(self._finished, like, self._sweep, self._sweep)
        return found and found[1]

    def resume(self, like: Tree) -> tuple[int, Tree] | None:
        return self._restore(self._running, like)

    @property
    def _finished(self) -> pathlib.Path:
        return self._directory / "finished"

    @property
    def _running(self) -> pathlib.Path:
        return self._directory / f"running-{self._sweep}"

    def _restore(self, path: pathlib.Path, like: Tree, *steps: int) -> tuple[int, Tree] | None:
        """Where everything is damaged there is nothing: sweeps can be repeated."""
        if not path.is_dir():
            return None
        try:
            return self._files(path).restore(like, *steps)
        except CheckpointError:
            return None

    def _files(self, path: pathlib.Path) -> RunCheckpoints:
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
            raise Interrupted(f"stopped; saved in {self._directory}, the same command goes on from there")

    def finish_sweep(self, result: Any) -> None:
        self._pending[self._sweep] = result

    def _save(self, position: int, states: Any) -> None:
        try:
            self._write_about()
            for sweep, result in self._pending.items():
                self._files(self._finished).save(sweep, result)
            self._pending = {}
            self._files(self._running).save(position, states)
        except Exception as error:  # Orbax and TensorStore raise many types for full disks and lost directories
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise InputError(
                f"{self._directory}: the run's state cannot be saved: {reason}; what was saved before is as it was"
            ) from None
        for path in self._directory.glob("running-*"):
            if path != self._running:  # whose sweep's result is saved by now
                shutil.rmtree(path, ignore_errors=True)

    def _write_about(self) -> None:
        """Not where the workdir has vanished: its other files are lost, and somebody should know."""
        if not self._root.parent.is_dir():
            raise FileNotFoundError(f"{self._root.parent} is gone")
        path = self._directory / "about.json"
        if not path.exists():
            self._directory.mkdir(parents=True, exist_ok=True)
            scratch = path.with_name(".about.json.writing")
            scratch.write_text(json.dumps(self._about, indent=2) + "\n")
            os.replace(scratch, path)

    def remove(self) -> None:
        """When the run's results are safe."""
        for files in self._open.values():
            files.close()
        shutil.rmtree(self._directory, ignore_errors=True)
        if self._root.is_dir() and not any(self._root.iterdir()):
            self._root.rmdir()
