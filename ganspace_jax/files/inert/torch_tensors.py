"""Defines the names in torch's pickles: tensors, storages, and the objects beside them.

A tensor becomes a NumPy array that is a view of a storage. Torch is not needed. A
tensor of another kind, such as a sparse or a quantised one, becomes a record.
"""

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from ganspace_jax.files.inert import limits, numpy_pickles, records
from ganspace_jax.files.inert.limits import Allowance
from ganspace_jax.files.inert.records import Name, Record
from ganspace_jax.files.inert.unpickler import Vocabulary

_BYTES_PER_VIEW = 256  # of memory, per array that shares its numbers with another one
_UNTYPED = Name("torch.storage", "UntypedStorage")  # its numbers are bytes
_STORAGES: dict[Name, np.dtype] = {
    _UNTYPED: np.dtype(np.uint8),
    **{
        Name("torch", f"{name}Storage"): np.dtype(dtype)
        for name, dtype in {
            "Double": np.float64, "Float": np.float32, "Half": np.float16, "BFloat16": ml_dtypes.bfloat16,
            "ComplexFloat": np.complex64, "ComplexDouble": np.complex128, "Long": np.int64, "Int": np.int32,
            "Short": np.int16, "Char": np.int8, "Byte": np.uint8, "Bool": np.bool_,
            "QInt8": np.int8, "QUInt8": np.uint8, "QInt32": np.int32,
        }.items()
    },
}  # fmt: skip
_DTYPES = {
    Name("torch", name): np.dtype(getattr(ml_dtypes, name, name))
    for name in (
        "float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int64", "int32", "int16", "int8",
        "uint64", "uint32", "uint16", "uint8", "bool", "complex64", "complex128",
    )
}  # fmt: skip

PERSISTENT = "torch_utils.persistence"  # module in the names of NVIDIA's persistent objects

ReadNumbers = Callable[[str, np.dtype, int], np.ndarray]


class Storage(NamedTuple):
    """A row of numbers that tensors are views of."""

    values: np.ndarray


class Storages:
    """The storages of a file by key.

    A storage is read only after a check that the file is large enough for it.
    """

    def __init__(self, size: int, read_numbers: ReadNumbers, *, is_at_end: bool = False):
        """Starts without storages.

        Args:
            size: Size of the file in bytes.
            read_numbers: Function (key, dtype, count) that returns the numbers of a
                storage.
            is_at_end: True if the numbers are at the end of the file, so that they are
                missing from a file that is cut short.
        """
        self._left, self._read_numbers, self._is_at_end = size, read_numbers, is_at_end
        self.by_key: dict[str, Storage] = {}

    def refer(self, identifier: Any) -> Any:
        """Returns the value of a reference, or NotImplemented for an unknown kind.

        The reference ("storage", type, key, location, count[, view]) is a storage. The
        older format has references ("module", class, source file, source), which are
        the class.
        """
        if type(identifier) is not tuple or len(identifier) < 2 or type(identifier[0]) is not str:
            return NotImplemented
        kind, storage_type = identifier[:2]
        if type(storage_type) is Name and kind == "module":
            return storage_type
        if type(storage_type) is not Name or kind != "storage" or len(identifier) < 5 or storage_type not in _STORAGES:
            return NotImplemented
        key, _, count = identifier[2:5]
        if type(key) not in (str, int) or type(count) is not int or any(identifier[5:6]):
            raise ValueError("refers to a storage in an unknown way")
        return self._storage(str(key), _STORAGES[storage_type], count)

    def _storage(self, key: str, dtype: np.dtype, count: int) -> Storage:
        if key not in self.by_key:
            self._left -= count * dtype.itemsize
            if count < 0 or self._left < 0:
                error = limits.CutShortError if self._is_at_end and count >= 0 else ValueError
                raise error(f"a storage of {count:,} numbers is larger than the file")
            self.by_key[key] = Storage(self._read_numbers(key, dtype, count))
        if (self.by_key[key].values.dtype, len(self.by_key[key].values)) != (dtype, count):
            raise ValueError(f"storage {key} is named with another type or size")
        return self.by_key[key]


def vocabulary(allowance: Allowance, refer: Callable[[Any], Any] | None = None) -> Vocabulary:
    """Returns the names in a pickle of tensors, and in the objects that are saved with
    them.

    Attributes of dictionaries, such as `_metadata`, are dropped.

    Args:
        allowance: What the file may still cost.
        refer: Function that returns the value of a reference, or None for pickles
            without references.
    """
    numbers = numpy_pickles.vocabulary(allowance)
    make_dict = functools.partial(_dict, allowance)
    rebuild = {
        Name("torch._utils", "_rebuild_tensor"): functools.partial(_view, allowance),
        Name("torch._utils", "_rebuild_tensor_v2"): functools.partial(_view, allowance),
        Name("torch._utils", "_rebuild_tensor_v3"): functools.partial(_typed_view, allowance),
        Name("torch._utils", "_rebuild_parameter"): _parameter,
        Name("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    }
    return Vocabulary(
        calls={
            **numbers.calls,
            Name("collections", "OrderedDict"): make_dict,
            Name("collections", "defaultdict"): _default_dict,
            Name("*", "EasyDict"): make_dict,  # of NVIDIA's dnnlib, wherever it lies
            Name("*", "_reconstruct_persistent_obj"): functools.partial(_persistent_object, allowance),
            Name("argparse", "Namespace"): _Flags,
            Name("torch", "Size"): _size,
            Name("torch", "device"): _device,
            Name("torch._tensor", "_rebuild_from_type_v2"): functools.partial(_of_type, rebuild),
            **rebuild,
        },
        states={
            **numbers.states,
            dict: lambda mapping, attributes: None,
            _Flags: functools.partial(_set_flags, allowance),
        },
        finished=numbers.finished,
        refer=refer,
    )


def _dict(allowance: Allowance, pairs: Any = ()) -> Any:
    """Replaces an OrderedDict or an EasyDict. Python 2 passes the pairs here; Python 3
    adds them later.
    """
    if isinstance(pairs, dict):
        pairs = tuple(pairs.items())
    if not isinstance(pairs, list | tuple):
        return NotImplemented
    allowance.spend(limits.BYTES_PER_ITEM * len(pairs))
    return {records.as_key(allowance, key): value for key, value in pairs}


def _default_dict(*_: Any) -> dict[Any, Any]:
    """Replaces a defaultdict. The pickle adds its items later, and its factory is
    dropped.
    """
    return {}


def _persistent_object(allowance: Allowance, meta: Any) -> Any:
    """Returns the record of an object of NVIDIA's torch_utils.persistence.

    Its name is the class's name, and its state the attributes. The class's source code
    is dropped.

    Args:
        allowance: What the file may still cost.
        meta: Dictionary with the keys type, class_name, module_src and state.
    """
    name = meta.get("class_name") if isinstance(meta, dict) else None
    if not isinstance(name, str) or "state" not in meta:
        return NotImplemented
    record = records.make(allowance, Name(PERSISTENT, name))
    record.state = meta["state"]
    return record


class _Flags(dict[str, Any]):
    """A replacement of argparse.Namespace, which stores the flags of a training run."""


def _set_flags(allowance: Allowance, flags: _Flags, attributes: Any) -> None:
    if not isinstance(attributes, dict):
        raise ValueError("flags that are in no dictionary")
    allowance.spend(limits.BYTES_PER_ITEM * len(attributes))
    flags.update(attributes)


def _size(sizes: Any = ()) -> tuple[int, ...]:
    return limits.as_sizes(sizes)


def _of_type(rebuild: Mapping[Name, Callable[..., Any]], function: Any, _: Any, arguments: Any, *__: Any) -> Any:
    """Returns a tensor of a class of its own as a plain tensor.

    Args:
        rebuild: Functions that return plain tensors, by name.
        function: Name of the function that returns the tensor's numbers.
        arguments: Arguments of that function.
    """
    make = rebuild.get(function) if type(function) is Name else None
    is_call = make is not None and type(arguments) is tuple and len(arguments) <= limits.MAX_ARGUMENTS
    return make(*arguments) if make and is_call else NotImplemented


def _device(kind: Any, number: Any = None) -> Any:
    """Returns the text of a torch.device, such as cuda:0."""
    if not isinstance(kind, str) or type(number) not in (int, type(None)):
        return NotImplemented
    return limits.as_key(kind if number is None else f"{kind[:20]}:{number}")


def _view(allowance: Allowance, storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Any:
    """Returns a tensor as a view of its storage.

    Raises:
        ValueError: The tensor reaches beyond its storage, or repeats its numbers more
            often than the allowance permits.
    """
    if isinstance(storage, Record):
        return NotImplemented
    shape, strides = limits.as_sizes(shape), limits.as_sizes(strides)
    if not isinstance(storage, Storage) or type(offset) is not int:
        raise ValueError("a tensor without a storage")
    allowance.spend(_BYTES_PER_VIEW)
    values, count = storage.values, math.prod(shape)
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if offset < 0 or (count and last >= len(values)):
        raise ValueError(f"a tensor of shape {shape} reaches beyond its storage")
    if count > len(values):  # of torch.expand: its numbers repeat
        allowance.spend(count * values.itemsize)
    if not count:
        return np.zeros(shape, values.dtype)
    steps = [stride * values.itemsize for stride in strides]
    return np.ndarray(shape, values.dtype, values.view(np.uint8), offset * values.itemsize, steps)


def _typed_view(
    allowance: Allowance, storage: Any, offset: Any, shape: Any, strides: Any, _: Any, __: Any, dtype: Any, *___: Any
) -> Any:
    """Returns a tensor as a view of a storage of bytes."""
    if not isinstance(storage, Storage) or type(dtype) is not Name or dtype not in _DTYPES:
        return NotImplemented
    return _view(allowance, Storage(storage.values.view(_DTYPES[dtype])), offset, shape, strides)


def _parameter(data: Any, *_: Any) -> Any:
    return data if isinstance(data, np.ndarray) else NotImplemented
