"""The published formats: how each is told from the others, by what is in the file, and what converts it."""

import json
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from checkpoints_convert import biggan_huggingface, dcgan_pytorch, torch_files
from ganspace_jax.failures import InputError
from ganspace_jax.generators import base

Arrays = dict[str, np.ndarray]


class Source(NamedTuple):
    """What was read: the content of the checkpoint file, and of the config.json beside it, if there is one."""

    content: Any
    config: dict[str, Any]


class Format(NamedTuple):
    """convert raises InputError; `find` gives what it converts, or None for another format."""

    name: str
    description: str
    find: Callable[[Source], Arrays | None]
    convert: Callable[[Arrays, Source], base.SplitGenerator]


def read(path: str | os.PathLike[str]) -> Source:
    """Reads a file, or a directory with pytorch_model.bin and config.json; raises InputError."""
    path = pathlib.Path(path)
    config = {}
    if path.is_dir():
        try:
            config = json.loads((path / "config.json").read_text())
        except (OSError, ValueError):
            raise InputError(
                f"--source={path}: a directory wants pytorch_model.bin and a readable config.json"
            ) from None
        path = path / "pytorch_model.bin"
    if not path.is_file():
        raise InputError(f"--source={path}: no such file")
    if not torch_files.is_torch_file(path):
        raise InputError(f"--source={path}: not a format that is known here; there are: {_names()}")
    return Source(torch_files.read(path), config)


def recognize(source: Source, wanted: str, path: str) -> tuple[Format, Arrays]:
    """The format of a file, and its arrays; raises InputError, also for a format that was asked for and is not there."""
    candidates = [one for one in FORMATS if wanted in ("auto", one.name)]
    if not candidates:
        raise InputError(f"--format={wanted}: there are: auto, {_names()}")
    for one in candidates:
        arrays = one.find(source)
        if arrays is not None:
            return one, arrays
    raise InputError(f"--source={path}: holds no {' and no '.join(one.description for one in candidates)}")


def _names() -> str:
    return ", ".join(one.name for one in FORMATS)


def _state_dicts(content: Any) -> Iterator[Arrays]:
    """All dictionaries of arrays in a content, the outermost first."""
    if isinstance(content, Mapping):
        arrays = {name: value for name, value in content.items() if isinstance(value, np.ndarray)}
        if arrays:
            yield arrays
        for value in content.values():
            yield from _state_dicts(value)


def _find_dcgan(source: Source) -> Arrays | None:
    for arrays in _state_dicts(source.content):
        plain = {name.removeprefix("module."): array for name, array in arrays.items()}
        first = plain.get("main.0.weight")
        # A discriminator of the same layout begins with a plain convolution, which has no batch norm behind it.
        if first is not None and first.ndim == 4 and "main.1.running_mean" in plain:
            return plain
    return None


def _find_biggan(source: Source) -> Arrays | None:
    return next((arrays for arrays in _state_dicts(source.content) if "generator.gen_z.weight_orig" in arrays), None)


def _convert_biggan(arrays: Arrays, source: Source) -> base.SplitGenerator:
    if not source.config:
        raise InputError("--source: BigGAN-deep's configuration is in config.json; give the directory that holds both")
    return biggan_huggingface.convert(arrays, source.config)


FORMATS = (
    Format("dcgan", "DCGAN of the PyTorch tutorial", _find_dcgan, lambda arrays, _: dcgan_pytorch.convert(arrays)),
    Format("biggan_huggingface", "BigGAN-deep of pytorch-pretrained-biggan", _find_biggan, _convert_biggan),
)
