"""The Jacobians of the linear toy are its matrices: directions have a closed form."""

import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.methods import direction_spec, finding, image_jacobians
from ganspace_jax.methods.direction_spec import DirectionSpec
from ganspace_jax.run import Interrupted, Run
from ganspace_jax.sampling import latent_jacobians
from tests import toy_generators

SPEC = DirectionSpec(num_components=4, num_samples=4000, num_images=8)


def closed_form(matrix, covariance):
    """Returns eigenvectors of S A^T A as unit rows, and falling eigenvalues."""
    values, vectors = np.linalg.eig(covariance @ matrix.T @ matrix)
    order = np.argsort(values.real)[::-1]
    return vectors.real[:, order].T, values.real[order]


@pytest.fixture(scope="module")
def toy():
    return toy_generators.linear()


@pytest.mark.parametrize("has_mapping", [True, False], ids=["w", "z"])
def test_directions_are_the_closed_form(has_mapping):
    toy = toy_generators.linear(has_mapping=has_mapping)
    found = finding.find(toy, SPEC, name="toy")
    covariance = direction_spec.latent_distribution(toy, direction_spec.resolve(SPEC, toy)).covariance
    rows, values = closed_form(toy_generators.matrices(toy).sum(0), covariance)
    cosines = np.abs(np.sum(rows[:4] * found.latent_components, axis=1))
    np.testing.assert_allclose(cosines, 1.0, atol=1e-5)
    np.testing.assert_allclose(found.variance_ratio, values[:4] / values.sum(), rtol=1e-4)
    largest = np.abs(found.latent_components).argmax(1)
    assert (found.latent_components[np.arange(4), largest] > 0).all()
    stdevs = np.sqrt(np.einsum("kd,de,ke->k", rows[:4], covariance, rows[:4]))
    np.testing.assert_allclose(found.latent_stdevs, stdevs, rtol=1e-4)
    assert found.source.method == "image_jacobian"
    assert found.spec.layer == found.spec.latent_space == ("w" if toy.has_mapping else "z")


def test_the_error_is_that_of_new_images():
    """The jackknife's angle is near the root mean square over independent sets of
    images.
    """
    truth = np.diag([9.0, 4.0, 1.0, 0.5, 0.1])

    def draw(seed):
        rows = np.random.default_rng(seed).normal(size=(8, 60, 5)) @ np.sqrt(truth)
        return np.einsum("gni,gnj->gij", rows, rows) / 60

    told, seen = [], []
    for seed in range(40):
        found = image_jacobians.from_grams(draw(seed), np.eye(5), 2)
        told.append(found.stability.angles)
        seen.append(np.degrees(np.arccos(np.minimum(np.diag(np.abs(found.directions.directions[:, :2])), 1.0))))
    told, seen = (np.sqrt(np.mean(np.square(angles), axis=0)) for angles in (told, seen))
    assert (seen > 1).all()
    np.testing.assert_allclose(told, seen, rtol=0.3)


def test_equal_jacobians_leave_no_error(toy):
    assert finding.find(toy, SPEC).stability.max() < 0.1


def test_less_memory_gives_the_same_products(toy):
    at = latent_jacobians.target(toy, direction_spec.resolve(SPEC, toy), Run())
    latent = jnp.ones(5)
    whole, in_blocks = (latent_jacobians.gram(at, toy.params, latent, None, size) for size in (1e9, 2 * 4 * 16 * 2))
    matrix = toy_generators.matrices(toy).sum(0)
    np.testing.assert_allclose(whole, matrix.T @ matrix, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(in_blocks, whole, rtol=1e-5, atol=1e-5)


def test_a_stopped_run_stops(toy):
    with pytest.raises(Interrupted):
        finding.find(toy, SPEC, Run(should_stop=lambda: True))
