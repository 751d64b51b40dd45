"""What every estimator is asked for, and what it returns."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.sampling import sweeps
from ganspace_jax.sampling.sweeps import Execution, Samples, Step
from ganspace_jax.shapes import Float
from ganspace_jax.statistics.cross_moments import Float64Sketch
from ganspace_jax.statistics.jackknife import Stability
from ganspace_jax.statistics.pca import PrincipalComponents

_FIRST_SET = 1_000  # samples of the first set, if their number grows until the components are stable


class Task(NamedTuple):
    """What an estimator is asked for.

    Attributes:
        num_components: number of components.
        random_directions: unit rows; the variances along them are the baseline.
        until_stable: angle in degrees. If it is not 0, sets of samples that double in
            size are added until the jackknife angle of every component is below it.
    """

    num_components: int
    random_directions: Float[np.ndarray, "c d"]
    until_stable: float = 0.0

    def sample_sets(self, num_samples: int) -> list[list[int]]:
        """Returns the bounds of the jackknife's groups in each set of samples."""
        smallest = max(_FIRST_SET, 4 * self.num_components) if self.until_stable else num_samples
        return sweeps.doubling_group_bounds(num_samples, min(smallest, num_samples))

    def is_stable(self, estimate: "Estimate") -> bool:
        """Returns whether every component is stable."""
        return bool(np.all(estimate.stability.angles < self.until_stable))


class Estimate(NamedTuple):
    """Principal components of a layer, and their covariance with the latent.

    If the layer is the latent space itself, the latent has no dimensions (l = 0).

    Attributes:
        components: directions and variances.
        stability: jackknife errors of both.
        mean: mean of the layer.
        random_variances: variances of the layer along the random directions.
        latent_mean: mean of the latent.
        cross_covariance: covariance of the components' coordinates with the latent.
        latent_covariance: covariance of the latent.
        num_samples: number of samples that were used.
        num_sweeps: number of sweeps over the samples, or over the first of them.
    """

    components: PrincipalComponents
    stability: Stability
    mean: Float[np.ndarray, "d"]
    random_variances: Float[np.ndarray, "c"]
    latent_mean: Float[np.ndarray, "l"]
    cross_covariance: Float[np.ndarray, "c l"]
    latent_covariance: Float[np.ndarray, "l l"]
    num_samples: int
    num_sweeps: int


class Estimator(NamedTuple):
    """One way to estimate the components of a layer.

    Attributes:
        largest_step: function that returns the largest step of the sweeps, with shapes
            in place of arrays; None if the estimator uses no samples.
        estimate: function that computes the Estimate.
        host_bytes: function of (sizes of layer and latent, num_components) that returns
            the host memory of the estimator's arrays.
    """

    largest_step: Callable[[Samples, int], Step] | None
    estimate: Callable[[Samples, Task, Execution], Estimate]
    host_bytes: Callable[[tuple[int, int], int], int]


def operand_shape(*shape: int) -> jax.ShapeDtypeStruct:
    """Returns the abstract value of a float32 operand."""
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def from_sketch(
    sketch: Float64Sketch,
    block_width: int,
    components: PrincipalComponents,
    stability: Stability,
    covariance: Float[np.ndarray, "c p"],
) -> Estimate:
    """Returns the Estimate of components that a sketch was measured with.

    Args:
        sketch: its short vector holds, in order, `block_width` basis coordinates, one
            random coordinate per component, and the latent.
        block_width: number of basis coordinates.
        components: the components.
        stability: their jackknife errors.
        covariance: covariance of the components' coordinates with the short vector.
    """
    first_latent = block_width + len(components.variances)
    random, latent = slice(block_width, first_latent), slice(first_latent, None)
    short_covariance = sketch.short_scatter / (sketch.count - 1)
    return Estimate(
        components=components,
        stability=stability,
        mean=sketch.mean,
        random_variances=np.diag(short_covariance)[random],
        latent_mean=sketch.short_mean[latent],
        cross_covariance=covariance[:, latent],
        latent_covariance=short_covariance[latent, latent],
        num_samples=int(sketch.count),
        num_sweeps=1,
    )
