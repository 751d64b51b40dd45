"""Where inversion starts: given latents, an encoder's, or those of the nearest samples;
and the classes of the pictures.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.generators.base import Generator
from ganspace_jax.run import Run
from ganspace_jax.sampling import labels, nearest_samples
from ganspace_jax.shapes import Array, Float

_ENCODED_IMAGES = 64  # images that an encoder reads together

Images = Float[Array | np.ndarray, "n h w c"]
# A function of images that returns per-layer latents, and class weights or None.
Encoder = Callable[[Images], tuple[Any, Any]]
Start = Encoder | Float[Array | np.ndarray, "n layers d"] | None
Weights = Float[np.ndarray, "n classes"] | None


class Sampling(NamedTuple):
    """The random images among which the nearest is searched.

    Attributes:
        num_samples: number of random images.
        num_groups: number of equal parts of them, each with a nearest image.
        seed: seed of the random images.
    """

    num_samples: int
    num_groups: int
    seed: int


def given(
    generator: Generator, images: Images, start: Start, label: Any, run: Run
) -> tuple[Float[np.ndarray, "n layers d"] | None, Weights]:
    """Returns the latents and the class weights that are given or encoded; None for
    what is to be found.

    A given label counts more than an encoder's. An encoder's class weights become
    those of its most likely class.

    Args:
        generator: the generator.
        images: pictures.
        start: latents, an encoder, or None.
        label: class index, class name, a list of them, weights [n, classes], or None.
        run: batch size.

    Raises:
        InputError: if latents or label do not fit the generator or the pictures.
    """
    latents, weights = start, None
    if callable(start):
        latents, weights = _encode(start, images, run.batch_size or _ENCODED_IMAGES)
        weights = None if weights is None else np.eye(weights.shape[1], dtype=np.float32)[weights.argmax(1)]
    if label is not None or not labels.act_on_images(generator):
        weights = _weights(generator, label, len(images))
    if latents is None:
        return None, weights
    values, needed = np.asarray(latents, np.float32), (len(images), *generator.latent_shape)
    if values.shape != needed:
        raise InputError(f"start: has shape {list(values.shape)}; must be {list(needed)}")
    return values, weights


def nearest(
    generator: Generator, images: Images, weights: Weights, sampling: Sampling, run: Run
) -> Float[np.ndarray, "n groups layers d"]:
    """Returns the latents of the random images of the same class that are nearest to
    each picture: one of each group.
    """
    settings = {**sampling._asdict(), "run": run}
    if weights is None:
        return nearest_samples.find(generator, images, **settings).latents
    found = np.zeros((len(images), sampling.num_groups, *generator.latent_shape), np.float32)
    for own in np.unique(weights, axis=0):
        rows = np.flatnonzero((weights == own).all(1))
        found[rows] = nearest_samples.find(generator, np.asarray(images)[rows], weights=own, **settings).latents
    return found


def _encode(start: Encoder, images: Images, size: int) -> tuple[np.ndarray, np.ndarray | None]:
    parts = [start(images[first : first + size]) for first in range(0, len(images), size)]
    latents = np.concatenate([np.asarray(part[0], np.float32) for part in parts])
    return latents, None if parts[0][1] is None else np.concatenate([np.asarray(part[1]) for part in parts])


def _weights(generator: Generator, label: Any, count: int) -> Weights:
    """Returns class weights; None for a generator on whose images a label has no
    effect.
    """
    if isinstance(label, int | str):
        label = labels.resolve(label, generator)
        if label == "all":
            return None
    elif label is not None and not generator.num_classes:
        raise InputError("label: this generator is not conditional")
    if label is None or not labels.act_on_images(generator):
        return None
    try:
        return labels.weights(label, count, generator)
    except ValueError as error:
        raise InputError(f"label: {error}") from None
