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
    """The nearest sample of each class for each picture; one class without classes.

    Attributes:
        latents: per-layer latents of the nearest samples.
        error: their mean squared errors; infinity for a class without samples.
    """

    latents: Float[np.ndarray, "n classes layers d"]
    error: Float[np.ndarray, "n classes"]

    def best(self) -> Float[np.ndarray, "n layers d"]:
        """Returns the latents of the nearest sample of all classes."""
        return self.latents[np.arange(len(self.error)), self.error.argmin(1)]


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
    seed: int = 0,
    weights: Float[np.ndarray, "classes"] | None = None,
    run: Run = Run(),
) -> Nearest:
    """Returns the samples whose images have the least mean squared error.

    The images are made batch by batch, and none is kept. Sample i depends on the seed
    and i alone.

    Args:
        generator: the generator.
        images: pictures in [-1, 1].
        num_samples: number of random images.
        seed: seed of the samples.
        weights: class weights of the samples; None: classes drawn at random.
        run: batch size, progress and stopping.

    Raises:
        InputError: if an image is not finite.
        Interrupted: if run.should_stop returned True.
    """
    samples = random_samples.draw(generator, 0, num_samples, seed=seed)
    latents, label = samples.layers, samples.weights
    classes, num_classes = np.zeros(num_samples, int), 1
    if weights is not None:
        label = np.broadcast_to(weights, (num_samples, len(weights)))
    elif label is not None and labels.act_on_images(generator):
        classes, num_classes = np.argmax(label, 1), generator.num_classes
    best = jnp.zeros((len(images), num_classes), jnp.int32)
    error = jnp.full((len(images), num_classes), jnp.inf)
    wanted, first = jnp.asarray(images, jnp.float32), 0
    settings = Run(batch_size=run.batch_size, report=lambda _: None)
    inputs = Inputs(latents, None, label, [])
    for made in image_batches.generate(generator, inputs, synthesis.Synthesis(), (), settings):
        stop = first + len(made["image"])
        found = _improve(wanted, made["image"], np.arange(first, stop), classes[first:stop], best, error)
        (best, error), first = found, stop
        run.report(Progress(stop, num_samples, "sample", "the nearest images"))
        if run.should_stop():
            raise Interrupted("stopped; the search for the nearest images begins anew")
    return Nearest(latents[np.asarray(best)], np.asarray(error))


@jax.jit
def _improve(
    wanted: Array, made: Array, indices: Int[Array, "b"], classes: Int[Array, "b"], best: Array, error: Array
) -> tuple[Array, Array]:
    """Returns the index and the error of the nearest sample of each class so far."""
    errors = _errors(wanted, made)
    for_class = jnp.where(classes[None, None] == jnp.arange(error.shape[1])[None, :, None], errors[:, None], jnp.inf)
    row = for_class.argmin(2)
    least = jnp.take_along_axis(for_class, row[..., None], 2)[..., 0]
    return jnp.where(least < error, indices[row], best), jnp.minimum(least, error)


def _errors(wanted: Float[Array, "n h w c"], made: Float[Array, "b h w c"]) -> Float[Array, "n b"]:
    """Returns the mean squared error of every pair of images."""
    a, b = wanted.reshape(len(wanted), -1), jnp.clip(made, -1.0, 1.0).reshape(len(made), -1)
    product = jnp.einsum("ni,bi->nb", a, b, precision=lax.Precision.HIGHEST)
    squares = jnp.square(a).sum(1)[:, None] + jnp.square(b).sum(1)[None]
    return jnp.maximum(squares - 2.0 * product, 0.0) / a.shape[1]
