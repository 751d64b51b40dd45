"""Monotone piecewise-linear curves g, which turn a coordinate into a value.

A curve is constant beyond its outer knots (Plumerault et al. 2020, section 3.2). Its
slopes solve a non-negative least squares problem, so no learning rate is needed.
"""

from typing import NamedTuple

import numpy as np

from ganspace_jax.shapes import Float

NUM_KNOTS = 9
NUM_KNOTS_OF_FEW = 5
FEW = 500  # samples below which NUM_KNOTS_OF_FEW are used
REACH = 3.0  # outer knots, in standard deviations of the coordinate


class Curve(NamedTuple):
    """Curve that never falls.

    Attributes:
        knots: coordinates of the knots, ascending.
        values: values at the knots.
    """

    knots: Float[np.ndarray, "k"]
    values: Float[np.ndarray, "k"]


def even_knots(x: Float[np.ndarray, "n"], num_knots: int | None = None) -> Float[np.ndarray, "k"]:
    """Returns knots at equal distances over +-3 standard deviations about the mean.

    Args:
        x: coordinates of the samples.
        num_knots: number of knots, at least 2; None: 9, or 5 for fewer than 500
            samples.
    """
    if num_knots is None:
        num_knots = NUM_KNOTS if len(x) >= FEW else NUM_KNOTS_OF_FEW
    return np.mean(x) + REACH * np.std(x) * np.linspace(-1.0, 1.0, num_knots)


def fit(x: Float[np.ndarray, "n"], y: Float[np.ndarray, "n"], knots: Float[np.ndarray, "k"]) -> Curve:
    """Returns the curve g that minimises sum (g(x) - y)^2."""
    columns = _rises(np.asarray(x, np.float64), knots)
    y = np.asarray(y, np.float64)
    slopes = _non_negative(columns - columns.mean(0), y - y.mean())
    first = y.mean() - columns.mean(0) @ slopes
    return Curve(np.asarray(knots, np.float64), first + np.concatenate([[0.0], np.cumsum(slopes * np.diff(knots))]))


def fit_differences(
    before: Float[np.ndarray, "n"], after: Float[np.ndarray, "n"], change: Float[np.ndarray, "n"],
    knots: Float[np.ndarray, "k"],
) -> Curve:  # fmt: skip
    """Returns the curve g with g(0) = 0 that minimises
    sum (g(after) - g(before) - change)^2.
    """
    columns = _rises(np.asarray(after, np.float64), knots) - _rises(np.asarray(before, np.float64), knots)
    slopes = _non_negative(columns, np.asarray(change, np.float64))
    curve = Curve(np.asarray(knots, np.float64), np.concatenate([[0.0], np.cumsum(slopes * np.diff(knots))]))
    return curve._replace(values=curve.values - evaluate(curve, np.zeros(1))[0])


def evaluate(curve: Curve, x: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Returns g(x)."""
    return np.interp(x, curve.knots, curve.values)


def invert(curve: Curve, y: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Returns the coordinates x with g(x) = y.

    A value beyond the curve's range gives the innermost coordinate that reaches the end
    of the range. On a flat part, the middle of the part is returned.
    """
    curve = _without_flat_ends(curve)
    y = np.clip(np.asarray(y, np.float64), curve.values[0], curve.values[-1])
    left = np.searchsorted(curve.values, y, side="left").clip(1, len(curve.values) - 1)
    right = np.searchsorted(curve.values, y, side="right").clip(1, len(curve.values) - 1)
    return 0.5 * (_on_piece(curve, y, left) + _on_piece(curve, y, right))


def _without_flat_ends(curve: Curve) -> Curve:
    first = np.flatnonzero(curve.values <= curve.values[0])[-1]
    last = np.flatnonzero(curve.values >= curve.values[-1])[0]
    return Curve(curve.knots[first : last + 1], curve.values[first : last + 1]) if first < last else curve


def _on_piece(curve: Curve, y: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Returns the coordinates of values on the pieces that end at the knots `end`."""
    low, high = curve.values[end - 1], curve.values[end]
    share = np.where(high > low, (y - low) / np.where(high > low, high - low, 1.0), 0.5)
    return curve.knots[end - 1] + share * (curve.knots[end] - curve.knots[end - 1])


def _rises(x: np.ndarray, knots: np.ndarray) -> Float[np.ndarray, "n pieces"]:
    """Returns the part of each piece that lies below each x."""
    return np.clip(x[:, None] - knots[:-1], 0.0, np.diff(knots))


def _non_negative(columns: np.ndarray, y: np.ndarray) -> np.ndarray:
    import scipy.optimize  # imported here: it takes a fifth of a second

    return scipy.optimize.nnls(columns, y)[0]
