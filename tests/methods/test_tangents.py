"""methods/tangents and sampling/image_tangents: directions in closed form."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.directions import edits, readouts
from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError
from ganspace_jax.methods import image_transforms, tangents
from ganspace_jax.methods.tangents import Tangents, TangentSearch
from ganspace_jax.run import Interrupted, Run
from ganspace_jax.sampling import image_tangents, random_samples
from ganspace_jax.sampling.latent_prior import LatentPrior
from tests import toy_generators

SPEC = TangentSearch("horizontal", num_images=5, num_samples=200)


@pytest.fixture(scope="module")
def toy():
    return toy_generators.linear()


@pytest.fixture(scope="module")
def found(toy):
    return tangents.find(toy, SPEC, Run(batch_size=2))


def test_the_closed_form_is_exact_on_a_linear_generator(toy, found):
    """The formula in float64, with the filter as a matrix."""
    _, result = found
    a = toy_generators.matrices(toy).sum(0)
    at = random_samples.draw(toy, 0, 5, seed=SPEC.seed + 1)
    images = (at.latent @ a.T + np.asarray(toy.params["bias"], np.float64)).reshape(5, 4, 4, 1)
    pixels = np.eye(16).reshape(16, 4, 4, 1)
    mask = np.zeros((1, 4, 4, 1))
    mask[:, :, 1:3] = 1.0
    filtered = np.asarray(image_transforms.low_pass(pixels, jnp.asarray(mask)), np.float64).reshape(16, 16).T
    shifts = np.zeros((5, 4, 4, 1))
    shifts[:, :, 1:3] = (images[:, :, :2] - images[:, :, 2:]) / 2
    # The step of a 4-pixel image is a quarter of a pixel, so e is an eighth of one.
    jacobian, tau = filtered @ a, shifts.reshape(5, 16) @ filtered.T
    prior = result.prior
    weight = np.trace(jacobian.T @ jacobian @ prior.covariance) / 5
    wanted = np.linalg.solve(jacobian.T @ jacobian + weight * prior.precision, jacobian.T @ tau.T).T
    np.testing.assert_allclose(result.moves, wanted, atol=1e-5 * np.abs(wanted).max())
    np.testing.assert_allclose(result.squares, np.square(tau).sum(1), rtol=1e-5)
    np.testing.assert_allclose(result.missed, np.square(wanted @ jacobian.T - tau).sum(1), rtol=1e-4)


def test_a_change_that_the_generator_can_make_is_found(toy):
    a, move = toy_generators.matrices(toy).sum(0), np.array([1.0, -2.0, 0.5, 0.0, 3.0])
    change = jnp.asarray((a @ move).reshape(1, 4, 4, 1), jnp.float32)
    at = random_samples.draw(toy, 0, 3, seed=0)
    equations = image_tangents.measure(
        toy, lambda images: (0 * images + change, jnp.ones((1, 4, 4, 1))), lambda changes, mask: changes, at.layers
    )
    moves = equations.solve(np.zeros((5, 5)))
    np.testing.assert_allclose(moves, np.tile(move, (3, 1)), atol=1e-4)
    np.testing.assert_allclose(equations.missed(moves) / equations.squares, 0.0, atol=1e-5)


def test_one_unit_of_the_read_out_is_one_unit_of_the_transformation(toy, found):
    """A step along the mean move by t raises the coordinate by t."""
    components, result = found
    assert [one.name for one in components.named] == ["horizontal"] and components.named[0].unit == "px"
    move = result.moves.mean(0)
    latents = jnp.asarray(np.stack([components.latent_mean, components.latent_mean + 0.01 * move])[:, None])
    latents = jnp.broadcast_to(latents, (2, 3, 5)).astype(jnp.float32)
    np.testing.assert_allclose(readouts.values(latents, components, 0), [0.0, 0.01], atol=1e-5)
    step = edits.apply(latents[:1], components, [Edit("horizontal", sigma=1.0)])[0, 0] - latents[0, 0]
    assert np.dot(step, move) / np.linalg.norm(step) / np.linalg.norm(move) > 0.9999
    unit = move / np.linalg.norm(move)
    np.testing.assert_allclose(components.latent_stdevs**2, unit @ result.prior.covariance @ unit, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(step), components.latent_stdevs[0], rtol=1e-4)


def _with_moves(moves):
    size = moves.shape[1]
    prior = LatentPrior(np.zeros(size), np.eye(size), np.eye(size))
    return Tangents(moves, np.ones(len(moves)), np.full(len(moves), 0.25), prior)


def test_images_that_agree_and_images_that_do_not():
    same, unrelated = np.tile([1.0, 2.0, 0.0, 0.0], (8, 1)), np.random.default_rng(0).normal(size=(200, 40))
    figures = tangents.judge(_with_moves(same))
    np.testing.assert_allclose(figures["agreement"], 1.0)
    np.testing.assert_allclose(figures["explained"], 0.75)
    assert tangents.warning("zoom", figures) == ""
    figures = tangents.judge(_with_moves(unrelated))
    assert abs(figures["agreement"].value) < 0.05  # 0.07 if each image were in its own mean
    assert figures["agreement"].low < figures["agreement"].value < figures["agreement"].high
    assert tangents.warning("zoom", figures).startswith("zoom: the images do not agree: agreement ")


def test_agreement_is_measured_in_standard_deviations():
    """Moves that differ along an axis of large variance agree."""
    moves = np.array([[1.0, 10.0], [1.0, -10.0], [1.0, 10.0], [1.0, -10.0]])
    assert tangents.agreement(moves, np.eye(2)).mean() < 0.0
    assert tangents.agreement(moves, np.diag([1.0, 1e-4])).mean() > 0.95


def test_similarity_is_that_of_the_mean_move_and_has_no_sign():
    moves = -np.array([[1.0, 2.0, 1.0], [1.0, 2.0, -1.0]])
    assert tangents.similarity(moves, np.array([2.0, 4.0, 0.0])).value == pytest.approx(1.0)
    assert tangents.similarity(moves, np.array([0.0, 0.0, 1.0])).value == pytest.approx(0.0)


def test_a_stopped_search_and_wrong_settings_are_told(toy):
    with pytest.raises(Interrupted):
        tangents.find(toy, SPEC, Run(batch_size=2, should_stop=lambda: True))
    with pytest.raises(InputError, match="--transformation=hue: needs images with 3 channels"):
        tangents.find(toy, dataclasses.replace(SPEC, transformation="hue"))
    for name, value in (("num_images", 1), ("damping", 0.0), ("seed", -1)):
        with pytest.raises(InputError, match=f"--{name}="):
            TangentSearch(**{name: value})


def test_chunks_of_a_latent_have_their_own_units():
    """BigGAN's layers own chunks of z; StyleGAN's layers share w."""
    shapes = {"shared": (2, 4, 4), "chunked": (2, 2, 4)}
    for name, (layers, width, size) in shapes.items():
        units = image_tangents.units((layers, width), size)
        latent = jax.random.normal(jax.random.key(0), (size,))
        expected = np.broadcast_to(np.reshape(latent, (-1, width)), (layers, width))
        np.testing.assert_allclose(np.einsum("k,kld->ld", latent, units), expected, rtol=1e-6, err_msg=name)
