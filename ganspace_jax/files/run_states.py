"""States of a running computation, which survive a killed run and a damaged file."""

import logging
import os
import pathlib
import shutil
import time
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from ganspace_jax.errors import first_line
from ganspace_jax.files import checksums, orbax_errors, set_aside
from ganspace_jax.files.checkpoints import CheckpointError, shapes

_CHECKSUM = "checksum"  # name of the array that stores the checksum of all other arrays
_REMOVALS = 50  # attempts: after an error, TensorStore's threads may still write for a moment


class RunCheckpoints:
    """The states of one run in a directory, by step.

    In a run of several processes each process has its own directory.
    """

    def __init__(
        self, directory: str | os.PathLike[str], keep: int | None = 2, *, root: str | os.PathLike[str] | None = None
    ):
        """Creates the directory.

        Args:
            directory: Directory of one process.
            keep: Number of the newest states to store, or None to store all states.
            root: Directory beside which damaged states are set aside; None for
                `directory` itself.
        """
        import orbax.checkpoint as ocp  # slow to import, and many programs never need it

        self._directory, self._root = pathlib.Path(directory), pathlib.Path(root or directory)
        process = jax.process_index()
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            enable_async_checkpointing=False,
            create=False,  # Orbax would wait for all processes here
            multiprocessing_options=ocp.options.MultiprocessingOptions(
                primary_host=process, active_processes={process}, barrier_sync_key_prefix=f"process{process}"
            ),
        )
        self._directory.mkdir(parents=True, exist_ok=True)
        handler = ocp.StandardCheckpointHandler()
        self._manager = ocp.CheckpointManager(self._directory.absolute(), item_handlers=handler, options=options)

    def save(self, step: int, state: Any) -> None:
        """Writes the state, and then removes states that are too old.

        First removes states of later steps, which `restore` left out by its `last`.

        Raises:
            CheckpointError: The directory cannot be written, for example on a full
                disk. The states that were saved before remain.
        """
        import orbax.checkpoint as ocp

        arrays = _plain(state)
        arrays[_CHECKSUM] = checksums.of_arrays(arrays)
        try:
            with orbax_errors.silence():
                self._remove_unfinished()
                for later in [s for s in self._manager.all_steps() if s >= step]:
                    self._manager.delete(later)
                self._manager.save(step, args=ocp.args.StandardSave(arrays))
                self._manager.wait_until_finished()
        except Exception as error:  # Orbax and TensorStore raise many types for full disks
            self._remove_unfinished()
            raise CheckpointError(
                f"{self._directory}: cannot be written: {orbax_errors.reason(error)}; states that were saved before are intact"
            ) from None

    def _remove_unfinished(self) -> None:
        """Removes states that a killed run or a full disk left incomplete."""
        for path in self._directory.glob("*.orbax-checkpoint-tmp*"):
            for _ in range(_REMOVALS):
                shutil.rmtree(path, ignore_errors=True)
                if not path.exists():
                    break
                time.sleep(0.02)

    def restore(self, like: Any, first: int = 0, last: int | None = None) -> tuple[int, Any] | None:
        """Returns (step, state) of the newest sound state, or None if there is none.

        Logs a warning for each damaged state, and sets it aside.

        Args:
            like: State with the structure and the shapes of the result.
            first: Smallest step to consider.
            last: Largest step to consider, or None for no limit.

        Raises:
            CheckpointError: No state is sound, and one has other shapes than `like`. So
                a run never starts again over the states of another run. Or a damaged
                state cannot be moved.
        """
        steps = [s for s in self._manager.all_steps() if first <= s and (last is None or s <= last)]
        others: list[int] = []
        for step in sorted(steps, reverse=True):
            try:
                state = self._read(step, like)
            except _OtherShapesError:
                others.append(step)
            except Exception as error:  # Orbax and TensorStore raise many types for damaged files
                self._set_aside(step, first_line(error))
            else:
                for other in others:  # damage can change the shapes
                    self._set_aside(other, "has other shapes")
                return step, state
        if others:
            raise CheckpointError(
                f"{self._directory}: holds a run with other shapes; repeat its flags, or name another directory"
            )
        if steps:
            logging.getLogger(__name__).warning("%s: every state in it was damaged; starting again", self._directory)
        return None

    def _set_aside(self, step: int, reason: str) -> None:
        """Moves a damaged state, so that nothing overwrites or removes it."""
        moved = set_aside.move(self._directory / str(step), self._root)
        self._manager.reload()
        logging.getLogger(__name__).warning(
            "%s: state %d is damaged, trying the one before: %s; moved to %s", self._directory, step, reason, moved
        )

    def _read(self, step: int, like: Any) -> Any:
        """Returns the state of one step, in the structure of `like`."""
        import orbax.checkpoint as ocp

        wanted = _plain(like)
        names = list(wanted)
        with orbax_errors.silence():
            found = shapes(self._manager.item_metadata(step).tree)
            has_checksum = found.pop(_CHECKSUM, None) is not None  # states of older versions have none
            if found != shapes(wanted):
                raise _OtherShapesError
            if has_checksum:
                wanted[_CHECKSUM] = np.zeros(32, np.uint8)
            arrays = self._manager.restore(step, args=ocp.args.StandardRestore(wanted))
        if has_checksum:
            _check_sum(arrays)
        return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in names])

    def close(self) -> None:
        """Waits until the state that is being written is complete."""
        self._manager.close()


class _OtherShapesError(Exception):
    """The shapes of a state differ from the shapes of this run."""


def _check_sum(arrays: Mapping[str, Any]) -> None:
    saved = {name: array for name, array in arrays.items() if name != _CHECKSUM}
    if not np.array_equal(checksums.of_arrays(saved), arrays[_CHECKSUM]):
        raise ValueError("its arrays differ from their checksum")


def _plain(state: Any) -> dict[str, Any]:
    """Returns the leaves of a state as a flat dict of arrays.

    So Orbax needs no types of this package, and no NumPy scalars, which it refuses.
    """
    leaves = jax.tree.leaves(state)
    return {f"{i:05d}": leaf if isinstance(leaf, jax.Array) else np.asarray(leaf) for i, leaf in enumerate(leaves)}
