"""Directions along which images change most, per standard deviation of the latent.

S = L L^T is the covariance of the latent. J is the Jacobian of an image with respect to
the latent, which all layers share. The directions are

    u = L q,  q: leading eigenvectors of L^T E[J^T J] L.

The eigenvalue is the mean squared change of the image for the step u, to first order.
The directions do not depend on labels, nor on the coordinates of the latent. Ramesh,
Choi and LeCun, "A Spectral Regularizer for Unsupervised Disentanglement", 2018, take
the eigenvectors at one image, without S.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ganspace_jax.directions.components import Components
from ganspace_jax.errors import InputError
from ganspace_jax.generators.base import Generator
from ganspace_jax.methods import direction_spec
from ganspace_jax.methods.direction_spec import DirectionSpec
from ganspace_jax.run import Progress, Run
from ganspace_jax.sampling import latent_jacobians, scored_images
from ganspace_jax.sampling.sample_groups import NUM_GROUPS
from ganspace_jax.shapes import Float
from ganspace_jax.statistics import jackknife, quadratic_forms
from ganspace_jax.statistics.jackknife import Stability
from ganspace_jax.statistics.pca import PrincipalComponents


class Found(NamedTuple):
    """Directions of a mean Gram matrix, with errors from a jackknife over images.

    Attributes:
        directions: unit rows; their variances are mean squared changes of the image.
        stability: standard errors; those of the latent's covariance do not count.
    """

    directions: PrincipalComponents
    stability: Stability


def find(generator: Generator, spec: DirectionSpec, run: Run = Run(), *, name: str = "") -> Components:
    """Finds the directions along which images change most.

    `variance_ratio` is the share of a direction in the mean squared change of images.

    Args:
        generator: the generator.
        spec: resolved spec.
        run: tangents per step, progress and stopping.
        name: name of the generator in the components file.

    Raises:
        InputError: if a Jacobian is not finite.
        Interrupted: if run.should_stop returned True.
    """
    prior = direction_spec.latent_distribution(generator, spec)
    grams = measure(generator, spec, run)
    found = from_grams(grams, prior.covariance, spec.num_components)
    strengths = found.directions.variances
    tiny = np.finfo(np.float32).tiny
    figures = {
        "variance_ratio": strengths / max(found.directions.total_variance, tiny),
        "stability": found.stability.angles,
        "variance_error": found.stability.variance_errors / np.maximum(strengths, tiny),
    }
    rows = found.directions.directions
    return direction_spec.of_latent(
        generator, spec, rows, prior, figures=figures, num_samples=spec.num_images, name=name
    )


def measure(generator: Generator, spec: DirectionSpec, run: Run = Run()) -> Float[np.ndarray, "groups l l"]:
    """Returns the mean of J^T J over each group of consecutive images, in float64.

    Images are those of seed + 1, so that the covariance comes from other samples.
    """
    at = latent_jacobians.draw(generator, spec, spec.num_images, spec.seed + 1)
    target = latent_jacobians.target(generator, spec, run)
    bounds = np.arange(NUM_GROUPS + 1) * spec.num_images // NUM_GROUPS
    sums = np.zeros((NUM_GROUPS, at.latents.shape[1], at.latents.shape[1]))
    for index, latent in enumerate(at.latents):
        own = None if at.weights is None else jnp.asarray(at.weights[index])
        gram = latent_jacobians.gram(target, generator.params, jnp.asarray(latent), own, 1e9 * run.memory_gb)
        sums[np.searchsorted(bounds, index, side="right") - 1] += gram
        if not np.isfinite(sums).all():
            raise InputError(f"the Jacobian of image {index} contains NaN or infinity; the generator may be damaged")
        run.report(Progress(index + 1, spec.num_images, "image", "Jacobians"))
        scored_images.check_stop(run)
    return sums / np.diff(bounds)[:, None, None]


def from_grams(
    grams: Float[np.ndarray, "groups l l"], covariance: Float[np.ndarray, "l l"], num_directions: int
) -> Found:
    """Returns the leading directions of the mean of the groups.

    Args:
        grams: mean of J^T J over each group of images.
        covariance: covariance S of the latent.
        num_directions: number of directions.
    """
    directions = quadratic_forms.leading(grams.mean(0), covariance, num_directions)
    others = (np.delete(grams, group, axis=0).mean(0) for group in range(len(grams)))
    replicates = [quadratic_forms.leading(gram, covariance, num_directions) for gram in others]
    return Found(directions, jackknife.stability(directions, replicates))
