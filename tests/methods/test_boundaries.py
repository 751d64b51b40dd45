"""Boundaries of scores: closed forms against their definitions in float64."""

import numpy as np
import pytest

from ganspace_jax.methods import boundaries
from ganspace_jax.statistics import moments

RANDOM = np.random.default_rng(0)
D, N = 5, 400
MIX = RANDOM.normal(size=(D, D)) * np.linspace(2.0, 0.5, D)
W = RANDOM.normal(size=(N, D)) @ MIX.T + 3.0
Q = RANDOM.normal(size=(3, D))
S = np.cov(W, rowvar=False)


def _streamed(w, codes, size=64):
    state = boundaries.init(w.shape[1], codes.shape[1])
    for first in range(0, len(w), size):
        state = boundaries.update(state, w[first : first + size], codes[first : first + size])
    return state


def _fitted(w, codes, ridge=0.0):
    return boundaries.fit(_streamed(w, codes), codes.shape[1], ridge)


def _linear():
    return [_fitted(W, W @ q[:, None] + 1.5) for q in Q]


def test_a_linear_score_is_read_exactly():
    for q, found in zip(Q, _linear(), strict=True):
        np.testing.assert_allclose(found.normal, q[None], rtol=1e-8)
        np.testing.assert_allclose(found.pattern, (S @ q)[None], rtol=1e-8)
        np.testing.assert_allclose(found.intercept, [1.5], rtol=1e-8)


def test_streamed_moments_are_those_of_all_samples_that_show_the_score():
    codes = RANDOM.normal(size=(N, 2))
    codes[::3, 0] = np.nan
    shown = ~np.isnan(codes).any(1)
    x = np.concatenate([W, codes], axis=1)[shown]
    state = _streamed(W, codes)
    assert state.count == shown.sum()
    np.testing.assert_allclose(moments.covariance(state), np.cov(x, rowvar=False), rtol=1e-10)
    hidden = boundaries.update(state, W, np.full((N, 2), np.nan))
    np.testing.assert_array_equal(hidden.scatter, state.scatter)


@pytest.mark.parametrize("period", [None, 4.0])
def test_r2_is_that_of_the_residuals_of_other_samples(period):
    score = W @ Q[0] + RANDOM.normal(size=N)
    codes = boundaries.encode(score, period)
    found = _fitted(W[:300], codes[:300])
    predicted = W[300:] @ found.normal.T + found.intercept
    missed = np.square(predicted - codes[300:]).sum()
    expected = 1 - missed / np.square(codes[300:] - codes[300:].mean(0)).sum()
    assert 0.01 < expected < 0.99 or period
    np.testing.assert_allclose(boundaries.r2(found, _streamed(W[300:], codes[300:])), expected, rtol=1e-8)


def test_a_circular_score_has_the_codes_of_its_angle():
    codes = boundaries.encode(np.array([0.0, 1.0, 2.0, 5.0, np.nan]), 4.0)
    np.testing.assert_allclose(codes[:4], [[1, 0], [0, 1], [-1, 0], [0, 1]], atol=1e-12)
    assert np.isnan(codes[4]).all()


def test_ridge_shrinks_the_normal_by_its_definition():
    found = _fitted(W, W @ Q[0][:, None], ridge=0.5)
    expected = np.linalg.solve(S + 0.5 * np.trace(S) / D * np.eye(D), S @ Q[0])
    np.testing.assert_allclose(found.normal[0], expected, rtol=1e-8)


def test_a_conditional_normal_leaves_the_other_predictions_alone():
    found = _linear()
    row = boundaries.directions("conditional", found, 1, S)[0]
    np.testing.assert_allclose(np.concatenate([found[0].normal, found[2].normal]) @ row, 0.0, atol=1e-10)
    assert Q[1] @ row > 0.01
    in_plane = row - Q[1]  # what was removed lies in the span of the other normals
    np.testing.assert_allclose(np.linalg.matrix_rank(np.stack([in_plane, Q[0], Q[2]]), tol=1e-8), 2)
    nothing = boundaries.conditional(Q[:1], 2 * Q[:1])
    np.testing.assert_array_equal(nothing, np.zeros((1, D)))


def test_a_dual_direction_moves_its_own_prediction_by_one_and_is_the_shortest():
    found = _linear()
    rows = np.concatenate([boundaries.directions("dual", found, k, S) for k in range(3)])
    np.testing.assert_allclose(Q @ rows.T, np.eye(3), atol=1e-8)
    np.testing.assert_allclose(rows.T, S @ Q.T @ np.linalg.inv(Q @ S @ Q.T), rtol=1e-7, atol=1e-9)
    other = rows[0] + np.linalg.svd(Q)[2][-1]  # also moves one prediction by 1
    precision = np.linalg.inv(S)
    assert rows[0] @ precision @ rows[0] < other @ precision @ other


def test_normal_and_pattern_are_those_of_the_boundary():
    found = _linear()
    np.testing.assert_array_equal(boundaries.directions("normal", found, 2, S), found[2].normal)
    np.testing.assert_array_equal(boundaries.directions("pattern", found, 2, S), found[2].pattern)


def _logistic(w, is_high):
    """Returns weights and intercept of the maximum likelihood, by Newton's method."""
    x = np.concatenate([w, np.ones((len(w), 1))], axis=1)
    weights = np.zeros(x.shape[1])
    for _ in range(20):
        p = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 1e-3 * np.eye(len(weights))
        weights -= np.linalg.solve(hessian, x.T @ (p - is_high) + 1e-3 * weights)
    return weights[:-1], weights[-1]


def test_a_yes_no_boundary_is_as_good_as_logistic_regression():
    w = RANDOM.normal(size=(8000, D)) @ MIX.T
    is_high = w @ Q[0] + RANDOM.normal(size=8000) * 2 > 0.5
    found = _fitted(w[:4000], is_high[:4000, None].astype(float), boundaries.RIDGE)
    weights, intercept = _logistic(w[:4000], is_high[:4000])
    theirs = np.mean((w[4000:] @ weights + intercept > 0) == is_high[4000:])
    assert 0.75 < theirs < 0.95
    assert abs(boundaries.accuracy(found, w[4000:], is_high[4000:], 0.5) - theirs) < 0.01
    assert boundaries.accuracy(found, w[4000:], ~is_high[4000:], 0.5) < 0.25
