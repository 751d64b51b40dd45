"""The purity of a method's best directions, which several claims compare.

For each factor that is not circular, half of the images choose the direction of the
largest signed purity. The other half measures its purity: the factor's share of the
squared changes of all factors.
"""

import numpy as np

from ganspace_jax.claims.findings import Figure
from ganspace_jax.measures import purity
from ganspace_jax.measures.purity import Purity
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.shapes import Float
from ganspace_jax.statistics import bootstrap

NUM_RESAMPLES = 500


def factor_columns(scorer: Scorer) -> list[int]:
    """Returns the columns of the factors that are neither circular nor categories."""
    return [
        column
        for column, (name, period) in enumerate(zip(scorer.names, scorer.periods, strict=True))
        if period is None and name not in scorer.categories
    ]


def of_purity(name: str, one: Purity) -> Figure:
    """Returns the purity of a direction that was measured, with its interval."""
    number = purity.FIGURES.index("purity")
    return Figure(name, one.purity, one.low[number], one.high[number])


def mean_purity(name: str, changes: Float[np.ndarray, "c n f"], scorer: Scorer, seed: int = 0) -> Figure:
    """Returns the mean purity of the best directions, over factors.

    Args:
        name: name of the figure.
        changes: changes of all values in every image, for every direction; NaN counts
            as no change.
        scorer: scorer that read the images.
        seed: seed of the bootstrap over images.
    """
    counted = [column for column, one in enumerate(scorer.names) if one not in scorer.categories]
    wanted = [counted.index(column) for column in factor_columns(scorer)]
    filled = np.nan_to_num(changes[..., counted])
    half = filled.shape[1] // 2
    mean, square = filled[:, :half].mean(1), np.square(filled[:, :half]).mean(1)
    signed = np.square(mean) / np.maximum(square.sum(1, keepdims=True), 1e-12)
    chosen = filled[signed.argmax(0)[wanted], half:]  # [wanted, n, f]

    def figure(rows: Float[np.ndarray, "n k f"]) -> float:
        squares = np.square(rows).mean(0)
        own = squares[np.arange(len(wanted)), wanted]
        return float(np.mean(own / np.maximum(squares.sum(1), 1e-12)))

    by_image = np.moveaxis(chosen, 1, 0)
    low, high = bootstrap.percentile_interval(figure, [by_image], num_resamples=NUM_RESAMPLES, seed=seed)
    return Figure(name, figure(by_image), float(low), float(high))
