"""The distribution of latents equals NumPy's moments and the known one of z."""

import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.generators import zoo
from ganspace_jax.sampling import latent_prior, random_samples


@pytest.fixture(scope="module")
def scenes():
    return zoo.load("stylegan2-scenes")


@pytest.fixture(scope="module")
def prior(scenes):
    return latent_prior.estimate(scenes, num_samples=3000)


def test_moments_are_those_of_the_samples(scenes, prior):
    w = random_samples.draw(scenes, 0, 3000, seed=0).layers.astype(np.float64)
    assert np.ptp(w, axis=1).max() == 0  # all layers have the latent
    np.testing.assert_allclose(prior.mean, w[:, 0].mean(0), atol=1e-12)
    np.testing.assert_allclose(prior.covariance, np.cov(w[:, 0].T), atol=1e-12)


def test_mean_square_distance_of_the_samples_is_one(scenes, prior):
    w = random_samples.draw(scenes, 0, 3000, seed=0).layers
    distances = np.asarray(latent_prior.distance(prior, w), np.float64)
    np.testing.assert_allclose(np.mean(distances**2), 1.0, rtol=0.01)
    away = (w[:5, 0] - prior.mean).astype(np.float64)
    expected = np.sqrt(np.einsum("ni,ij,nj->n", away, np.linalg.inv(prior.covariance), away) / away.shape[1])
    np.testing.assert_allclose(distances[:5], expected, rtol=1e-3)


def test_distance_is_of_the_mean_over_layers(scenes, prior):
    w = random_samples.draw(scenes, 0, 4, seed=1).layers
    step = np.random.default_rng(0).normal(size=w.shape).astype(np.float32)
    step -= step.mean(1, keepdims=True)
    np.testing.assert_allclose(latent_prior.distance(prior, w + step), latent_prior.distance(prior, w), rtol=1e-3)


def test_samples_do_not_depend_on_their_number(scenes):
    few, many = (random_samples.draw(scenes, 0, n, seed=5).layers for n in (3, 2003))
    np.testing.assert_allclose(many[:3], few, atol=1e-6)


def test_prior_of_z_is_known():
    biggan = zoo.load("biggan-deep-scenes")
    prior = latent_prior.estimate(biggan)
    _, z, weights = random_samples.draw(biggan, 0, 4000, seed=0)
    assert weights is not None and set(map(tuple, weights)) == set(map(tuple, np.eye(6)))
    np.testing.assert_allclose(prior.covariance, np.var(z[:, 0]) * np.eye(z.shape[2]), atol=0.01)
    np.testing.assert_allclose(prior.precision @ prior.covariance, np.eye(z.shape[2]), atol=1e-12)


def test_directions_without_variance_get_a_bounded_precision():
    prior = latent_prior.of_covariance(np.zeros(3), np.diag([4.0, 1.0, 0.0]))
    np.testing.assert_allclose(np.diag(prior.precision), [0.25, 1.0, 2500.0])


def test_one_sample_has_no_covariance(scenes):
    with pytest.raises(InputError, match="at least 2 samples"):
        latent_prior.estimate(scenes, num_samples=1)
