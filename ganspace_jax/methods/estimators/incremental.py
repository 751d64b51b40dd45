"""The incremental estimator: what the original GANSpace does, in one sweep, for
comparison with it.
"""

import functools
import math

import jax
import jax.numpy as jnp

from ganspace_jax.methods.estimators.estimate import Estimation, Estimator, Sweeps, Task, from_sketch, operand_shape
from ganspace_jax.run import Run
from ganspace_jax.sampling import sample_groups
from ganspace_jax.sampling.sample_groups import NUM_GROUPS
from ganspace_jax.sampling.sweep_parts import Samples, Step
from ganspace_jax.statistics import cross_moments, incremental_pca, jackknife, pca
from ganspace_jax.statistics.regression import CoordinateMoments


def estimate(samples: Samples, task: Task, run: Run) -> Estimation:
    """Keeps more directions than asked for while sampling; the jackknife merges all
    groups but one.
    """
    del run
    size, latent_size = samples.sizes()
    count = task.num_components
    state = incremental_pca.init(size, num_rows(count), count + latent_size)
    step = Step(incremental_pca.update, state, (jnp.asarray(task.random_directions, jnp.float32),))
    groups = yield Sweeps(incremental_pca, step, sample_groups.bounds(samples.num_samples))
    components = _components(groups, count)
    without_one = [_components(groups[:k] + groups[k + 1 :], count) for k in range(len(groups))]
    total = functools.reduce(cross_moments.merge, [group.sketch for group in groups])
    remainders = [cross_moments.remove(total, group.sketch) for group in groups]
    found = [_moments(*pair) for pair in zip([components, *without_one], [total, *remainders], strict=True)]
    return from_sketch(total, 0, components, jackknife.stability(components, without_one), found)


def _moments(components: pca.PrincipalComponents, sketch: cross_moments.Float64Sketch) -> CoordinateMoments:
    latent, degrees_of_freedom = slice(len(components.variances), None), sketch.count - 1
    cross = components.directions @ sketch.cross[latent].T / degrees_of_freedom
    return CoordinateMoments(components.variances, cross, sketch.short_scatter[latent, latent] / degrees_of_freedom)


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
