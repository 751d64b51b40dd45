"""How the covariance of a layer, and its covariance with the latent, are known: from samples or from the weights.

exact        all D x D moments, in one sweep over the samples
randomized   products with blocks of vectors, in a few sweeps over the same samples, where D x D does not fit
analytic     the weights of a layer that is affine in z; no samples

Each gives the same Estimate, and with it how far it can be trusted.
"""

import functools
import itertools
import logging
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.generators import base
from ganspace_jax.methods.estimators import analytic as affine
from ganspace_jax.sampling import latents, sweeps
from ganspace_jax.sampling.layers import Observed
from ganspace_jax.sampling.sweeps import NUM_GROUPS, Samples
from ganspace_jax.shapes import Float
from ganspace_jax.statistics import cross_moments, lobpcg, moments, pca
from ganspace_jax.statistics import incremental_pca as incremental

NAMES = ("auto", "exact", "randomized", "incremental", "analytic")
# Of D x D, on the host: each group's scatter, and four more while they are worked on.
_BYTES_PER_NUMBER = 8 * (NUM_GROUPS + 4)
_FIRST_SET = 1_000  # samples, where their number grows until the components are stable
_SHARE = 64  # one in so many samples shows where the leading subspace is, roughly
_ROUGHLY = 100  # times the tolerance, for that share: its samples differ from all by more


class Estimate(NamedTuple):
    """mean: of the layer; covariances of the components' coordinates with the latent, and of the latent; random_variances: of
    the layer along the random directions that were asked for. No latents (l = 0) where the layer is the latent space itself.
    num_samples: that were needed. num_sweeps: over them, or the first of them."""

    components: pca.PrincipalComponents
    stability: pca.Stability
    mean: Float[np.ndarray, "d"]
    random_variances: Float[np.ndarray, "c"]
    latent_mean: Float[np.ndarray, "l"]
    cross_covariance: Float[np.ndarray, "c l"]
    latent_covariance: Float[np.ndarray, "l l"]
    num_samples: int
    num_sweeps: int


def choose(name: str, dimension: int, memory_budget_gb: float) -> str:
    """What "auto" means: exact where its D x D arrays fit into the budget, else randomized."""
    if name != "auto":
        return name
    return "exact" if _BYTES_PER_NUMBER * dimension**2 <= memory_budget_gb * 1e9 else "randomized"


def fit_batch(name: str, samples: Samples, num_components: int, limit: int) -> Samples:
    """The same samples with as large a batch as an estimator's steps have room for in so many bytes on each device."""
    if name == "analytic":  # without samples
        return samples
    update, state, *operands = step(name, samples, num_components)
    return sweeps.fit_batch(samples, limit, update, state, *operands)


def step(name: str, samples: Samples, num_components: int) -> tuple[Any, ...]:
    """(update, state, *operands) of an estimator's largest sweep, for sampling.compile_step: shapes instead of arrays."""
    size, latent_size = samples.dimensions()
    width, short = _block_width(num_components, size), num_components + latent_size
    block = lambda rows: jax.ShapeDtypeStruct((rows, size), jnp.float32)  # noqa: E731
    shapes = lambda init, *numbers: jax.eval_shape(lambda: init(*numbers))  # noqa: E731
    if name == "exact":
        return _add_to_moments, shapes(moments.init, size + latent_size)
    if name == "incremental":
        state = shapes(incremental.init, size, _num_rows(num_components), short)
        return incremental.update, state, block(num_components)
    return cross_moments.update, shapes(cross_moments.init, size, width + short, width), block(width + num_components)


def _block_width(num_components: int, size: int) -> int:
    """Of the subspace that is iterated on: more directions than are asked for make it settle sooner."""
    return min(size, num_components + 10 + num_components // 2)


def _num_rows(num_components: int) -> int:
    return 2 * num_components + 10


def exact(
    samples: Samples, num_components: int, random: Float[np.ndarray, "c d"], *, until_stable: float = 0.0
) -> Estimate:
    """From the joint moments of (layer, latent), one set for each group of the jackknife.

    until_stable: degrees; where not 0, sets of samples that double in size are added until every component's jackknife angle
    is below it, or there are no more.
    """
    size, latent_size = samples.dimensions()
    layer, latent = slice(0, size), slice(size, None)
    estimate, groups = None, []
    for bounds in _sample_sets(samples.num_samples, num_components, until_stable):
        groups = [moments.merge(a, b) for a, b in zip(groups[::2], groups[1::2], strict=True)]
        for start, stop in list(itertools.pairwise(bounds))[len(groups) :]:
            state = moments.init(size + latent_size)
            groups.append(sweeps.sweep(samples, moments, _add_to_moments, state, start, stop))
        total = functools.reduce(moments.merge, groups)
        matrix = moments.covariance(total)
        found = pca.exact(matrix[layer, layer], num_components)
        estimate = Estimate(
            components=found,
            stability=pca.jackknife(total, groups, found, layer),
            mean=total.mean[layer],
            random_variances=np.sum(random @ matrix[layer, layer] * random, axis=1),
            latent_mean=total.mean[latent],
            cross_covariance=found.directions @ matrix[layer, latent],
            latent_covariance=matrix[latent, latent],
            num_samples=bounds[-1],
            num_sweeps=1,
        )
        if _is_stable(estimate, until_stable):
            break
    assert estimate is not None  # there is at least one set
    return estimate


def _sample_sets(num_samples: int, num_components: int, until_stable: float) -> list[list[int]]:
    """The groups' bounds in each set of samples to be looked at."""
    smallest = max(_FIRST_SET, 4 * num_components) if until_stable else num_samples
    return sweeps.doublings(num_samples, min(smallest, num_samples))


def _is_stable(estimate: Estimate, until_stable: float) -> bool:
    return bool(np.all(estimate.stability.angles < until_stable))


def _add_to_moments(state, activation, latent, weight):
    return moments.update(state, jnp.concatenate([activation, latent], axis=1), weight)


def randomized_block(
    samples: Samples,
    num_components: int,
    random: Float[np.ndarray, "c d"],
    *,
    until_stable: float = 0.0,
    tolerance: float = 2e-4,
    on_sweep: Callable[[int, float], object] = lambda sweeps, error: None,
) -> Estimate:
    """From sweeps that find the leading subspace, over a share of the samples first, and one that measures in it.

    Memory O(D components). Where the subspace of the share is that of all samples, as in a layer of low rank, one sweep over
    them is enough. until_stable: see `exact`; each set begins with the subspace of the one before. tolerance: radians by which
    the leading subspace of the samples may be off.
    """
    sweeps = 0

    def report(error: float) -> None:
        nonlocal sweeps
        sweeps += 1
        on_sweep(sweeps, error)

    sets = _sample_sets(samples.num_samples, num_components, until_stable)
    size = samples.dimensions()[0]
    basis = lobpcg.random_block(size, _block_width(num_components, size))
    share = max(sets[0][-1] // _SHARE, 4 * basis.shape[1])
    if share < sets[0][-1]:
        rough = _leading_subspace(samples, share, num_components, basis, None, _ROUGHLY * tolerance, report)
        basis = rough.basis
    estimate = None
    for bounds in sets:
        groups = _measure(samples, bounds, basis, random)
        image = functools.reduce(cross_moments.merge, groups).cross.T / (bounds[-1] - 1)
        found = _leading_subspace(samples, bounds[-1], num_components, basis, image, tolerance, report)
        if found.passes:
            basis, sweeps = found.basis, sweeps + 1
            groups = _measure(samples, bounds, basis, random)
        _warn(samples.observed.layer, found, tolerance)
        estimate = _from_groups(groups, basis, num_components)._replace(num_sweeps=sweeps)
        if _is_stable(estimate, until_stable):
            break
    assert estimate is not None  # there is at least one set
    return estimate


def _leading_subspace(
    samples: Samples,
    num_samples: int,
    num_components: int,
    start: Float[np.ndarray, "d b"],
    image: Float[np.ndarray, "d b"] | None,
    tolerance: float,
    on_pass: Callable[[float], object],
) -> lobpcg.Subspace:
    """Of the first `num_samples` samples."""

    def apply(block: np.ndarray) -> np.ndarray:
        size, width = block.shape
        state, operand = cross_moments.init(size, width, width), jnp.asarray(block.T, jnp.float32)
        found = sweeps.sweep(samples, cross_moments, _add_to_bare_sketch, state, 0, num_samples, operand)
        return found.cross.T / (num_samples - 1)

    return lobpcg.leading_subspace(apply, start, num_components, image=image, tolerance=tolerance, on_pass=on_pass)


def _warn(layer: str, found: lobpcg.Subspace, tolerance: float) -> None:
    if found.error > tolerance:
        logging.getLogger(__name__).warning(
            "layer %s: after %d passes the subspace may be off by %.1g rad; its last components are not settled",
            layer, found.passes, found.error,
        )  # fmt: skip


def _add_to_bare_sketch(state, activation, latent, weight, block):
    return cross_moments.update(state, activation, latent[:, :0], weight, block)


def _measure(
    samples: Samples, bounds: list[int], basis: Float[np.ndarray, "d b"], random: Float[np.ndarray, "c d"]
) -> list[cross_moments.Float64Sketch]:
    """One sweep, in groups: sketches with the block (basis, random directions), crossed with the basis alone."""
    size, latent_size = samples.dimensions()
    block = jnp.asarray(np.concatenate([basis.T, random]), jnp.float32)
    state = cross_moments.init(size, len(block) + latent_size, basis.shape[1])
    return [
        sweeps.sweep(samples, cross_moments, cross_moments.update, state, start, stop, block)
        for start, stop in itertools.pairwise(bounds)
    ]


def _from_groups(
    groups: list[cross_moments.Float64Sketch], basis: Float[np.ndarray, "d b"], num_components: int
) -> Estimate:
    """The components lie in the basis, up to its tolerance, and so does their covariance with the latent."""
    total = functools.reduce(cross_moments.merge, groups)
    found = _nystrom(total, basis, num_components)
    others = [_nystrom(cross_moments.remove(total, group), basis, num_components) for group in groups]
    within = found.directions @ basis
    crossed = within @ (total.short_scatter[: basis.shape[1]] / (total.count - 1))
    return _from_sketch(total, basis.shape[1], found, pca.stability(found, others), crossed)


def _from_sketch(
    total: cross_moments.Float64Sketch,
    width: int,
    found: pca.PrincipalComponents,
    stability: pca.Stability,
    crossed: Float[np.ndarray, "c p"],
) -> Estimate:
    """Of a sketch with `width` directions of a basis, the random ones, of which there are as many as components, and the
    latent; crossed: the components' covariance with all of these."""
    random, latent = slice(width, width + len(found.variances)), slice(width + len(found.variances), None)
    covariance = total.short_scatter / (total.count - 1)
    return Estimate(
        components=found,
        stability=stability,
        mean=total.mean,
        random_variances=np.diag(covariance)[random],
        latent_mean=total.short_mean[latent],
        cross_covariance=crossed[:, latent],
        latent_covariance=covariance[latent, latent],
        num_samples=int(total.count),
        num_sweeps=1,
    )


def _nystrom(
    sketch: cross_moments.Float64Sketch, basis: Float[np.ndarray, "d b"], num_components: int
) -> pca.PrincipalComponents:
    """Components of C ~ (C B) (B^T C B)^-1 (C B)^T: exact for B invariant under C, to second order for B nearly so.

    So a subspace found with all samples shows also how the components turn, out of it too, when a group is left out.
    """
    image = sketch.cross.T / (sketch.count - 1)
    inner = basis.T @ image
    values, vectors = np.linalg.eigh((inner + inner.T) / 2)
    kept = values > lobpcg.RESOLVED * values[-1]
    factor = image @ (vectors[:, kept] / np.sqrt(values[kept]))
    found = pca.from_factor(factor, num_components)
    return found._replace(total_variance=float(sketch.power / (sketch.count - 1)))


def incremental_pca(samples: Samples, num_components: int, random: Float[np.ndarray, "c d"]) -> Estimate:
    """In one sweep, from twice as many directions as are asked for, and ten; the jackknife's groups are left out by merging
    the others."""
    size, latent_size = samples.dimensions()
    state = incremental.init(size, _num_rows(num_components), len(random) + latent_size)
    block = jnp.asarray(random, jnp.float32)
    groups = [
        sweeps.sweep(samples, incremental, incremental.update, state, start, stop, block)
        for start, stop in itertools.pairwise(sweeps.bounds(samples.num_samples))
    ]

    def components(parts: list[incremental.Float64Incremental]) -> pca.PrincipalComponents:
        merged = functools.reduce(incremental.merge, parts)
        degrees = merged.sketch.count - 1
        found = pca.from_factor(merged.rows.T / math.sqrt(degrees), num_components)
        return found._replace(total_variance=float(merged.sketch.power / degrees))

    found = components(groups)
    stability = pca.stability(found, [components(groups[:k] + groups[k + 1 :]) for k in range(len(groups))])
    total = functools.reduce(cross_moments.merge, [group.sketch for group in groups])
    return _from_sketch(total, 0, found, stability, found.directions @ total.cross.T / (total.count - 1))


def analytic(
    generator: base.SplitGenerator, observed: Observed, num_components: int, random: Float[np.ndarray, "c d"]
) -> Estimate:
    """What the others tend to with more and more samples; raises InputError for a layer that is not affine in z."""
    module = generator.merge()
    layer = affine.read(generator, observed.layer, observed.label, observed.truncation_psi)
    variance = latents.variance(module.prior, observed.truncation_psi)
    factor = affine.factor(layer, variance)
    nothing = np.zeros(num_components)
    found = pca.from_factor(factor, num_components)
    return Estimate(
        components=found,
        stability=pca.Stability(nothing, nothing),
        mean=layer.offsets.mean(0),
        random_variances=np.square(random @ factor).sum(1),
        latent_mean=np.zeros(module.z_dim),
        cross_covariance=variance * found.directions @ layer.slopes,
        latent_covariance=variance * np.eye(module.z_dim),
        num_samples=0,
        num_sweeps=0,
    )
