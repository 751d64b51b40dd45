"""One function for all methods that find directions."""

import dataclasses
from collections.abc import Callable

from ganspace_jax.directions import random_directions
from ganspace_jax.directions.components import Components
from ganspace_jax.generators.base import Generator
from ganspace_jax.methods import decomposition, direction_spec, ica, image_jacobians, local_basis, sefa, sparse_pca
from ganspace_jax.methods.decomposition import Decomposition
from ganspace_jax.methods.direction_spec import DirectionSpec
from ganspace_jax.run import Run
from ganspace_jax.sampling import layers
from ganspace_jax.statistics import quadratic_forms

_ALL_DIMENSIONS = 512  # of a layer whose sparse components use all principal ones
_TIMES_AS_MANY = 4


def find(
    generator: Generator, spec: DirectionSpec = DirectionSpec(), run: Run = Run(), *, name: str = ""
) -> Components:
    """Finds the directions of a method, the strongest first.

    Args:
        generator: the generator.
        spec: method and its options.
        run: batch size, progress and stopping.
        name: name of the generator in the components file.

    Raises:
        InputError: if the spec does not fit the generator, or if an activation is not
            finite.
        Interrupted: if run.should_stop returned True.
    """
    spec = direction_spec.resolve(spec, generator)
    return FINDERS[spec.method](generator, spec, run, name=name)


def principal_components(generator: Generator, spec: DirectionSpec, run: Run, *, name: str = "") -> Components:
    """Finds the principal components of GANSpace, as methods/decomposition.py does."""
    return _principal(generator, spec, run, spec.num_components, name)


def independent(generator: Generator, spec: DirectionSpec, run: Run, *, name: str = "") -> Components:
    """Finds independent components, in the span of as many principal ones."""
    principal = _principal(generator, spec, run, spec.num_components, name)
    return ica.find(generator, spec, run, principal, name=name)


def sparse(generator: Generator, spec: DirectionSpec, run: Run, *, name: str = "") -> Components:
    """Finds sparse components, from all principal ones or, in a large layer, several
    times as many.
    """
    size = layers.layer_size(generator, str(spec.layer))
    count = size if size <= _ALL_DIMENSIONS else min(size, _TIMES_AS_MANY * spec.num_components)
    principal = _principal(generator, spec, run, count, name)
    return sparse_pca.find(generator, spec, run, principal, name=name)


def _principal(generator: Generator, spec: DirectionSpec, run: Run, count: int, name: str) -> Components:
    fields = {**dataclasses.asdict(spec.layer_spec()), "num_components": count, "seed": spec.seed}
    wanted = Decomposition(**fields, num_samples=max(spec.num_samples, count + 1))
    return decomposition.decompose(generator, wanted, run, name=name)


def random(generator: Generator, spec: DirectionSpec, run: Run, *, name: str = "") -> Components:
    """Returns random directions, the baseline of all methods."""
    del run
    prior = direction_spec.latent_distribution(generator, spec)
    rows = quadratic_forms.unit(random_directions.unit_rows(spec.num_components, len(prior.mean), spec.seed))
    return direction_spec.of_latent(generator, spec, rows, prior, figures={}, num_samples=0, name=name)


FINDERS: dict[str, Callable[..., Components]] = {
    "image_jacobian": image_jacobians.find,
    "sefa": sefa.find,
    "ica": independent,
    "sparse_pca": sparse,
    "local_basis": local_basis.find,
    "pca": principal_components,
    "random": random,
}
