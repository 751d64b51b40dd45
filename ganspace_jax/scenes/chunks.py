"""Batched functions applied to any number of rows, with one compiled program."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

CHUNK = 256


def map_chunks(function: Callable[[Any], Any], arrays: Any, size: int = CHUNK) -> Any:
    """Applies a function to chunks of `size` rows and concatenates the results.

    Zeros fill the last chunk. Because all chunks have one shape, `function`
    compiles once.

    Args:
        function: function of a tree of arrays [size, ...] that treats rows
            independently.
        arrays: tree of arrays [n, ...].
        size: rows per chunk.
    """
    arrays = jax.tree.map(np.asarray, arrays)
    num_rows = len(jax.tree.leaves(arrays)[0])

    def cut(x, start):
        piece = x[start : start + size]
        return np.concatenate([piece, np.zeros((size - len(piece), *x.shape[1:]), x.dtype)])

    pieces = []
    for start in range(0, max(num_rows, 1), size):
        result = function(jax.tree.map(functools.partial(cut, start=start), arrays))
        pieces.append(jax.tree.map(lambda y, kept=num_rows - start: np.asarray(y)[:kept], result))
    return jax.tree.map(lambda *parts: jnp.asarray(np.concatenate(parts)), *pieces)
