"""A CPU makes a batch piece by piece, in one program: with activations that stay in its cache it is up to twice as fast."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax

_CACHE = 8_000_000  # bytes of a piece's largest activation

Tree = TypeVar("Tree")


def in_pieces(run: Callable[[Any], Tree], batch: Any, bytes_per_row: int) -> Tree:
    """run(batch), for a function of a tree of arrays [n, ...] that treats every row alike, inside jit.

    bytes_per_row: of the largest activation on the way. Other devices than CPUs take the batch as a whole.
    """
    count = len(jax.tree.leaves(batch)[0])
    pieces = min(count, -(-count * bytes_per_row // _CACHE))
    if pieces <= 1:
        return run(batch)
    rows = -(-count // pieces)
    # The last row again, to fill the last piece.
    numbers = jnp.minimum(jnp.arange(pieces * rows), count - 1).reshape(pieces, rows)

    def one_by_one(batch: Any) -> Tree:
        made = lax.map(lambda own: run(jax.tree.map(lambda x: x[own], batch)), numbers)
        return jax.tree.map(lambda x: x.reshape(pieces * rows, *x.shape[2:])[:count], made)

    return lax.platform_dependent(batch, cpu=one_by_one, default=run)
