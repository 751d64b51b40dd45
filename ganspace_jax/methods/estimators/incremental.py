"""The incremental estimator: what the original GANSpace does, in one sweep, for
comparison with it.
"""

import functools
import itertools
import math

import jax
import jax.numpy as jnp

from ganspace_jax.methods.estimators.estimate import Estimate, Estimator, Task, from_sketch, operand_shape
from ganspace_jax.sampling import sweeps
from ganspace_jax.sampling.sweeps import NUM_GROUPS, Execution, Samples, Step
from ganspace_jax.statistics import cross_moments, incremental_pca, jackknife, pca


def estimate(samples: Samples, task: Task, execution: Execution) -> Estimate:
    """Keeps more directions than asked for while sampling; the jackknife merges all
    groups but one.
    """
    size, latent_size = samples.sizes()
    count = task.num_components
    state = incremental_pca.init(size, num_rows(count), count + latent_size)
    step = Step(incremental_pca.update, state, (jnp.asarray(task.random_directions, jnp.float32),))
    groups = [
        sweeps.sweep(samples, execution, incremental_pca, step, start, stop)
        for start, stop in itertools.pairwise(sweeps.group_bounds(samples.num_samples))
    ]
    components = _components(groups, count)
    without_one = [_components(groups[:k] + groups[k + 1 :], count) for k in range(len(groups))]
    total = functools.reduce(cross_moments.merge, [group.sketch for group in groups])
    covariance = components.directions @ total.cross.T / (total.count - 1)
    return from_sketch(total, 0, components, jackknife.stability(components, without_one), covariance)


def _components(groups: list[incremental_pca.Float64Incremental], num_components: int) -> pca.PrincipalComponents:
    merged = functools.reduce(incremental_pca.merge, groups)
    degrees_of_freedom = merged.sketch.count - 1
    components = pca.from_factor(merged.rows.T / math.sqrt(degrees_of_freedom), num_components)
    return components._replace(total_variance=float(merged.sketch.power / degrees_of_freedom))


def num_rows(num_components: int) -> int:
    """Returns the number of directions that are kept while sampling."""
    return 2 * num_components + 10


def largest_step(samples: Samples, num_components: int) -> Step:
    """Returns the step of the sweep, with shapes in place of arrays."""
    size, latent_size = samples.sizes()
    state = jax.eval_shape(lambda: incremental_pca.init(size, num_rows(num_components), num_components + latent_size))
    return Step(incremental_pca.update, state, (operand_shape(num_components, size),))


def host_bytes(sizes: tuple[int, int], num_components: int) -> int:
    """Returns the bytes of the D x rows arrays: a state per group, and the
    merged ones.
    """
    rows = num_rows(num_components) + num_components
    return 8 * (NUM_GROUPS + 6) * sizes[0] * rows


ESTIMATOR = Estimator(largest_step, estimate, host_bytes)
