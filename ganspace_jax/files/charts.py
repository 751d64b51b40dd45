"""Plots of what a decomposition found."""

import os

import matplotlib
import numpy as np

from ganspace_jax.directions.components import Components
from ganspace_jax.measures.effects import Effects
from ganspace_jax.measures.layer_response import LayerResponse

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def variance(path: str | os.PathLike[str], components: Components) -> None:
    """Variance, stability and r2 of every component, one above the other."""
    index = np.arange(len(components))
    figure, (top, middle, bottom) = plt.subplots(3, 1, figsize=(7, 7), sharex=True, layout="constrained")
    ratio = 100 * components.variance_ratio
    top.bar(index, ratio, yerr=ratio * components.variance_error, color="#4477aa", capsize=2, label="each")
    top.plot(index, np.cumsum(ratio), color="#cc6677", marker="o", markersize=3, label="together")
    top.set_ylabel("variance (%)")
    top.legend(frameon=False)
    middle.bar(index, components.stability, color="#228833")
    middle.set_ylabel("direction uncertain\nby (degrees)")
    bottom.bar(index, components.r2, color="#aa7744")
    bottom.set_ylabel("r2: linear in\nthe latent")
    bottom.set_ylim(0, 1.02)
    bottom.set_xlabel("component")
    bottom.xaxis.get_major_locator().set_params(integer=True)
    source = components.source
    top.set_title(f"{source.generator}, layer {source.layer}, {source.num_samples:,} samples", fontsize=10)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def effects(path: str | os.PathLike[str], measured: Effects) -> None:
    """A field of colours: how far each component (row) moves each factor (column)."""
    rows, columns = measured.size.shape
    figure, axes = plt.subplots(figsize=(1 + 0.55 * columns, 1.6 + 0.28 * rows), layout="constrained")
    field = axes.imshow(measured.size, cmap="viridis", vmin=0, aspect="auto")
    axes.set_xticks(range(columns), [name.replace("_", " ") for name in measured.names], rotation=45, ha="right")
    axes.set_yticks(range(rows), [f"v{k}" for k in range(rows)])
    figure.colorbar(field, label="change, in standard deviations of the factor")
    figure.savefig(path, dpi=120)
    plt.close(figure)


def faithfulness(path: str | os.PathLike[str], measured: LayerResponse, num_rows: int = 6) -> None:
    """For the first components: motion along the own component and along the others, against the step."""
    count = min(num_rows, len(measured.own))
    figure, axes = plt.subplots(
        1, count, figsize=(2.4 * count + 0.6, 2.8), sharey=True, squeeze=False, layout="constrained"
    )
    for k, panel in enumerate(axes[0]):
        own, spread = measured.own[k], measured.spread[k]
        panel.fill_between(measured.sigmas, own - spread, own + spread, alpha=0.25)
        panel.plot(measured.sigmas, own, label="own component")
        panel.plot(measured.sigmas, measured.others[k], color="tab:orange", label="all others")
        panel.plot(measured.sigmas, measured.sigmas, color="grey", linewidth=0.8, linestyle=":")
        panel.set_title(f"v{k}", fontsize=10)
        panel.set_xlabel("step (standard deviations)", fontsize=8)
    axes[0, 0].set_ylabel("motion (standard deviations)", fontsize=8)
    axes[0, 0].legend(fontsize=7)
    figure.savefig(path, dpi=120)
    plt.close(figure)
