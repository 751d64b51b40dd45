"""Transfer of directions between classes.

GANSpace, section 4, observes that "some components transfer". A component's effect on a
class is a vector: the mean change of each value that a scorer reads. Transfer is the
correlation of the effect vectors of two classes, with a bootstrap interval over images.
"""

from typing import NamedTuple

import numpy as np

from ganspace_jax.shapes import Float

NUM_RESAMPLES = 1000
PERCENTILES = (2.5, 97.5)  # bounds of a 95 % interval


class Transfer(NamedTuple):
    """Transfer of each component from a source class to a target class.

    Attributes:
        correlation: correlation of the component's effects on the two classes.
        low: lower bound of the correlation's 95 % interval.
        high: upper bound of the correlation's 95 % interval.
    """

    correlation: Float[np.ndarray, "c"]
    low: Float[np.ndarray, "c"]
    high: Float[np.ndarray, "c"]


def between(source: Float[np.ndarray, "c n f"], target: Float[np.ndarray, "c m f"], *, seed: int = 0) -> Transfer:
    """Computes the transfer from the changes of values in images of two classes.

    A value does not count if one of the classes never shows it (all NaN).

    Args:
        source: changes in images of the source class, from `effects.measure`.
        target: changes in images of the target class, from `effects.measure`.
        seed: seed of the bootstrap.
    """
    seen = ~(np.isnan(source).all((0, 1)) | np.isnan(target).all((0, 1)))
    source, target = source[..., seen], target[..., seen]
    random = np.random.default_rng(seed)
    draws = [
        _correlation(_effect(_resampled(source, random)), _effect(_resampled(target, random)))
        for _ in range(NUM_RESAMPLES)
    ]
    low, high = np.percentile(draws, PERCENTILES, axis=0)
    return Transfer(_correlation(_effect(source), _effect(target)), low, high)


def _resampled(changes: Float[np.ndarray, "c n f"], random: np.random.Generator) -> Float[np.ndarray, "c n f"]:
    """Draws as many images as there are, with replacement."""
    num_images = changes.shape[1]
    return changes[:, random.integers(0, num_images, num_images)]


def _effect(changes: Float[np.ndarray, "c n f"]) -> Float[np.ndarray, "c f"]:
    """Returns the mean over the images that show a value, or 0 if no image shows it."""
    seen = ~np.isnan(changes)
    return np.where(seen, changes, 0.0).sum(1) / np.maximum(seen.sum(1), 1)


def _correlation(a: Float[np.ndarray, "c f"], b: Float[np.ndarray, "c f"]) -> Float[np.ndarray, "c"]:
    """Returns Pearson's correlation of each pair of rows, or 0 if a row is constant."""
    a, b = (x - x.mean(1, keepdims=True) for x in (a, b))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.sum(a * b, axis=1) / np.where(lengths == 0, 1.0, lengths)
