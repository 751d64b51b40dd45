"""Writes files of torch.save, in both formats, and safetensors, without either
library.
"""

import json
import pathlib
import pickle
import struct
import zipfile
from typing import Any

import ml_dtypes
import numpy as np

_STORAGES = {
    np.dtype(np.float16): "Half", np.dtype(ml_dtypes.bfloat16): "BFloat16", np.dtype(np.float32): "Float",
    np.dtype(np.float64): "Double", np.dtype(np.int64): "Long",
}  # fmt: skip
_SAFETENSORS = {np.dtype(np.float32): "F32", np.dtype(np.float16): "F16", np.dtype(ml_dtypes.bfloat16): "BF16"}
_MAGIC = (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True})


class Parameter:
    """A tensor that requires a gradient, as torch.nn.Parameter."""

    def __init__(self, array):
        self.array = array


def write_torch(path, content, *, legacy=False):
    """Writes nested dictionaries and lists of arrays, texts and numbers."""
    arrays = []
    pickled = b"\x80\x02" + _pickled(content, arrays) + b"."
    if legacy:
        head = b"".join(pickle.dumps(one, protocol=2) for one in _MAGIC)
        keys = pickle.dumps([str(k) for k in range(len(arrays))], protocol=2)
        numbers = b"".join(struct.pack("<q", array.size) + array.tobytes() for array in arrays)
        pathlib.Path(path).write_bytes(head + pickled + keys + numbers)
        return
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled)
        for k, array in enumerate(arrays):
            archive.writestr(f"archive/data/{k}", array.tobytes())


def _pickled(value, arrays):
    if isinstance(value, Parameter):
        return b"ctorch._utils\n_rebuild_parameter\n(" + _pickled(value.array, arrays) + b"\x88" + _HOOKS + b"tR"
    if isinstance(value, np.ndarray):
        return _tensor(np.ascontiguousarray(value), arrays)
    if isinstance(value, dict):
        return b"}(" + b"".join(_pickled(one, arrays) for pair in value.items() for one in pair) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(_pickled(one, arrays) for one in value) + b"e"
    return pickle.dumps(value, protocol=2)[2:-1]


_HOOKS = b"ccollections\nOrderedDict\n)R"


def _tensor(array, arrays):
    key = str(len(arrays))
    arrays.append(array)
    location = b"".join(pickle.dumps(one, protocol=2)[2:-1] for one in (key, "cuda:0", array.size))
    storage = b"(" + pickle.dumps("storage", protocol=2)[2:-1] + f"ctorch\n{_STORAGES[array.dtype]}Storage\n".encode()
    sizes = [array.shape, tuple(stride // array.itemsize for stride in array.strides)]
    arguments = [b"K\x00", *(pickle.dumps(one, protocol=2)[2:-1] for one in sizes), b"\x89", _HOOKS]
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + location + b"tQ" + b"".join(arguments) + b"tR"


def write_safetensors(path, arrays, **changes):
    """Writes arrays by name; `changes` replace entries of the header."""
    numbers = b""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for name, array in arrays.items():
        offsets = [len(numbers), len(numbers) + array.nbytes]
        header[name] = {"dtype": _SAFETENSORS[array.dtype], "shape": array.shape, "data_offsets": offsets}
        numbers += array.tobytes()
    text = json.dumps({**header, **changes}).encode()
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + numbers)
