"""The table of estimators, and the choice among them: by memory, and by time."""

import jax
import jax.numpy as jnp

from ganspace_jax.errors import InputError
from ganspace_jax.generators.base import Generator
from ganspace_jax.methods.estimators import analytic, exact, incremental, randomized
from ganspace_jax.methods.estimators.estimate import Estimator
from ganspace_jax.sampling import layers
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.sampling.sample_groups import NUM_GROUPS
from ganspace_jax.sampling.sweep_parts import Samples

ESTIMATORS: dict[str, Estimator] = {
    "exact": exact.ESTIMATOR,
    "randomized": randomized.ESTIMATOR,
    "incremental": incremental.ESTIMATOR,
    "analytic": analytic.ESTIMATOR,
}
AUTO = "auto"
NAMES = (AUTO, *ESTIMATORS)

_SMALL = 1024  # dimensions up to which exact eigenvectors take a second at most
_TYPICAL_SWEEPS = 4  # of the randomized estimator
_HOST_FLOPS = 3  # a float64 operation on the host costs about so many float32 operations of a sweep


def choose(name: str, samples: Samples, num_components: int, memory_gb: float) -> str:
    """Returns the estimator for a layer.

    "auto" is analytic for a default layer that is affine in z. Else it is exact or
    randomized: the one that needs less time among those that fit into memory_gb.

    Raises:
        InputError: if the named estimator does not fit into memory_gb.
    """
    if name == AUTO:
        return _choose(samples, num_components, memory_gb)
    needed = ESTIMATORS[name].host_bytes(samples.sizes(), num_components) / 1e9
    if needed > memory_gb:
        hint = "" if name == "randomized" else ", or use --estimator=randomized"
        raise InputError(
            f"--estimator={name}: needs {needed:.1f} GB for layer {samples.spec.layer}, --memory_budget_gb is "
            f"{memory_gb:g}; raise it{hint}"
        )
    return name


def _choose(samples: Samples, num_components: int, memory_gb: float) -> str:
    generator, spec = samples.generator, samples.spec
    if _is_first_layer(generator, spec) and analytic.is_affine(generator, spec):
        return "analytic"
    size = samples.sizes()[0]
    if exact.host_bytes(samples.sizes(), num_components) > memory_gb * 1e9:
        return "randomized"
    if size <= _SMALL:
        return "exact"
    cost = sample_cost(samples)
    is_cheaper = exact_cost(samples, num_components, cost) <= randomized_cost(samples, num_components, cost)
    return "exact" if is_cheaper else "randomized"


def _is_first_layer(generator: Generator, spec: LayerSpec) -> bool:
    return spec.latent_space == "z" and spec.layer == generator.default_layer


def exact_cost(samples: Samples, num_components: int, cost: float) -> float:
    """Returns about how many operations the exact estimator needs.

    One sweep computes each sample and its D x D products. On the host, Lanczos
    iterations and the jackknife multiply D x D matrices with blocks of vectors.
    """
    size, latent_size = samples.sizes()
    width = 2 * num_components + 10
    sweep = samples.num_samples * (cost + 1.25 * (size + latent_size) ** 2)
    host = 2.0 * size**2 * width * (3 * NUM_GROUPS + 10)
    return sweep + _HOST_FLOPS * host


def randomized_cost(samples: Samples, num_components: int, cost: float) -> float:
    """Returns about how many operations the randomized estimator needs: a few sweeps
    with products of D x width.
    """
    size, latent_size = samples.sizes()
    width = randomized.block_width(num_components, size)
    products = 2.0 * size * (2 * width + num_components + latent_size)
    sweeps = _TYPICAL_SWEEPS * samples.num_samples * (cost + products)
    host = 2.0 * size * (3 * width) ** 2 * (NUM_GROUPS + _TYPICAL_SWEEPS)
    return sweeps + _HOST_FLOPS * host


def sample_cost(samples: Samples) -> float:
    """Returns the operations that one sample of the layer needs, by XLA's account of
    the uncompiled program.
    """
    definition, params = samples.generator

    def read(params, key, indices):
        return layers.read(Generator(definition, params), samples.spec, key, indices)

    lowered = jax.jit(read).lower(params, jax.random.key(0), jnp.arange(1))
    analysis = lowered.cost_analysis() or {}
    return float(analysis.get("flops", 0.0))
