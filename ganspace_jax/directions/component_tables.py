"""The figures of components, for JSON and as tables."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from ganspace_jax.directions import named_directions
from ganspace_jax.directions.components import Components, figure
from ganspace_jax.directions.sources import UNKNOWN
from ganspace_jax.files import tables

_NUM_LISTED = 5  # components with a column of their own in the table of layers


def summary(components: Components) -> dict[str, Any]:
    """Returns the figures of every component, its name and their source, for JSON.
    Unknown figures are None.
    """
    figures = {
        "variance_ratio": components.variance_ratio,
        "activation_stdev": components.activation_stdevs,
        "latent_stdev": components.latent_stdevs,
        "variance_error": components.variance_error,
        "stability_degrees": components.stability,
        "latent_uncertainty_degrees": components.latent_uncertainty,
        "r2": components.r2,
    }
    rows = [
        {"component": k, **{name: _known(values[k]) for name, values in figures.items()}}
        for k in range(len(components))
    ]
    for row, entry in zip(rows, named_directions.to_entries(components.named), strict=False):
        row.update(entry)
    about = {**dataclasses.asdict(components.source), **dataclasses.asdict(components.spec)}
    return {"source": about, "components": rows}


def _known(value: np.floating) -> float | None:
    return None if np.isnan(value) else float(value)


def table(components: Components) -> str:
    """Returns the figures of every component as a table for a terminal."""
    header = ["component", "variance", "cumulative", "variance error", "uncertain by", "in latent space", "r2"]
    cumulative, rows = np.cumsum(components.variance_ratio), []
    for k in range(len(components)):
        rows.append([
            str(k),
            figure(components.variance_ratio[k], ".2%"),
            figure(cumulative[k], ".2%"),
            figure(components.variance_error[k], ".1%"),
            _degrees(components.stability[k]),
            _degrees(components.latent_uncertainty[k]),
            figure(components.r2[k], ".3f"),
        ])  # fmt: skip
    if components.named:
        header.insert(1, "name")
        header.insert(2, "layers")
        rows = [[row[0], one.name, one.range_text(), *row[1:]] for row, one in zip(rows, components.named, strict=True)]
    return tables.aligned(header, rows)


def _degrees(angle: np.floating) -> str:
    text = figure(angle, ".1f")
    return text if text == UNKNOWN else f"{text} deg"


def layers_table(results: Sequence[Components]) -> str:
    """Returns r2 of the components of several layers as a Markdown table, one row per
    layer.
    """
    count = max(len(result) for result in results)
    header = ["layer", "dimensions", *(f"v{k}" for k in range(min(_NUM_LISTED, count)))]
    header += [f"first {count}, by variance", "their share of the variance", "uncertain by", "in latent space"]
    rows = []
    for result in results:
        share = np.sum(result.variance_ratio)
        rows.append([
            str(result.spec.layer),
            f"{result.activation_components[0].size:,}",
            *(f"{r2:.3f}" for r2 in result.r2[:_NUM_LISTED]),
            f"{np.sum(result.r2 * result.variance_ratio) / max(share, np.finfo(np.float32).tiny):.3f}",
            f"{share:.0%}",
            _degrees(np.median(result.stability)),
            _degrees(np.median(result.latent_uncertainty)),
        ])  # fmt: skip
    return tables.markdown(header, rows)
