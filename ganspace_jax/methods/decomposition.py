"""GANSpace: principal components of a layer over random samples, with directions in
latent space.

Härkönen et al., "GANSpace: Discovering Interpretable GAN Controls", NeurIPS 2020,
section 3.
"""

import dataclasses
from typing import Any

import jax
import numpy as np

from ganspace_jax.directions import random_directions
from ganspace_jax.directions.components import Components, Source
from ganspace_jax.errors import InputError
from ganspace_jax.files import resume
from ganspace_jax.generators import zoo
from ganspace_jax.generators.base import Generator
from ganspace_jax.methods.estimators import choice
from ganspace_jax.methods.estimators.estimate import Estimate, Task
from ganspace_jax.run import Run
from ganspace_jax.sampling import batch_size, devices, layers, sweeps
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.sampling.sweeps import NUM_GROUPS, Execution, Samples
from ganspace_jax.shapes import Float
from ganspace_jax.statistics import regression

METHOD = "decomposition"
MAX_SAMPLES = 2_000_000_000  # samples are numbered by 32-bit integers


@dataclasses.dataclass(frozen=True)
class Decomposition(LayerSpec):
    """What a decomposition computes. It checks itself, and is stored in the components
    file.

    Attributes:
        num_samples: number of random samples; with until_stable the largest number.
        num_components: number of components.
        seed: seed of the samples.
        estimator: "exact", "randomized", "incremental", "analytic", or "auto".
        until_stable: angle in degrees. If it is not 0, sampling ends as soon as the
            jackknife angle of every component is smaller.
    """

    num_samples: int = 100_000
    num_components: int = 20
    seed: int = 0
    estimator: str = choice.AUTO
    until_stable: float = 0.0

    def __post_init__(self):
        """Checks the values that need no generator. Raises InputError."""
        super().__post_init__()
        if self.estimator not in choice.NAMES:
            raise InputError(f"--estimator={self.estimator}: there are: {', '.join(choice.NAMES)}")
        if not 1 <= self.num_samples <= MAX_SAMPLES:
            raise InputError(f"--num_samples={self.num_samples}: must be from 1 to {MAX_SAMPLES:,}")
        if self.num_components < 1:
            raise InputError(f"--num_components={self.num_components}: must be at least 1")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"--seed={self.seed}: must be from 0 to {2**32 - 1}")
        if not 0 <= self.until_stable <= 90:
            raise InputError(f"--until_stable={self.until_stable}: must be an angle from 0 to 90 degrees")
        if self.until_stable and self.estimator == "incremental":
            raise InputError(
                f"--until_stable={self.until_stable}: the incremental estimator uses all samples; leave the flag out"
            )
        fewest = max(self.num_components + 1, 2 * NUM_GROUPS)
        if self.estimator != "analytic" and self.num_samples < fewest:
            raise InputError(
                f"--num_samples={self.num_samples}: too few for {self.num_components} components; at least {fewest}"
            )

    @classmethod
    def of(cls, components: Components) -> "Decomposition":
        """Returns the spec that a decomposition's components were made with. Raises
        InputError for another method.
        """
        if components.source.method != METHOD:
            raise InputError(f"--components: made by {components.source.method}, not by a decomposition")
        known = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in components.source.options.items() if name in known})


def resolve(spec: Decomposition, generator: Generator, run: Run = Run()) -> Decomposition:
    """Returns the spec with layer, latent space, label and estimator filled for this
    generator.

    Raises:
        InputError: if the generator or the memory budget does not allow the spec.
    """
    filled = layers.resolve(spec, generator)
    size = layers.layer_size(generator, str(filled.layer))
    if filled.num_components > size:
        raise InputError(f"--num_components={filled.num_components}: layer {filled.layer} has only {size} dimensions")
    samples = Samples(generator, filled, filled.num_samples, filled.seed)
    name = choice.choose(filled.estimator, samples, filled.num_components, run.memory_gb)
    return dataclasses.replace(filled, estimator=name)


def describe(spec: Decomposition, generator: Generator) -> str:
    """Returns one line that tells what a resolved spec computes."""
    return f"{layers.describe(spec, generator)}, estimator {spec.estimator}"


def decompose(
    generator: Generator,
    spec: Decomposition = Decomposition(),
    run: Run = Run(),
    *,
    name: str = "",
) -> Components:
    """Finds the principal components of a layer, and their directions in latent space.

    For layer w the directions are the components. For another layer they are the
    least-squares directions of statistics/regression.py.

    Args:
        generator: generator whose layer is decomposed.
        spec: what is computed.
        run: how it is computed; it changes the result by rounding only.
        name: name of the generator in the components file.

    Returns:
        The components, in float32 as in their file.

    Raises:
        InputError: if the spec does not fit the generator, or an activation is not
            finite.
        Interrupted: if run.should_stop returned True; the state is saved.
    """
    spec = resolve(spec, generator, run)
    samples = Samples(generator, spec, spec.num_samples, spec.seed)
    size = samples.sizes()[0]
    task = Task(
        spec.num_components, random_directions.unit_rows(spec.num_components, size, spec.seed), spec.until_stable
    )
    source = Source(
        name, zoo.fingerprint(generator), METHOD, dataclasses.asdict(spec),
        compute_dtype=getattr(generator.config, "compute_dtype", "float32"),
    )  # fmt: skip
    execution = _execution(samples, spec, run)
    execution.resume.begin_run(_identity(source, samples, execution))
    estimate = choice.ESTIMATORS[spec.estimator].estimate(samples, task, execution)
    source = dataclasses.replace(source, num_samples=estimate.num_samples, num_sweeps=estimate.num_sweeps)
    shape = layers.layer_shapes(generator)[str(spec.layer)]
    return _components(estimate, shape, spec, source)


def _execution(samples: Samples, spec: Decomposition, run: Run) -> Execution:
    """Returns how the sweeps run, with the largest batch that fits into memory if the
    run names none.
    """
    mesh = devices.own_devices()
    execution = Execution(mesh, run.batch_size or mesh.size, run, resume.of(run))
    largest_step = choice.ESTIMATORS[spec.estimator].largest_step
    if run.batch_size is not None or largest_step is None:
        return execution
    step = largest_step(samples, spec.num_components)
    return sweeps.fit_batch(samples, execution, step, batch_size.device_memory(mesh))


def _identity(source: Source, samples: Samples, execution: Execution) -> dict[str, Any]:
    """Returns everything on which the bits of a result depend: the generator by its
    weights, not by its name.
    """
    return {
        **source.options,
        "fingerprint": source.fingerprint,
        "compute_dtype": source.compute_dtype,
        "batch_per_device": execution.rows_per_device(samples.num_samples),
        "num_devices": execution.mesh.size,
        "num_processes": jax.process_count(),
    }


def _components(estimate: Estimate, shape: tuple[int, ...], spec: Decomposition, source: Source) -> Components:
    principal, count = estimate.components, len(estimate.components.variances)
    stdevs = np.sqrt(principal.variances)
    latent = _latent_directions(estimate, spec)
    tiny = np.finfo(np.float32).tiny
    arrays = {
        "activation_components": principal.directions.reshape(count, *shape),
        "activation_mean": estimate.mean.reshape(shape),
        "activation_stdevs": stdevs,
        "latent_components": latent.directions,
        "latent_mean": estimate.mean if spec.is_latent else estimate.latent_mean,
        "latent_stdevs": stdevs if spec.is_latent else _stdevs_along(latent.directions, estimate.latent_covariance),
        "variance_ratio": principal.variances / principal.total_variance,
        "random_stdevs": np.sqrt(estimate.random_variances),
        "r2": latent.r2,
        "stability": estimate.stability.angles,
        "variance_error": estimate.stability.variance_errors / np.maximum(principal.variances, tiny),
    }
    if spec.latent_space == "z":  # published files measure steps in z in its own unit, from its own centre
        arrays |= {"latent_mean": np.zeros_like(arrays["latent_mean"]), "latent_stdevs": np.ones(count)}
    # The precision of the file, so that a library call and a file read back give equal
    # arrays.
    in_float32: dict[str, Any] = {key: np.asarray(array, np.float32) for key, array in arrays.items()}
    return Components(**in_float32, spec=spec.layer_spec(), source=source)


def _latent_directions(estimate: Estimate, spec: Decomposition) -> regression.LatentDirections:
    principal = estimate.components
    if spec.is_latent:
        ones = np.ones(len(principal.variances))
        return regression.LatentDirections(principal.directions, np.sqrt(principal.variances), ones)
    return regression.latent_directions(principal, estimate.cross_covariance, estimate.latent_covariance)


def _stdevs_along(directions: Float[np.ndarray, "c d"], covariance: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "c"]:
    return np.sqrt(np.maximum(np.sum(directions @ covariance * directions, axis=1), 0.0))
