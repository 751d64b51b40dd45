"""Verdicts follow from the intervals, and planted layer ranges are found."""

import numpy as np
import pytest

from ganspace_jax.claims import (
    all_methods,
    class_transfer,
    component_order,
    entanglement,
    layer_ranges,
    limited_data,
    shifted_images,
)
from ganspace_jax.claims.findings import Figure
from ganspace_jax.claims.subjects import Subject
from ganspace_jax.directions import latent_directions
from ganspace_jax.directions.sources import Source
from ganspace_jax.measures.answers import Answer
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.run import Run
from ganspace_jax.sampling import latent_prior
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.statistics import bootstrap
from tests import toy_generators

FALLS, RISES, UNCLEAR = Figure("", -0.5, -0.6, -0.4), Figure("", 0.5, 0.4, 0.6), Figure("", 0.2, -0.1, 0.5)


def near(value):
    return Figure("", value, value - 0.05, value + 0.05)


@pytest.mark.parametrize(
    ("figures", "verdict"),
    [
        ([FALLS, RISES, FALLS, RISES], "yes"),
        ([FALLS, UNCLEAR, FALLS, RISES], "partly"),
        ([RISES, FALLS, UNCLEAR, UNCLEAR], "no"),
        ([Figure("", -0.05, -0.06, -0.04)] * 4, "no"),  # certain, but too small
    ],
)
def test_an_order_of_components_needs_trends_beyond_those_of_random_directions(figures, verdict):
    assert component_order._answer(figures)[0] == verdict


@pytest.mark.parametrize(
    ("w", "gen_z", "verdict"), [(0.5, 0.2, "yes"), (0.2, 0.5, "no"), (0.3, 0.32, "open"), (0.32, 0.3, "open")]
)
def test_entanglement_is_open_while_the_intervals_overlap(w, gen_z, verdict):
    ways = [near(value) for value in (w, 0.3, 0.25, gen_z, 0.3)]
    found, answer = entanglement._answer(ways)
    assert found == verdict and f"{gen_z:.2f} against {w:.2f}" in answer


@pytest.mark.parametrize(("values", "verdict"), [((0.9, 0.95), "yes"), ((0.9, 0.5), "partly"), ((0.1, 0.78), "no")])
def test_a_transfer_is_that_to_the_class_of_the_lowest_correlation(values, verdict):
    figures = [Figure("", value, value - 0.1, value + 0.04) for value in values]
    found, answer = class_transfer._answer(figures, ["size", "light_intensity"])
    assert found == verdict
    assert f"{values[0]:.2f} for components that move mostly geometry" in answer


def test_a_component_gets_the_layers_in_which_it_is_pure():
    """Layer 0 moves a along the component, and the other layers move b along it."""
    generator = toy_generators.linear()
    row = np.linalg.qr(np.random.default_rng(3).standard_normal((5, 5)))[0][:1]
    jacobians = np.zeros((2, 3, 5))
    jacobians[0, 0], jacobians[1, 1:] = row[0], row[0]
    weights, _ = toy_generators.planted(generator, jacobians=jacobians)
    read = toy_generators.reader(weights)
    scorer = Scorer(("a", "b"), np.ones(2), (None, None), (), lambda images: np.asarray(read(images)),
                    differentiable=read)  # fmt: skip
    components = latent_directions.of_directions(
        row, np.ones(1), np.zeros(5), spec=LayerSpec("w", "w"), source=Source("toy")
    )
    prior = latent_prior.of_covariance(np.zeros(5), toy_generators.covariance(generator))
    rows = layer_ranges.compare(Subject("toy", generator, scorer, components, prior), num_images=8, seed=0, run=Run())
    assert [one.name for one in rows] == ["a", "b"]
    assert rows[0].ranged.layers == (0, 1) and rows[1].ranged.layers in [(1, 2), (2, 3), (1, 3)]
    np.testing.assert_allclose([one.ranged_purity.purity for one in rows], 1.0, atol=1e-4)
    np.testing.assert_allclose([one.whole_purity.purity for one in rows], [1 / 5, 4 / 5], atol=1e-3)


@pytest.mark.parametrize(
    ("fixed", "tied", "verdict"), [(0.1, 0.7, "yes"), (0.1, 0.2, "partly"), (0.9, 0.7, "partly"), (0.9, 0.2, "no")]
)
def test_data_limit_components_if_a_fixed_factor_is_gone_and_a_tied_one_comes_along(fixed, tied, verdict):
    spread, along = {"all": near(1.0), "fixed": near(fixed)}, {"all": near(0.05), "tied": near(tied)}
    found, answer = limited_data.conclude(spread, along)
    assert found == verdict and f"by {tied:.2f} standard deviations" in answer
    failed = spread | {"all": near(0.2)}  # the training on all scenes lost the factor too
    assert limited_data.conclude(failed, along)[0] != "yes"


@pytest.mark.parametrize(
    ("jacobian", "verdict"), [((0.6, 0.5), "yes"), ((0.6, 0.33), "partly"), ((0.33, 0.33), "open")]
)
def test_other_methods_are_purer_than_pca_where_intervals_are_apart(jacobian, verdict):
    purity = {
        name: {"pca": near(0.3), "image_jacobian": near(value), "purest": near(0.8)}
        for name, value in zip("ab", jacobian, strict=True)
    }
    found, answer = all_methods.conclude(purity)
    assert found == verdict and answer.count("image_jacobian") == 2 and answer.count("purest, which asks") == 2
    best = {name: methods | {"pca": near(0.9)} for name, methods in purity.items()}
    assert all_methods.conclude(best)[0] == "open"


@pytest.mark.parametrize(("few", "many", "verdict"), [(25.0, 30.0, "yes"), (25.0, 27.0, "partly"), (22.0, 27.0, "no")])
def test_the_recursion_is_needed_if_it_helps_with_many_steps_too(few, many, verdict):
    def row(targets, steps, value):
        case = {"start": "own", "targets": targets, "steps": steps}
        return Answer(case, {"median PSNR (dB)": bootstrap.Figure(value, value - 1.0, value + 1.0)})

    rows = [row("recursion", "20", few), row("recursion", "100", many),
            row("direct", "20", 22.0), row("direct", "100", 27.0)]  # fmt: skip
    psnr = shifted_images.by_search(rows)
    assert len(psnr) == 4
    found, answer = shifted_images.conclude({"toy": psnr})
    assert found == verdict and f"20 steps reach {few:.1f} dB with the recursion and 22.0 dB without" in answer
