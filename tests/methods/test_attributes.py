"""The purest direction: its definition, and what it does in a linear world."""

import numpy as np
import pytest

from ganspace_jax.methods import attributes, boundaries

RANDOM = np.random.default_rng(0)
D = 6
J = RANDOM.normal(size=(3, D))
MIX = RANDOM.normal(size=(D, D))
S = MIX @ MIX.T
P = np.linalg.inv(S)
CONSTANT = np.broadcast_to(J, (7, 3, D))


def test_the_scatter_is_that_of_all_scores_and_counts_hidden_ones_as_still():
    jacobians = RANDOM.normal(size=(9, 3, D))
    jacobians[2, 1] = np.nan
    found = attributes.scatter(jacobians)
    filled = np.where(np.isnan(jacobians), 0.0, jacobians)
    np.testing.assert_allclose(found.mean, filled.sum(0) / 9, rtol=1e-12)
    expected = sum(np.outer(filled[n, f], filled[n, f]) for n in range(9) for f in range(3)) / 9
    np.testing.assert_allclose(found.gram, expected, rtol=1e-12)


def test_the_purest_direction_is_its_definition():
    moments = attributes.scatter(RANDOM.normal(size=(50, 3, D)) + J)
    weight = 0.3 * np.trace(moments.gram @ S) / D
    expected = np.linalg.inv(moments.gram + weight * P) @ moments.mean[1]
    np.testing.assert_allclose(attributes.purest(moments, 1, S, P, 0.3), expected, rtol=1e-9)


def test_the_purest_direction_has_the_largest_signed_purity():
    moments = attributes.scatter(RANDOM.normal(size=(50, 3, D)) + J)

    def signed(u):
        return (moments.mean[0] @ u) ** 2 / (u @ moments.gram @ u)

    best = attributes.purest(moments, 0, S, P, 1e-9)
    assert all(signed(best) > signed(best + 0.1 * RANDOM.normal(size=D)) for _ in range(50))


def test_without_damping_it_is_the_dual_direction_of_constant_jacobians():
    rows = np.stack([attributes.purest(attributes.scatter(CONSTANT), k, S, P, 1e-10) for k in range(3)])
    np.testing.assert_allclose(J @ rows.T, np.eye(3), atol=1e-5)
    np.testing.assert_allclose(rows, boundaries.dual(J, S), rtol=1e-5, atol=1e-5)


def test_in_a_span_it_is_the_best_of_the_span():
    span = np.linalg.qr(RANDOM.normal(size=(D, 4)))[0].T
    moments = attributes.scatter(CONSTANT)
    found = attributes.purest(moments, 0, S, P, 1e-9, span)
    np.testing.assert_allclose(found @ span.T @ span, found, atol=1e-10)
    np.testing.assert_allclose(J @ found, [1, 0, 0], atol=1e-4)


@pytest.mark.parametrize("layers", [(0, 3), (1, 2), (1, 3)])
@pytest.mark.parametrize("has_chunks", [False, True])
def test_effects_of_steps_are_those_of_the_moved_latent(layers, has_chunks):
    jacobians = RANDOM.normal(size=(4, 2, 3, D))
    size = 3 * D if has_chunks else D
    row = RANDOM.normal(size=size)
    moved = attributes.moved_latent(jacobians, layers, size)
    step = attributes.layer_rows(row[None], layers, 3, D)[0]
    assert (step[: layers[0]] == 0).all() and (step[layers[1] :] == 0).all()
    np.testing.assert_allclose(moved @ row, np.einsum("nfld,ld->nf", jacobians, step), rtol=1e-5, atol=1e-5)


def test_rows_become_one_standard_deviation_long():
    rows = attributes.in_deviations(np.concatenate([5 * J, np.zeros((1, D))]), S)
    unit = J / np.linalg.norm(J, axis=1, keepdims=True)
    np.testing.assert_allclose(np.linalg.norm(rows[:3], axis=1), np.sqrt(np.diag(unit @ S @ unit.T)))
    np.testing.assert_allclose(np.sum(rows[:3] * unit, 1), np.linalg.norm(rows[:3], axis=1))
    np.testing.assert_array_equal(rows[3], np.zeros(D))
    random = attributes.random(5, S, seed=3)
    np.testing.assert_allclose(random, attributes.in_deviations(random, S))
    np.testing.assert_array_equal(random, attributes.random(5, S, seed=3))
