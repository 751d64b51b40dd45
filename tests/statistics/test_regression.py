"""Closed forms equal least squares, recover a planted map, and know their errors."""

import numpy as np

from ganspace_jax.statistics import pca, regression
from ganspace_jax.statistics.regression import GRADIENT, PUBLISHED, CoordinateMoments


def _moments(activations, latents, count):
    joint = np.cov(np.concatenate([activations, latents], axis=1).T)
    size = activations.shape[1]
    components = pca.exact(joint[:size, :size], count)
    cross_covariance = components.directions @ joint[:size, size:]
    return components, CoordinateMoments(components.variances, cross_covariance, joint[size:, size:])


def _fitted(activations, latents, count, rule=PUBLISHED):
    components, moments = _moments(activations, latents, count)
    return components, regression.latent_directions(moments, rule)


def _angles(a, b):
    return np.degrees(np.arccos(np.minimum(np.abs(np.sum(a * b, axis=-1)), 1.0)))


def test_both_rules_equal_least_squares_on_the_samples():
    rng = np.random.default_rng(0)
    latents = rng.standard_normal((2000, 5))
    activations = np.tanh(latents @ rng.standard_normal((5, 12))) + 0.1 * rng.standard_normal((2000, 12))
    components, published = _fitted(activations, latents, 4)
    _, gradient = _fitted(activations, latents, 4, GRADIENT)
    coordinates = (activations - activations.mean(0)) @ components.directions.T
    centred = latents - latents.mean(0)
    backward = np.linalg.lstsq(coordinates, centred, rcond=None)[0]
    forward = np.linalg.lstsq(centred, coordinates, rcond=None)[0].T
    for found, expected in ((published, backward), (gradient, forward)):
        expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(found.directions, expected, atol=1e-9)
    explained = ((centred @ forward.T) ** 2).sum(0) / (coordinates**2).sum(0)
    np.testing.assert_allclose(gradient.r2, explained, rtol=1e-9)
    np.testing.assert_array_equal(gradient.r2, published.r2)


def test_gradients_of_a_linear_layer_have_no_sampling_error():
    """The direction of a component v of y = A z is A^T v. The published rule is off by
    about sqrt(l / N), which is 28 degrees here.
    """
    rng = np.random.default_rng(3)
    matrix = rng.standard_normal((30, 20))
    latents = rng.standard_normal((80, 20))
    activations = latents @ matrix.T
    components, gradient = _fitted(activations, latents, 6, GRADIENT)
    exact = components.directions @ matrix
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    np.testing.assert_allclose(gradient.directions, exact, atol=1e-5)
    published = _fitted(activations, latents, 6)[1]
    assert _angles(published.directions, exact).min() > 10


def _noisy_run(seed, rule):
    """Directions and their reported errors from 1,200 samples of a layer that is not
    linear.
    """
    rng, matrix = np.random.default_rng(seed), np.random.default_rng(9).standard_normal((8, 4))
    latents = rng.standard_normal((1200, 4))
    hidden = latents * np.array([4.0, 2.5, 1.5, 0.5])
    activations = np.tanh(0.2 * hidden @ matrix.T) * np.linspace(3, 1, 8) + 0.3 * rng.standard_normal((1200, 8))
    _, moments = _moments(activations, latents, 3)
    parts = np.array_split(np.arange(1200), 8)
    without = [_moments(np.delete(activations, part, 0), np.delete(latents, part, 0), 3)[1] for part in parts]
    return regression.latent_directions(moments, rule).directions, regression.uncertainty(moments, without, rule)


def test_the_reported_error_is_the_spread_over_seeds():
    """Within a factor of 2 for every component and both rules."""
    for rule in (GRADIENT, PUBLISHED):
        directions, reported = (np.array(each) for each in zip(*(_noisy_run(k, rule) for k in range(30)), strict=True))
        signs = np.sign(np.sum(directions * directions[0], axis=-1, keepdims=True))
        mean = (signs * directions).mean(0)
        mean /= np.linalg.norm(mean, axis=-1, keepdims=True)
        spread = np.sqrt(np.mean(_angles(directions, mean) ** 2, axis=0))
        ratio = np.sqrt(np.mean(reported**2, axis=0)) / spread
        assert ratio.min() > 0.5 and ratio.max() < 2, (rule, ratio)
        assert spread.min() > 0.3


def test_without_samples_there_is_no_error():
    moments = CoordinateMoments(np.ones(2), np.eye(2, 3), np.eye(3))
    np.testing.assert_array_equal(regression.uncertainty(moments, (), GRADIENT), 0.0)


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
