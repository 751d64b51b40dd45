"""The randomized estimator: products of the covariance with blocks of vectors, in a few
sweeps.

It serves layers whose D x D covariance does not fit into memory; it needs O(D
components). Three phases: a small share of the samples shows roughly where the leading
subspace is; sweeps over all samples refine it; one more sweep measures in it.
"""

import functools
import logging
import math
from collections.abc import Generator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.methods.estimators.estimate import (
    Estimate,
    Estimation,
    Estimator,
    Sweeps,
    Task,
    from_sketch,
    operand_shape,
)
from ganspace_jax.run import Progress, Run
from ganspace_jax.sampling.sample_groups import NUM_GROUPS
from ganspace_jax.sampling.sweep_parts import Samples, Step
from ganspace_jax.shapes import Float
from ganspace_jax.statistics import cross_moments, jackknife, lobpcg, pca
from ganspace_jax.statistics.regression import CoordinateMoments

TOLERANCE = 2e-4  # angle by which the leading subspace of the samples may be off, in radians
_WARM_UP_SHARE = 64  # one in so many samples is used to find the subspace roughly
_WARM_UP_TOLERANCE = 100 * TOLERANCE  # a share's own subspace differs from that of all samples by more

Basis = Float[np.ndarray, "d b"]


class _Found(NamedTuple):
    """A basis of the leading subspace, and the number of sweeps up to it."""

    basis: Basis
    num_sweeps: int


def estimate(samples: Samples, task: Task, run: Run) -> Estimation:
    """Finds the leading subspace, and measures components, errors and latent
    covariances in it.

    In a layer of low rank, the warm-up share already shows the subspace of all samples.
    Then one sweep over all samples is enough. Each larger set of samples begins with
    the subspace of the set before.
    """
    sets = task.sample_sets(samples.num_samples)
    found = yield from warm_up(samples, task, sets[0][-1])
    result = None
    for bounds in sets:
        found, groups = yield from refine(samples, task, bounds, found)
        run.report(Progress(bounds[-1], samples.num_samples, "sample", "components, and their jackknife errors"))
        result = measure_in_subspace(groups, found.basis, task.num_components)
        result = result._replace(num_sweeps=found.num_sweeps)
        if task.is_stable(result):
            break
    assert result is not None  # there is at least one set
    return result


def warm_up(samples: Samples, task: Task, num_samples: int) -> Generator[Sweeps, list[Any], _Found]:
    """Finds the subspace of a small share of the first set's samples. If the set is
    small, returns a random block.
    """
    size = samples.sizes()[0]
    basis = lobpcg.random_block(size, block_width(task.num_components, size))
    share = max(num_samples // _WARM_UP_SHARE, 4 * basis.shape[1])
    if share >= num_samples:
        return _Found(basis, 0)
    counter = _SweepCounter(0)
    search = lobpcg.search(basis, task.num_components, tolerance=_WARM_UP_TOLERANCE, on_pass=counter.count)
    subspace = yield from _multiply(search, counter, share)
    return _Found(subspace.basis, counter.num_sweeps)


def refine(
    samples: Samples, task: Task, bounds: list[int], found: _Found
) -> Generator[Sweeps, list[Any], tuple[_Found, list[cross_moments.Float64Sketch]]]:
    """Measures in the basis, and if it is not yet the leading subspace, improves it and
    measures again.
    """
    counter = _SweepCounter(found.num_sweeps)
    groups = yield _measure(samples, task, counter.note(), bounds, found.basis)
    image = functools.reduce(cross_moments.merge, groups).cross.T / (bounds[-1] - 1)
    search = lobpcg.search(
        found.basis, task.num_components, image=image, tolerance=TOLERANCE, on_pass=counter.count
    )  # fmt: skip
    subspace = yield from _multiply(search, counter, bounds[-1])
    if subspace.error > TOLERANCE:
        logging.getLogger(__name__).warning(
            "layer %s: after %d passes the subspace may be off by %.1g rad; its last components are not settled",
            samples.spec.layer, subspace.passes, subspace.error,
        )  # fmt: skip
    if not subspace.passes:
        return _Found(found.basis, counter.num_sweeps), groups
    groups = yield _measure(samples, task, counter.note(), bounds, subspace.basis)
    return _Found(subspace.basis, counter.num_sweeps + 1), groups


class _SweepCounter:
    """The number of finished sweeps, which the note of the progress shows with the
    present error.
    """

    def __init__(self, num_sweeps: int):
        self.num_sweeps, self._error = num_sweeps, math.pi / 2

    def count(self, error: float) -> None:
        """Counts one sweep, after which the subspace may be off by `error` radians."""
        self.num_sweeps, self._error = self.num_sweeps + 1, error

    def note(self) -> str:
        """Returns a note about the next sweep."""
        known = f"; the subspace is known to {math.degrees(self._error):.2g} deg" if self.num_sweeps else ""
        return f"sweep {self.num_sweeps + 1}{known}"


def _multiply(
    search: lobpcg.Search, counter: _SweepCounter, num_samples: int
) -> Generator[Sweeps, list[Any], lobpcg.Subspace]:
    """Answers each block of a search with C block, with C the covariance of the first
    samples. Each answer needs one sweep.
    """
    try:
        block = next(search)
        while True:
            size, width = block.shape
            operand = jnp.asarray(block.T, jnp.float32)
            step = Step(_add_to_bare_sketch, cross_moments.init(size, width, width), (operand,))
            (sketch,) = yield Sweeps(cross_moments, step, [0, num_samples], counter.note())
            block = search.send(sketch.cross.T / (num_samples - 1))
    except StopIteration as end:
        return end.value


def _add_to_bare_sketch(state, activation, latent, weight, block):
    return cross_moments.update(state, activation, latent[:, :0], weight, block)


def _measure(samples: Samples, task: Task, note: str, bounds: list[int], basis: Basis) -> Sweeps:
    """Returns the sweeps that sketch each group with the block (basis, random
    directions), crossed with the basis alone.
    """
    size, latent_size = samples.sizes()
    block = jnp.asarray(np.concatenate([basis.T, task.random_directions]), jnp.float32)
    step = Step(cross_moments.update, cross_moments.init(size, len(block) + latent_size, basis.shape[1]), (block,))
    return Sweeps(cross_moments, step, bounds, note)


def measure_in_subspace(groups: list[cross_moments.Float64Sketch], basis: Basis, num_components: int) -> Estimate:
    """Returns the Estimate of groups that were measured in a basis.

    The components lie in the basis up to its tolerance, and so does their covariance
    with the latent.
    """
    total, width = functools.reduce(cross_moments.merge, groups), basis.shape[1]
    components = _nystrom(total, basis, num_components)
    without_one, moments = [], [_moments(total, basis, components)]
    for group in groups:
        remainder = cross_moments.remove(total, group)
        without_one.append(_nystrom(remainder, basis, num_components))
        moments.append(_moments(remainder, basis, without_one[-1]))
    return from_sketch(total, width, components, jackknife.stability(components, without_one), moments)


def _moments(
    sketch: cross_moments.Float64Sketch, basis: Basis, components: pca.PrincipalComponents
) -> CoordinateMoments:
    width, latent = basis.shape[1], slice(basis.shape[1] + len(components.variances), None)
    covariance = sketch.short_scatter / (sketch.count - 1)
    in_basis = components.directions @ basis
    return CoordinateMoments(components.variances, in_basis @ covariance[:width, latent], covariance[latent, latent])


def _nystrom(sketch: cross_moments.Float64Sketch, basis: Basis, num_components: int) -> pca.PrincipalComponents:
    """Returns the components of C ~ (C B) (B^T C B)^-1 (C B)^T.

    This is exact if B is invariant under C, and of second order if it is nearly so.
    Therefore a subspace of all samples also shows how the components turn out of it
    when a group is left out.
    """
    image = sketch.cross.T / (sketch.count - 1)
    inner = basis.T @ image
    values, vectors = np.linalg.eigh((inner + inner.T) / 2)
    kept = values > lobpcg.RESOLVED * values[-1]
    factor = image @ (vectors[:, kept] / np.sqrt(values[kept]))
    components = pca.from_factor(factor, num_components)
    return components._replace(total_variance=float(sketch.power / (sketch.count - 1)))


def block_width(num_components: int, size: int) -> int:
    """Returns the block width: num_components plus oversampling, which speeds up
    convergence.
    """
    return min(size, num_components + 10 + num_components // 2)


def largest_step(samples: Samples, num_components: int) -> Step:
    """Returns the measuring step, with shapes in place of arrays."""
    size, latent_size = samples.sizes()
    width = block_width(num_components, size)
    short_size = width + num_components + latent_size
    state = jax.eval_shape(lambda: cross_moments.init(size, short_size, width))
    return Step(cross_moments.update, state, (operand_shape(width + num_components, size),))


def host_bytes(sizes: tuple[int, int], num_components: int) -> int:
    """Returns the bytes of the D x width arrays: a sketch per group, and 24 while a
    subspace is refined.
    """
    return 8 * (NUM_GROUPS + 24) * sizes[0] * block_width(num_components, sizes[0])


ESTIMATOR = Estimator(largest_step, estimate, host_bytes)
