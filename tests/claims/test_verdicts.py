"""Verdicts follow from the intervals, and planted layer ranges are found."""

import numpy as np
import pytest

from ganspace_jax.claims import class_transfer, component_order, entanglement, layer_ranges
from ganspace_jax.claims.findings import Figure
from ganspace_jax.claims.subjects import Subject
from ganspace_jax.directions import latent_directions
from ganspace_jax.directions.sources import Source
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.run import Run
from ganspace_jax.sampling import latent_prior
from ganspace_jax.sampling.layers import LayerSpec
from tests import toy_generators

FALLS, RISES, UNCLEAR = Figure("", -0.5, -0.6, -0.4), Figure("", 0.5, 0.4, 0.6), Figure("", 0.2, -0.1, 0.5)


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
    ways = [Figure("", value, value - 0.05, value + 0.05) for value in (w, 0.3, 0.25, gen_z, 0.3)]
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
