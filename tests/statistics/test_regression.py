"""Closed-form regression equals least squares and recovers a planted map."""

import numpy as np

from ganspace_jax.statistics import pca, regression


def _fitted(activations, latents, count):
    joint = np.cov(np.concatenate([activations, latents], axis=1).T)
    size = activations.shape[1]
    components = pca.exact(joint[:size, :size], count)
    cross_covariance = components.directions @ joint[:size, size:]
    return components, regression.latent_directions(components, cross_covariance, joint[size:, size:])


def test_it_equals_least_squares_on_the_samples():
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((2000, 5))
    activations = np.tanh(latents @ rng.standard_normal((5, 12))) + 0.1 * rng.standard_normal((2000, 12))
    components, directions = _fitted(activations, latents, 4)
    coordinates = (activations - activations.mean(0)) @ components.directions.T
    slopes = np.linalg.lstsq(coordinates, latents - latents.mean(0), rcond=None)[0]
    expected = slopes / np.linalg.norm(slopes, axis=1, keepdims=True)
    np.testing.assert_allclose(directions.directions, expected, atol=1e-9)
    np.testing.assert_allclose(
        directions.slopes, np.linalg.norm(slopes, axis=1) * np.sqrt(components.variances), rtol=1e-9
    )


def test_a_planted_linear_map_is_recovered_with_its_r2():
    rng = np.random.default_rng(1)
    basis = np.linalg.qr(rng.standard_normal((6, 6)))[0][:3]
    latents = rng.standard_normal((200_000, 6))
    rows = np.linalg.qr(rng.standard_normal((10, 10)))[0][:3]
    signal, noise = np.array([5.0, 3.0, 2.0]), np.array([0.0, 3.0, 4.0])
    coordinates = latents @ basis.T * signal + rng.standard_normal((len(latents), 3)) * noise
    order = np.argsort(signal**2 + noise**2)[::-1]
    _, directions = _fitted(coordinates @ rows, latents, 3)
    cosines = np.abs(np.sum(directions.directions * basis[order], axis=1))
    assert cosines.min() > 0.999
    np.testing.assert_allclose(directions.r2, (signal**2 / (signal**2 + noise**2))[order], atol=0.01)


def test_activations_independent_of_the_latent_have_r2_near_zero():
    rng = np.random.default_rng(2)
    _, directions = _fitted(rng.standard_normal((20_000, 4)), rng.standard_normal((20_000, 3)), 2)
    assert directions.r2.max() < 0.01
