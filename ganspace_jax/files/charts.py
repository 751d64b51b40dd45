"""Plots of arrays. Matplotlib is imported when the first plot is drawn."""

import functools
import io
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ganspace_jax.shapes import Float, UInt8

_DOTS_PER_INCH = 120
_COLOURS = ("#4477aa", "#cc6677", "#228833", "#aa7744")


@functools.cache
def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")  # draws into files, needs no screen
    import matplotlib.pyplot

    return matplotlib.pyplot


def variance(
    path: str | os.PathLike[str],
    *,
    variance_ratio: Float[np.ndarray, "c"],
    variance_error: Float[np.ndarray, "c"],
    stability: Float[np.ndarray, "c"],
    r2: Float[np.ndarray, "c"],
    title: str,
) -> None:
    """Draws variance, stability and r2 of every component, one above the other."""
    index, percent = np.arange(len(variance_ratio)), 100 * variance_ratio
    figure, (top, middle, bottom) = _pyplot().subplots(3, 1, figsize=(7, 7), sharex=True, layout="constrained")
    top.bar(index, percent, yerr=percent * variance_error, color="#4477aa", capsize=2, label="each")
    top.plot(index, np.cumsum(percent), color="#cc6677", marker="o", markersize=3, label="together")
    top.set_ylabel("variance (%)")
    top.legend(frameon=False)
    middle.bar(index, stability, color="#228833")
    middle.set_ylabel("direction uncertain\nby (degrees)")
    bottom.bar(index, r2, color="#aa7744")
    bottom.set_ylabel("r2: linear in\nthe latent")
    bottom.set_ylim(0, 1.02)
    bottom.set_xlabel("component")
    bottom.xaxis.get_major_locator().set_params(integer=True)
    top.set_title(title, fontsize=10)
    _save(figure, path)


def effects(
    path: str | os.PathLike[str], sizes: Float[np.ndarray, "c f"], names: Sequence[str], labels: Sequence[str]
) -> None:
    """Draws how far each component (row) moves each value (column), as a field of
    colours.

    Args:
        path: file of the picture.
        sizes: size of each change, in standard deviations.
        names: names of the values.
        labels: names of the components.
    """
    rows, columns = sizes.shape
    figure, axes = _pyplot().subplots(figsize=(1 + 0.55 * columns, 2.2 + 0.28 * rows), layout="constrained")
    field = axes.imshow(sizes, cmap="viridis", vmin=0, aspect="auto")
    axes.set_xticks(range(columns), [name.replace("_", " ") for name in names], rotation=45, ha="right")
    axes.set_yticks(range(rows), labels)
    figure.colorbar(field, label="change\n(standard deviations)")
    _save(figure, path)


def layer_response(
    path: str | os.PathLike[str],
    *,
    sigmas: Sequence[float],
    own: Float[np.ndarray, "c s"],
    spread: Float[np.ndarray, "c s"],
    others: Float[np.ndarray, "c s"],
    labels: Sequence[str],
    num_panels: int = 6,
) -> None:
    """Draws, for the first components, the motion along the own component and along all
    others against the step.
    """
    count = min(num_panels, len(own))
    figure, axes = _pyplot().subplots(
        1, count, figsize=(2.4 * count + 0.6, 2.8), sharey=True, squeeze=False, layout="constrained"
    )
    for k, panel in enumerate(axes[0]):
        panel.fill_between(sigmas, own[k] - spread[k], own[k] + spread[k], alpha=0.25)
        panel.plot(sigmas, own[k], label="own component")
        panel.plot(sigmas, others[k], color="tab:orange", label="all others")
        panel.plot(sigmas, sigmas, color="grey", linewidth=0.8, linestyle=":")
        panel.set_title(labels[k], fontsize=10)
        panel.set_xlabel("step (standard deviations)", fontsize=8)
    axes[0, 0].set_ylabel("motion (standard deviations)", fontsize=8)
    axes[0, 0].legend(fontsize=7)
    _save(figure, path)


def tradeoff(
    path: str | os.PathLike[str],
    *,
    gains: Mapping[str, Float[np.ndarray, "v 3"]],
    cost: Float[np.ndarray, "v 3"],
    cost_name: str,
    groups: Sequence[str],
    labels: Sequence[str],
    marked: int | None = None,
    line: float | None = None,
) -> None:
    """Draws one figure of several variants against others, one panel for each of the
    others.

    Args:
        path: file of the picture.
        gains: value, lower and upper bound of each variant, by the names of the panels'
            horizontal axes.
        cost: value, lower and upper bound of each variant on the vertical axis.
        cost_name: name of the vertical axis.
        groups: group of each variant; a line joins the variants of a group.
        labels: label of each variant.
        marked: index of the variant with a ring around it.
        line: height of a horizontal line.
    """
    figure, axes = _pyplot().subplots(
        1, len(gains), figsize=(4.4 * len(gains), 4.2), sharey=True, squeeze=False, layout="constrained"
    )
    for panel, (name, gain) in zip(axes[0], gains.items(), strict=True):
        for number, group in enumerate(dict.fromkeys(groups)):
            own = [k for k, one in enumerate(groups) if one == group]
            (x, *xs), (y, *ys) = gain[own].T, cost[own].T
            errors = {"xerr": np.abs(np.stack(xs) - x), "yerr": np.abs(np.stack(ys) - y)}
            panel.errorbar(
                x, y, **errors, color=_COLOURS[number % len(_COLOURS)], marker="o", markersize=5, linewidth=1.2,
                elinewidth=0.5, label=group,
            )  # fmt: skip
        for k, label in enumerate(labels):
            place = (gain[k, 0], cost[k, 0])
            offset = (5, -11 if k == list(groups).index(groups[k]) else 5)  # the first two are often near each other
            panel.annotate(label, place, offset, textcoords="offset points", fontsize=8)
        if marked is not None:
            panel.plot(
                *(values[marked, 0] for values in (gain, cost)), "o", markersize=14, fillstyle="none", color="black"
            )
        if line is not None:
            panel.axhline(line, color="grey", linewidth=0.8, linestyle=":")
        panel.set_xlabel(name)
    axes[0, 0].set_ylabel(cost_name)
    axes[0, 0].legend(frameon=False)
    _save(figure, path)


class Curve(NamedTuple):
    """A line with its interval.

    Attributes:
        x: positions.
        y: values.
        low: lower bounds of the intervals.
        high: upper bounds of the intervals.
    """

    x: Float[np.ndarray, "n"]
    y: Float[np.ndarray, "n"]
    low: Float[np.ndarray, "n"]
    high: Float[np.ndarray, "n"]


def curves(
    panels: Mapping[str, Mapping[str, Curve]], *, x_label: str, y_label: str = "", columns: int = 2
) -> UInt8[np.ndarray, "h w 3"]:
    """Returns a picture with one plot of named curves per panel.

    Args:
        panels: curves by name, by the title of the panel.
        x_label: label of the horizontal axis.
        y_label: label of the vertical axis.
        columns: number of plots side by side.
    """
    count = min(columns, len(panels))
    rows = math.ceil(len(panels) / count)
    figure, axes = _pyplot().subplots(
        rows, count, figsize=(3.9 * count, 2.8 * rows), squeeze=False, layout="constrained"
    )
    for panel in axes.flat[len(panels) :]:
        panel.set_axis_off()
    for panel, (title, named) in zip(axes.flat, panels.items(), strict=False):
        for name, curve in named.items():
            (line,) = panel.plot(curve.x, curve.y, marker="o", markersize=3, label=name)
            panel.fill_between(curve.x, curve.low, curve.high, alpha=0.25, color=line.get_color())
        panel.set_title(title, fontsize=10)
        panel.set_xlabel(x_label, fontsize=8)
        panel.set_ylabel(y_label, fontsize=8)
        panel.legend(fontsize=7, frameon=False)
    return _pixels(figure)


def intervals(
    panels: Mapping[str, Mapping[str, Float[np.ndarray, "m 3"]]], labels: Sequence[str]
) -> UInt8[np.ndarray, "h w 3"]:
    """Returns a picture of figures with their intervals, one panel per figure and one
    row per label.

    Args:
        panels: value, lower and upper bound of each row, by the name of the series, by
            the title of the panel. NaN is left out.
        labels: names of the rows, the uppermost first.
    """
    figure, axes = _pyplot().subplots(
        1, len(panels), figsize=(1.6 + 2.2 * len(panels), 1.2 + 0.32 * len(labels)), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for panel, (title, series) in zip(axes[0], panels.items(), strict=True):
        for number, (name, figures) in enumerate(series.items()):
            values, low, high = figures.T
            heights = np.arange(len(labels)) + 0.24 * (number - (len(series) - 1) / 2)
            errors = np.maximum([values - low, high - values], 0.0)  # a bound may lie on the other side
            panel.errorbar(
                values, heights, xerr=errors, fmt="o", markersize=4, elinewidth=1, color=_COLOURS[number], label=name
            )
        panel.set_title(title, fontsize=9)
        panel.grid(axis="x", linewidth=0.4)
        if len(series) > 1:
            panel.legend(fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.08), frameon=False)
    axes[0, 0].set_yticks(range(len(labels)), labels)
    axes[0, 0].invert_yaxis()
    return _pixels(figure)


def _pixels(figure: Any) -> UInt8[np.ndarray, "h w 3"]:
    """Returns the pixels of a figure, and closes it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=_DOTS_PER_INCH, format="png")
    _pyplot().close(figure)
    return np.asarray(Image.open(buffer).convert("RGB"))


def _save(figure: Any, path: str | os.PathLike[str]) -> None:
    figure.savefig(path, dpi=_DOTS_PER_INCH)
    _pyplot().close(figure)
