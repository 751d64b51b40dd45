"""Inversion is exact on a linear generator, and its parts equal their definitions."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from jax.sharding import Mesh

from ganspace_jax.errors import InputError
from ganspace_jax.generators import chunks, synthesis
from ganspace_jax.run import Interrupted, Run
from ganspace_jax.sampling import (
    inversion,
    inversion_losses,
    latent_descent,
    latent_prior,
    nearest_samples,
    random_samples,
    start_choice,
)
from ganspace_jax.sampling.inversion import Inversion
from tests import toy_generators

WEAK = dict(start="mean", penalty=0.0, num_steps_shared=0)


@pytest.fixture(scope="module")
def toy():
    return toy_generators.linear()


def _images(generator, count, seed=3):
    _, latents, weights = random_samples.draw(generator, 0, count, seed=seed)
    return np.asarray(synthesis.synthesize(generator, jnp.asarray(latents), label=weights)), latents, weights


def test_own_images_of_the_toy_give_their_latents(toy):
    images, latents, _ = _images(toy, 3)
    spec = Inversion(latent_space="w", num_steps=2000, rate=0.1, **WEAK)
    found = inversion.invert(toy, images, spec)
    np.testing.assert_allclose(found.latents, latents, atol=1e-5)
    assert np.ptp(found.latents, axis=1).max() == 0
    np.testing.assert_allclose(found.images, images, atol=1e-4)


def test_the_penalty_gives_the_closed_form(toy):
    """With A the sum of the layers' matrices and P = S^-1 / d, w minimises
    |A w + b - x|^2 / pixels + penalty (w - m)^T P (w - m).
    """
    images, _, _ = _images(toy, 2)
    weight, prior = 0.05, inversion.estimate_prior(toy)
    spec = Inversion(latent_space="w", start="mean", penalty=weight, num_steps_shared=0, num_steps=2000, rate=0.1)
    found = inversion.invert(toy, images, spec)
    matrix, bias = toy_generators.matrices(toy).sum(0), np.asarray(toy.merge().bias[...], np.float64)
    pixels, precision = len(bias), weight * prior.precision / len(prior.mean)
    for own, image in zip(found.latents, images, strict=True):
        right = matrix.T @ (image.ravel() - bias) / pixels + precision @ prior.mean
        expected = np.linalg.solve(matrix.T @ matrix / pixels + precision, right)
        np.testing.assert_allclose(own[0], expected, atol=2e-5)


def test_layers_of_their_own_come_nearer_than_one_latent(toy):
    picture = np.random.default_rng(0).normal(size=(2, 4, 4, 1)).astype(np.float32)
    one, each = (
        inversion.invert(toy, picture, Inversion(latent_space=space, num_steps=300, **WEAK)) for space in ("w", "w+")
    )
    np.testing.assert_array_less(one.psnr, each.psnr)
    assert np.ptp(each.latents, axis=1).max() > 0.1


def test_penalty_is_its_definition():
    random = np.random.default_rng(0)
    root = random.normal(size=(4, 4))
    prior = latent_prior.of_covariance(random.normal(size=4), root @ root.T + np.eye(4))
    latents = random.normal(size=(2, 3, 4))
    found = inversion_losses.penalize(inversion_losses.penalty(prior, 0.5), jnp.asarray(latents, jnp.float32))
    for own, value in zip(latents, found, strict=True):
        middle = own.mean(0)
        squares = [v @ np.linalg.inv(prior.covariance) @ v / 4 for v in (middle - prior.mean, *(own - middle))]
        np.testing.assert_allclose(value, 0.5 * (squares[0] + 4 * np.mean(squares[1:])), rtol=1e-4)


def test_blur_and_psnr_are_their_definitions():
    images = np.random.default_rng(0).uniform(-1, 1, (2, 9, 8, 3)).astype(np.float32)
    expected = scipy.ndimage.gaussian_filter(images, (0, 1.5, 1.5, 0), mode="nearest", truncate=4.0)
    np.testing.assert_allclose(inversion_losses.blur(jnp.asarray(images), 1.5), expected, atol=1e-5)
    np.testing.assert_allclose(inversion_losses.psnr(images * 0.5 + 0.1, images * 0.5), 20 * np.log10(20), atol=1e-4)


def test_nearest_sample_is_that_of_a_comparison_of_all(toy):
    made, latents, _ = _images(toy, 40, seed=0)
    wanted = np.random.default_rng(1).uniform(-1, 1, (3, 4, 4, 1))
    errors = np.square(wanted[:, None] - np.clip(made, -1, 1)[None]).mean((2, 3, 4))
    for groups in (1, 4):
        found = nearest_samples.find(toy, wanted, num_samples=40, num_groups=groups, run=Run(batch_size=7))
        by_group = errors.reshape(3, 40 // groups, groups)  # sample i is in group i modulo groups
        np.testing.assert_allclose(found.error, by_group.min(1), rtol=1e-5)
        nearest = by_group.argmin(1) * groups + np.arange(groups)
        np.testing.assert_allclose(found.latents, latents[nearest], atol=1e-6)


def test_the_start_that_leads_nearest_is_chosen(toy):
    images, latents, _ = _images(toy, 3)
    problem, _ = inversion._problem(toy, inversion.resolve(Inversion(penalty=0.0), toy), None)
    starts = np.random.default_rng(1).normal(4.0, 1.0, (3, 5, *toy.latent_shape)).astype(np.float32)
    places = np.array([0, 2, 4])
    starts[np.arange(3), places] = latents
    found = start_choice.choose(problem, images, starts, None)
    np.testing.assert_allclose(found, latents, atol=1e-3)
    for other in (1, 3):  # never the places of the latents
        assert np.abs(start_choice.choose(problem, images, starts[:, [other, other]], None) - latents).max() > 0.1


def test_inversion_begins_at_the_best_of_the_nearest_samples_of_each_part():
    generator = toy_generators.classes()
    images, _, weights = _images(generator, 5)
    spec = inversion.resolve(Inversion(num_nearest=60, num_starts=6), generator)
    begun, label = inversion.begin(generator, images, spec, label=weights)
    np.testing.assert_array_equal(label, weights)
    problem, _ = inversion._problem(generator, spec, None)
    for row, (image, own) in enumerate(zip(images, weights, strict=True)):
        nearest = nearest_samples.find(generator, image[None], num_samples=60, num_groups=6, weights=own).latents
        expected = start_choice.choose(problem, image[None], nearest, own[None])
        np.testing.assert_allclose(begun[row], expected[0], atol=1e-4)
    with pytest.raises(InputError, match=r"--num_starts=6: starts are random images; leave"):
        inversion.invert(generator, images, spec, start=np.zeros((5, *generator.latent_shape)))


def test_batch_size_changes_rounding_only(toy):
    images, _, _ = _images(toy, 5)
    spec = Inversion(num_steps_shared=5, num_steps=5, num_nearest=50)
    few, many = (inversion.invert(toy, images, spec, Run(batch_size=size)) for size in (2, 5))
    np.testing.assert_allclose(few.latents, many.latents, atol=1e-4)


def test_a_stopped_inversion_says_so(toy):
    images, _, _ = _images(toy, 2)
    calls = itertools.count()
    with pytest.raises(Interrupted):
        inversion.invert(toy, images, Inversion(start="mean"), Run(should_stop=lambda: next(calls) > 3))
    assert next(calls) == 5


def test_latents_and_encoders_are_starts(toy):
    images, latents, _ = _images(toy, 2)
    still = Inversion(num_steps_shared=0, num_steps=0)
    np.testing.assert_array_equal(inversion.invert(toy, images, still, start=latents).latents, latents)
    encoded = inversion.invert(toy, images, still, start=lambda own: (np.zeros((len(own), 3, 5)), None))
    assert not encoded.latents.any()
    with pytest.raises(InputError, match=r"start: has shape \[2, 2, 5\]"):
        inversion.invert(toy, images, still, start=latents[:, :2])


def test_features_are_compared_relative_to_their_variance():
    images = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 4, 1)), jnp.float32)
    features = jax.tree_util.Partial(lambda scale, x: [scale * x], jnp.float32(3.0))
    wanted = inversion_losses.describe("features", features, images)
    own = inversion_losses.describe("features", features, images + 0.1)
    centred = images - images.mean((1, 2), keepdims=True)
    expected = 0.01 + 0.02 * 0.01 / np.square(centred).mean((1, 2, 3))
    np.testing.assert_allclose(inversion_losses.compare(own, wanted), expected, rtol=1e-4)


def test_the_class_of_a_picture_is_found_and_z_stays_within_the_cut():
    """The pictures have twice the contrast of the images, for which z would leave the
    cut.
    """
    generator = toy_generators.classes()
    images, _, weights = _images(generator, 12)
    assert (weights.sum(0) > 0).all()
    unmoved, moved = (Inversion(num_steps_shared=0, num_steps=steps, num_nearest=60) for steps in (0, 30))
    found = inversion.invert(generator, images, unmoved)
    right = (found.label == weights).all(1).sum()
    nearest = nearest_samples.find(generator, images, num_samples=60).error.argmin(1)
    assert right >= 11 and (nearest == weights.argmax(1)).sum() < right  # the nearest sample alone tells fewer
    named = inversion.invert(generator, 2.0 * images, moved, label="cone")
    assert np.abs(named.latents).max() == 2.0
    np.testing.assert_array_equal(named.label, np.eye(3)[np.ones(12, int)])


def test_one_program_makes_all_steps(toy):
    """Its arguments are placed as its results."""
    images, _, _ = _images(toy, 7)
    latent_descent._step.clear_cache()
    inversion.invert(toy, images, Inversion(start="mean", num_steps_shared=2, num_steps=2), Run(batch_size=4))
    assert latent_descent._step._cache_size() == 1


def test_batches_of_a_cpu_are_small_and_even(toy):
    mesh, problem = (
        Mesh(jax.devices()[:1], ("batch",)),
        inversion._problem(toy, inversion.resolve(Inversion(), toy), None)[0],
    )
    rows = [latent_descent.batch_rows(problem, count, Run(), mesh) for count in (1, 16, 17, 33)]
    assert rows == [1, 16, 9, 11]
    assert latent_descent.batch_rows(problem, 33, Run(batch_size=32), mesh) == 17
    assert [chunks.rows_in_cache(size) for size in (2_000_000, 8_000_000, 33_000_000)] == [4, 1, 1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(latent_space="z"), "--latent_space=z: this generator has a w; must be w or w+"),
        (dict(num_steps=-1), "--num_steps=-1: must be from 0"),
        (dict(rate=0.0), "--rate=0.0: must be a positive number"),
        (dict(penalty=-1.0), "--penalty=-1.0: must be a number, at least 0"),
        (dict(loss="features"), "--loss=features: needs a function of features"),
    ],
)
def test_wrong_settings_are_named(toy, settings, message):
    with pytest.raises(InputError) as error:
        inversion.invert(toy, np.zeros((1, 4, 4, 1)), Inversion(**settings))
    assert message in str(error.value)


def test_pictures_of_another_shape_are_refused(toy):
    with pytest.raises(InputError, match=r"needs \[n, 4, 4, 1\]"):
        inversion.invert(toy, np.zeros((1, 4, 5, 1)))
    with pytest.raises(InputError, match="^images: contain NaN"):
        inversion.invert(toy, np.full((1, 4, 4, 1), np.nan))
