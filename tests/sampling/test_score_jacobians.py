"""Jacobians of scores: exact on a linear generator, and equal to finite differences on
a network, for each scorer with a derivative.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.generators import base, biggan, synthesis
from ganspace_jax.measures import picture_statistics, scorers
from ganspace_jax.run import Interrupted, Run
from ganspace_jax.sampling import random_samples, reading_network, score_jacobians, scored_images
from ganspace_jax.scenes import probe
from tests import toy_generators

WEIGHTS = np.random.default_rng(0).normal(size=(3, 16))


def _linear(**settings):
    generator = toy_generators.linear(**settings)
    exact = np.einsum("fp,lpd->fld", WEIGHTS, toy_generators.matrices(generator))
    return generator, np.broadcast_to(exact, (6, *exact.shape)), random_samples.draw(generator, 0, 6, seed=0).layers


@pytest.mark.parametrize("batch_size", [None, 4])
def test_jacobians_of_a_linear_generator_are_exact(batch_size):
    generator, exact, latents = _linear()
    read, reports = toy_generators.reader(WEIGHTS), []
    run = Run(batch_size=batch_size, report=reports.append)
    found = score_jacobians.measure(generator, read, latents, run=run)
    np.testing.assert_allclose(found.jacobians, exact, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        found.values, read(synthesis.synthesize(generator, jnp.asarray(latents))), rtol=1e-5, atol=1e-4
    )
    assert reports[-1][:2] == (6, 6)


def test_a_score_that_is_not_shown_is_nan_for_that_image_alone():
    generator, exact, latents = _linear()
    read = toy_generators.reader(WEIGHTS)

    def hides(images):
        values = read(images)
        return values.at[:, 1].set(jnp.where(values[:, 0] > 0, values[:, 1], jnp.nan))

    found = score_jacobians.measure(generator, hides, latents)
    shown = found.values[:, 0] > 0
    assert 0 < shown.sum() < 6
    np.testing.assert_array_equal(np.isnan(found.jacobians[:, 1]).all((1, 2)), ~shown)
    np.testing.assert_allclose(found.jacobians[:, [0, 2]], exact[:, [0, 2]], rtol=1e-5, atol=1e-5)


def test_differences_give_the_part_in_the_span_of_the_directions():
    generator, exact, latents = _linear()
    read = toy_generators.reader(WEIGHTS)

    def changes(before, after):
        return np.asarray(read(after) - read(before))

    rows = np.random.default_rng(1).normal(size=(2, 5))
    found = score_jacobians.measure_differences(generator, changes, rows, latents)
    projection = np.linalg.pinv(rows) @ rows
    np.testing.assert_allclose(found, exact @ projection, rtol=1e-4, atol=1e-4)
    whole = score_jacobians.measure_differences(generator, changes, np.eye(5), latents)
    np.testing.assert_allclose(whole, exact, rtol=1e-4, atol=1e-4)


def test_each_layer_owns_its_chunk_of_hierarchical_z():
    network = biggan.BigGAN(biggan.Config(4, 3, ((True, 4, 2),), embed_width=2), key=jax.random.key(0))
    generator = base.split(network)
    at = random_samples.draw(generator, 0, 2, seed=0)
    num_layers, width = generator.latent_shape
    assert at.latent.shape == (2, num_layers * width)

    def changes(before, after):
        return (after - before).reshape(len(before), -1)[:, :2]

    rows = 0.02 * np.eye(num_layers * width)  # short, because of the rectifiers
    found = score_jacobians.measure_differences(generator, changes, rows, at.layers, at.weights)
    exact = score_jacobians.measure(
        generator, lambda images: images.reshape(len(images), -1)[:, :2], at.layers, at.weights
    ).jacobians
    np.testing.assert_allclose(found, exact, rtol=0.1, atol=0.02 * np.abs(exact).max())


def test_clipping_moves_the_outermost_entries_only():
    jacobians = np.random.default_rng(0).normal(size=(10, 2, 5, 20))
    jacobians[3, 0, 2, 7], jacobians[4, 1] = 1e6, np.nan
    found = score_jacobians.clip(jacobians, 0.01)
    for score in range(2):
        seen = jacobians[:, score][~np.isnan(jacobians[:, score])]
        low, high = np.quantile(seen, [0.01, 0.99])
        np.testing.assert_array_equal(found[:, score], np.clip(jacobians[:, score], low, high))


def _probe_scorer():
    config = probe.Config(resolution=16, channels=(6, 8), dense_width=12)
    return probe.scorer(reading_network.split(probe.Network(config, key=jax.random.key(1))))


def _statistics_scorer():
    return picture_statistics.scorer(np.random.default_rng(0).uniform(-1, 1, (8, 16, 16, 3)).astype(np.float32))


@pytest.mark.parametrize("name", ["probe", "statistics"])
def test_a_scorers_derivative_is_that_of_what_it_reads(name):
    """Directional derivatives against central differences of `read`."""
    scorer = {"probe": _probe_scorer, "statistics": _statistics_scorer}[name]()
    random = np.random.default_rng(2)
    images = jnp.asarray(0.6 * random.uniform(-1, 1, (6, 16, 16, 3)), jnp.float32)
    along = jnp.asarray(random.normal(size=images.shape), jnp.float32)
    slope = jax.jvp(scorer.differentiable, (images,), (along,))[1] / scorer.scales
    step = np.float32(3e-4)
    read = scorers.changes(scorer, scorer.read(images - step * along), scorer.read(images + step * along)) / (2 * step)
    values = scorer.differentiable(images)
    np.testing.assert_array_equal(np.isnan(values), np.isnan(scorer.read(images)))
    columns = [i for i, one in enumerate(scorer.names) if one not in scorer.categories]
    assert len(columns) >= 9
    for column in columns:
        shown = np.isfinite(values[:, column]) & np.isfinite(read[:, column])
        difference = np.abs(slope[shown, column] - read[shown, column])
        if scorer.names[column] != "rotation" or shown.any():  # which shapes show depends on the random network
            assert np.median(difference) < 0.05 * np.abs(slope[shown, column]).max(), scorer.names[column]


def test_a_stopped_run_is_interrupted():
    generator, _, latents = _linear()
    with pytest.raises(Interrupted, match="wrote no results"):
        score_jacobians.measure(generator, toy_generators.reader(WEIGHTS), latents, run=Run(should_stop=lambda: True))
    with pytest.raises(Interrupted):
        list(scored_images.images(generator, latents, run=Run(should_stop=lambda: True)))
