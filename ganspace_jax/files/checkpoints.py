"""Model checkpoints: directories that store a network's configuration and arrays.

    config.json      the family and the configuration, which define the network
    arrays/          the arrays, in Orbax's format
    checksums.json   the SHA-256 checksums of each array, by name, and of config.json

A checkpoint is written beside its target and renamed at the end. So a directory is
complete or absent. Older checkpoints have no checksums.json, or none of config.json in
it. They load without this check.

A checkpoint can also be one file; single_files.py describes it.
"""

import json
import os
import pathlib
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np

from ganspace_jax.errors import InputError, first_line
from ganspace_jax.files import checksums, orbax_errors, outputs, single_files

Arrays = dict[str, Any]
Directory = str | os.PathLike[str]
Result = TypeVar("Result")

_CONFIG = "config.json"
_MARKER = "commit_success.txt"  # of Orbax, in a directory that is complete
OWN_FILES = (_CONFIG, "checksums.json", "arrays", "preview.png", "conversion.json")  # the converter writes the last two


class CheckpointError(InputError):
    """A checkpoint that is missing, damaged or of other shapes; names the path and the
    reason.
    """


def save_arrays(directory: Directory, arrays: Arrays, config: dict[str, Any]) -> None:
    """Writes a model checkpoint and replaces an older one.

    Raises:
        CheckpointError: The directory cannot be written, for example on a full disk.
    """
    arrays = jax.tree.map(_native, arrays)
    sums = {name: checksums.of_array(array) for name, array in checksums.named_arrays(arrays).items()}
    text = json.dumps(config, indent=2) + "\n"
    sums[_CONFIG] = checksums.of_json(json.loads(text))
    with outputs.replacement(directory, own=OWN_FILES) as made:
        made.mkdir()
        (made / _CONFIG).write_text(text)
        (made / "checksums.json").write_text(json.dumps(sums, indent=2) + "\n")
        try:
            _write(made / "arrays", arrays)
        except Exception as error:  # Orbax and TensorStore raise many types for full disks
            raise CheckpointError(f"{directory}: cannot be written: {orbax_errors.reason(error)}") from None


def _native(array: Any) -> np.ndarray:
    """Returns a NumPy array in the machine's byte order, as TensorStore returns it
    later.
    """
    array = np.asarray(array)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _write(path: pathlib.Path, arrays: Arrays) -> None:
    import orbax.checkpoint as ocp  # slow to import, and many programs never need it

    with orbax_errors.silence(), ocp.PyTreeCheckpointer() as checkpointer:
        checkpointer.save(path, arrays)
    marker = path / _MARKER
    if marker.exists():
        marker.write_text("complete\n")  # Orbax writes the directory's path, which is nobody else's business


def load_config(directory: Directory) -> dict[str, Any]:
    """Returns the configuration of a model checkpoint; raises CheckpointError."""
    if pathlib.Path(directory).is_file():
        return _of_file(lambda: single_files.load_config(directory))
    path = pathlib.Path(directory) / _CONFIG
    try:
        config = _read_json(path)
    except FileNotFoundError:
        raise CheckpointError(f"{directory}: not a checkpoint directory (no config.json in it)") from None
    if not isinstance(config, dict) or "family" not in config:
        raise CheckpointError(f"{path}: has no 'family' entry")
    return config


def load_arrays(directory: Directory, expected: Arrays) -> Arrays:
    """Returns the arrays of a model checkpoint.

    Args:
        directory: Checkpoint directory, or a checkpoint in one file.
        expected: Tree of arrays or shapes that the checkpoint must match.

    Raises:
        CheckpointError: A file is missing or damaged, a shape differs from `expected`,
            or an array or config.json differs from its checksum.
    """
    if pathlib.Path(directory).is_file():
        named = _of_file(lambda: single_files.load_arrays(directory))
        _check_same_layout(directory, named, checksums.named_arrays(expected))
        return _of_file(lambda: single_files.as_tree(directory, named, expected))
    path = (pathlib.Path(directory) / "arrays").absolute()
    if not path.is_dir():
        raise CheckpointError(f"{directory}: not a checkpoint directory (no arrays/ in it)")
    try:
        arrays = _read(path)
    except Exception as error:  # Orbax and TensorStore raise many types for damaged files
        raise CheckpointError(f"{path}: damaged: {first_line(error)}") from None
    _check_same_layout(directory, arrays, expected)
    _check_sums(pathlib.Path(directory), arrays)
    return arrays


def save_file(path: Directory, arrays: Arrays, config: dict[str, Any], record: dict[str, Any] | None = None) -> None:
    """Writes a model checkpoint as one file and replaces an older one.

    Args:
        path: File to write.
        arrays: Tree of arrays.
        config: Family and configuration.
        record: Source of a conversion, None if there was no conversion.

    Raises:
        CheckpointError: The file cannot be written, for example on a full disk.
    """
    named = {name: _native(array) for name, array in checksums.named_arrays(arrays).items()}
    _of_file(lambda: single_files.save(path, named, config, record))


def load_record(path: Directory) -> dict[str, Any]:
    """Returns the record of a conversion from a checkpoint in one file; raises
    CheckpointError.
    """
    return _of_file(lambda: single_files.load_record(path))


def _of_file(work: Callable[[], Result]) -> Result:
    """Returns work(), with its InputErrors as CheckpointErrors."""
    try:
        return work()
    except InputError as error:
        raise CheckpointError(str(error)) from None


def _read(path: pathlib.Path) -> Arrays:
    import orbax.checkpoint as ocp

    with orbax_errors.silence(), ocp.PyTreeCheckpointer() as checkpointer:
        return checkpointer.restore(path)


def _read_json(path: pathlib.Path) -> Any:
    """Returns the content of a JSON file; raises FileNotFoundError and
    CheckpointError.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read: {first_line(error)}") from None


def _check_same_layout(directory: Directory, arrays: Arrays, expected: Arrays) -> None:
    found, wanted = shapes(arrays), shapes(expected)
    asking = "its configuration" if pathlib.Path(directory).is_file() else "config.json"
    for name in sorted(wanted.keys() | found.keys()):
        if found.get(name) != wanted.get(name):
            raise CheckpointError(
                f"{directory}: array {name} has shape {found.get(name, 'none (missing)')}, "
                f"{asking} asks for {wanted.get(name, 'none (no such array)')}"
            )


def _check_sums(directory: pathlib.Path, arrays: Arrays) -> None:
    path = directory / "checksums.json"
    try:
        sums = _read_json(path)
    except FileNotFoundError:
        return
    if not isinstance(sums, dict):
        raise CheckpointError(f"{path}: damaged: must map names of arrays to checksums")
    for name, array in checksums.named_arrays(arrays).items():
        if name not in sums:
            raise CheckpointError(f"{path}: damaged: has no checksum of array {name}")
        if sums[name] != checksums.of_array(array):
            raise CheckpointError(f"{directory}: damaged: array {name} differs from its checksum in checksums.json")
    if _CONFIG in sums and sums[_CONFIG] != checksums.of_json(load_config(directory)):
        raise CheckpointError(
            f"{directory}: damaged: {_CONFIG} differs from its checksum in checksums.json; if you changed it yourself, "
            f"remove the line {_CONFIG} there"
        )


def shapes(arrays: Any) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of a tree's leaves by dotted names."""
    return {name: tuple(leaf.shape) for name, leaf in checksums.named_arrays(arrays).items()}
