"""The pipeline: a generator and one of its layers -> Components."""

import functools
import hashlib
import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax import affine, moments, pca, regression
from ganspace_jax import latents as latents_room
from ganspace_jax.components import Components, Source
from ganspace_jax.failures import InputError
from ganspace_jax.generators import base
from ganspace_jax.latents import Label
from ganspace_jax.shapes import Array, Float, PRNGKey

NUM_GROUPS = 8
LATENT_SPACES = ("z", "w")
ESTIMATORS = ("exact", "analytic")
MEAN_LATENT_LAYER = "w"


def layer_shapes(generator: base.SplitGenerator) -> dict[str, tuple[int, ...]]:
    """Everything that can be decomposed: w, where the generator has one, and its activations; shapes of one sample."""
    module = generator.merge()
    own_space = {MEAN_LATENT_LAYER: (module.latent_shape[1],)} if module.has_mapping else {}
    return {**own_space, **base.activation_shapes(generator)}


def decompose(
    generator: base.SplitGenerator,
    *,
    layer: str = "w",
    latent_space: str = "w",
    num_samples: int = 100_000,
    num_components: int = 20,
    batch_size: int = 1_000,
    seed: int = 0,
    label: Label = None,
    truncation_psi: float = 1.0,
    estimator: str = "exact",
    name: str = "",
    on_progress: Callable[[int], object] = lambda count: None,
) -> Components:
    """Principal components of a layer over random samples, and their directions in latent space (GANSpace, section 3).

    latent_space: where the directions live, "w" or "z"; for layer w in w they are the components themselves, else the
    least-squares directions. label: class index of a conditional generator, or "all" for a mixture. truncation_psi: see the
    generator's call; it also narrows a truncated normal prior. estimator: "exact", from samples, or "analytic", from the
    weights, for layers that are affine in z. on_progress is called with the number of samples that each step added. Raises
    InputError for what cannot be done, and for activations that are not finite.
    """
    observed = Observed(layer, latent_space, label, float(truncation_psi))
    shape = _check(generator, observed, num_samples, num_components, batch_size, estimator)
    source = Source(
        name, fingerprint(generator), layer, latent_space, seed, num_samples, label, estimator, observed.truncation_psi
    )
    if estimator == "analytic":
        return _as_float32(_from_weights(generator, observed, shape, num_components, source))
    groups = _group_moments(generator, observed, num_samples, batch_size, seed, on_progress)
    return _as_float32(_from_moments(groups, shape, num_components, source))


def _from_moments(
    groups: list[moments.Float64Moments], shape: tuple[int, ...], num_components: int, source: Source
) -> Components:
    size = int(np.prod(shape))
    activation, latent = slice(0, size), slice(size, None)
    total = pca.merge_all(groups)
    matrix = moments.covariance(total)
    found = pca.exact(matrix[activation, activation], num_components)
    stability = pca.jackknife(total, groups, found, activation)
    if source.layer == source.latent_space:
        regressed = regression.LatentDirections(found.directions, np.sqrt(found.variances), np.ones(num_components))
        latent_mean, latent_stdevs = total.mean[activation], np.sqrt(found.variances)
    else:
        regressed = regression.latent_directions(found, matrix[activation, latent], matrix[latent, latent])
        latent_mean, latent_stdevs = total.mean[latent], _stdevs_along(regressed.directions, matrix[latent, latent])
    random = random_directions(num_components, size, source.seed)
    return Components(
        activation_components=found.directions.reshape(num_components, *shape),
        activation_mean=total.mean[activation].reshape(shape),
        activation_stdevs=np.sqrt(found.variances),
        latent_components=regressed.directions,
        variance_ratio=found.variances / found.total_variance,
        random_stdevs=_stdevs_along(random, matrix[activation, activation]),
        r2=regressed.r2,
        stability=stability.angles,
        variance_error=stability.variance_errors / np.maximum(found.variances, np.finfo(np.float32).tiny),
        source=source,
        **_published_scale(source, latent_mean, latent_stdevs),
    )


def _from_weights(
    generator: base.SplitGenerator, observed: "Observed", shape: tuple[int, ...], num_components: int, source: Source
) -> Components:
    """What _from_moments tends to with more and more samples."""
    module = generator.merge()
    layer = affine.read(generator, observed.layer, observed.label, observed.truncation_psi)
    variance = latents_room.variance(module.prior, observed.truncation_psi)
    found = pca.from_factor(affine.factor(layer, variance), num_components)
    slopes = variance * layer.slopes.T
    regressed = regression.latent_directions(found, slopes.T, variance * np.eye(module.z_dim))
    random = random_directions(num_components, len(layer.slopes), source.seed)
    return Components(
        activation_components=found.directions.reshape(num_components, *shape),
        activation_mean=layer.offsets.mean(0).reshape(shape),
        activation_stdevs=np.sqrt(found.variances),
        latent_components=regressed.directions,
        variance_ratio=found.variances / found.total_variance,
        random_stdevs=np.linalg.norm(random @ affine.factor(layer, variance), axis=1),
        r2=regressed.r2,
        stability=np.zeros(num_components),
        variance_error=np.zeros(num_components),
        source=source,
        **_published_scale(source, np.zeros(module.z_dim), np.ones(num_components)),
    )


def _published_scale(source: Source, mean: np.ndarray, stdevs: np.ndarray) -> dict[str, np.ndarray]:
    """The published files measure steps in z in its own unit, from its own centre."""
    if source.latent_space == "z":
        mean, stdevs = np.zeros_like(mean), np.ones_like(stdevs)
    return {"latent_mean": mean, "latent_stdevs": stdevs}


def random_directions(num_directions: int, dimension: int, seed: int) -> Float[np.ndarray, "c d"]:
    """Unit rows drawn uniformly from the sphere: the baseline that components are compared with."""
    rows = np.random.default_rng(seed).standard_normal((num_directions, dimension))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def fingerprint(generator: base.SplitGenerator) -> str:
    """Twelve hexadecimal digits that identify a generator's configuration and weights."""
    digest = hashlib.sha256(repr(generator.merge().config).encode())
    for leaf in jax.tree.leaves(generator.params):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()[:12]


class Observed(NamedTuple):
    """What is looked at in every sample; hashable, static under jit."""

    layer: str
    latent_space: str
    label: Label
    truncation_psi: float


def _check(
    generator: base.SplitGenerator,
    observed: Observed,
    num_samples: int,
    num_components: int,
    batch_size: int,
    estimator: str,
) -> tuple[int, ...]:
    """The layer's shape, once every argument makes sense."""
    module, shapes = generator.merge(), layer_shapes(generator)
    layer, space, label = observed.layer, observed.latent_space, observed.label
    if layer not in shapes:
        raise InputError(f"--layer={layer}: this generator has no such layer; it has: {', '.join(shapes)}")
    if space not in LATENT_SPACES or (space == "w" and not module.has_mapping):
        spaces = LATENT_SPACES if module.has_mapping else ("z",)
        raise InputError(f"--latent_space={space}: this generator has: {', '.join(spaces)}")
    if estimator not in ESTIMATORS:
        raise InputError(f"--estimator={estimator}: there are: {', '.join(ESTIMATORS)}")
    for flag, value in (("num_samples", num_samples), ("num_components", num_components), ("batch_size", batch_size)):
        if value < 1:
            raise InputError(f"--{flag}={value}: must be at least 1")
    size = int(np.prod(shapes[layer]))
    if num_components > size:
        raise InputError(f"--num_components={num_components}: layer {layer} has only {size} dimensions")
    if estimator == "exact" and num_samples < max(num_components + 1, 2 * NUM_GROUPS):
        raise InputError(
            f"--num_samples={num_samples}: too few for {num_components} components; "
            f"at least {max(num_components + 1, 2 * NUM_GROUPS)}"
        )
    if label is not None and not module.num_classes:
        raise InputError(f"--label={label}: this generator is not conditional; leave the flag out")
    if module.num_classes and label != "all" and (label is None or not 0 <= label < module.num_classes):
        raise InputError(f"--label={label}: must be a class from 0 to {module.num_classes - 1}, or all")
    if not 0.0 < observed.truncation_psi <= 1.0:
        raise InputError(f"--truncation_psi={observed.truncation_psi}: must be above 0 and at most 1")
    return shapes[layer]


def _group_moments(
    generator: base.SplitGenerator,
    observed: Observed,
    num_samples: int,
    batch_size: int,
    seed: int,
    on_progress: Callable[[int], object],
) -> list[moments.Float64Moments]:
    """Joint moments of (activation, latent), one for each of NUM_GROUPS runs of consecutive samples."""
    bounds = [num_samples * g // NUM_GROUPS for g in range(NUM_GROUPS + 1)]
    batch_size = int(min(batch_size, max(np.diff(bounds))))
    fixed = (generator.definition, generator.params, jax.random.key(seed), observed)
    dimension = jax.eval_shape(lambda indices: _observe(*fixed, indices), jnp.arange(batch_size)).shape[1]
    groups = []
    for start, stop in itertools.pairwise(bounds):
        state = moments.init(dimension)
        for first in range(start, stop, batch_size):
            state, finite = _step(*fixed, batch_size, state, first, stop)
            if not finite:
                raise InputError(
                    f"layer {observed.layer}: NaN or infinity in the batch of samples {first} to "
                    f"{first + batch_size - 1}"
                )
            on_progress(min(batch_size, stop - first))
        groups.append(moments.to_float64(state))
    return groups


@functools.partial(jax.jit, static_argnames=("definition", "observed", "batch_size"), donate_argnames=("state",))
def _step(definition, params, key, observed, batch_size, state, first, stop):
    """One batch; samples from `stop` on are padding."""
    indices = first + jnp.arange(batch_size)
    inside = indices < stop
    joint = _observe(definition, params, key, observed, indices)
    finite = jnp.all(jnp.isfinite(joint) | ~inside[:, None])
    return moments.update(state, joint, inside.astype(joint.dtype)), finite


def _observe(definition, params, key: PRNGKey, observed: Observed, indices: Array) -> Float[Array, "n d"]:
    """[activation, latent] of each sample; the activation alone where it is the latent."""
    module = base.merge(definition, params)
    z = latents_room.sample(key, indices, module.z_dim, module.prior, observed.truncation_psi)
    label = latents_room.labels(key, indices, observed.label, module.num_classes)
    mapped = module.map_latents(z, label)
    if observed.layer == MEAN_LATENT_LAYER and module.has_mapping:
        activation = mapped[:, 0]
    else:
        activations = module(mapped, label=label, truncation_psi=observed.truncation_psi)[1]
        activation = activations[observed.layer].reshape(len(indices), -1).astype(jnp.float32)
    if observed.layer == observed.latent_space:
        return activation
    return jnp.concatenate([activation, z if observed.latent_space == "z" else mapped[:, 0]], axis=1)


def _stdevs_along(directions: Float[np.ndarray, "c d"], matrix: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "c"]:
    return np.sqrt(np.maximum(np.sum(directions @ matrix * directions, axis=1), 0.0))


def _as_float32(components: Components) -> Components:
    """The precision of the file, so that a library call and a file read back give equal arrays."""
    fields = {k: np.asarray(v, np.float32) for k, v in vars(components).items() if isinstance(v, np.ndarray)}
    return Components(**{**vars(components), **fields})
