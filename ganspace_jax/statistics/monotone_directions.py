"""A direction u and a monotone curve g that explain differences of pairs of points.

Plumerault et al., "Controlling generative models with continuous factors of
variations", ICLR 2020, section 3.2: the fit minimises

    sum over pairs of (g(<after, u>) - g(<before, u>) - change)^2

without the worst tenth of the pairs.
"""

from typing import NamedTuple

import numpy as np

from ganspace_jax.shapes import Float
from ganspace_jax.statistics import monotone_curves
from ganspace_jax.statistics.monotone_curves import Curve

DROPPED = 0.1  # share of the pairs with the largest errors
RIDGE = 0.1  # of |u|^2, relative to the pairs' mean squared coordinate (the paper's L2 term)
_NUM_ROUNDS = 20  # of fitting u and g in turn
_STEP = 0.5  # share of a Gauss-Newton step


class MonotoneDirection(NamedTuple):
    """A direction with its curve.

    Attributes:
        unit: unit vector u.
        curve: curve g from <point, u> to the value.
        error: square root of the mean squared error of the kept pairs.
    """

    unit: Float[np.ndarray, "l"]
    curve: Curve
    error: float


def fit(
    before: Float[np.ndarray, "p l"], after: Float[np.ndarray, "p l"], change: Float[np.ndarray, "p"],
    num_knots: int = monotone_curves.NUM_KNOTS,
) -> MonotoneDirection:  # fmt: skip
    """Returns the direction and the curve of pairs of points.

    u and g are fitted in turn: g by non-negative least squares, u by a damped
    Gauss-Newton step. Each round leaves out the pairs that the round before explains
    worst. The round with the smallest error counts.

    Args:
        before: first points, of mean 0 and standard deviation about 1 on every axis.
        after: second points.
        change: how much the value changes from the first point to the second.
        num_knots: number of knots at equal distances over [-3, 3]. g is constant
            beyond.
    """
    knots = monotone_curves.REACH * np.linspace(-1.0, 1.0, num_knots)
    kept = np.ones(len(change), bool)
    unit = _normalised(_ridge(after - before, change))
    best: MonotoneDirection | None = None
    for _ in range(_NUM_ROUNDS):
        first, last = before @ unit, after @ unit
        curve = monotone_curves.fit_differences(first[kept], last[kept], change[kept], knots)
        missed = change - monotone_curves.evaluate(curve, last) + monotone_curves.evaluate(curve, first)
        kept = np.square(missed) <= np.quantile(np.square(missed), 1.0 - DROPPED)
        error = float(np.sqrt(np.mean(np.square(missed[kept]))))
        if best is None or error < best.error:
            best = MonotoneDirection(unit, curve, error)
        rows = _slope(curve, last)[:, None] * after - _slope(curve, first)[:, None] * before
        unit = _normalised(unit + _STEP * _ridge(rows[kept], missed[kept]))
    assert best is not None
    return best


def _ridge(rows: Float[np.ndarray, "p l"], wanted: Float[np.ndarray, "p"]) -> Float[np.ndarray, "l"]:
    gram = rows.T @ rows
    return np.linalg.lstsq(gram + RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram)), rows.T @ wanted)[0]


def _normalised(vector: Float[np.ndarray, "l"]) -> Float[np.ndarray, "l"]:
    length = np.linalg.norm(vector)
    return vector / length if length > 0 else vector


def _slope(curve: Curve, x: Float[np.ndarray, "p"]) -> Float[np.ndarray, "p"]:
    """Returns g'(x), which is 0 beyond the outer knots."""
    slopes = np.concatenate([[0.0], np.diff(curve.values) / np.diff(curve.knots), [0.0]])
    return slopes[np.searchsorted(curve.knots, x)]
