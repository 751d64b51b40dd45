"""Chooses among several starts of an inversion the one from which it comes nearest."""

import numpy as np

from ganspace_jax.run import Run
from ganspace_jax.sampling.latent_descent import Problem, Stage, descend
from ganspace_jax.shapes import Array, Float

STAGE = Stage(num_steps=40, rate=0.1, shared=True)


def choose(
    problem: Problem,
    images: Float[Array | np.ndarray, "n h w c"],
    starts: Float[np.ndarray, "n k layers d"],
    weights: Float[np.ndarray, "n classes"] | None,
    run: Run = Run(),
) -> Float[np.ndarray, "n layers d"]:
    """Returns for each picture the latents that the best of its starts leads to.

    All starts descend for 40 steps, and the better half of them goes on, until one is
    left (successive halving; Jamieson and Talwalkar 2016).

    Args:
        problem: what inversion minimises.
        images: pictures in [-1, 1].
        starts: latents of k starts of each picture.
        weights: class weights of the pictures, or None.
        run: batch size, progress and stopping.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    found, pictures, stage = starts, np.asarray(images), STAGE._replace(shared=not problem.chunked)
    while found.shape[1] > 1:
        count, kept = found.shape[1], found.shape[1] // 2
        label = None if weights is None else np.repeat(weights, count, 0)
        rows = found.reshape(-1, *found.shape[2:])
        moved, loss = descend(problem, rows, label, np.repeat(pictures, count, 0), [stage], run, "the starts")
        best = np.argsort(loss.reshape(-1, count), axis=1, kind="stable")[:, :kept]
        found = np.take_along_axis(moved.reshape(found.shape), best[..., None, None], 1)
    return found[:, 0]
