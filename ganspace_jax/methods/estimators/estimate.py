"""What every estimator is asked for, and what it returns."""

from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.run import Run
from ganspace_jax.sampling import sample_groups
from ganspace_jax.sampling.sweep_parts import Samples, Statistics, Step
from ganspace_jax.shapes import Float
from ganspace_jax.statistics.cross_moments import Float64Sketch
from ganspace_jax.statistics.jackknife import Stability
from ganspace_jax.statistics.pca import PrincipalComponents
from ganspace_jax.statistics.regression import CoordinateMoments

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
        return sample_groups.doubling_bounds(num_samples, min(smallest, num_samples))

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
        moments: moments of the components' coordinates and the latent.
        replicates: the same moments without one group of samples, one item per group;
            () if the estimator uses no samples.
        num_samples: number of samples that were used.
        num_sweeps: number of sweeps over the samples, or over the first of them.
    """

    components: PrincipalComponents
    stability: Stability
    mean: Float[np.ndarray, "d"]
    random_variances: Float[np.ndarray, "c"]
    latent_mean: Float[np.ndarray, "l"]
    moments: CoordinateMoments
    replicates: Sequence[CoordinateMoments]
    num_samples: int
    num_sweeps: int


class Sweeps(NamedTuple):
    """Sweeps that an estimator needs next: one for each pair of neighbouring bounds.

    Attributes:
        statistics: module of the sufficient statistics.
        step: what is computed.
        bounds: first samples of the sweeps, and the end of the last one.
        note: note of each progress report.
    """

    statistics: Statistics
    step: Step
    bounds: Sequence[int]
    note: str = ""


Estimation = Generator[Sweeps, list[Any], Estimate]  # yields sweeps, receives their states, returns the estimate


class Estimator(NamedTuple):
    """One way to estimate the components of a layer.

    Attributes:
        largest_step: function that returns the largest step of the sweeps, with shapes
            in place of arrays; None if the estimator uses no samples.
        estimate: function that returns the computation. It does not sweep itself, so
            that the computations of several layers can share their sweeps.
        host_bytes: function of (sizes of layer and latent, num_components) that returns
            the host memory of the estimator's arrays.
    """

    largest_step: Callable[[Samples, int], Step] | None
    estimate: Callable[[Samples, Task, Run], Estimation]
    host_bytes: Callable[[tuple[int, int], int], int]


def operand_shape(*shape: int) -> jax.ShapeDtypeStruct:
    """Returns the abstract value of a float32 operand."""
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def from_sketch(
    sketch: Float64Sketch,
    block_width: int,
    components: PrincipalComponents,
    stability: Stability,
    moments: Sequence[CoordinateMoments],
) -> Estimate:
    """Returns the Estimate of components that a sketch was measured with.

    Args:
        sketch: its short vector holds, in order, `block_width` basis coordinates, one
            random coordinate per component, and the latent.
        block_width: number of basis coordinates.
        components: the components.
        stability: their jackknife errors.
        moments: moments of all samples, then those without one group each.
    """
    first_latent = block_width + len(components.variances)
    return Estimate(
        components=components,
        stability=stability,
        mean=sketch.mean,
        random_variances=np.diag(sketch.short_scatter / (sketch.count - 1))[block_width:first_latent],
        latent_mean=sketch.short_mean[first_latent:],
        moments=moments[0],
        replicates=moments[1:],
        num_samples=int(sketch.count),
        num_sweeps=1,
    )
