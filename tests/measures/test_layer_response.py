"""Response of a layer: an affine layer follows its direction, a nonlinear layer follows
it less.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, dcgan, stylegan2
from ganspace_jax.measures import layer_response
from tests import calls

SIGMAS = (-2.0, 0.0, 1.0, 2.0)


@pytest.fixture(scope="module")
def generator():
    """DCGAN's first layer with orthogonal columns of different lengths: its principal
    directions are z's axes.
    """
    made = base.split(dcgan.DCGAN(dcgan.Config(4, (6, 3)), key=jax.random.key(0)))
    columns = (
        jnp.linalg.qr(jax.random.normal(jax.random.key(1), (96, 4)))[0].T * jnp.array([4.0, 3.0, 2.0, 1.0])[:, None]
    )
    weight = columns.reshape(4, 4, 4, 6).transpose(1, 2, 0, 3)
    return made._replace(params={**made.params, "main_0": {"weight": weight}})


def test_an_affine_layer_moves_along_its_own_component_alone(generator):
    """One standard deviation for a step of one, for every sample alike, nothing along
    the others, all of the motion.
    """
    found = calls.decompose(generator, layer="main.0", latent_space="z", num_components=4, estimator="analytic")
    measured = layer_response.measure(generator, found, sigmas=SIGMAS, num_samples=16)
    np.testing.assert_allclose(measured.own, np.tile(SIGMAS, (4, 1)), atol=1e-3)
    np.testing.assert_allclose(measured.spread, 0.0, atol=1e-3)
    np.testing.assert_allclose(measured.others, 0.0, atol=2e-3)
    np.testing.assert_allclose(measured.share, np.tile([1.0, 0.0, 1.0, 1.0], (4, 1)), atol=1e-4)


def test_a_wrong_direction_shows(generator):
    """Half of the step along another direction: that much less of its own, that much of
    the other.
    """
    found = calls.decompose(generator, layer="main.0", latent_space="z", num_components=2, estimator="analytic")
    first, second = found.latent_components
    wrong = dataclasses.replace(found, latent_components=np.stack([0.6 * first + 0.8 * second, second]))
    measured = layer_response.measure(generator, wrong, sigmas=(1.0,), num_samples=8)
    np.testing.assert_allclose([measured.own[0, 0], measured.others[0, 0]], [0.6, 0.8], atol=1e-3)
    own, other = (0.6 * found.activation_stdevs[0]) ** 2, (0.8 * found.activation_stdevs[1]) ** 2
    np.testing.assert_allclose(measured.share[0, 0], own / (own + other), rtol=1e-3)


def test_a_deeper_layer_is_less_faithful(generator):
    """Behind ReLUs the samples differ and other components move too."""
    found = calls.decompose(
        generator, layer="main.4", latent_space="z", num_samples=4000, batch_size=500, num_components=3
    )
    measured = layer_response.measure(generator, found, sigmas=(0.0, 1.0), num_samples=64)
    assert np.all(measured.own[:, 1] > 0.1) and np.all(measured.spread[:, 1] > 0.01)
    assert np.all(measured.share[:, 1] < 0.99)
    np.testing.assert_array_equal(measured.own[:, 0], 0.0)


def test_table_shows_the_asked_step(generator):
    found = calls.decompose(generator, layer="main.0", latent_space="z", num_components=2, estimator="analytic")
    lines = layer_response.table(
        layer_response.measure(generator, found, sigmas=SIGMAS, num_samples=4), 2.0
    ).splitlines()
    assert "step +2" in lines[0] and len(lines) == 4
    assert lines[2].startswith("| v0 | 2.00 | 0.00 | 0.00 | 1.00 |")


def test_the_latent_itself_has_nothing_to_measure():
    style = base.split(stylegan2.StyleGAN2(stylegan2.Config(3, 4, (4, 2), mapping_layers=1), key=jax.random.key(0)))
    found = calls.decompose(style, num_samples=100, num_components=2)
    with pytest.raises(InputError, match="of layer w, which is the latent itself"):
        layer_response.measure(style, found, num_samples=4)
