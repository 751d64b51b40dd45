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

from ganspace_jax import workdirs
from ganspace_jax.failures import InputError

Arrays = dict[str, Any]


class CheckpointError(InputError):
    """A checkpoint that is missing, damaged or does not fit; the message names the path and the reason."""


def save_arrays(directory: str | os.PathLike[str], arrays: Arrays, config: dict[str, Any]) -> None:
    """Writes a model checkpoint, replacing an older one."""
    with workdirs.replacement(directory) as made:
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


class TrainingCheckpoints:
    """The last two states of a running computation, by step; restores the newest one that can be read."""

    def __init__(self, directory: str | os.PathLike[str]):
        self._directory = directory
        options = ocp.CheckpointManagerOptions(max_to_keep=2, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(
            pathlib.Path(directory).absolute(), item_handlers=ocp.StandardCheckpointHandler(), options=options
        )

    def save(self, step: int, state: Any) -> None:
        """Writes the state; the step before the last is dropped only after that."""
        self._manager.save(step, args=ocp.args.StandardSave(_plain(state)))
        self._manager.wait_until_finished()

    def restore(self, like: Any) -> Any | None:
        """The newest readable state, in the structure of `like`, or None where there is none at all.

        Says which damaged ones it passed over. Raises CheckpointError where none can be read, or where their arrays have other
        shapes than those of `like`, so that nothing starts anew over them.
        """
        wanted, steps = _plain(like), sorted(self._manager.all_steps(), reverse=True)
        for step in steps:
            try:
                found = _shapes(self._manager.item_metadata(step).tree)
                if found == _shapes(wanted):
                    leaves = self._manager.restore(step, args=ocp.args.StandardRestore(wanted))
                    return jax.tree.unflatten(jax.tree.structure(like), [leaves[name] for name in wanted])
            except Exception as error:  # see load_arrays
                logging.getLogger(__name__).warning("checkpoint %d is damaged, trying the one before: %s", step, error)
                continue
            raise CheckpointError(
                f"{self._directory}: holds a run with other shapes; repeat its flags, or name another directory"
            )
        if steps:
            raise CheckpointError(f"{self._directory}: every state in it is damaged; name another directory")
        return None

    def close(self) -> None:
        """Waits for what is being written."""
        self._manager.close()


def _plain(state: Any) -> dict[str, Any]:
    """A flat dict of arrays: Orbax then needs to know nothing of our types, nor of NumPy's scalars, which it refuses."""
    leaves = jax.tree.leaves(state)
    return {f"{i:05d}": leaf if isinstance(leaf, jax.Array) else np.asarray(leaf) for i, leaf in enumerate(leaves)}
