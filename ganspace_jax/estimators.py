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
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ganspace_jax import affine, incremental, latents, moments, pca, randomized, sampling, sketches
from ganspace_jax.generators import base
from ganspace_jax.observation import Observed
from ganspace_jax.sampling import NUM_GROUPS, Samples
from ganspace_jax.shapes import Float

NAMES = ("auto", "exact", "randomized", "incremental", "analytic")
# Of D x D, on the host: each group's scatter, and four more while they are worked on.
_BYTES_PER_NUMBER = 8 * (NUM_GROUPS + 4)
_FIRST_SET = 1_000  # samples, where their number grows until the components are stable


class Estimate(NamedTuple):
    """mean: of the layer; covariances of layer and latent, and of the latent; random_variances: of the layer along the
    random directions that were asked for. No latents (l = 0) where the layer is the latent space itself. num_samples: that
    were needed. num_sweeps: over them."""

    components: pca.PrincipalComponents
    stability: pca.Stability
    mean: Float[np.ndarray, "d"]
    random_variances: Float[np.ndarray, "c"]
    latent_mean: Float[np.ndarray, "l"]
    cross_covariance: Float[np.ndarray, "d l"]
    latent_covariance: Float[np.ndarray, "l l"]
    num_samples: int
    num_sweeps: int


def choose(name: str, dimension: int, memory_budget_gb: float) -> str:
    """What "auto" means: exact where its D x D arrays fit into the budget, else randomized."""
    if name != "auto":
        return name
    return "exact" if _BYTES_PER_NUMBER * dimension**2 <= memory_budget_gb * 1e9 else "randomized"


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
            groups.append(sampling.sweep(samples, moments, _add_to_moments, state, start, stop))
        total = functools.reduce(moments.merge, groups)
        matrix = moments.covariance(total)
        found = pca.exact(matrix[layer, layer], num_components)
        estimate = Estimate(
            components=found,
            stability=pca.jackknife(total, groups, found, layer),
            mean=total.mean[layer],
            random_variances=np.sum(random @ matrix[layer, layer] * random, axis=1),
            latent_mean=total.mean[latent],
            cross_covariance=matrix[layer, latent],
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
    return sampling.doublings(num_samples, min(smallest, num_samples))


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
    tolerance: float = 1e-4,
    on_pass: Callable[[int, float], object] = lambda passes, moved: None,
) -> Estimate:
    """From a few sweeps that find the leading subspace, and one that measures in it. Memory O(D (components + latents)).

    until_stable: see `exact`; each set begins with the subspace of the one before. tolerance: radians that the leading
    subspace may still move in the last of those sweeps.
    """
    estimate, basis, sweeps = None, None, 0
    for bounds in _sample_sets(samples.num_samples, num_components, until_stable):
        found = _leading_subspace(samples, bounds[-1], num_components, tolerance, basis, on_pass)
        basis, sweeps = found.basis, sweeps + found.passes + 1
        estimate = _measure(samples, bounds, basis, num_components, random)._replace(num_sweeps=sweeps)
        if _is_stable(estimate, until_stable):
            break
    assert estimate is not None  # there is at least one set
    return estimate


def _leading_subspace(
    samples: Samples,
    num_samples: int,
    num_components: int,
    tolerance: float,
    start: Float[np.ndarray, "d b"] | None,
    on_pass: Callable[[int, float], object],
) -> randomized.Subspace:
    """Of the first `num_samples` samples; says so where it is not settled."""
    size = samples.dimensions()[0]

    def apply(block: np.ndarray) -> np.ndarray:
        state, operand = sketches.init(size, block.shape[1]), jnp.asarray(block, jnp.float32)
        found = sampling.sweep(samples, sketches, _add_to_bare_sketch, state, 0, num_samples, operand)
        return found.cross / (num_samples - 1)

    found = randomized.leading_subspace(
        apply,
        size,
        num_components,
        oversampling=10 + num_components // 2,
        tolerance=tolerance,
        start=start,
        on_pass=on_pass,
    )
    if found.moved > tolerance:
        logging.getLogger(__name__).warning(
            "layer %s: after %d sweeps the subspace still moves by %.1g rad; its last components are not settled",
            samples.observed.layer, found.passes, found.moved,
        )  # fmt: skip
    return found


def _add_to_bare_sketch(state, activation, latent, weight, block):
    return sketches.update(state, activation, latent[:, :0], weight, block)


def _measure(
    samples: Samples,
    bounds: list[int],
    basis: Float[np.ndarray, "d b"],
    num_components: int,
    random: Float[np.ndarray, "c d"],
) -> Estimate:
    """One sweep, in groups: sketches with the block (basis, random directions)."""
    size, latent_size = samples.dimensions()
    block = jnp.asarray(np.concatenate([basis, random.T], axis=1), jnp.float32)
    state = sketches.init(size, block.shape[1] + latent_size)
    groups = [
        sampling.sweep(samples, sketches, sketches.update, state, start, stop, block)
        for start, stop in itertools.pairwise(bounds)
    ]
    total = functools.reduce(sketches.merge, groups)
    found = _nystrom(total, basis, num_components)
    others = [_nystrom(sketches.remove(total, group), basis, num_components) for group in groups]
    return _from_sketch(total, basis.shape[1], len(random), found, pca.stability(found, others))


def _from_sketch(
    total: sketches.Float64Sketch,
    width: int,
    num_random: int,
    found: pca.PrincipalComponents,
    stability: pca.Stability,
) -> Estimate:
    """Of a sketch with a block of `width` directions, then the random ones."""
    degrees, latent = total.count - 1, slice(width + num_random, None)
    return Estimate(
        components=found,
        stability=stability,
        mean=total.mean,
        random_variances=np.diag(total.short_scatter)[width : width + num_random] / degrees,
        latent_mean=total.short_mean[latent],
        cross_covariance=total.cross[:, latent] / degrees,
        latent_covariance=total.short_scatter[latent, latent] / degrees,
        num_samples=int(total.count),
        num_sweeps=1,
    )


def _nystrom(
    sketch: sketches.Float64Sketch, basis: Float[np.ndarray, "d b"], num_components: int
) -> pca.PrincipalComponents:
    """Components of C ~ (C B) (B^T C B)^-1 (C B)^T: exact for B invariant under C, to second order for B nearly so.

    So a subspace found with all samples shows also how the components turn, out of it too, when a group is left out.
    """
    image = sketch.cross[:, : basis.shape[1]] / (sketch.count - 1)
    inner = basis.T @ image
    values, vectors = np.linalg.eigh((inner + inner.T) / 2)
    kept = values > randomized.RESOLVED * values[-1]
    factor = image @ (vectors[:, kept] / np.sqrt(values[kept]))
    found = pca.from_factor(factor, num_components)
    return found._replace(total_variance=float(sketch.power / (sketch.count - 1)))


def incremental_pca(samples: Samples, num_components: int, random: Float[np.ndarray, "c d"]) -> Estimate:
    """In one sweep, from twice as many directions as are asked for, and ten; the jackknife's groups are left out by merging
    the others."""
    size, latent_size = samples.dimensions()
    state = incremental.init(size, 2 * num_components + 10, len(random) + latent_size)
    block = jnp.asarray(random.T, jnp.float32)
    groups = [
        sampling.sweep(samples, incremental, incremental.update, state, start, stop, block)
        for start, stop in itertools.pairwise(sampling.bounds(samples.num_samples))
    ]

    def components(parts: list[incremental.Float64Incremental]) -> pca.PrincipalComponents:
        merged = functools.reduce(incremental.merge, parts)
        degrees = merged.sketch.count - 1
        found = pca.from_factor(merged.rows.T / math.sqrt(degrees), num_components)
        return found._replace(total_variance=float(merged.sketch.power / degrees))

    found = components(groups)
    stability = pca.stability(found, [components(groups[:k] + groups[k + 1 :]) for k in range(len(groups))])
    total = functools.reduce(sketches.merge, [group.sketch for group in groups])
    return _from_sketch(total, 0, len(random), found, stability)


def analytic(
    generator: base.SplitGenerator, observed: Observed, num_components: int, random: Float[np.ndarray, "c d"]
) -> Estimate:
    """What the others tend to with more and more samples; raises InputError for a layer that is not affine in z."""
    module = generator.merge()
    layer = affine.read(generator, observed.layer, observed.label, observed.truncation_psi)
    variance = latents.variance(module.prior, observed.truncation_psi)
    factor = affine.factor(layer, variance)
    nothing = np.zeros(num_components)
    return Estimate(
        components=pca.from_factor(factor, num_components),
        stability=pca.Stability(nothing, nothing),
        mean=layer.offsets.mean(0),
        random_variances=np.square(random @ factor).sum(1),
        latent_mean=np.zeros(module.z_dim),
        cross_covariance=variance * layer.slopes,
        latent_covariance=variance * np.eye(module.z_dim),
        num_samples=0,
        num_sweeps=0,
    )
