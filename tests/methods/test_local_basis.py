"""The local basis of the linear toy is the SVD of its matrices, at every point."""

import jax
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.generators import stylegan2, synthesis, zoo
from ganspace_jax.methods import direction_spec, finding, local_basis
from ganspace_jax.methods.direction_spec import DirectionSpec
from ganspace_jax.sampling import latent_jacobians
from tests import toy_generators

SPEC = DirectionSpec(method="local_basis", num_components=3, num_samples=1000, num_images=8)


@pytest.fixture(scope="module")
def toy():
    return toy_generators.linear(width=30)


def test_the_average_of_a_linear_layer_is_its_svd(toy):
    found = finding.find(toy, DirectionSpec(**{**vars(SPEC), "layer": "features"}))
    left, values, right = np.linalg.svd(toy_generators.matrices(toy).sum(0))
    np.testing.assert_allclose(np.abs(np.sum(found.latent_components * right[:3], axis=1)), 1.0, atol=1e-4)
    np.testing.assert_allclose(np.abs(np.sum(found.activation_components * left.T[:3], axis=1)), 1.0, atol=1e-4)
    np.testing.assert_allclose(found.r2, 1.0, atol=1e-4)
    np.testing.assert_allclose(found.activation_stdevs, values[:3] * found.latent_stdevs, rtol=1e-3)
    assert found.stability.max() < 1


def test_the_basis_of_w_is_that_of_its_mapping_and_changes_from_point_to_point():
    config = stylegan2.Config(z_dim=9, w_dim=8, channels=(4,), mapping_layers=2, mapping_learning_rate=1.0)
    random, abstract = np.random.default_rng(0), zoo.abstract_generator("stylegan2", config)
    drawn = jax.tree.map(lambda x: random.normal(size=x.shape).astype(x.dtype), abstract.params)
    generator = abstract._replace(params=drawn)
    spec = direction_spec.resolve(DirectionSpec(**{**vars(SPEC), "num_components": 2}), generator)
    bases = local_basis.measure(generator, spec)
    at = latent_jacobians.draw(generator, spec, 8, 1, in_z=True)

    def w(z):
        return synthesis.map_latents(generator, z[None])[0, 0]

    for point in (0, 7):
        left, values, _ = np.linalg.svd(np.asarray(jax.jacfwd(w)(at.latents[point]), np.float64))
        np.testing.assert_allclose(bases.strengths[point], values[:2], rtol=1e-3)
        angles = local_basis.principal_angles(bases.directions[point], left.T[:2])
        assert angles.max() < 2
    between = local_basis.angles_between_points(bases, 2)
    assert np.allclose(np.diag(between), 0, atol=1e-3) and between[~np.eye(8, dtype=bool)].min() > 5


def test_principal_angles():
    first, tilted = np.eye(4)[:2], np.array([[1, 0, 0, 0], [0, np.cos(0.5), np.sin(0.5), 0]])
    np.testing.assert_allclose(local_basis.principal_angles(first, tilted), [0, np.degrees(0.5)], atol=1e-5)


def test_directions_of_another_space_are_refused(toy):
    with pytest.raises(InputError, match="latent_space=z.*finds directions of w"):
        finding.find(toy, DirectionSpec(**{**vars(SPEC), "layer": "features", "latent_space": "z"}))
