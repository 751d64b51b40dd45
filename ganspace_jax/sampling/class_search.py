"""Finds the class of a picture: the class with which inversion comes nearest."""

import numpy as np

from ganspace_jax.run import Run
from ganspace_jax.sampling import nearest_samples
from ganspace_jax.sampling.inversion_starts import Sampling
from ganspace_jax.sampling.latent_descent import Problem, Stage, descend
from ganspace_jax.shapes import Array, Float

MOST_CLASSES = 8  # classes that are tried for each picture
STAGE = Stage(num_steps=30, rate=0.1, shared=True)


def find(
    problem: Problem, images: Float[Array | np.ndarray, "n h w c"], sampling: Sampling, run: Run = Run()
) -> Float[np.ndarray, "n classes"]:
    """Returns the one-hot weights of each picture's class.

    The nearest random images tell the likeliest classes. A short inversion with each of
    these classes then tells the class with the least loss.

    Args:
        problem: what inversion minimises.
        images: pictures in [-1, 1].
        sampling: the random images, of all classes.
        run: batch size, progress and stopping.
    """
    nearest = nearest_samples.find(problem.generator, images, **sampling._asdict(), run=run)
    num_classes = nearest.error.shape[1]
    order = np.argsort(nearest.error, axis=1, kind="stable")[:, :MOST_CLASSES]
    rows = np.repeat(np.arange(len(images)), order.shape[1])
    tried = order.ravel()
    eye = np.eye(num_classes, dtype=np.float32)
    stage = STAGE._replace(shared=not problem.chunked)
    pictures = np.asarray(images)[rows]
    _, loss = descend(problem, nearest.latents[rows, tried], eye[tried], pictures, [stage], run, "the classes")
    loss = np.where(np.isfinite(nearest.error[rows, tried]), loss, np.inf).reshape(order.shape)
    return eye[order[np.arange(len(images)), loss.argmin(1)]]
