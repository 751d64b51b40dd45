"""How many knots a curve g needs that turns a coordinate of the latent into a value.

Curves with different numbers of knots are fitted to the same samples, and predict the
values of held-out images. The identity is the straight line (Plumerault et al. 2020,
section 3.2, take g of 101 pieces or the identity).
"""

from typing import NamedTuple

import numpy as np

from ganspace_jax.measures.answers import Answer
from ganspace_jax.shapes import Float
from ganspace_jax.statistics import bootstrap, monotone_curves
from ganspace_jax.statistics.monotone_curves import Curve

IDENTITY = 0  # stands for the straight line among the numbers of knots
KNOTS = (IDENTITY, 3, 5, 11, 33, 101)
_COMPARED = 11  # knots whose gain over the identity and whose slopes are reported


class Coordinates(NamedTuple):
    """Coordinates of images along one direction, and a value of the images.

    Each image has m coordinates. With `before` the value is a change: that of the
    coordinate from `before`.

    Attributes:
        coordinate: coordinates.
        value: values.
        before: coordinates before the change; None: the values are no changes.
    """

    coordinate: Float[np.ndarray, "n m"]
    value: Float[np.ndarray, "n m"]
    before: Float[np.ndarray, "n m"] | None = None


def predict(fitted: Coordinates, held_out: Coordinates, num_knots: int) -> Float[np.ndarray, "n m"]:
    """Returns the values that a curve predicts for held-out images.

    Args:
        fitted: images to which the curve is fitted.
        held_out: images whose values are predicted.
        num_knots: number of knots over +-3 standard deviations, or IDENTITY.
    """
    x, y = fitted.coordinate.ravel(), fitted.value.ravel()
    if num_knots == IDENTITY:
        if fitted.before is None or held_out.before is None:
            slope, first = np.polyfit(x, y, 1)
            return first + slope * held_out.coordinate
        change = x - fitted.before.ravel()
        return (change @ y) / (change @ change) * (held_out.coordinate - held_out.before)
    if fitted.before is None or held_out.before is None:
        curve = monotone_curves.fit(x, y, monotone_curves.even_knots(x, num_knots))
        return _evaluate(curve, held_out.coordinate)
    before = fitted.before.ravel()
    knots = monotone_curves.even_knots(np.concatenate([x, before]), num_knots)
    curve = monotone_curves.fit_differences(before, x, y, knots)
    return _evaluate(curve, held_out.coordinate) - _evaluate(curve, held_out.before)


def _evaluate(curve: Curve, x: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n m"]:
    return monotone_curves.evaluate(curve, x.ravel()).reshape(x.shape)


def measure(name: str, fitted: Coordinates, held_out: Coordinates) -> Answer:
    """Returns the share of the held-out values' variance that each curve explains, and
    how flat the curve is at its ends.

    Args:
        name: name of the value.
        fitted: images to which the curves are fitted.
        held_out: other images.
    """
    predicted = [predict(fitted, held_out, count) for count in KNOTS]
    rows = np.stack([held_out.value, *predicted], axis=-1)
    figures = {
        _title(count): bootstrap.figure(lambda rows, k=k: _r2(rows, k), rows) for k, count in enumerate(KNOTS, 1)
    }
    best = 1 + KNOTS.index(_COMPARED)
    figures[f"{_COMPARED} knots less identity"] = bootstrap.figure(lambda rows: _r2(rows, best) - _r2(rows, 1), rows)
    parts = [x for x in (fitted.coordinate, fitted.value, fitted.before) if x is not None]
    figures["slope at the ends / in the middle"] = bootstrap.figure(_flatness, np.stack(parts, axis=-1))
    return Answer({"value": name}, figures)


def _title(num_knots: int) -> str:
    return "identity" if num_knots == IDENTITY else f"{num_knots} knots"


def _r2(rows: Float[np.ndarray, "n m k"], column: int) -> float:
    value = rows[..., 0]
    return float(1.0 - np.square(rows[..., column] - value).sum() / np.square(value - value.mean()).sum())


def _flatness(rows: Float[np.ndarray, "n m k"]) -> float:
    """Returns the mean slope of g beyond 1.8 standard deviations, relative to the mean
    slope within 0.6.
    """
    columns = [rows[..., k].ravel() for k in range(rows.shape[-1])]
    x, y = columns[:2]
    if len(columns) == 2:
        curve = monotone_curves.fit(x, y, monotone_curves.even_knots(x, _COMPARED))
    else:
        before = columns[2]
        knots = monotone_curves.even_knots(np.concatenate([x, before]), _COMPARED)
        curve = monotone_curves.fit_differences(before, x, y, knots)
    slopes = np.diff(curve.values) / np.diff(curve.knots)
    inner = slopes[4:6].mean()
    return float(slopes[[0, 1, -2, -1]].mean() / inner) if inner > 0 else float("nan")
