"""Moves latents and activations by arrays: all edits in one compiled program.

The program depends on shapes only. Steps, layers and directions are its arguments. The
number of edits is filled up to a power of two, with edits that move nothing.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ganspace_jax.shapes import Array, Bool, Float


class Steps(NamedTuple):
    """Steps along directions, one row each.

    Attributes:
        directions: directions, in the shape of one latent or activation.
        amounts: lengths of the steps, in multiples of the directions.
        moves: entries that are moved.
    """

    directions: Float[np.ndarray, "k *dense"]
    amounts: Float[np.ndarray, "k"]
    moves: Bool[np.ndarray, "k *mask"]


class Settings(NamedTuple):
    """Coordinates that are set together, one row each.

    Attributes:
        weights: weight of every number of the latents in a coordinate.
        targets: coordinates to set.
        solution: matrix from missing coordinates (rows) to multiples of the moves.
        moves: change of the latents for a multiple of 1.
    """

    weights: Float[np.ndarray, "m layers d"]
    targets: Float[np.ndarray, "m"]
    solution: Float[np.ndarray, "m m"]
    moves: Float[np.ndarray, "m layers d"]


def sizes(most: int) -> list[int]:
    """Returns the numbers of rows to which 1 to `most` edits are filled up."""
    return [1 << power for power in range((most - 1).bit_length() + 1)]


def _filled(rows: np.ndarray, num_axes: int = 1) -> np.ndarray:
    """Returns rows with zeros behind them, along the first axes."""
    behind = sizes(len(rows))[-1] - len(rows)
    if not behind:
        return rows
    return np.pad(rows, [(0, behind if axis < num_axes else 0) for axis in range(rows.ndim)])


def add(
    start: Float[Array, "n *dense"],
    steps: Steps,
    away: Float[Array, "n *dense"] | None = None,
    axes: tuple[int, ...] = (),
) -> Float[Array, "n *dense"]:
    """Returns start + sum of amount * direction over the steps, where they move.

    Args:
        start: latents, or zeros.
        steps: at least one step.
        away: if it is given, its coordinate along each direction is taken from the
            direction's amount.
        axes: axes of `away` over which the coordinate sums.
    """
    return _add(start, away, Steps(*map(_filled, steps)), axes)


@functools.partial(jax.jit, static_argnames="axes")
def _add(start, away, steps, axes):
    def one(moved, step):
        amount = step.amounts
        if away is not None:
            amount = amount - _coordinate(away, step.directions, axes)
        return moved + jnp.where(step.moves, amount * step.directions, 0.0), None

    # One after another, so that edits which move nothing change no rounding.
    return lax.scan(one, start, steps)[0]


def _coordinate(away: Array, direction: Array, axes: tuple[int, ...]) -> Array:
    """Returns the multiple of the direction in each vector. The direction need not have
    unit length.
    """
    square = jnp.sum(direction[None] ** 2, axis=axes, keepdims=True)
    return jnp.sum(away * direction, axis=axes, keepdims=True) / jnp.where(square > 0, square, 1.0)


def set_coordinates(
    latents: Float[Array, "n layers d"], mean: Float[Array, "layers d"], settings: Settings
) -> Float[Array, "n layers d"]:
    """Returns latents + (targets - coordinates) @ solution @ moves, where a coordinate
    is <latents - mean, weights>.
    """
    weights, targets, solution, moves = settings
    filled = Settings(_filled(weights), _filled(targets), _filled(solution, 2), _filled(moves))
    return _set(latents, mean, jax.tree.map(lambda rows: np.asarray(rows, np.float32), filled))


@jax.jit
def _set(latents, mean, settings):
    product = functools.partial(jnp.einsum, precision=lax.Precision.HIGHEST)
    now = product("nld,mld->nm", latents - mean, settings.weights)
    multiples = product("nm,mk->nk", settings.targets - now, settings.solution)
    return latents + product("nm,mld->nld", multiples, settings.moves)
