"""Tables of compared methods: Markdown for reports, rows of a CSV file for programs."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ganspace_jax.files import tables
from ganspace_jax.measures.comparison import OF_METHODS, OF_SCORES, Summary
from ganspace_jax.shapes import Float

CSV_HEADER = ["method", "score", "figure", "value", "low", "high"]
MEAN = "mean"  # in place of the name of a score
_SHOWN = {
    "purity": "purity", "purity in layers": "purity, best layers", "slope": "slope", "slope in layers":
    "slope, best layers", "flips in layers": "flips",
}  # fmt: skip
_OF_METHODS = {"disentanglement": "disentanglement", "completeness": "completeness", "explained": "image change"}


def markdown(summaries: Mapping[str, Summary]) -> str:
    """Returns one row per method: means over scores, and figures of the method."""
    header = ["method", "directions", *_SHOWN.values(), *_OF_METHODS.values(), "stability (degrees)", "seconds"]
    rows = [
        [
            name, str(one.num_directions), *(text(one.means[OF_SCORES.index(figure)]) for figure in _SHOWN),
            *(text(one.of_method[OF_METHODS.index(figure)]) for figure in _OF_METHODS),
            text(np.array(one.stability), digits=0), f"{one.seconds:.1f}",
        ]
        for name, one in summaries.items()
    ]  # fmt: skip
    return tables.markdown(header, rows)


def purities(summaries: Mapping[str, Summary], scores: Sequence[str]) -> str:
    """Returns the purity of the best direction for each score, in its best layers."""
    number = OF_SCORES.index("purity in layers")
    rows = [[name, *(text(figures[number]) for figures in one.of_scores)] for name, one in summaries.items()]
    return tables.markdown(["method", *(score.replace("_", " ") for score in scores)], rows)


def csv_rows(summaries: Mapping[str, Summary], scores: Sequence[str]) -> list[list[str]]:
    """Returns one row per figure. Unknown numbers are empty, and so is the name of the
    score of a method's own figure.
    """
    rows: list[list[str]] = []
    for name, one in summaries.items():
        for score, figures in zip((*scores, MEAN), (*one.of_scores, one.means), strict=True):
            rows += [[name, score, figure, *_cells(row)] for figure, row in zip(OF_SCORES, figures, strict=True)]
        rows += [[name, "", figure, *_cells(row)] for figure, row in zip(OF_METHODS, one.of_method, strict=True)]
        rows.append([name, "", "stability", *_cells(np.array(one.stability))])
        rows.append([name, "", "seconds", f"{one.seconds:.3g}", "", ""])
        rows.append([name, "", "directions", str(one.num_directions), "", ""])
    return rows


def panels(summaries: Mapping[str, Summary]) -> dict[str, dict[str, Float[np.ndarray, "m 3"]]]:
    """Returns the panels of a picture, with the figures of all methods.

    Panels without a known figure are left out: angles of one seed, flips without kinds.
    """

    def mean(figure: str) -> np.ndarray:
        return np.stack([one.means[OF_SCORES.index(figure)] for one in summaries.values()])

    def own(figure: str) -> np.ndarray:
        return np.stack([one.of_method[OF_METHODS.index(figure)] for one in summaries.values()])

    by_layers = {
        title: {"all layers": mean(figure), "best layers": mean(f"{figure} in layers")}
        for title, figure in (("purity", "purity"), ("effect (stdevs)", "slope"), ("shapes that flip", "flips"))
    }
    angles = np.stack([np.array(one.stability) for one in summaries.values()])
    drawn = {
        **by_layers,
        "DCI": {name: own(name) for name in ("disentanglement", "completeness")},
        "image change explained": {"": own("explained")},
        "angle between seeds (degrees)": {"": angles},
    }
    return {title: series for title, series in drawn.items() if not np.isnan([*series.values()]).all()}


def _cells(figure: Float[np.ndarray, "3"]) -> list[str]:
    return ["" if math.isnan(number) else f"{number:.4g}" for number in figure]


def text(figure: Float[np.ndarray, "3"], digits: int = 2) -> str:
    """Returns a figure with its interval, as in 0.55 (0.51-0.58)."""
    value, low, high = (f"{number:.{digits}f}" for number in figure)
    if math.isnan(figure[0]):
        return ""
    return value if math.isnan(figure[1]) else f"{value} ({low}-{high})"
