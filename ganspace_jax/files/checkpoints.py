"""Files of arrays: the only room that uses Orbax.

A model checkpoint is a directory with `config.json` (family and configuration, which alone rebuild the module) and `arrays/`
(Orbax). It is written beside its place and moved there in one step, so a directory is whole or absent.
"""

import json
import logging
import os
import pathlib
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from ganspace_jax.errors import InputError
from ganspace_jax.files import outputs

Arrays = dict[str, Any]


class CheckpointError(InputError):
    """A checkpoint that is missing, damaged or does not fit; the message names the path and the reason."""


def save_arrays(directory: str | os.PathLike[str], arrays: Arrays, config: dict[str, Any]) -> None:
    """Writes a model checkpoint, replacing an older one."""
    with outputs.replacement(directory) as made:
        made.mkdir()
        (made / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        with ocp.PyTreeCheckpointer() as checkpointer:
            checkpointer.save(made / "arrays", jax.tree.map(np.asarray, arrays))


def load_config(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """The configuration of a model checkpoint; raises CheckpointError."""
    path = pathlib.Path(directory) / "config.json"
    try:
        config = json.loads(path.read_text())
    except FileNotFoundError:
        raise CheckpointError(f"{directory}: not a checkpoint directory (no config.json in it)") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {_first_line(error)}") from None
    if not isinstance(config, dict) or "family" not in config:
        raise CheckpointError(f"{path}: has no 'family' entry")
    return config


def load_arrays(directory: str | os.PathLike[str], expected: Arrays) -> Arrays:
    """The arrays of a model checkpoint, checked against a tree of arrays or shapes; raises CheckpointError."""
    path = (pathlib.Path(directory) / "arrays").absolute()
    if not path.is_dir():
        raise CheckpointError(f"{directory}: not a checkpoint directory (no arrays/ in it)")
    try:
        with ocp.PyTreeCheckpointer() as checkpointer:
            arrays = checkpointer.restore(path)
    except Exception as error:  # Orbax and TensorStore raise many types for damaged files
        raise CheckpointError(f"{path}: damaged: {_first_line(error)}") from None
    _check_same_layout(directory, arrays, expected)
    return arrays


def _check_same_layout(directory: str | os.PathLike[str], arrays: Arrays, expected: Arrays) -> None:
    found, wanted = _shapes(arrays), _shapes(expected)
    for name in sorted(wanted.keys() | found.keys()):
        if found.get(name) != wanted.get(name):
            raise CheckpointError(
                f"{directory}: array {name} has shape {found.get(name, 'none (missing)')}, "
                f"config.json asks for {wanted.get(name, 'none (no such array)')}"
            )


def _shapes(arrays: Arrays) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(arrays)
    return {".".join(str(getattr(k, "key", k)) for k in path): tuple(leaf.shape) for path, leaf in leaves}


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


class RunCheckpoints:
    """States of a running computation, by step; restores the newest one that can be read.

    keep: how many of the newest are kept; None for all. In a run of many processes each has a directory of its own.
    """

    def __init__(self, directory: str | os.PathLike[str], keep: int | None = 2):
        self._directory = directory
        process = jax.process_index()
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            enable_async_checkpointing=False,
            create=False,  # which all processes would have to agree on
            multiprocessing_options=ocp.options.MultiprocessingOptions(
                primary_host=process, active_processes={process}, barrier_sync_key_prefix=f"process{process}"
            ),
        )
        path = pathlib.Path(directory).absolute()
        path.mkdir(parents=True, exist_ok=True)
        self._manager = ocp.CheckpointManager(path, item_handlers=ocp.StandardCheckpointHandler(), options=options)

    def save(self, step: int, state: Any) -> None:
        """Writes the state; an older one is dropped only after that. Damaged ones that `restore` passed over make room."""
        for later in [s for s in self._manager.all_steps() if s >= step]:
            self._manager.delete(later)
        self._manager.save(step, args=ocp.args.StandardSave(_plain(state)))
        self._manager.wait_until_finished()

    def restore(self, like: Any, first: int = 0, last: int | None = None) -> tuple[int, Any] | None:
        """(step, state) of the newest readable state, in the structure of `like`, or None where there is none at all.

        first, last: the steps to look among. Says which damaged ones it passed over. Raises CheckpointError where none can be
        read, or where their arrays have other shapes than those of `like`, so that nothing starts anew over them.
        """
        steps = [s for s in self._manager.all_steps() if first <= s and (last is None or s <= last)]
        for step in sorted(steps, reverse=True):
            found = self._read(step, like)
            if found is not None:
                return step, found
        if steps:
            raise CheckpointError(f"{self._directory}: every state in it is damaged; name another directory")
        return None

    def _read(self, step: int, like: Any) -> Any | None:
        wanted = _plain(like)
        try:
            found = _shapes(self._manager.item_metadata(step).tree)
            if found == _shapes(wanted):
                leaves = self._manager.restore(step, args=ocp.args.StandardRestore(wanted))
                return jax.tree.unflatten(jax.tree.structure(like), [leaves[name] for name in wanted])
        except Exception as error:  # see load_arrays
            logging.getLogger(__name__).warning(
                "%s: state %d is damaged, trying the one before: %s", self._directory, step, _first_line(error)
            )
            return None
        raise CheckpointError(
            f"{self._directory}: holds a run with other shapes; repeat its flags, or name another directory"
        )

    def close(self) -> None:
        """Waits for what is being written."""
        self._manager.close()


def _plain(state: Any) -> dict[str, Any]:
    """A flat dict of arrays: Orbax then needs to know nothing of our types, nor of NumPy's scalars, which it refuses."""
    leaves = jax.tree.leaves(state)
    return {f"{i:05d}": leaf if isinstance(leaf, jax.Array) else np.asarray(leaf) for i, leaf in enumerate(leaves)}
