"""Reads pickles, such as NVIDIA's network pickles of PyTorch and of TensorFlow.

NVIDIA's pickles contain whole objects and the source code of their classes. Here an
object becomes a record of its attributes, and the source code is dropped. Torch's
tensors become arrays. See unpickler.py.
"""

import functools
import os
import pathlib
from typing import Any

from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import torch_files, torch_tensors, unpickler
from ganspace_jax.files.inert.limits import Allowance
from ganspace_jax.files.inert.records import Name
from ganspace_jax.files.inert.unpickler import Vocabulary

_PROTOCOLS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def is_pickle(path: str | os.PathLike[str]) -> bool:
    """Returns whether a file begins like a pickle of protocol 2 to 5."""
    with open(path, "rb") as file:
        return begins(file.read(2))


def begins(start: bytes) -> bool:
    """Returns whether a file's first bytes are those of a pickle of protocol 2 to 5."""
    return start.startswith(_PROTOCOLS)


def read(path: str | os.PathLike[str]) -> Any:
    """Returns the value of a pickle, with objects of unknown classes as records.

    Raises:
        InputError: The file is damaged, or is a part of a torch file.
    """
    return unpickler.read_or_refuse(pathlib.Path(path), _read)


def _read(path: pathlib.Path) -> Any:
    with open(path, "rb") as file:
        allowance = Allowance(os.fstat(file.fileno()).st_size)
        return unpickler.load(file, vocabulary(path, allowance), allowance)


def vocabulary(path: pathlib.Path, allowance: Allowance) -> Vocabulary:
    """Returns the names in a pickle of arrays, tensors and networks.

    Args:
        path: Path of the file, for messages.
        allowance: What the file may still cost.
    """
    tensors = torch_tensors.vocabulary(allowance, functools.partial(_refuse_storage, path))
    blobs = {Name("torch.storage", "_load_from_bytes"): functools.partial(torch_files.read_blob, allowance)}
    return tensors._replace(calls={**tensors.calls, **blobs})


def _refuse_storage(path: pathlib.Path, identifier: Any) -> Any:
    """Returns NotImplemented for a reference; raises InputError if it is torch's."""
    if type(identifier) is tuple and identifier and type(identifier[0]) is str and identifier[0] == "storage":
        raise InputError(f"{path}: is the data.pkl of a torch file without its numbers; give the whole torch file")
    return NotImplemented
