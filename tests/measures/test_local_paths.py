"""Paths along the local gradient, on a linear generator and a value that turns."""

import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.measures import local_paths, scorers
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.run import Interrupted, Run
from ganspace_jax.sampling import latent_prior, random_samples
from tests import toy_generators

GENERATOR = toy_generators.linear()
PRIOR = latent_prior.of_covariance(np.zeros(5), toy_generators.covariance(GENERATOR))
WEIGHTS, _ = toy_generators.planted(GENERATOR)
LINEAR = toy_generators.reader(WEIGHTS)
SCALES = np.array([0.5, 2.0, 1.0])
LATENTS = random_samples.draw(GENERATOR, 0, 4, seed=0).layers
CHANGE = np.array([1.5, -1.0, 0.5, np.nan])


def _scorer(values=LINEAR, period=None):
    return Scorer(("a", "b", "c"), SCALES, (period, None, None), (), lambda images: np.asarray(values(images)),
                  differentiable=values)  # fmt: skip


def _read(latents):
    return np.asarray(LINEAR(GENERATOR.merge()(jnp.asarray(latents))[0]))


def test_a_path_arrives_and_all_other_values_return():
    path = local_paths.follow(GENERATOR, _scorer(), PRIOR, 0, CHANGE, (LATENTS, None))
    near = scorers.ARRIVED * SCALES[0]
    np.testing.assert_allclose(path.gone[-1, :3], CHANGE[:3], atol=near)
    change = (_read(path.latents[-1]) - _read(LATENTS))[:3]
    np.testing.assert_allclose(change[:, 0], CHANGE[:3], atol=near)
    assert np.abs(change[:, 1:] / SCALES[1:]).max() < 0.1
    np.testing.assert_allclose(path.gone[:, 3], 0.0, atol=near)  # NaN asks for nothing


def test_what_drifts_along_a_curved_way_is_taken_back(monkeypatch):
    """The second score bends with the first, so that straight steps leave it behind."""

    def bent(images):
        values = LINEAR(images)
        return values.at[:, 1].add(0.5 * jnp.square(values[:, 0]))

    def drift():
        path = local_paths.follow(GENERATOR, _scorer(bent), PRIOR, 0, np.full(4, 2.0), (LATENTS, None))
        before, after = (bent(GENERATOR.merge()(jnp.asarray(at))[0]) for at in (LATENTS, path.latents[-1]))
        np.testing.assert_allclose((after - before)[:, 0], 2.0, atol=scorers.ARRIVED)
        return np.abs(np.asarray(after - before)[:, 1])

    taken_back = drift()
    monkeypatch.setattr(local_paths, "_TAKEN_BACK", 0.0)
    assert (taken_back < 0.75 * drift()).all()


def test_only_the_wanted_layers_move():
    path = local_paths.follow(GENERATOR, _scorer(), PRIOR, 0, CHANGE[:1], (LATENTS[:1], None), layers=(1, 2))
    moved = np.abs(path.latents[-1] - LATENTS[:1]).max((0, 2))
    assert moved[0] == 0 and moved[2] == 0 and moved[1] > 0.1
    assert path.gone[-1, 0] == pytest.approx(CHANGE[0], abs=scorers.ARRIVED * SCALES[0])


def test_a_circular_value_counts_on_beyond_its_period():
    def turning(images):
        values = LINEAR(images)
        return values.at[:, 0].set(values[:, 0] % 1.0)

    path = local_paths.follow(GENERATOR, _scorer(turning, 1.0), PRIOR, 0, np.full(2, 1.4), (LATENTS[:2], None))
    np.testing.assert_allclose(path.gone[-1], 1.4, atol=scorers.ARRIVED * SCALES[0])
    np.testing.assert_allclose((_read(path.latents[-1]) - _read(LATENTS[:2]))[:, 0], path.gone[-1], atol=1e-3)


def test_a_scorer_without_derivatives_and_a_stop_are_told():
    blind = _scorer()._replace(differentiable=None)
    with pytest.raises(InputError, match="--edit=a: a path needs a --scorer with derivatives"):
        local_paths.follow(GENERATOR, blind, PRIOR, 0, CHANGE, (LATENTS, None))
    with pytest.raises(Interrupted):
        local_paths.follow(GENERATOR, _scorer(), PRIOR, 0, CHANGE, (LATENTS, None), run=Run(should_stop=lambda: True))
