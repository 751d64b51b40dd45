"""GANSpace: principal components of a layer over random samples, with directions in
latent space.

Härkönen et al., "GANSpace: Discovering Interpretable GAN Controls", NeurIPS 2020,
section 3.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from ganspace_jax.directions import random_directions
from ganspace_jax.directions.components import Components, Source
from ganspace_jax.errors import InputError
from ganspace_jax.files import resume
from ganspace_jax.generators import zoo
from ganspace_jax.generators.base import Generator
from ganspace_jax.methods.estimators import choice, lockstep
from ganspace_jax.methods.estimators.estimate import Estimate, Estimation, Estimator, Task
from ganspace_jax.run import Run
from ganspace_jax.sampling import batch_size, devices, layers, sweeps
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.sampling.sample_groups import NUM_GROUPS
from ganspace_jax.sampling.sweep_parts import Execution, Part, Samples
from ganspace_jax.shapes import Float
from ganspace_jax.statistics import regression

METHOD = "decomposition"
LATENT_RULES = (choice.AUTO, regression.GRADIENT, regression.PUBLISHED)
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
        latent_rule: "gradient" regresses the components on the latent; "published"
            regresses the latent on the components, as the original GANSpace does;
            "auto" is gradient in z, and published in w.
    """

    num_samples: int = 100_000
    num_components: int = 20
    seed: int = 0
    estimator: str = choice.AUTO
    until_stable: float = 0.0
    latent_rule: str = choice.AUTO

    def __post_init__(self):
        """Checks the values that need no generator. Raises InputError."""
        super().__post_init__()
        if self.estimator not in choice.NAMES:
            raise InputError(f"--estimator={self.estimator}: there are: {', '.join(choice.NAMES)}")
        if self.latent_rule not in LATENT_RULES:
            raise InputError(f"--latent_rule={self.latent_rule}: there are: {', '.join(LATENT_RULES)}")
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
        options = {"latent_rule": regression.PUBLISHED, **components.source.options}  # earlier versions had one rule
        return cls(**{name: value for name, value in options.items() if name in known})


def resolve(spec: Decomposition, generator: Generator, run: Run = Run()) -> Decomposition:
    """Returns the spec with layer, latent space, label, estimator and latent rule
    filled for this generator.

    Raises:
        InputError: if the generator or the memory budget does not allow the spec.
    """
    filled = layers.resolve(spec, generator)
    size = layers.layer_size(generator, str(filled.layer))
    if filled.num_components > size:
        raise InputError(f"--num_components={filled.num_components}: layer {filled.layer} has only {size} dimensions")
    samples = Samples(generator, filled, filled.num_samples, filled.seed)
    name = choice.choose(filled.estimator, samples, filled.num_components, run.memory_gb)
    rule = regression.GRADIENT if filled.latent_space == "z" else regression.PUBLISHED
    rule = rule if filled.latent_rule == choice.AUTO else filled.latent_rule
    return dataclasses.replace(filled, estimator=name, latent_rule=rule)


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
    return decompose_layers(generator, [spec], run, name=name)[0]


def decompose_layers(
    generator: Generator, specs: Sequence[Decomposition], run: Run = Run(), *, name: str = ""
) -> list[Components]:
    """Returns the components of several layers. The layers share sweeps: each batch of
    samples passes the network once for all of them.

    If the estimators need more host memory than run.memory_gb together, the layers are
    divided into several runs.

    Args:
        generator: generator whose layers are decomposed.
        specs: what is computed; specs that differ in layer and estimator only.
        run: how it is computed; it changes the results by rounding only.
        name: name of the generator in the components files.

    Raises:
        InputError: if a spec does not fit the generator, or an activation is not
            finite.
        Interrupted: if run.should_stop returned True; the state is saved.
    """
    specs = [resolve(spec, generator, run) for spec in specs]
    if len({dataclasses.replace(spec, layer=None, estimator=choice.AUTO) for spec in specs}) > 1:
        raise ValueError("specs must differ in layer and estimator only")
    fingerprint, dtype = zoo.fingerprint(generator), getattr(generator.config, "compute_dtype", "float32")
    sources = [Source(name, fingerprint, METHOD, dataclasses.asdict(spec), compute_dtype=dtype) for spec in specs]
    layered = [_Layer(spec, Samples(generator, spec, spec.num_samples, spec.seed)) for spec in specs]
    record = resume.of(run)
    runs = [(chosen, _execution(chosen, run, record)) for chosen in _that_fit_together(layered, run.memory_gb)]
    record.begin_run(_identity(sources, runs))
    estimates: list[Estimate] = []
    for chosen, execution in runs:
        estimates += lockstep.run([(layer.samples, layer.estimation(run)) for layer in chosen], execution)
    shapes = layers.layer_shapes(generator)
    return [
        _components(estimate, shapes[str(spec.layer)], spec, source)
        for estimate, spec, source in zip(estimates, specs, sources, strict=True)
    ]


class _Layer(NamedTuple):
    """One layer of a run, with its samples."""

    spec: Decomposition
    samples: Samples

    @property
    def estimator(self) -> Estimator:
        return choice.ESTIMATORS[self.spec.estimator]

    def estimation(self, run: Run) -> Estimation:
        spec, size = self.spec, self.samples.sizes()[0]
        baseline = random_directions.unit_rows(spec.num_components, size, spec.seed)
        return self.estimator.estimate(self.samples, Task(spec.num_components, baseline, spec.until_stable), run)


def _that_fit_together(layered: Sequence[_Layer], memory_gb: float) -> list[list[_Layer]]:
    """Returns neighbouring layers that share sweeps: as many as fit into memory
    together.
    """
    runs: list[list[_Layer]] = []
    left = 0.0
    for layer in layered:
        needed = layer.estimator.host_bytes(layer.samples.sizes(), layer.spec.num_components) / 1e9
        if not runs or needed > left:
            runs.append([])
            left = memory_gb
        runs[-1].append(layer)
        left -= needed
    return runs


def _execution(chosen: Sequence[_Layer], run: Run, record: resume.Resume) -> Execution:
    """Returns how the sweeps run, with the largest batch that fits into memory if the
    run names none.
    """
    mesh = devices.own_devices()
    execution = Execution(mesh, run.batch_size or mesh.size, run, record)
    parts = [
        Part(layer.samples, layer.estimator.largest_step(layer.samples, layer.spec.num_components))
        for layer in chosen
        if layer.estimator.largest_step is not None
    ]
    if run.batch_size is not None or not parts:
        return execution
    return sweeps.fit_batch(parts, execution, batch_size.device_memory(mesh))


def _identity(sources: Sequence[Source], runs: Sequence[tuple[Sequence[_Layer], Execution]]) -> dict[str, Any]:
    """Returns everything on which the bits of the results depend: the generator by its
    weights, not by its name. Layers that share sweeps are joined by commas, and those
    that do not by semicolons.
    """

    def joined(field: str) -> str:
        return ";".join(",".join(str(getattr(layer.spec, field)) for layer in chosen) for chosen, _ in runs)

    rows = [execution.rows_per_device(sources[0].options["num_samples"]) for _, execution in runs]
    return {
        **sources[0].options,
        "layer": joined("layer"),
        "estimator": joined("estimator"),
        "fingerprint": sources[0].fingerprint,
        "compute_dtype": sources[0].compute_dtype,
        "batch_per_device": rows[0] if len(rows) == 1 else ";".join(map(str, rows)),
        "num_devices": runs[0][1].mesh.size,
        "num_processes": jax.process_count(),
    }


def _components(estimate: Estimate, shape: tuple[int, ...], spec: Decomposition, source: Source) -> Components:
    principal, count = estimate.components, len(estimate.components.variances)
    stdevs = np.sqrt(principal.variances)
    latent, uncertainty = _latent_directions(estimate, spec)
    latent_covariance = estimate.moments.latent_covariance
    tiny = np.finfo(np.float32).tiny
    arrays = {
        "activation_components": principal.directions.reshape(count, *shape),
        "activation_mean": estimate.mean.reshape(shape),
        "activation_stdevs": stdevs,
        "latent_components": latent.directions,
        "latent_mean": estimate.mean if spec.is_latent else estimate.latent_mean,
        "latent_stdevs": stdevs if spec.is_latent else _stdevs_along(latent.directions, latent_covariance),
        "variance_ratio": principal.variances / max(principal.total_variance, tiny),  # a layer can be constant
        "random_stdevs": np.sqrt(estimate.random_variances),
        "r2": latent.r2,
        "stability": estimate.stability.angles,
        "latent_uncertainty": uncertainty,
        "variance_error": estimate.stability.variance_errors / np.maximum(principal.variances, tiny),
    }
    if spec.latent_space == "z":  # published files measure steps in z in its own unit, from its own centre
        arrays |= {"latent_mean": np.zeros_like(arrays["latent_mean"]), "latent_stdevs": np.ones(count)}
    # The precision of the file, so that a library call and a file read back give equal
    # arrays.
    in_float32: dict[str, Any] = {key: np.asarray(array, np.float32) for key, array in arrays.items()}
    source = dataclasses.replace(source, num_samples=estimate.num_samples, num_sweeps=estimate.num_sweeps)
    return Components(**in_float32, spec=spec.layer_spec(), source=source)


def _latent_directions(
    estimate: Estimate, spec: Decomposition
) -> tuple[regression.LatentDirections, Float[np.ndarray, "c"]]:
    """Returns the directions, and their standard errors in degrees."""
    if spec.is_latent:
        directions = estimate.components.directions
        return regression.LatentDirections(directions, np.ones(len(directions))), estimate.stability.angles
    found = regression.latent_directions(estimate.moments, spec.latent_rule)
    return found, regression.uncertainty(estimate.moments, estimate.replicates, spec.latent_rule)


def _stdevs_along(directions: Float[np.ndarray, "c d"], covariance: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "c"]:
    return np.sqrt(np.maximum(np.sum(directions @ covariance * directions, axis=1), 0.0))
