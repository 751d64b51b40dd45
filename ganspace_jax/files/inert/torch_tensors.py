"""Defines the names in torch's pickles: tensors, storages, and the objects beside them.

A tensor becomes a NumPy array that is a view of a storage. Torch is not needed.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from ganspace_jax.files.inert import limits, numpy_pickles
from ganspace_jax.files.inert.limits import Allowance
from ganspace_jax.files.inert.unpickler import Name, Vocabulary

_BYTES_PER_VIEW = 256  # of memory, per array that shares its numbers with another one
_STORAGES: dict[Name, np.dtype] = {
    Name("torch", f"{name}Storage"): np.dtype(dtype)
    for name, dtype in {
        "Double": np.float64, "Float": np.float32, "Half": np.float16, "BFloat16": ml_dtypes.bfloat16, "Long": np.int64,
        "Int": np.int32, "Short": np.int16, "Char": np.int8, "Byte": np.uint8, "Bool": np.bool_,
    }.items()
}  # fmt: skip
_DTYPES = (
    "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool", "complex64",
)  # fmt: skip
_FACTORIES = [Name(module, kind) for module in ("builtins", "__builtin__") for kind in ("list", "dict", "int", "float")]

ReadNumbers = Callable[[str, np.dtype, int], np.ndarray]


class Storage(NamedTuple):
    """A row of numbers that tensors are views of."""

    values: np.ndarray


class Storages:
    """The storages of a file by key.

    A storage is read only after a check that the file is large enough for it.
    """

    def __init__(self, size: int, read_numbers: ReadNumbers):
        """Starts without storages.

        Args:
            size: Size of the file in bytes.
            read_numbers: Function (key, dtype, count) that returns the numbers of a
                storage.
        """
        self._left, self._read_numbers = size, read_numbers
        self.by_key: dict[str, Storage] = {}

    def refer(self, identifier: Any) -> Storage:
        """Returns the storage of a reference ("storage", type, key, location, count[,
        view]).
        """
        kind, storage_type, key, _, count = identifier[:5]
        if kind != "storage" or not isinstance(storage_type, Name) or storage_type not in _STORAGES:
            raise ValueError("refers to an unknown kind of record")
        if type(key) not in (str, int) or type(count) is not int or any(identifier[5:6]):
            raise ValueError("refers to a storage in an unknown way")
        key, dtype = str(key), _STORAGES[storage_type]
        if key not in self.by_key:
            self._left -= count * dtype.itemsize
            if count < 0 or self._left < 0:
                raise ValueError(f"a storage of {count:,} numbers is larger than the file")
            self.by_key[key] = Storage(self._read_numbers(key, dtype, count))
        if (self.by_key[key].values.dtype, len(self.by_key[key].values)) != (dtype, count):
            raise ValueError(f"storage {key} is named with another type or size")
        return self.by_key[key]


def vocabulary(allowance: Allowance, record: Callable[[Any], Any] | None = None) -> Vocabulary:
    """Returns the names in a pickle of tensors, and in the objects that are saved with
    them.

    Attributes of dictionaries, such as `_metadata`, are dropped.

    Args:
        allowance: What the file may still cost.
        record: Function that returns the storage of a reference, or None for pickles
            without.
    """
    numbers = numpy_pickles.vocabulary(allowance)
    return Vocabulary(
        calls={
            **numbers.calls,
            Name("collections", "OrderedDict"): functools.partial(_dict, allowance),
            Name("collections", "defaultdict"): _default_dict,
            Name("argparse", "Namespace"): _Flags,
            Name("torch", "Size"): _size,
            Name("torch", "device"): _device,
            Name("torch._utils", "_rebuild_tensor_v2"): functools.partial(_view, allowance),
            Name("torch._utils", "_rebuild_parameter"): _parameter,
            **dict.fromkeys([*_STORAGES, *_FACTORIES, *(Name("torch", dtype) for dtype in _DTYPES)], None),
        },
        states={
            **numbers.states,
            dict: lambda mapping, attributes: None,
            _Flags: functools.partial(_set_flags, allowance),
        },
        record=record,
    )


def _dict(allowance: Allowance, pairs: Any = ()) -> dict[Any, Any]:
    """Replaces an OrderedDict. Python 2 passes its pairs here; Python 3 adds them
    later.
    """
    allowance.spend(limits.BYTES_PER_ITEM * len(pairs))
    return {limits.as_key(key): value for key, value in pairs}


def _default_dict(*_: Any) -> dict[Any, Any]:
    """Replaces a defaultdict. The pickle adds its items later, and its factory is
    dropped.
    """
    return {}


class _Flags(dict[str, Any]):
    """A replacement of argparse.Namespace, which stores the flags of a training run."""


def _set_flags(allowance: Allowance, flags: _Flags, attributes: Any) -> None:
    if not isinstance(attributes, dict):
        raise ValueError("flags that are in no dictionary")
    allowance.spend(limits.BYTES_PER_ITEM * len(attributes))
    flags.update(attributes)


def _size(sizes: Any = ()) -> tuple[int, ...]:
    return limits.as_sizes(sizes)


def _device(kind: Any, number: Any = None) -> str:
    """Returns the text of a torch.device, such as cuda:0."""
    if not isinstance(kind, str) or type(number) not in (int, type(None)):
        raise ValueError("a device that is none")
    return limits.as_key(kind if number is None else f"{kind[:20]}:{number}")


def _view(allowance: Allowance, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> np.ndarray:
    """Returns a tensor as a view of its storage.

    Raises:
        ValueError: The tensor reaches beyond its storage, or has more numbers than it.
    """
    shape, strides = limits.as_sizes(shape), limits.as_sizes(strides)
    if not isinstance(storage, Storage) or type(offset) is not int:
        raise ValueError("a tensor without a storage")
    allowance.spend(_BYTES_PER_VIEW)
    values, count = storage.values, math.prod(shape)
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if offset < 0 or count > len(values) or (count and last >= len(values)):
        raise ValueError(f"a tensor of shape {shape} reaches beyond its storage")
    if not count:
        return np.zeros(shape, values.dtype)
    steps = [stride * values.itemsize for stride in strides]
    return np.ndarray(shape, values.dtype, values.view(np.uint8), offset * values.itemsize, steps)


def _parameter(data: Any, *_: Any) -> np.ndarray:
    if not isinstance(data, np.ndarray):
        raise ValueError("a parameter that is no tensor")
    return data
