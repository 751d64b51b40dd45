"""Network pickles (NVIDIA's of PyTorch, and those of the TensorFlow years before) as inert records and NumPy arrays.

Such a pickle is of the objects themselves, with the source code that made them. Here an object is the dictionary of its
attributes, the source is dropped unread, and nothing is imported or called; see pickle_machine.
"""

import functools
import os
import pathlib
from typing import Any, NamedTuple

from ganspace_jax.files.inert import torch_files, unpickler
from ganspace_jax.files.inert.unpickler import Allowance, Name, Vocabulary

_PROTOCOLS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_BYTES_PER_ITEM = 64  # of a dictionary
_NETWORKS = (Name("dnnlib.tflib.network", "Network"), Name("tfutil", "Network"))


class PersistentObject(NamedTuple):
    """An object of NVIDIA's torch_utils.persistence: the name of its class, and its attributes."""

    class_name: str
    state: dict[str, Any]


class Network(NamedTuple):
    """A network of dnnlib.tflib, or of its predecessor tfutil: its class, and its attributes.

    Among the attributes are its name, variables, components and static_kwargs.
    """

    class_name: str
    state: dict[str, Any]


def is_pickle(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins like a pickle of protocol 2 to 5."""
    with open(path, "rb") as file:
        return file.read(2) in _PROTOCOLS


def read(path: str | os.PathLike[str]) -> Any:
    """The value of a pickle; raises InputError for damaged files and for names that no checkpoint needs."""
    return unpickler.readably(pathlib.Path(path), _read)


def _read(path: pathlib.Path) -> Any:
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        allowance = Allowance(size)
        return unpickler.load(file, str(path), _vocabulary(str(path), allowance), allowance)


def _vocabulary(path: str, allowance: Allowance) -> Vocabulary:
    tensors = torch_files.vocabulary(allowance)
    make_dict = tensors.calls[Name("collections", "OrderedDict")]
    return Vocabulary(
        calls={
            **tensors.calls,
            Name("torch.storage", "_load_from_bytes"): functools.partial(torch_files.read_blob, path, allowance),
            Name("torch_utils.persistence", "_reconstruct_persistent_obj"): _persistent_object,
            Name("dnnlib.util", "EasyDict"): make_dict,
            Name("dnnlib", "EasyDict"): make_dict,
            **{name: functools.partial(_network, str(name)) for name in _NETWORKS},
        },
        states={
            **tensors.states,
            Network: functools.partial(_set_attributes, allowance),
        },
    )


def _persistent_object(meta: Any) -> PersistentObject:
    if meta["type"] != "class" or not isinstance(meta["class_name"], str) or not isinstance(meta["state"], dict):
        raise ValueError("a persistent object without class_name and state")
    return PersistentObject(meta["class_name"], meta["state"])


def _network(class_name: str) -> Network:
    """One without attributes, which come later."""
    return Network(class_name, {})


def _set_attributes(allowance: Allowance, network: Network, state: Any) -> None:
    if not isinstance(state, dict):
        raise ValueError("a network whose attributes are not in a dictionary")
    allowance.spend(_BYTES_PER_ITEM * len(state))
    network.state.update(state)
