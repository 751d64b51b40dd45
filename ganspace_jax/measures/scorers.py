"""Scorers: functions that read values from images, and the changes of these values."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ganspace_jax.shapes import Array, Float

Images = Float[Array | np.ndarray, "n h w c"]
Values = Float[np.ndarray, "n f"]


class Scorer(NamedTuple):
    """Scorer: reads named values from images.

    Attributes:
        names: names of the values, in the order of the columns that `read` returns.
        scales: standard deviation of each value over reference images. A category's
            scale is not used.
        periods: period of each circular value, None for every other value.
        categories: names of the categories. The change of a category is 0 or 1.
        read: function that maps images [n, h, w, c] in [-1, 1] to values [n, f]. A
            value is NaN if the image does not show it.
    """

    names: tuple[str, ...]
    scales: Float[np.ndarray, "f"]
    periods: tuple[float | None, ...]
    categories: tuple[str, ...]
    read: Callable[[Images], Values]


def changes(scorer: Scorer, before: Values, after: Values) -> Values:
    """Returns each value's change in each image, in the value's standard deviations.

    A circular value changes by the shorter of its two ways. A category changes by 0
    or 1. A change is NaN if the value is NaN before or after.
    """
    before, after = np.asarray(before, np.float64), np.asarray(after, np.float64)
    columns = []
    for column, (name, scale, period) in enumerate(zip(scorer.names, scorer.scales, scorer.periods, strict=True)):
        difference = after[:, column] - before[:, column]
        if name in scorer.categories:
            difference = np.where(np.isnan(difference), np.nan, difference != 0)
        else:
            difference = _shorter_way(difference, period) / scale
        columns.append(difference)
    return np.stack(columns, axis=1)


def _shorter_way(difference: Float[np.ndarray, "n"], period: float | None) -> Float[np.ndarray, "n"]:
    """Returns the equivalent difference within half a period, if there is a period."""
    return difference if period is None else (difference + period / 2) % period - period / 2
