"""Random images before and after steps along directions."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np

from ganspace_jax.claims.subjects import Subject
from ganspace_jax.directions import edits
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.edits import Edit
from ganspace_jax.run import Run
from ganspace_jax.sampling import random_samples, scored_images
from ganspace_jax.sampling.random_samples import Samples
from ganspace_jax.shapes import Float

Images = Float[np.ndarray, "n h w c"]


def draw(subject: Subject, count: int, seed: int) -> Samples:
    """Returns random samples of the generator, over all classes."""
    return random_samples.draw(subject.generator, 0, count, seed=seed)


def images(subject: Subject, basis: Components, edit: Edit, at: Samples, run: Run = Run()) -> Images:
    """Returns the images of samples after an edit.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    moved = np.asarray(edits.apply(jnp.asarray(at.layers), basis, [edit]))
    return np.concatenate(list(scored_images.images(subject.generator, moved, at.weights, run)))


def both_ways(
    subject: Subject, basis: Components, at: Samples, *, count: int, run: Run = Run()
) -> Iterator[tuple[Images, Images]]:
    """Yields the images of samples after -1 and after +1 standard deviation, for each
    of the first components.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    for k in range(count):
        before, after = (images(subject, basis, Edit(k, sigma=sigma), at, run) for sigma in (-1.0, 1.0))
        yield before, after
