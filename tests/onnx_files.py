"""Small ONNX files, written by hand. Protocol Buffers number each field; the numbers
are those of ONNX's onnx.proto.
"""

FLOAT, UINT8, INT64 = 1, 2, 7  # element types
BATCH = (None, 3, None, None)


def _number(value):
    """Returns a varint."""
    value &= 2**64 - 1
    groups = [value >> shift & 127 for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([group | 128 for group in groups[:-1]] + groups[-1:])


def _field(number, value):
    """Returns one field: a number, or text, bytes and messages with their length."""
    if isinstance(value, int):
        return _number(number << 3) + _number(value)
    value = value.encode() if isinstance(value, str) else value
    return _number(number << 3 | 2) + _number(len(value)) + value


def _tensor(name, element_type, shape):
    dims = [
        _field(1, _field(1, size) if isinstance(size, int) else _field(2, f"{name}{i}")) for i, size in enumerate(shape)
    ]
    kind = _field(1, element_type) + _field(2, b"".join(dims))
    return _field(1, name) + _field(2, _field(1, kind))


def node(operator, inputs, outputs, domain="", **attributes):
    """Returns a node. Attributes are whole numbers or lists of them."""
    parts = [_field(1, name) for name in inputs] + [_field(2, name) for name in outputs] + [_field(4, operator)]
    for name, value in attributes.items():
        if isinstance(value, int):
            values = _field(3, value) + _field(20, 2)
        else:
            values = b"".join(_field(8, one) for one in value) + _field(20, 7)
        parts.append(_field(5, _field(1, name) + values))
    return b"".join(parts) + _field(7, domain)


def write(path, nodes, outputs, *, inputs=None, metadata=None):
    """Writes a model.

    Args:
        path: the file.
        nodes: nodes in the order in which they run.
        outputs: name -> (element type, shape).
        inputs: name -> (element type, shape); by default the image.
        metadata: texts by key.
    """
    inputs = {"image": (FLOAT, BATCH)} if inputs is None else inputs
    graph = b"".join(_field(1, one) for one in nodes) + _field(2, "graph")
    graph += b"".join(_field(11, _tensor(name, *one)) for name, one in inputs.items())
    graph += b"".join(_field(12, _tensor(name, *one)) for name, one in outputs.items())
    opsets = _field(8, _field(2, 13)) + _field(8, _field(1, "mine") + _field(2, 1))
    texts = b"".join(_field(14, _field(1, key) + _field(2, value)) for key, value in (metadata or {}).items())
    path.write_bytes(_field(1, 8) + _field(7, graph) + opsets + texts)
    return path
