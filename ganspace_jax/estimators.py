"""How the covariance of a layer, and its covariance with the latent, are known: from samples or from the weights.

exact        all D x D moments, in one sweep over the samples
randomized   products with blocks of vectors, in a few sweeps over the same samples, where D x D does not fit
analytic     the weights of a layer that is affine in z; no samples

Each gives the same Estimate, and with it how far it can be trusted.
"""

import functools
import itertools
import logging
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ganspace_jax import affine, latents, moments, pca, randomized, sampling, sketches
from ganspace_jax.generators import base
from ganspace_jax.observation import Observed
from ganspace_jax.sampling import NUM_GROUPS, Samples
from ganspace_jax.shapes import Float

NAMES = ("auto", "exact", "randomized", "analytic")
# Of D x D, on the host: each group's scatter, and four more while they are worked on.
_BYTES_PER_NUMBER = 8 * (NUM_GROUPS + 4)


class Estimate(NamedTuple):
    """mean: of the layer; covariances of layer and latent, and of the latent; random_variances: of the layer along the
    random directions that were asked for. No latents (l = 0) where the layer is the latent space itself."""

    components: pca.PrincipalComponents
    stability: pca.Stability
    mean: Float[np.ndarray, "d"]
    random_variances: Float[np.ndarray, "c"]
    latent_mean: Float[np.ndarray, "l"]
    cross_covariance: Float[np.ndarray, "d l"]
    latent_covariance: Float[np.ndarray, "l l"]


def choose(name: str, dimension: int, memory_budget_gb: float) -> str:
    """What "auto" means: exact where its D x D arrays fit into the budget, else randomized."""
    if name != "auto":
        return name
    return "exact" if _BYTES_PER_NUMBER * dimension**2 <= memory_budget_gb * 1e9 else "randomized"


def exact(samples: Samples, num_components: int, random: Float[np.ndarray, "c d"]) -> Estimate:
    """From the joint moments of (layer, latent), one set for each group of the jackknife."""
    size, latent_size = samples.dimensions()
    groups = []
    for start, stop in itertools.pairwise(sampling.bounds(samples.num_samples)):
        states = sampling.sweep(samples, _add_to_moments, moments.init(size + latent_size), start, stop)
        groups.append(pca.merge_all([moments.to_float64(state) for state in states]))
    layer, latent = slice(0, size), slice(size, None)
    total = pca.merge_all(groups)
    matrix = moments.covariance(total)
    found = pca.exact(matrix[layer, layer], num_components)
    return Estimate(
        components=found,
        stability=pca.jackknife(total, groups, found, layer),
        mean=total.mean[layer],
        random_variances=np.sum(random @ matrix[layer, layer] * random, axis=1),
        latent_mean=total.mean[latent],
        cross_covariance=matrix[layer, latent],
        latent_covariance=matrix[latent, latent],
    )


def _add_to_moments(state, activation, latent, weight):
    return moments.update(state, jnp.concatenate([activation, latent], axis=1), weight)


def randomized_block(
    samples: Samples,
    num_components: int,
    random: Float[np.ndarray, "c d"],
    *,
    tolerance: float = 1e-4,
    on_pass: Callable[[int, float], object] = lambda passes, moved: None,
) -> Estimate:
    """From a few sweeps that find the leading subspace, and one that measures in it. Memory O(D (components + latents)).

    tolerance: radians that the leading subspace may still move in the last of those sweeps.
    """
    size, latent_size = samples.dimensions()

    def sketch(block: np.ndarray, start: int, stop: int, update: sampling.Update, latent_size: int):
        state = sketches.init(size, block.shape[1] + latent_size)
        states = sampling.sweep(samples, update, state, start, stop, jnp.asarray(block, jnp.float32))
        return functools.reduce(sketches.merge, map(sketches.to_float64, states))

    def apply(block: np.ndarray) -> np.ndarray:
        return sketch(block, 0, samples.num_samples, _add_to_bare_sketch, 0).cross / (samples.num_samples - 1)

    found = randomized.leading_subspace(
        apply, size, num_components, oversampling=10 + num_components // 2, tolerance=tolerance, on_pass=on_pass
    )
    if found.moved > tolerance:
        logging.getLogger(__name__).warning(
            "layer %s: after %d sweeps the subspace still moves by %.1g rad; its last components are not settled",
            samples.observed.layer, found.passes, found.moved,
        )  # fmt: skip
    block = np.concatenate([found.basis, random.T], axis=1)
    groups = [
        sketch(block, start, stop, sketches.update, latent_size)
        for start, stop in itertools.pairwise(sampling.bounds(samples.num_samples))
    ]
    return _measure(groups, found.basis, num_components, len(random))


def _add_to_bare_sketch(state, activation, latent, weight, block):
    return sketches.update(state, activation, latent[:, :0], weight, block)


def _measure(
    groups: list[sketches.Float64Sketch], basis: Float[np.ndarray, "d b"], num_components: int, num_random: int
) -> Estimate:
    """Of sketches with the block (basis, random directions)."""
    total = functools.reduce(sketches.merge, groups)
    found = _nystrom(total, basis, num_components)
    others = [_nystrom(sketches.remove(total, group), basis, num_components) for group in groups]
    width, degrees = basis.shape[1], total.count - 1
    latent = slice(width + num_random, None)
    return Estimate(
        components=found,
        stability=pca.stability(found, others),
        mean=total.mean,
        random_variances=np.diag(total.short_scatter)[width : width + num_random] / degrees,
        latent_mean=total.short_mean[latent],
        cross_covariance=total.cross[:, latent] / degrees,
        latent_covariance=total.short_scatter[latent, latent] / degrees,
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
    )
