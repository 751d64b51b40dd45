"""Scorers: functions that read values from images, and the changes of these values."""

import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.shapes import Array, Float

LUMA = (0.299, 0.587, 0.114)  # Rec. 601, which Pillow uses for grey pictures
ARRIVED = 0.05  # standard deviations; a value this near counts as reached
_LEAST_SPREAD = 1e-6  # relative to the largest value; a smaller spread is rounding

Images = Float[Array | np.ndarray, "n h w c"]
Values = Float[np.ndarray, "n f"]
Reader = Callable[[Images], Any]


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
        left_out: names of the values that are not read, because they do not vary over
            the reference images.
        differentiable: JAX function that maps images to values [n, f] whose derivative
            is that of `read`. Circular values may differ by whole periods. The column
            of a category is its margin over the second most likely kind. None: the
            scorer has no derivative.
    """

    names: tuple[str, ...]
    scales: Float[np.ndarray, "f"]
    periods: tuple[float | None, ...]
    categories: tuple[str, ...]
    read: Callable[[Images], Values]
    left_out: tuple[str, ...] = ()
    differentiable: Callable[[Array], Array] | None = None


def fit(
    read: Reader,
    images: Images,
    *,
    periods: Mapping[str, float] | None = None,
    categories: Collection[str] = (),
    subject: str = "scorer",
    differentiable: Callable[[Array], Mapping[str, Array]] | None = None,
) -> Scorer:
    """Returns the scorer of any function that reads values from images.

    Reference images give the names of the values and their standard deviations. A
    value that fewer than two of them show, or that does not vary, is left out.

    Args:
        read: function of images [n, h, w, c] in [-1, 1] that returns an array or a
            dict of arrays by name. Each array has shape [n] or [n, f].
        images: reference images, such as random images of one generator.
        periods: periods of the circular values, by name.
        categories: names of the categories.
        subject: begin of the error messages.
        differentiable: JAX function that maps images to arrays [n] by the names of the
            values; None if the function has no derivative.

    Raises:
        InputError: if the function returns something else, or if no value varies.
    """
    periods = {} if periods is None else periods
    columns = _columns(read(images), len(images), subject)
    scales = {
        name: 1.0 if name in categories and not np.isnan(column).all() else _deviation(column, periods.get(name))
        for name, column in columns.items()
    }
    kept = tuple(name for name, scale in scales.items() if not np.isnan(scale))
    if not kept:
        raise InputError(f"{subject}: none of {len(columns)} values varies over {len(images)} reference images")
    return Scorer(
        names=kept,
        scales=np.array([scales[name] for name in kept]),
        periods=tuple(periods.get(name) for name in kept),
        categories=tuple(name for name in kept if name in categories),
        read=functools.partial(_read_named, read, kept, subject),
        left_out=tuple(name for name in columns if name not in kept),
        differentiable=None if differentiable is None else functools.partial(_stack_named, differentiable, kept),
    )


def _stack_named(
    differentiable: Callable[[Array], Mapping[str, Array]], names: tuple[str, ...], images: Array
) -> Float[Array, "n f"]:
    values = differentiable(images)
    return jnp.stack([values[name] for name in names], axis=1)


def _read_named(read: Reader, names: tuple[str, ...], subject: str, images: Images) -> Values:
    columns = _columns(read(images), len(images), subject)
    missing = [name for name in names if name not in columns]
    if missing:
        raise InputError(
            f"{subject}: returned {missing[0]!r} once, then left it out; must return the same names always"
        )
    return np.stack([columns[name] for name in names], axis=1)


def _columns(values: Any, count: int, subject: str) -> dict[str, Float[np.ndarray, "n"]]:
    """Returns one column per value; NaN replaces infinity."""
    columns: dict[str, np.ndarray] = {}
    for name, array in (values if isinstance(values, Mapping) else {"value": values}).items():
        try:
            numbers = np.asarray(array)
            known, numbers = numbers.dtype.kind in "biufV", numbers.astype(np.float64)
        except (TypeError, ValueError):
            known, numbers = False, np.zeros(())
        if not known or numbers.ndim not in (1, 2) or len(numbers) != count:
            found = f"shape {list(numbers.shape)}" if known else type(array).__name__
            raise InputError(f"{subject}: {name}: has {found}; must be numbers of shape [{count}] or [{count}, values]")
        numbers = np.where(np.isfinite(numbers), numbers, np.nan).reshape(count, -1)
        single = numbers.shape[1] == 1
        named = {str(name) if single else f"{name}_{i}": column for i, column in enumerate(numbers.T)}
        if repeated := [one for one in named if one in columns]:
            raise InputError(f"{subject}: {repeated[0]}: names two values; must name one")
        columns |= named
    return columns


def _deviation(column: Float[np.ndarray, "n"], period: float | None) -> float:
    """Returns the standard deviation of the values that are shown, or NaN.

    The deviations of a circular value are its shorter ways from the circular mean.
    """
    column = column[~np.isnan(column)]
    if len(column) < 2:
        return np.nan
    if period is None:
        spread, largest = float(np.std(column)), float(np.abs(column).max())
    else:
        turns = np.exp(2j * np.pi * column / period)
        mean = np.angle(turns.mean()) * period / (2 * np.pi)
        spread, largest = float(np.sqrt(np.square(shorter_way(column - mean, period)).mean())), period
    return spread if spread > _LEAST_SPREAD * largest else np.nan


def shown_colours(images: Images) -> Float[Array, "n h w shown"]:
    """Returns the colours of images in [-1, 1] as a picture shows them, in [0, 1].

    Values outside [-1, 1] are clipped. Images with an alpha channel lie on white. Grey
    images keep one channel, and all other images have three.

    Raises:
        InputError: the images do not have 1, 3 or 4 channels.
    """
    if images.ndim != 4 or images.shape[-1] not in (1, 3, 4):
        raise InputError(f"images: have shape {list(images.shape)}; must be [n, height, width, 1, 3 or 4]")
    colours = jnp.clip((jnp.asarray(images, jnp.float32) + 1.0) / 2.0, 0.0, 1.0)
    if colours.shape[-1] == 4:
        alpha = colours[..., 3:]
        return colours[..., :3] * alpha + (1.0 - alpha)
    return colours


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
            difference = shorter_way(difference, period) / scale
        columns.append(difference)
    return np.stack(columns, axis=1)


def shorter_way(difference: Float[np.ndarray, "n"], period: float | None) -> Float[np.ndarray, "n"]:
    """Returns the equivalent difference within half a period, if there is a period."""
    return difference if period is None else (difference + period / 2) % period - period / 2
