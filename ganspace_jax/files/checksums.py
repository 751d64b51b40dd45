"""Computes SHA-256 checksums of arrays, which reveal damage that Orbax does
not detect.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def named_arrays(arrays: Any) -> dict[str, Any]:
    """Returns the leaves of a tree by dotted names, such as `layer.weight`."""
    leaves = jax.tree_util.tree_leaves_with_path(arrays)
    return {".".join(str(getattr(key, "key", key)) for key in path): leaf for path, leaf in leaves}


def of_array(array: Any) -> str:
    """Returns the checksum of an array's type, shape and bytes, as 64 hexadecimal
    digits.

    The digest covers the line "float32 (2, 3)", then the numbers in C order.
    """
    numbers = np.ascontiguousarray(array)
    digest = hashlib.sha256(f"{numbers.dtype.name} {np.shape(array)}\n".encode())
    digest.update(numbers.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def of_arrays(arrays: Mapping[str, Any]) -> np.ndarray:
    """Returns one checksum of many named arrays, as 32 bytes in an array."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {of_array(arrays[name])}\n".encode())
    return np.frombuffer(digest.digest(), np.uint8)


def of_json(value: Any) -> str:
    """Returns the checksum of a JSON value, as 64 hexadecimal digits.

    The digest covers the value's text with sorted names. So the layout of a file does
    not change it.
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
