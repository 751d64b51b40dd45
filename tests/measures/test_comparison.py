"""Figures that compare methods: closed forms, and planted directions of a toy."""

import functools
from typing import Any

import numpy as np
import pytest

from ganspace_jax.directions import latent_directions
from ganspace_jax.directions.sources import Source
from ganspace_jax.errors import InputError
from ganspace_jax.measures import compared_methods, comparison, comparison_tables
from ganspace_jax.measures.compared_methods import Comparison
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.run import Interrupted, Run
from ganspace_jax.sampling.layers import LayerSpec
from tests import toy_generators

FEW: dict[str, Any] = {"num_samples": 200, "num_images": 8, "num_measured": 8, "num_components": 2}
TOY = toy_generators.linear(num_layers=1)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Saves the seconds of intervals."""
    monkeypatch.setattr(comparison, "NUM_RESAMPLES", 20)


def test_dci_of_one_direction_per_score_is_one_and_of_a_constant_matrix_zero():
    assert comparison.dci(np.diag([3.0, 0.5, 1.0])) == pytest.approx((1.0, 1.0))
    assert comparison.dci(np.full((4, 3), 2.0)) == pytest.approx((0.0, 0.0), abs=1e-12)
    assert comparison.dci(np.zeros((4, 3))) == (0.0, 0.0)


def test_dci_weighs_directions_by_their_importance_and_scores_alike():
    """The first direction moves one score; the second, a third as strong, both."""
    importance = np.array([[3.0, 0.0], [0.5, 0.5]])
    entropy = -(6 / 7 * np.log2(6 / 7) + 1 / 7 * np.log2(1 / 7))
    assert comparison.dci(importance) == pytest.approx((0.75 * 1 + 0.25 * 0, (1 - entropy + 1) / 2))


def test_two_directions_that_move_one_score_are_disentangled_and_not_complete():
    assert comparison.dci(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])) == pytest.approx(
        (1.0, (1 - np.log(2) / np.log(3) + 1) / 2)
    )


@pytest.fixture(scope="module")
def quadratic():
    """Three Gram matrices, and a covariance, of a latent with five coordinates."""
    a = np.random.default_rng(0).normal(size=(4, 5, 5))
    return a[:3] @ np.swapaxes(a[:3], 1, 2), a[3] @ a[3].T


def test_all_dimensions_explain_all_changes(quadratic):
    rows = np.random.default_rng(1).normal(size=(6, 5))
    grams, covariance = quadratic
    inside, total = comparison.explained(grams, covariance, rows).T
    np.testing.assert_allclose(inside, total, rtol=1e-8)
    np.testing.assert_allclose(total, [np.trace(gram @ covariance) for gram in grams])


def test_the_share_explained_is_that_of_the_projected_covariance(quadratic):
    """The projection B^T (B S^-1 B^T)^-1 B S^-1 turns S into B^T (B S^-1 B^T)^-1 B."""
    grams, covariance = quadratic
    rows = np.random.default_rng(2).normal(size=(2, 5))
    projected = rows.T @ np.linalg.inv(rows @ np.linalg.inv(covariance) @ rows.T) @ rows
    expected = [np.trace(gram @ projected) for gram in grams]
    for same in (rows, [[1, 2], [3, -1]] @ rows, np.concatenate([rows, 5 * rows, 0 * rows])):
        np.testing.assert_allclose(comparison.explained(grams, covariance, same)[:, 0], expected, rtol=1e-8)
    np.testing.assert_array_equal(comparison.explained(grams, covariance, 0 * rows)[:, 0], 0.0)


def test_stability_is_the_mean_angle_between_seeds():
    turned = np.array([[[1.0, 0.0]], [[1.0, 1.0]], [[-1.0, 0.0]]])[:, None]  # seeds, one score, one layer
    value, low, high = comparison.stability(turned)
    assert value == pytest.approx(30.0)  # of 45, 0 and 45 degrees
    assert low == pytest.approx(0.0, abs=1e-6) and high == pytest.approx(45.0)
    assert np.isnan(comparison.stability(turned[:1])).all()


def _scorer(generator, differentiable):
    """Returns a scorer of the first two coordinates of w, and of whether the third is
    positive.
    """
    weights, _ = toy_generators.planted(generator, jacobians=np.eye(5)[:3, None])
    read = toy_generators.reader(weights)

    def values(images):
        found = np.array(read(images), np.float64)
        return np.concatenate([found[:, :2], found[:, 2:] > 0], axis=1)

    scorer = Scorer(("a", "b", "kind"), np.array([0.5, 2.0, 1.0]), (None,) * 3, ("kind",), values)
    return scorer._replace(differentiable=read if differentiable else None)


@functools.cache
def _ground(differentiable=True, seed=0):
    scorer = _scorer(TOY, differentiable)
    return compared_methods.prepare(TOY, scorer, Comparison(**FEW), seed)


@functools.cache
def _measured(method, seed=0):
    return compared_methods.measure(_ground(seed=seed), method, [0, 1])


def test_planted_directions_are_found_with_purity_one(monkeypatch):
    """The candidates are coordinates of w, in the wrong order, and a mixture."""
    found = _found_rows([[0.0, 1, 0, 0, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]])
    monkeypatch.setattr(compared_methods.finding, "find", lambda *_, **__: found)
    measured = compared_methods.measure(_ground(), "pca", [0, 1])
    summary = comparison.summarize([measured], [0, 1], np.array([False, False, True]), np.ones(2, bool))
    np.testing.assert_allclose(summary.of_scores[:, [1, 4]], 1.0, atol=1e-4)
    np.testing.assert_allclose(summary.of_scores[:, [2, 5]], 0.0)
    steps = measured.steps[:, 0] / np.linalg.norm(measured.steps[:, 0], axis=1, keepdims=True)
    np.testing.assert_allclose(steps, np.eye(5)[:2], atol=1e-6)
    slopes = 2 * np.linalg.norm(measured.steps[:, 0], axis=1) / [0.5, 2.0]
    np.testing.assert_allclose(summary.of_scores[:, 0, 0], slopes, rtol=1e-4)
    assert summary.num_directions == 3


def _found_rows(rows):
    rows = comparison.unit(np.array(rows))
    return latent_directions.of_directions(
        rows, np.ones(len(rows)), np.zeros(5), spec=LayerSpec("w", "w"), source=Source("toy", "", "pca", {})
    )


@pytest.mark.parametrize("differentiable", [True, False])
def test_the_purest_direction_of_a_planted_score_is_pure(differentiable):
    measured = compared_methods.measure(_ground(differentiable), "purest", [0, 1])
    summary = comparison.summarize([measured], [0, 1], np.array([False, False, True]), np.ones(2, bool))
    assert (summary.of_scores[:, 1, 0] > 0.97).all()


def test_every_method_is_measured_and_more_directions_explain_more():
    names = compared_methods.method_names(TOY, Comparison())
    assert set(compared_methods.METHODS) - set(names) == {"sefa_layers_0_1"}  # the toy has one layer
    for method in set(names) - {"sefa"}:  # nor has it affine maps
        one = _measured(method)
        assert np.isfinite(one.whole).all() and one.whole.shape == (8, 2, 3) and one.seconds >= 0
        inside, total = one.within.sum(0)
        assert 0 < inside < total
    best, worse = (_measured(method).within.sum(0)[0] for method in ("image_jacobian", "random"))
    assert best > worse


def test_tables_have_a_row_per_method_and_a_cell_per_figure():
    arrays = {name: [_measured(name, seed) for seed in (0, 1)] for name in ("pca", "random")}
    summaries = {
        name: comparison.summarize(seeds, [0, 1], np.array([False, False, True]), np.ones(2, bool))
        for name, seeds in arrays.items()
    }
    assert summaries["random"].stability.value > summaries["pca"].stability.value
    rows = comparison_tables.csv_rows(summaries, ["a", "b"])
    assert len(rows) == 2 * (3 * 6 + 3 + 3) and all(len(row) == len(comparison_tables.CSV_HEADER) for row in rows)
    for row in rows:
        value, low, high = (float(cell) if cell else np.nan for cell in row[3:])
        assert np.isnan(low) or low - 1e-3 <= value <= high + 1e-3 or row[2] == "stability"
    assert comparison_tables.markdown(summaries).splitlines()[2].startswith("| pca | 2 | ")
    assert len(comparison_tables.purities(summaries, ["a", "b"]).splitlines()) == 4
    assert len(comparison_tables.panels(summaries)) == 6
    single = comparison.summarize(arrays["pca"][:1], [0, 1], np.array([False, False, True]), np.ones(2, bool))
    assert len(comparison_tables.panels({"pca": single})) == 5  # one seed has no angles


@pytest.mark.parametrize(
    "settings", [{"methods": "pca,sefe"}, {"num_seeds": 0}, {"num_images": 7}, {"seed": -1}, {"num_measured": 1}]
)
def test_a_wrong_spec_is_refused(settings: dict[str, Any]):
    name, value = next(iter(settings.items()))
    with pytest.raises(InputError, match=f"--{name}={str(value).rpartition(',')[2]}: "):
        Comparison(**settings)


def test_linear_scores_are_those_without_a_period_and_without_kinds():
    scorer = _scorer(TOY, True)._replace(periods=(360.0, None, None))
    assert compared_methods.wanted_columns(scorer, "linear") == [1]
    assert compared_methods.wanted_columns(scorer, "all") == [0, 1]
    assert compared_methods.wanted_columns(scorer._replace(periods=(1.0,) * 3), "linear") == [0, 1]


def test_a_stopped_run_is_interrupted():
    with pytest.raises(Interrupted):
        compared_methods.prepare(TOY, _scorer(TOY, True), Comparison(**FEW), 0, Run(should_stop=lambda: True))
