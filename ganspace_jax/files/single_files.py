"""Model checkpoints in one safetensors file, for sending and keeping.

The arrays have dotted names. The metadata contains JSON texts:

    config       the family and the configuration, which define the network
    checksums    the SHA-256 checksum of each array, by name, and of the text `config`
    conversion   the source of a converted checkpoint

A file is written beside its target and renamed at the end. So it is complete or absent.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.files import checksums
from ganspace_jax.files.inert import file_kinds, safetensors_files

SUFFIX = ".safetensors"
_MAX_LAYERS = 1000  # layers, or entries of a list, of a configuration
_CONFIG = "config"  # entry of the metadata and of the checksums
Path = str | os.PathLike[str]


def save(path: Path, arrays: Mapping[str, np.ndarray], config: Mapping[str, Any], record: Any = None) -> None:
    """Writes a checkpoint as one file and replaces an older one.

    Args:
        path: File to write.
        arrays: Arrays by dotted name.
        config: Family and configuration.
        record: Source of a conversion, None if there was no conversion.

    Raises:
        InputError: The file cannot be written.
    """
    text = json.dumps(config)
    sums = {**{name: checksums.of_array(array) for name, array in arrays.items()}, _CONFIG: _digest(text)}
    metadata = {_CONFIG: text, "checksums": json.dumps(sums), "program": "ganspace_jax"}
    if record is not None:
        metadata["conversion"] = json.dumps(record)
    target, scratch = pathlib.Path(path), None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, scratch = tempfile.mkstemp(prefix=f".{target.name}.writing-", dir=target.parent)
        os.close(descriptor)
        safetensors_files.write(scratch, arrays, metadata)
        os.chmod(scratch, 0o644)  # mkstemp makes files that only their owner reads
        os.replace(scratch, target)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        if scratch is not None:
            with contextlib.suppress(OSError):
                os.unlink(scratch)


def is_name(output: Path) -> bool:
    """Returns whether an output's name is that of one file."""
    return os.fspath(output).lower().endswith(SUFFIX)


def is_checkpoint(path: Path) -> bool:
    """Returns whether a file is a checkpoint of this program in one file."""
    try:
        return safetensors_files.is_safetensors(path) and _CONFIG in safetensors_files.read_metadata(path)
    except (OSError, InputError):
        return False


def load_config(path: Path) -> dict[str, Any]:
    """Returns the family and the configuration; raises InputError."""
    metadata = _metadata(path)
    text = metadata[_CONFIG]
    if _sums(path, metadata).get(_CONFIG) != _digest(text):
        raise InputError(f"{path}: damaged: its configuration differs from its checksum")
    config = _parsed(path, metadata, _CONFIG)
    if "family" not in config:
        raise InputError(f"{path}: has no 'family' entry")
    _check_counts(path, config)
    return config


def _check_counts(path: Path, config: Mapping[str, Any]) -> None:
    """Raises InputError if a hostile configuration gives very many layers.

    The abstract network of the configuration would need any time and memory.
    """
    for name, value in config.items():
        count = len(value) if isinstance(value, list) else value if name.endswith("layers") else 0
        if isinstance(count, int | float) and count > _MAX_LAYERS:
            raise InputError(f"{path}: its configuration has {name} of more than {_MAX_LAYERS:,}")


def load_record(path: Path) -> dict[str, Any]:
    """Returns the source of a converted checkpoint, an empty dictionary if there was no
    conversion; raises InputError.
    """
    metadata = _metadata(path)
    return _parsed(path, metadata, "conversion") if "conversion" in metadata else {}


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays by dotted name.

    Raises:
        InputError: The file is damaged, or an array differs from its checksum or is not
            finite.
    """
    content = safetensors_files.read_content(path)
    sums = _sums(path, content.metadata)
    for name, array in content.arrays.items():
        if sums.get(name) != checksums.of_array(array):
            raise InputError(f"{path}: damaged: array {name} differs from its checksum")
        if not np.isfinite(array.astype(np.float32) if array.dtype.kind == "V" else array).all():
            raise InputError(f"{path}: array {name} contains NaN or infinity")
    return content.arrays


def as_tree(path: Path, arrays: Mapping[str, np.ndarray], expected: Any) -> Any:
    """Returns arrays by dotted name as a tree like `expected`, whose names they have.

    Raises:
        InputError: An array has another dtype than in `expected`.
    """
    for name, wanted in checksums.named_arrays(expected).items():
        if arrays[name].dtype != wanted.dtype:
            raise InputError(f"{path}: array {name} has the type {arrays[name].dtype}, must be {wanted.dtype}")
    names = iter(checksums.named_arrays(expected))
    return jax.tree.map(lambda _: arrays[next(names)], expected)


def _metadata(path: Path) -> dict[str, str]:
    kind = file_kinds.recognize(path)
    metadata = safetensors_files.read_metadata(path) if kind is not None and kind.name == "safetensors" else {}
    if _CONFIG not in metadata:
        found = f"is {kind.words}, no" if kind is not None else "is no"
        advice = kind.advice if kind is not None else ""
        if kind is not None and kind.name in file_kinds.READABLE:
            advice = f"convert it first: python -m checkpoints_convert --source={path} --output=DIR"
        raise InputError(f"{path}: {found} checkpoint of this program{'; ' * bool(advice)}{advice}")
    return metadata


def _sums(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    return _parsed(path, metadata, "checksums")


def _parsed(path: Path, metadata: Mapping[str, str], entry: str) -> dict[str, Any]:
    """Returns a dictionary from a JSON text of the metadata; raises InputError."""
    try:
        value = json.loads(metadata[entry])
    except (KeyError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InputError(f"{path}: damaged: its metadata has no readable entry '{entry}'")
    return value


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
