"""Whether a direction that was found on one class does the same to others (GANSpace, section 4: "some components transfer").

What a component does to a class is its effect vector: the mean change of each factor that the probe reads. Transfer is the
correlation of the effect vectors of two classes, with a bootstrap interval over images.
"""

from typing import NamedTuple

import numpy as np

from ganspace_jax.shapes import Float, Int

NUM_RESAMPLES = 1000
LEVELS = (2.5, 97.5)  # percentiles


class Transfer(NamedTuple):
    """Correlation of each component's effects in the source class and in another one, and the bounds of its 95 % interval."""

    correlation: Float[np.ndarray, "c"]
    low: Float[np.ndarray, "c"]
    high: Float[np.ndarray, "c"]


def between(source: Float[np.ndarray, "c n f"], target: Float[np.ndarray, "c m f"], *, seed: int = 0) -> Transfer:
    """Transfer from the changes (effects.measure, continuous factors) in images of two classes.

    Factors that one of the classes does not show (all NaN) are left out.
    """
    seen = ~(np.isnan(source).all((0, 1)) | np.isnan(target).all((0, 1)))
    source, target = source[..., seen], target[..., seen]
    random = np.random.default_rng(seed)
    draws = [
        _correlation(*(_mean(x, random.integers(0, x.shape[1], x.shape[1])) for x in (source, target)))
        for _ in range(NUM_RESAMPLES)
    ]
    low, high = np.percentile(draws, LEVELS, axis=0)
    whole = (np.arange(x.shape[1]) for x in (source, target))
    return Transfer(_correlation(*(_mean(x, all_) for x, all_ in zip((source, target), whole, strict=True))), low, high)


def _mean(changes: Float[np.ndarray, "c n f"], images: Int[np.ndarray, "n"]) -> Float[np.ndarray, "c f"]:
    """Over the chosen images; 0 where none of them shows the factor."""
    chosen = changes[:, images]
    seen = ~np.isnan(chosen)
    return np.where(seen, chosen, 0.0).sum(1) / np.maximum(seen.sum(1), 1)


def _correlation(a: Float[np.ndarray, "c f"], b: Float[np.ndarray, "c f"]) -> Float[np.ndarray, "c"]:
    """Pearson's, row by row; 0 for a row without any effect."""
    a, b = (x - x.mean(1, keepdims=True) for x in (a, b))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.sum(a * b, axis=1) / np.where(lengths == 0, 1.0, lengths)
