"""The pipeline: a generator and one of its layers -> Components."""

import functools
import hashlib
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax import latents as latents_room
from ganspace_jax import moments, pca, regression
from ganspace_jax.components import Components, Source
from ganspace_jax.failures import InputError
from ganspace_jax.generators import base
from ganspace_jax.shapes import Array, Float, PRNGKey

NUM_GROUPS = 8
LATENT_SPACES = ("z", "w")
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
    label: int | None = None,
    name: str = "",
    on_progress: Callable[[int], object] = lambda count: None,
) -> Components:
    """Principal components of a layer over random samples, and their directions in latent space (GANSpace, section 3).

    latent_space: where the directions live, "w" or "z"; for layer w in w they are the components themselves, else the
    least-squares directions. label: class index of a conditional generator. on_progress is called with the number of samples
    that each step added. Raises InputError for what cannot be done, and for activations that are not finite.
    """
    shape = _check(generator, layer, latent_space, num_samples, num_components, batch_size, label)
    groups = _group_moments(generator, layer, latent_space, num_samples, batch_size, seed, label, on_progress)
    size = int(np.prod(shape))
    activation, latent = slice(0, size), slice(size, None)
    total = pca.merge_all(groups)
    matrix = moments.covariance(total)
    found = pca.exact(matrix[activation, activation], num_components)
    stability = pca.jackknife(groups, found, activation)
    if layer == latent_space:
        latent_components, latent_mean = found.directions, total.mean[activation]
        latent_stdevs, r2 = np.sqrt(found.variances), np.ones(num_components)
    else:
        regressed = regression.latent_directions(found, matrix[activation, latent], matrix[latent, latent])
        latent_components, latent_mean, r2 = regressed.directions, total.mean[latent], regressed.r2
        latent_stdevs = _stdevs_along(latent_components, matrix[latent, latent])
        if latent_space == "z":
            latent_mean, latent_stdevs = np.zeros_like(latent_mean), np.ones(num_components)
    return _as_float32(
        Components(
            activation_components=found.directions.reshape(num_components, *shape),
            activation_mean=total.mean[activation].reshape(shape),
            activation_stdevs=np.sqrt(found.variances),
            latent_components=latent_components,
            latent_mean=latent_mean,
            latent_stdevs=latent_stdevs,
            variance_ratio=found.variances / found.total_variance,
            random_stdevs=_stdevs_along(random_directions(num_components, size, seed), matrix[activation, activation]),
            r2=r2,
            stability=stability.angles,
            variance_error=stability.variance_errors / np.maximum(found.variances, np.finfo(np.float32).tiny),
            source=Source(name, fingerprint(generator), layer, latent_space, seed, num_samples, label),
        )
    )


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


def _check(generator, layer, latent_space, num_samples, num_components, batch_size, label) -> tuple[int, ...]:
    """The layer's shape, once every argument makes sense."""
    module, shapes = generator.merge(), layer_shapes(generator)
    if layer not in shapes:
        raise InputError(f"--layer={layer}: this generator has no such layer; it has: {', '.join(shapes)}")
    if latent_space not in LATENT_SPACES or (latent_space == "w" and not module.has_mapping):
        spaces = LATENT_SPACES if module.has_mapping else ("z",)
        raise InputError(f"--latent_space={latent_space}: this generator has: {', '.join(spaces)}")
    for flag, value in (("num_samples", num_samples), ("num_components", num_components), ("batch_size", batch_size)):
        if value < 1:
            raise InputError(f"--{flag}={value}: must be at least 1")
    size = int(np.prod(shapes[layer]))
    if num_components > size:
        raise InputError(f"--num_components={num_components}: layer {layer} has only {size} dimensions")
    if num_samples < max(num_components + 1, 2 * NUM_GROUPS):
        raise InputError(
            f"--num_samples={num_samples}: too few for {num_components} components; "
            f"at least {max(num_components + 1, 2 * NUM_GROUPS)}"
        )
    if label is not None and not module.num_classes:
        raise InputError(f"--label={label}: this generator is not conditional; leave the flag out")
    if module.num_classes and (label is None or not 0 <= label < module.num_classes):
        raise InputError(f"--label={label}: must be a class from 0 to {module.num_classes - 1}")
    return shapes[layer]


def _group_moments(
    generator, layer, latent_space, num_samples, batch_size, seed, label, on_progress
) -> list[moments.Float64Moments]:
    """Joint moments of (activation, latent), one for each of NUM_GROUPS runs of consecutive samples."""
    bounds = [num_samples * g // NUM_GROUPS for g in range(NUM_GROUPS + 1)]
    batch_size = int(min(batch_size, max(np.diff(bounds))))
    observed = (generator.definition, generator.params, jax.random.key(seed), layer, latent_space, batch_size, label)
    dimension = jax.eval_shape(lambda indices: _observe(*observed, indices), jnp.arange(batch_size)).shape[1]
    groups = []
    for start, stop in itertools.pairwise(bounds):
        state = moments.init(dimension)
        for first in range(start, stop, batch_size):
            state, finite = _step(*observed, state, first, stop)
            if not finite:
                raise InputError(
                    f"layer {layer}: NaN or infinity in the batch of samples {first} to {first + batch_size - 1}"
                )
            on_progress(min(batch_size, stop - first))
        groups.append(moments.to_float64(state))
    return groups


@functools.partial(
    jax.jit, static_argnames=("definition", "layer", "latent_space", "batch_size", "label"), donate_argnames=("state",)
)
def _step(definition, params, key, layer, latent_space, batch_size, label, state, first, stop):
    """One batch; samples from `stop` on are padding."""
    indices = first + jnp.arange(batch_size)
    inside = indices < stop
    joint = _observe(definition, params, key, layer, latent_space, batch_size, label, indices)
    finite = jnp.all(jnp.isfinite(joint) | ~inside[:, None])
    return moments.update(state, joint, inside.astype(joint.dtype)), finite


def _observe(
    definition, params, key: PRNGKey, layer: str, latent_space: str, batch_size: int, label: int | None, indices: Array
) -> Float[Array, "n d"]:
    """[activation, latent] of each sample; the activation alone where it is the latent."""
    module = base.merge(definition, params)
    z = latents_room.sample(key, indices, module.z_dim)
    one_hot = latents_room.one_hot(label, module.num_classes, batch_size)
    mapped = module.map_latents(z, one_hot)
    if layer == MEAN_LATENT_LAYER and module.has_mapping:
        activation = mapped[:, 0]
    else:
        activation = module(mapped, label=one_hot)[1][layer].reshape(batch_size, -1).astype(jnp.float32)
    if layer == latent_space:
        return activation
    return jnp.concatenate([activation, z if latent_space == "z" else mapped[:, 0]], axis=1)


def _stdevs_along(directions: Float[np.ndarray, "c d"], matrix: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "c"]:
    return np.sqrt(np.maximum(np.sum(directions @ matrix * directions, axis=1), 0.0))


def _as_float32(components: Components) -> Components:
    """The precision of the file, so that a library call and a file read back give equal arrays."""
    fields = {k: np.asarray(v, np.float32) for k, v in vars(components).items() if isinstance(v, np.ndarray)}
    return Components(**{**vars(components), **fields})
