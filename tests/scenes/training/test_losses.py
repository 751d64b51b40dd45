"""Losses: values and gradients against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.scenes.training import losses

REAL, FAKE = np.array([-2.0, 0.5, 3.0]), np.array([-1.5, 0.25, 0.0])


def test_gradient_penalty_of_a_known_function():
    """Logits a . x have the gradient a everywhere; logits |x|^2 / 2 the gradient x."""
    images = jax.random.normal(jax.random.key(0), (5, 4, 4, 3))
    a = jax.random.normal(jax.random.key(1), (4, 4, 3))
    linear = losses.gradient_penalty(lambda x: jnp.sum(a * x, (1, 2, 3)), images)
    square = losses.gradient_penalty(lambda x: 0.5 * jnp.sum(x**2, (1, 2, 3)), images)
    np.testing.assert_allclose(linear, np.sum(np.square(a)), rtol=1e-5)
    np.testing.assert_allclose(square, np.mean(np.sum(np.square(images), (1, 2, 3))), rtol=1e-5)


def test_logistic_losses_are_cross_entropies():
    """The discriminator classifies; the generator's images are to be classified as
    real.
    """
    real, fake = jnp.asarray(REAL, jnp.float32), jnp.asarray(FAKE, jnp.float32)
    probability = lambda logits: 1.0 / (1.0 + np.exp(-logits))  # noqa: E731
    expected = -np.log(probability(REAL)).mean() - np.log(1.0 - probability(FAKE)).mean()
    assert float(losses.discriminator_loss("logistic", real, fake)) == pytest.approx(expected, rel=1e-6)
    expected = -np.log(probability(FAKE)).mean()
    assert float(losses.generator_loss("logistic", fake)) == pytest.approx(expected, rel=1e-6)


def test_hinge_losses_have_a_margin_of_one():
    real, fake = jnp.asarray(REAL, jnp.float32), jnp.asarray(FAKE, jnp.float32)
    expected = np.mean([3.0, 0.5, 0.0]) + np.mean([0.0, 1.25, 1.0])
    assert float(losses.discriminator_loss("hinge", real, fake)) == pytest.approx(expected, rel=1e-6)
    assert float(losses.generator_loss("hinge", fake)) == pytest.approx(1.25 / 3, rel=1e-6)
