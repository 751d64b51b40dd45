"""Defines the names in NumPy's pickles: arrays, numbers and types, and Python's sets
and bytes.
"""

import functools
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ganspace_jax.files.inert import limits
from ganspace_jax.files.inert.limits import Allowance
from ganspace_jax.files.inert.unpickler import Name, Vocabulary

_NDARRAY = Name("numpy", "ndarray")
_DTYPES = re.compile(
    r"b1|[iu][1248]|f[248]|c(8|16)|[SU][1-9]\d{0,3}"
)  # empty texts need no bytes, whatever their shape


class _Dtype:
    """A dtype; the pickle sets its byte order later."""

    def __init__(self, code: Any, *_: Any):
        if not isinstance(code, str) or not _DTYPES.fullmatch(code):
            found = repr(code[:20]) if isinstance(code, str) else type(code).__name__
            raise ValueError(f"an array of the type {found}; numbers and text are read, objects never")
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
    """Returns the names in a pickle of arrays."""
    make_array, make_set = functools.partial(_array, allowance), functools.partial(_set, allowance)
    makers: Mapping[tuple[str, str], Callable[..., Any]] = {
        ("multiarray", "_reconstruct"): _unfilled,
        ("multiarray", "scalar"): lambda dtype, data: make_array(data, dtype, ())[()],
        ("numeric", "_frombuffer"): make_array,  # since protocol 5
    }
    return Vocabulary(
        calls={
            Name("builtins", "set"): make_set,
            Name("__builtin__", "set"): make_set,
            Name("_codecs", "encode"): functools.partial(_encode, allowance),
            Name("numpy", "dtype"): _Dtype,
            _NDARRAY: None,
            **{Name(f"numpy.core.{module}", name): make for (module, name), make in makers.items()},
            **{Name(f"numpy._core.{module}", name): make for (module, name), make in makers.items()},
        },
        states={_Dtype: _Dtype.set_state, np.ndarray: functools.partial(_fill, allowance)},
    )


def _set(allowance: Allowance, items: Any = ()) -> set[Any]:
    allowance.spend(limits.BYTES_PER_ITEM * len(items))
    return set(map(limits.as_key, items))


def _encode(allowance: Allowance, text: Any, encoding: Any) -> bytes:
    """Returns the bytes that Python 3 wrote as text, because protocol 2 has
    no bytes.
    """
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes that are not written as Latin-1")
    allowance.spend(len(text))
    return text.encode("latin-1")


def _unfilled(array_type: Any, *_: Any) -> np.ndarray:
    if not isinstance(array_type, Name) or array_type != _NDARRAY:
        raise ValueError("an array of a class of its own")
    return np.zeros(0, np.uint8)


def _fill(allowance: Allowance, array: np.ndarray, state: Any) -> None:
    """Sets the numbers of an array in place, because other values may refer to it
    already.
    """
    _, shape, dtype, fortran_order, data = state
    shape, dtype, data = _checked(allowance, shape, dtype, data)
    array.__setstate__((1, shape, dtype, bool(fortran_order), data))  # type: ignore[arg-type]


def _array(allowance: Allowance, data: Any, dtype: Any, shape: Any, order: Any = "C") -> np.ndarray:
    shape, dtype, data = _checked(allowance, shape, dtype, data)
    return np.frombuffer(data, dtype).reshape(shape, order=order)


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
