"""Network pickles (NVIDIA's of PyTorch, and those of the TensorFlow years before) as inert records and NumPy arrays.

Such a pickle is of the objects themselves, with the source code that made them. Here an object is the dictionary of its
attributes, the source is dropped unread, and nothing is imported or called; see pickle_machine.
"""

import functools
import math
import os
import pathlib
import re
from typing import Any, NamedTuple

import numpy as np

from ganspace_jax.inert import pickle_machine, torch_files
from ganspace_jax.inert.pickle_machine import Allowance, Name, Vocabulary

_PROTOCOLS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_BYTES_PER_ITEM = 64  # of a dictionary or set
_NDARRAY = Name("numpy", "ndarray")
_NETWORKS = (Name("dnnlib.tflib.network", "Network"), Name("tfutil", "Network"))
_DTYPES = re.compile(r"b1|[iu][1248]|f[248]|c(8|16)|[SU]\d{1,4}")


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


class _Dtype:
    """A dtype in the making: the byte order comes after the rest."""

    def __init__(self, code: Any, *_: Any):
        if not isinstance(code, str) or not _DTYPES.fullmatch(code):
            found = repr(code[:20]) if isinstance(code, str) else type(code).__name__
            raise ValueError(f"an array of the type {found}; numbers and text are read, objects never")
        self.dtype = np.dtype(code)

    def set_state(self, state: Any) -> None:
        """(version, byte order, None, None, None, ...); raises ValueError for dtypes with parts."""
        _, order, *parts = state
        if order not in ("<", ">", "=", "|") or any(part is not None for part in parts[:3]):
            raise ValueError("an array of a type with parts; numbers and text are read")
        self.dtype = self.dtype.newbyteorder(order)


def is_pickle(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins like a pickle of protocol 2 to 5."""
    with open(path, "rb") as file:
        return file.read(2) in _PROTOCOLS


def read(path: str | os.PathLike[str]) -> Any:
    """The value of a pickle; raises InputError for damaged files and for names that no checkpoint needs."""
    return pickle_machine.readably(pathlib.Path(path), _read)


def _read(path: pathlib.Path) -> Any:
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        return pickle_machine.load(file, str(path), _vocabulary(str(path), Allowance(size)), size)


def _vocabulary(path: str, allowance: Allowance) -> Vocabulary:
    tensors = torch_files.vocabulary(allowance)
    make_dict = tensors.calls[Name("collections", "OrderedDict")]
    make_set, make_array = functools.partial(_set, allowance), functools.partial(_array, allowance)
    arrays = {
        ("multiarray", "_reconstruct"): _unfilled,
        ("multiarray", "scalar"): lambda dtype, data: make_array(data, dtype, ())[()],
        ("numeric", "_frombuffer"): make_array,  # since protocol 5
    }
    return Vocabulary(
        calls={
            **tensors.calls,
            Name("torch.storage", "_load_from_bytes"): functools.partial(torch_files.read_blob, path, allowance),
            Name("builtins", "set"): make_set,
            Name("__builtin__", "set"): make_set,
            Name("_codecs", "encode"): functools.partial(_encode, allowance),
            Name("numpy", "dtype"): _Dtype,
            _NDARRAY: None,
            **{Name(f"numpy.core.{module}", name): make for (module, name), make in arrays.items()},
            **{Name(f"numpy._core.{module}", name): make for (module, name), make in arrays.items()},
            Name("torch_utils.persistence", "_reconstruct_persistent_obj"): _persistent_object,
            Name("dnnlib.util", "EasyDict"): make_dict,
            Name("dnnlib", "EasyDict"): make_dict,
            **{name: functools.partial(_network, str(name)) for name in _NETWORKS},
        },
        states={
            **tensors.states,
            _Dtype: _Dtype.set_state,
            np.ndarray: functools.partial(_fill, allowance),
            Network: functools.partial(_set_attributes, allowance),
        },
    )


def _set(allowance: Allowance, items: Any = ()) -> set[Any]:
    allowance.spend(_BYTES_PER_ITEM * len(items))
    return set(map(pickle_machine.as_key, items))


def _encode(allowance: Allowance, text: Any, encoding: Any) -> bytes:
    """How Python 3 writes bytes in protocol 2, which has only text."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes that are not written as Latin-1")
    allowance.spend(len(text))
    return text.encode("latin-1")


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


def _unfilled(array_type: Any, *_: Any) -> np.ndarray:
    if not isinstance(array_type, Name) or array_type != _NDARRAY:
        raise ValueError("an array of a class of its own")
    return np.zeros(0, np.uint8)


def _fill(allowance: Allowance, array: np.ndarray, state: Any) -> None:
    """Gives an array its numbers in place, since what refers to it may have been read already."""
    _, shape, dtype, fortran_order, data = state
    shape, dtype, data = _checked(allowance, shape, dtype, data)
    array.__setstate__((1, shape, dtype, bool(fortran_order), data))  # type: ignore[arg-type]


def _array(allowance: Allowance, data: Any, dtype: Any, shape: Any, order: Any = "C") -> np.ndarray:
    shape, dtype, data = _checked(allowance, shape, dtype, data)
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def _checked(allowance: Allowance, shape: Any, dtype: Any, data: Any) -> tuple[tuple[int, ...], np.dtype, bytes]:
    """Shape, type and bytes; raises ValueError unless they agree. Python 2 wrote the bytes as text."""
    shape = pickle_machine.as_sizes(shape)
    if not isinstance(dtype, _Dtype) or not isinstance(data, str | bytes | bytearray):
        raise ValueError("an array of something other than numbers")
    count = dtype.dtype.itemsize * math.prod(shape)
    if count != len(data):
        raise ValueError(f"an array of shape {shape} has {len(data):,} bytes and not {count:,}")
    allowance.spend(count)
    return shape, dtype.dtype, data.encode("latin-1") if isinstance(data, str) else bytes(data)
