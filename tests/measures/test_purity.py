"""Purity: figures against their definition, and a planted attribute."""

import numpy as np

from ganspace_jax.measures import purity
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.methods.attributes import Choice
from ganspace_jax.sampling import random_samples
from tests import toy_generators

SCORER = Scorer(("kind", "a", "b"), np.ones(3), (None,) * 3, ("kind",), lambda images: np.zeros((0, 3)))


def test_figures_are_their_definition():
    nan = np.nan
    changes = np.array([[0.0, 2.0, 1.0], [1.0, 1.0, nan], [0.0, nan, -1.0], [1.0, 3.0, 1.0]])
    found = purity.summarize(changes, SCORER, 1)
    a, b = (4 + 1 + 9) / 4, 3 / 4  # a score that is not shown does not change
    np.testing.assert_allclose(found[:4], [2.0, a / (a + b), (6 / 4) ** 2 / (a + b), 0.5])
    for number in range(4):
        assert found.low[number] < found[number] < found.high[number]


def test_without_categories_flips_are_unknown():
    plain = SCORER._replace(names=("a", "b"), categories=(), scales=np.ones(2), periods=(None, None))
    found = purity.summarize(np.ones((3, 2)), plain, 0)
    assert np.isnan(found.flips) and found.purity == 0.5 and found.low[1] == 0.5


def _toy():
    generator = toy_generators.linear()
    weights, jacobians = toy_generators.planted(generator)
    scales = np.array([0.5, 2.0, 1.0])
    read = toy_generators.reader(weights)
    scorer = Scorer(("a", "b", "c"), scales, (None,) * 3, (), lambda images: np.asarray(read(images)))
    at = random_samples.draw(generator, 0, 8, seed=0)
    return generator, scorer, (at.layers, at.weights), jacobians


def test_the_purity_of_a_planted_attribute_is_one():
    generator, scorer, inputs, jacobians = _toy()
    row = jacobians[1, 0]  # Jacobians are orthonormal, so no other score moves
    found = purity.compare(generator, scorer, inputs, Choice("planted", row, (0, 3), 0, 1.0, 1.0), 1)
    np.testing.assert_allclose([found.at_sigma.purity, found.at_sigma.signed_purity], 1.0, atol=1e-5)
    np.testing.assert_allclose(found.at_sigma.slope, 2 * 3 / 2.0, rtol=1e-4)  # both ways, three layers, scale 2
    np.testing.assert_allclose([found.at_equal.slope, found.equal_step], [1.0, 1 / 3], rtol=1e-3)


def test_a_mixed_step_has_the_shares_of_its_parts_and_other_layers_stay():
    generator, scorer, inputs, jacobians = _toy()
    row = 0.5 * jacobians[0, 0] + 4.0 * jacobians[1, 0]  # effects of 1 and 2 standard deviations a layer
    step = Choice("mixed", row, (1, 2), 0, 1.0, 1.0).step(*generator.latent_shape)
    changes = purity.measure(generator, scorer, inputs, step)
    np.testing.assert_allclose(changes, np.tile([2.0, 4.0, 0.0], (8, 1)), atol=1e-4)
    found = purity.summarize(changes, scorer, 1)
    np.testing.assert_allclose(found.purity, 16 / 20, rtol=1e-5)
