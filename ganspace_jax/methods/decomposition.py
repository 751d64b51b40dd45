"""The pipeline: a generator and one of its layers -> Components."""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ganspace_jax.directions.components import Components, Source
from ganspace_jax.errors import InputError
from ganspace_jax.files.resume import Journal
from ganspace_jax.generators import base
from ganspace_jax.methods.estimators import all_of_them as estimators
from ganspace_jax.methods.estimators.all_of_them import Estimate
from ganspace_jax.sampling import batch_size as batch_sizes
from ganspace_jax.sampling import devices as device_meshes
from ganspace_jax.sampling import layers as layer_readings
from ganspace_jax.sampling.latents import Label
from ganspace_jax.sampling.layers import Observed
from ganspace_jax.sampling.sweeps import NUM_GROUPS, Samples
from ganspace_jax.shapes import Float
from ganspace_jax.statistics import regression


def decompose(
    generator: base.SplitGenerator,
    *,
    layer: str = "w",
    latent_space: str = "w",
    num_samples: int = 100_000,
    num_components: int = 20,
    batch_size: int | None = None,
    seed: int = 0,
    label: Label = None,
    truncation_psi: float = 1.0,
    estimator: str = "auto",
    memory_budget_gb: float = 4.0,
    until_stable: float = 0.0,
    name: str = "",
    journal: Journal | None = None,
    on_progress: Callable[[int], object] = lambda count: None,
    on_sweep: Callable[[int, float], object] = lambda sweeps, error: None,
) -> Components:
    """Principal components of a layer over random samples, and their directions in latent space (GANSpace, section 3).

    latent_space: where the directions live, "w" or "z"; for layer w in w they are the components themselves, else the
    least-squares directions. label, truncation_psi: see observation.Observed. estimator: "exact", from samples; "randomized",
    from several sweeps over them, for layers whose D x D covariance does not fit into memory_budget_gb; "auto", one of these
    two; "incremental", as the original does it; or "analytic", from the weights, for layers that are affine in z.

    batch_size: samples a step, of all devices together; None for as many as fit into the devices' memory. The result is the
    same but for rounding.

    until_stable: degrees; where not 0, sampling ends as soon as the jackknife angle of every component is smaller, and
    num_samples is the most that is tried. journal: remembers what was done, so that a run that is stopped can go on.
    on_progress is called with the number of samples that each step added, on_sweep after each sweep of "randomized" with the
    sweeps so far and the angle (radians) by which the leading subspace may be off.

    Raises InputError for what cannot be done, and for activations that are not finite.
    """
    observed = Observed(layer, latent_space, label, float(truncation_psi))
    shape = layer_readings.check(generator, observed)
    size = int(np.prod(shape))
    _check_numbers(size, layer, num_samples, num_components, batch_size, estimator, until_stable)
    estimator = estimators.choose(estimator, size, memory_budget_gb)
    source = Source(
        name,
        fingerprint(generator),
        layer,
        latent_space,
        seed,
        num_samples,
        label,
        estimator,
        observed.truncation_psi,
        compute_dtype=getattr(generator.merge().config, "compute_dtype", "float32"),
    )
    random = random_directions(num_components, size, seed)
    devices = device_meshes.own_devices()
    samples = Samples(
        generator, observed, num_samples, batch_size or devices.size, seed, devices, on_progress, journal or Journal()
    )
    if batch_size is None:
        samples = estimators.fit_batch(estimator, samples, num_components, batch_sizes.of_device(devices))
    samples.journal.begin_run(_about(source, samples, num_components, until_stable))
    if estimator == "analytic":
        estimate = estimators.analytic(generator, observed, num_components, random)
    elif estimator == "incremental":
        estimate = estimators.incremental_pca(samples, num_components, random)
    elif estimator == "randomized":
        estimate = estimators.randomized_block(
            samples, num_components, random, until_stable=until_stable, on_sweep=on_sweep
        )
    else:
        estimate = estimators.exact(samples, num_components, random, until_stable=until_stable)
    source = dataclasses.replace(source, num_samples=estimate.num_samples, num_sweeps=estimate.num_sweeps)
    return _as_float32(_components(estimate, shape, source))


def _about(source: Source, samples: Samples, num_components: int, until_stable: float) -> dict[str, object]:
    """All that every bit of a result depends on: the generator by its weights, not by its name."""
    return {
        **{key: value for key, value in dataclasses.asdict(source).items() if key not in ("generator", "num_sweeps")},
        "num_components": num_components,
        "until_stable": until_stable,
        "batch_per_device": samples.batch_per_device,
        "num_devices": samples.devices.size,
        "num_processes": jax.process_count(),
    }


def _components(estimate: Estimate, shape: tuple[int, ...], source: Source) -> Components:
    found, count = estimate.components, len(estimate.components.variances)
    stdevs = np.sqrt(found.variances)
    if source.layer == source.latent_space:
        regressed = regression.LatentDirections(found.directions, stdevs, np.ones(count))
        latent_mean, latent_stdevs = estimate.mean, stdevs
    else:
        regressed = regression.latent_directions(found, estimate.cross_covariance, estimate.latent_covariance)
        latent_mean, latent_stdevs = (
            estimate.latent_mean,
            _stdevs_along(regressed.directions, estimate.latent_covariance),
        )
    if source.latent_space == "z":  # the published files measure steps in z in its own unit, from its own centre
        latent_mean, latent_stdevs = np.zeros_like(latent_mean), np.ones(count)
    return Components(
        activation_components=found.directions.reshape(count, *shape),
        activation_mean=estimate.mean.reshape(shape),
        activation_stdevs=stdevs,
        latent_components=regressed.directions,
        latent_mean=latent_mean,
        latent_stdevs=latent_stdevs,
        variance_ratio=found.variances / found.total_variance,
        random_stdevs=np.sqrt(estimate.random_variances),
        r2=regressed.r2,
        stability=estimate.stability.angles,
        variance_error=estimate.stability.variance_errors / np.maximum(found.variances, np.finfo(np.float32).tiny),
        source=source,
    )


def random_directions(num_directions: int, dimension: int, seed: int) -> Float[np.ndarray, "c d"]:
    """Unit rows drawn uniformly from the sphere: the baseline that components are compared with."""
    rows = np.random.default_rng(seed).standard_normal((num_directions, dimension))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def fingerprint(generator: base.SplitGenerator) -> str:
    """Twelve hexadecimal digits that identify a generator's configuration and weights, in whatever precision it calculates."""
    digest = hashlib.sha256(repr(_in_float32(generator.merge().config)).encode())
    for leaf in jax.tree.leaves(generator.params):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()[:12]


def _in_float32(config: Any) -> Any:
    return dataclasses.replace(config, compute_dtype="float32") if hasattr(config, "compute_dtype") else config


def _check_numbers(
    size: int,
    layer: str,
    num_samples: int,
    num_components: int,
    batch_size: int | None,
    estimator: str,
    until_stable: float,
) -> None:
    if estimator not in estimators.NAMES:
        raise InputError(f"--estimator={estimator}: there are: {', '.join(estimators.NAMES)}")
    for flag, value in (("num_samples", num_samples), ("num_components", num_components), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise InputError(f"--{flag}={value}: must be at least 1")
    if until_stable < 0:
        raise InputError(f"--until_stable={until_stable}: must be an angle in degrees, or 0 for all samples")
    if until_stable and estimator == "incremental":
        raise InputError(
            f"--until_stable={until_stable}: the incremental estimator takes all samples; leave the flag out"
        )
    if num_components > size:
        raise InputError(f"--num_components={num_components}: layer {layer} has only {size} dimensions")
    if estimator != "analytic" and num_samples < max(num_components + 1, 2 * NUM_GROUPS):
        raise InputError(
            f"--num_samples={num_samples}: too few for {num_components} components; "
            f"at least {max(num_components + 1, 2 * NUM_GROUPS)}"
        )


def _stdevs_along(directions: Float[np.ndarray, "c d"], matrix: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "c"]:
    return np.sqrt(np.maximum(np.sum(directions @ matrix * directions, axis=1), 0.0))


def _as_float32(components: Components) -> Components:
    """The precision of the file, so that a library call and a file read back give equal arrays."""
    fields = {k: np.asarray(v, np.float32) for k, v in vars(components).items() if isinstance(v, np.ndarray)}
    return Components(**{**vars(components), **fields})
