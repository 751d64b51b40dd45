"""Layer search: effects against brute force, and a planted range that is found."""

import numpy as np
import pytest

from ganspace_jax.measures import layer_search
from ganspace_jax.measures.layer_search import Basis, Found
from ganspace_jax.methods.boundaries import Boundary
from ganspace_jax.sampling import latent_prior

RANDOM = np.random.default_rng(0)
N, F, LAYERS, D = 12, 3, 4, 5


def test_effects_are_those_of_each_step():
    jacobians, directions = RANDOM.normal(size=(N, F, LAYERS, D)), RANDOM.normal(size=(2, LAYERS, D))
    jacobians[3, 1] = np.nan
    layers = layer_search.ranges(LAYERS)
    assert len(layers) == 10 and (0, 4) in layers and (2, 3) in layers
    found = layer_search.effects(jacobians, directions, layers)
    filled = np.nan_to_num(jacobians)
    for row, (start, stop) in enumerate(layers):
        effect = np.einsum("nfld,cld->nfc", filled[:, :, start:stop], directions[:, start:stop])
        np.testing.assert_allclose(found.mean[row], effect.mean(0), atol=1e-9)
        np.testing.assert_allclose(found.square[row], np.square(effect).mean(0), atol=1e-9)


def _basis(**settings):
    """Score 0 moves along axis 0, in layers 1 and 2 alone; in other layers the same
    axis moves score 1.
    """
    jacobians = np.zeros((N, F, LAYERS, D))
    jacobians[:, 0, 1:3, 0] = 0.4
    jacobians[:, 1, [0, 3], 0] = 0.7
    jacobians[:, 2, :, 1] = 0.5
    jacobians += 0.01 * RANDOM.normal(size=jacobians.shape)
    boundary = Boundary(-np.eye(D)[:1], np.eye(D)[:1], np.zeros(1))
    values = {"fitted": jacobians[:6], "judged": jacobians[6:], "prior": latent_prior.of_covariance(np.zeros(D), np.eye(D)),
              "boundaries": [boundary, None, boundary], "rows": {"component": np.eye(D)}, "span": None,
              "ranges": layer_search.ranges(LAYERS)}  # fmt: skip
    return Basis(**{**values, **settings})


@pytest.mark.parametrize("method", ["component", "pattern", "normal", "purest"])
def test_a_planted_range_is_found(method):
    found = layer_search.choose(_basis(), method, 0)
    assert found.layers == (1, 3) and found.candidate == 0
    assert abs(found.row[0]) > 0.9
    np.testing.assert_allclose(found.effect, 0.8, atol=0.05)
    assert found.row[0] > 0  # the normal points the other way, so its sign is turned
    assert found.signed_purity > 0.95


@pytest.mark.parametrize("method", ["component", "pattern", "purest"])
def test_without_other_ranges_all_layers_move(method):
    found = layer_search.choose(_basis(ranges=[(0, LAYERS)]), method, 0)
    assert found.layers == (0, LAYERS)


def test_the_purest_direction_is_no_less_pure_than_any_component():
    basis = _basis(ranges=[(0, LAYERS)])
    for score in range(F):
        best = layer_search.choose(basis, "component", score)
        assert layer_search.choose(basis, "purest", score).signed_purity > best.signed_purity - 0.01


def test_a_score_without_boundary_has_a_step_of_zero():
    found = layer_search.choose(_basis(), "normal", 1)
    np.testing.assert_array_equal(found.row, np.zeros(D))


def _found(layers, effect, purity):
    return Found(0, layers, 1, effect, purity)


@pytest.mark.parametrize(
    ("ranges", "preferred"),
    [
        ([_found((0, 4), 0.5, 0.60), _found((1, 2), 0.2, 0.90)], 1),
        ([_found((0, 4), 0.5, 0.60), _found((1, 2), 0.2, 0.63)], 0),  # hardly purer
        ([_found((0, 4), 0.5, 0.90), _found((1, 2), 0.2, 0.94)], 1),  # 15.7 to 9 in odds
        ([_found((0, 4), 0.5, 0.60), _found((1, 2), 0.1, 0.90)], 0),  # hardly an effect
        ([_found((0, 4), 0.1, 0.60), _found((1, 2), 0.2, 0.30)], 1),
        ([_found((0, 4), 0.12, 0.10), _found((1, 2), 0.1, 0.90)], 0),  # none has the effect
    ],
)
def test_a_range_must_be_clearly_purer_and_have_an_effect(ranges, preferred):
    assert layer_search.prefer(ranges, 0.15) is ranges[preferred]


def test_the_least_effect_counts_before_the_purity():
    jacobians = np.zeros((4, 2, 1, 2))
    jacobians[:, 0, 0] = [0.1, 0.4]
    jacobians[:, 1, 0] = [0.0, 0.4]
    found = layer_search.effects(jacobians, np.eye(2)[:, None], [(0, 1)])
    assert [layer_search.best_by_range(found, [(0, 1)], 0, least)[0].candidate for least in (0.15, 0.05, 0.9)] == [
        1,
        0,
        1,
    ]
