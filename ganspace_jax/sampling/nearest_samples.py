"""The nearest of many random images of a generator, from which inversion can start."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ganspace_jax.generators import synthesis
from ganspace_jax.generators.base import Generator
from ganspace_jax.run import Interrupted, Progress, Run
from ganspace_jax.sampling import image_batches, labels, random_samples
from ganspace_jax.sampling.latent_files import Inputs
from ganspace_jax.shapes import Array, Float, Int

NUM_SAMPLES = 10_000
_FEWEST = 500
_FULL_SIDE = 64  # pixels; larger images cost more, so fewer of them are made


class Nearest(NamedTuple):
    """The nearest sample of each group of samples for each picture.

    Attributes:
        latents: per-layer latents of the nearest samples.
        error: their mean squared errors; infinity for a group without samples.
    """

    latents: Float[np.ndarray, "n groups layers d"]
    error: Float[np.ndarray, "n groups"]


def default_number(resolution: int) -> int:
    """Returns the number of samples: 10,000 up to 64 px, then fewer in proportion to
    the pixels, at least 500.
    """
    return max(_FEWEST, round(NUM_SAMPLES * min(1.0, (_FULL_SIDE / resolution) ** 2)))


def find(
    generator: Generator,
    images: Float[Array | np.ndarray, "n h w c"],
    *,
    num_samples: int,
    num_groups: int = 1,
    seed: int = 0,
    weights: Float[np.ndarray, "classes"] | None = None,
    run: Run = Run(),
) -> Nearest:
    """Returns the samples whose images have the least mean squared error.

    The images are made batch by batch, and none is kept. Sample i depends on the seed
    and i alone. If the class is drawn, and has an effect on the image, the groups are
    the classes. Else they are equal parts of the samples.

    Args:
        generator: the generator.
        images: pictures in [-1, 1].
        num_samples: number of random images.
        num_groups: number of groups, unless these are the classes.
        seed: seed of the samples.
        weights: class weights of the samples; None: classes drawn at random.
        run: batch size, progress and stopping.

    Raises:
        InputError: if an image is not finite.
        Interrupted: if run.should_stop returned True.
    """
    samples = random_samples.draw(generator, 0, num_samples, seed=seed)
    latents, label = samples.layers, samples.weights
    groups = np.arange(num_samples) % num_groups
    if weights is not None:
        label = np.broadcast_to(weights, (num_samples, len(weights)))
    elif label is not None and labels.act_on_images(generator):
        groups, num_groups = np.argmax(label, 1), generator.num_classes
    best = jnp.zeros((len(images), num_groups), jnp.int32)
    error = jnp.full((len(images), num_groups), jnp.inf)
    wanted, first = jnp.asarray(images, jnp.float32), 0
    settings = Run(batch_size=run.batch_size, report=lambda _: None)
    inputs = Inputs(latents, None, label, [])
    for made in image_batches.generate(generator, inputs, synthesis.Synthesis(), (), settings):
        stop = first + len(made["image"])
        found = _improve(wanted, made["image"], np.arange(first, stop), groups[first:stop], best, error)
        (best, error), first = found, stop
        run.report(Progress(stop, num_samples, "sample", "the nearest images"))
        if run.should_stop():
            raise Interrupted("stopped; the search for the nearest images begins anew")
    return Nearest(latents[np.asarray(best)], np.asarray(error))


@jax.jit
def _improve(
    wanted: Array, made: Array, indices: Int[Array, "b"], groups: Int[Array, "b"], best: Array, error: Array
) -> tuple[Array, Array]:
    """Returns the index and the error of the nearest sample of each group so far."""
    errors = _errors(wanted, made)
    for_group = jnp.where(groups[None, None] == jnp.arange(error.shape[1])[None, :, None], errors[:, None], jnp.inf)
    row = for_group.argmin(2)
    least = jnp.take_along_axis(for_group, row[..., None], 2)[..., 0]
    return jnp.where(least < error, indices[row], best), jnp.minimum(least, error)


def _errors(wanted: Float[Array, "n h w c"], made: Float[Array, "b h w c"]) -> Float[Array, "n b"]:
    """Returns the mean squared error of every pair of images."""
    a, b = wanted.reshape(len(wanted), -1), jnp.clip(made, -1.0, 1.0).reshape(len(made), -1)
    product = jnp.einsum("ni,bi->nb", a, b, precision=lax.Precision.HIGHEST)
    squares = jnp.square(a).sum(1)[:, None] + jnp.square(b).sum(1)[None]
    return jnp.maximum(squares - 2.0 * product, 0.0) / a.shape[1]
