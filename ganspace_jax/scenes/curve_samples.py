"""Random samples of a generator of scenes: the coordinate along the read-out of a
factor, and the factor that the probe reads.
"""

import numpy as np

from ganspace_jax.generators.base import Generator
from ganspace_jax.measures import curve_knots
from ganspace_jax.measures.answers import Answer
from ganspace_jax.measures.curve_knots import Coordinates
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.methods import boundaries
from ganspace_jax.run import Run
from ganspace_jax.sampling import scored_images
from ganspace_jax.shapes import Float


def measure(generator: Generator, scorer: Scorer, count: int, *, seed: int = 0, run: Run = Run()) -> list[Answer]:
    """Returns the precision of curves for each value that is neither circular nor a
    category.

    Three fifths of the samples give the read-out and the curves. The other samples are
    held out.

    Args:
        generator: the generator.
        scorer: reader of the images.
        count: number of samples.
        seed: seed of the samples.
        run: batch size and progress.
    """
    parts = list(scored_images.read_in_chunks(generator, scorer.read, count, seed=seed, run=run))
    latents = np.concatenate([samples.latent for samples, _ in parts])
    values = np.concatenate([read for _, read in parts])
    first = 3 * count // 5
    rows = []
    for column, (name, period) in enumerate(zip(scorer.names, scorer.periods, strict=True)):
        if period is None and name not in scorer.categories:
            both = _coordinates(latents, values[:, column], first)
            rows.append(curve_knots.measure(name.replace("_", " "), *both))
    return rows


def _coordinates(
    latents: Float[np.ndarray, "n l"], values: Float[np.ndarray, "n"], first: int
) -> tuple[Coordinates, Coordinates]:
    state = boundaries.update(boundaries.init(latents.shape[1], 1), latents[:first], values[:first, None])
    x = latents.astype(np.float64) @ boundaries.fit(state, 1).normal[0]
    x, y = x[:, None], values[:, None]
    return Coordinates(x[:first], y[:first]), Coordinates(x[first:], y[first:])
