"""Reads NVIDIA's network pickles, of PyTorch and of TensorFlow, as inert records and
arrays.

Such a pickle contains whole objects and the source code of their classes. Here an
object becomes the dictionary of its attributes, and the source code is dropped. See
unpickler.py.
"""

import functools
import os
import pathlib
from typing import Any, NamedTuple

from ganspace_jax.files.inert import limits, torch_files, torch_tensors, unpickler
from ganspace_jax.files.inert.limits import Allowance
from ganspace_jax.files.inert.unpickler import Name, Vocabulary

_PROTOCOLS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_NETWORKS = (Name("dnnlib.tflib.network", "Network"), Name("tfutil", "Network"))


class PersistentObject(NamedTuple):
    """An object of NVIDIA's torch_utils.persistence.

    Attributes:
        class_name: Name of its class.
        state: Its attributes.
    """

    class_name: str
    state: dict[str, Any]


class Network(NamedTuple):
    """A network of dnnlib.tflib or of its predecessor tfutil.

    Attributes:
        class_name: Dotted name of its class.
        state: Its attributes, such as name, variables, components and static_kwargs.
    """

    class_name: str
    state: dict[str, Any]


def is_pickle(path: str | os.PathLike[str]) -> bool:
    """Returns whether a file begins like a pickle of protocol 2 to 5."""
    with open(path, "rb") as file:
        return file.read(2) in _PROTOCOLS


def read(path: str | os.PathLike[str]) -> Any:
    """Returns the value of a pickle.

    Raises:
        InputError: The file is damaged, or contains a name that no checkpoint needs.
    """
    return unpickler.read_or_refuse(pathlib.Path(path), _read)


def _read(path: pathlib.Path) -> Any:
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        allowance = Allowance(size)
        return unpickler.load(file, str(path), vocabulary(str(path), allowance), allowance)


def vocabulary(path: str, allowance: Allowance) -> Vocabulary:
    """Returns the names in a network pickle, and in a pickle of arrays and tensors."""
    tensors = torch_tensors.vocabulary(allowance)
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
    """Returns a network without attributes; the pickle adds them later."""
    return Network(class_name, {})


def _set_attributes(allowance: Allowance, network: Network, state: Any) -> None:
    if not isinstance(state, dict):
        raise ValueError("a network whose attributes are not in a dictionary")
    allowance.spend(limits.BYTES_PER_ITEM * len(state))
    network.state.update(state)
