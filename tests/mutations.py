"""Damage to files, drawn with a random generator: what disks, networks and hands do."""

import numpy as np


def one(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    """Returns the name of a random kind of damage, and the damaged bytes."""
    kind = KINDS[rng.integers(len(KINDS))]
    return kind.__name__.strip("_"), bytes(kind(rng, bytearray(data)))


def _place(rng, data):
    return int(rng.integers(len(data) + 1))


def _flip_a_bit(rng, data):
    if data:
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    return data


def _flip_twenty_bits(rng, data):
    for _ in range(20):
        data = _flip_a_bit(rng, data)
    return data


def _zero_a_stretch(rng, data):
    start = _place(rng, data)
    stop = min(len(data), start + int(rng.integers(1, 200)))
    data[start:stop] = bytes(stop - start)
    return data


def _randomize_a_stretch(rng, data):
    start = _place(rng, data)
    stop = min(len(data), start + int(rng.integers(1, 200)))
    data[start:stop] = rng.bytes(stop - start)
    return data


def _truncate(rng, data):
    return data[: _place(rng, data)]


def _insert(rng, data):
    start = _place(rng, data)
    return data[:start] + rng.bytes(int(rng.integers(1, 50))) + data[start:]


def _delete(rng, data):
    start = _place(rng, data)
    return data[:start] + data[start + int(rng.integers(1, 200)) :]


def _delete_all(rng, data):
    return data[:0]


KINDS = (
    _flip_a_bit,
    _flip_twenty_bits,
    _zero_a_stretch,
    _randomize_a_stretch,
    _truncate,
    _insert,
    _delete,
    _delete_all,
)
