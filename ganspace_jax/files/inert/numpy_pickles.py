"""Defines the names in NumPy's pickles: arrays, numbers and types, and Python's sets
and bytes.
"""

import functools
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ganspace_jax.files.inert import limits, records
from ganspace_jax.files.inert.limits import Allowance
from ganspace_jax.files.inert.records import Name, Record
from ganspace_jax.files.inert.unpickler import Vocabulary

_NDARRAY = Name("numpy", "ndarray")
_DTYPES = re.compile(
    r"b1|[iu][1248]|f[248]|c(8|16)|[SU][1-9]\d{0,3}"
)  # empty texts need no bytes, whatever their shape


class _Dtype:
    """A dtype; the pickle sets its byte order later."""

    def __init__(self, code: str):
        self.dtype = np.dtype(code)

    def set_state(self, state: Any) -> None:
        """Sets the byte order; raises ValueError for structured dtypes.

        Args:
            state: Tuple (version, byte order, None, None, None, ...).
        """
        _, order, *parts = state
        if order not in ("<", ">", "=", "|") or any(part is not None for part in parts[:3]):
            raise ValueError("an array of a type with parts; numbers and text are read")
        self.dtype = self.dtype.newbyteorder(order)


def vocabulary(allowance: Allowance) -> Vocabulary:
    """Returns the names in a pickle of arrays.

    Arrays of objects, structures and dates remain records, and so do arrays of classes
    of their own.
    """
    make_array, make_set = functools.partial(_array, allowance), functools.partial(_set, allowance)
    makers: Mapping[tuple[str, str], Callable[..., Any]] = {
        ("multiarray", "_reconstruct"): functools.partial(_unfilled, allowance),
        ("multiarray", "scalar"): functools.partial(_scalar, allowance),
        ("numeric", "_frombuffer"): make_array,  # since protocol 5
    }
    return Vocabulary(
        calls={
            Name("builtins", "set"): make_set,
            Name("__builtin__", "set"): make_set,
            Name("_codecs", "encode"): functools.partial(_encode, allowance),
            Name("numpy", "dtype"): _dtype,
            **{Name(f"numpy.core.{module}", name): make for (module, name), make in makers.items()},
            **{Name(f"numpy._core.{module}", name): make for (module, name), make in makers.items()},
        },
        states={_Dtype: _Dtype.set_state},
        finished={_NDARRAY: functools.partial(_filled, allowance)},
    )


def _dtype(code: Any, *_: Any) -> Any:
    return _Dtype(code) if isinstance(code, str) and _DTYPES.fullmatch(code) else NotImplemented


def _set(allowance: Allowance, items: Any = ()) -> Any:
    if not isinstance(items, list | tuple | set | frozenset):
        return NotImplemented
    allowance.spend(limits.BYTES_PER_ITEM * len(items))
    return {records.as_key(allowance, item) for item in items}


def _encode(allowance: Allowance, text: Any, encoding: Any) -> Any:
    """Returns the bytes that Python 3 wrote as text, because protocol 2 has
    no bytes.
    """
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        return NotImplemented
    allowance.spend(len(text))
    return text.encode("latin-1")


def _unfilled(allowance: Allowance, array_type: Any, *arguments: Any) -> Record:
    """Returns a record that its state replaces by an array, unless the array has a
    class of its own.
    """
    name = array_type if isinstance(array_type, Name) else Name("numpy", "array")
    return records.make(allowance, name, arguments)


def _filled(allowance: Allowance, state: Any) -> Any:
    """Returns the array with a state (version, shape, dtype, order, data)."""
    _, shape, dtype, fortran_order, data = state
    return _array(allowance, data, dtype, shape, "F" if fortran_order else "C")


def _array(allowance: Allowance, data: Any, dtype: Any, shape: Any, order: Any = "C") -> Any:
    if isinstance(dtype, Record):
        return NotImplemented
    shape, dtype, data = _checked(allowance, shape, dtype, data)
    return np.frombuffer(data, dtype).reshape(shape, order=order)


def _scalar(allowance: Allowance, dtype: Any, data: Any) -> Any:
    array = _array(allowance, data, dtype, ())
    return array if array is NotImplemented else array[()]


def _checked(allowance: Allowance, shape: Any, dtype: Any, data: Any) -> tuple[tuple[int, ...], np.dtype, bytes]:
    """Returns shape, type and bytes; raises ValueError unless they agree.

    The bytes can be a text, as Python 2 wrote them.
    """
    shape = limits.as_sizes(shape)
    if not isinstance(dtype, _Dtype) or not isinstance(data, str | bytes | bytearray):
        raise ValueError("an array of something other than numbers")
    count = dtype.dtype.itemsize * math.prod(shape)
    if count != len(data):
        raise ValueError(f"an array of shape {shape} has {len(data):,} bytes and not {count:,}")
    allowance.spend(count)
    return shape, dtype.dtype, data.encode("latin-1") if isinstance(data, str) else bytes(data)
