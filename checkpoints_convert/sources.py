"""Reads a checkpoint file, or a directory of Hugging Face, as networks of arrays.

The content of a file determines its kind.
"""

import json
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from checkpoints_convert import biggan_huggingface, networks
from checkpoints_convert.networks import Network
from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import file_kinds, network_pickles, safetensors_files, torch_files

_MAX_CONFIGURATION = 1 << 16  # bytes; the published ones have 1,000

# Name in file_kinds -> words for messages, and reader.
_KINDS: dict[str, tuple[str, Callable[[pathlib.Path], Any]]] = {
    "torch": ("torch file", torch_files.read),
    "pickle": ("pickle", network_pickles.read),
    "safetensors": ("safetensors file", safetensors_files.read),
}
WEIGHTS = ("pytorch_model.bin", "model.safetensors")  # in a directory with config.json
CONFIGURATION = "config.json"


class Source(NamedTuple):
    """A checkpoint file that was read.

    Attributes:
        path: Path of the file.
        kind: Kind of the file, for messages.
        networks: Networks in the file, moving averages first.
    """

    path: str
    kind: str
    networks: tuple[Network, ...]


def read(path: str | os.PathLike[str], formats: str) -> Source:
    """Returns the networks of a file, or of a directory with WEIGHTS and config.json.

    Args:
        path: Path of the file or the directory.
        formats: Names of the known formats, for messages.

    Raises:
        InputError: The file is missing, is damaged, or has another kind.
    """
    path = pathlib.Path(path)
    config = {}
    if path.is_dir():
        config = _configuration(path)
        _refuse_shards(path)
        path = weights_of(path)
    if not path.is_file():
        raise InputError(f"--source={path}: {'is no regular file' if os.path.lexists(path) else 'no such file'}")
    kind = file_kinds.recognize(path)
    if kind is None or kind.name not in _KINDS:
        listed = "" if kind is not None and kind.advice else f"; known formats: {formats}"
        raise InputError(f"--source={path}: {_refusal(kind)}{listed}")
    words, reader = _KINDS[kind.name]
    return Source(str(path), words, _find(path, reader(path), config))


def _refuse_shards(directory: pathlib.Path) -> None:
    """Raises InputError if a directory has its weights in several files."""
    for name in WEIGHTS:
        if not (directory / name).exists() and (directory / f"{name}.index.json").is_file():
            raise InputError(
                f"--source={directory}: has its weights in several files, which {name}.index.json lists; give one file "
                "with all of the generator's arrays"
            )


def weights_of(directory: pathlib.Path) -> pathlib.Path:
    """Returns the first of WEIGHTS that a directory has, else the path of the first."""
    paths = [directory / name for name in WEIGHTS]
    return next((path for path in paths if path.is_file()), paths[0])


def _refusal(kind: file_kinds.FileKind | None) -> str:
    """Returns what a file without networks is, and what to give in its place."""
    if kind is None:
        return "neither a torch file nor a pickle nor a safetensors file"
    advice = kind.advice or kind.source
    return f"is {kind.words}" + (f"; {advice}" if advice else "")


def _find(path: pathlib.Path, content: Any, config: Mapping[str, Any]) -> tuple[Network, ...]:
    """Returns the networks of a file's content; raises InputError with its path."""
    try:
        return networks.find(content, config)
    except RecursionError:
        raise InputError(f"--source={path}: its contents are nested too deeply") from None
    except InputError as error:
        what = "".join(letter if letter.isprintable() else "?" for letter in str(error))
        raise InputError(f"--source={path}: {what}") from None


def _configuration(directory: pathlib.Path) -> dict[str, Any]:
    """Returns the entries of config.json, completed by the package's defaults.

    Raises:
        InputError: The directory has another kind. Or config.json is missing, too large
            or no dictionary.
    """
    kind = file_kinds.recognize(directory)
    if kind is not None and kind.name != "directory":
        raise InputError(f"--source={directory}: {_refusal(kind)}")
    path = directory / CONFIGURATION
    try:
        # Reading a pipe would block.
        fits = path.is_file() and path.stat().st_size <= _MAX_CONFIGURATION
        config = json.loads(path.read_text()) if fits else None
    except (OSError, ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        has = f"is {kind.words}; give one file, or " if kind is not None and not os.path.lexists(path) else ""
        raise InputError(
            f"--source={directory}: {has}a directory must contain {' or '.join(WEIGHTS)}, and a readable config.json "
            "of up to 64 KiB"
        )
    return {**biggan_huggingface.DEFAULTS, **config}
