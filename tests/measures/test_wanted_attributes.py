"""Wanted attributes on a linear generator: planted directions are found."""

import functools

import numpy as np
import pytest

from ganspace_jax.directions import components
from ganspace_jax.errors import InputError
from ganspace_jax.measures import attribute_tables, wanted_attributes
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.measures.wanted_attributes import WantedAttributes
from ganspace_jax.run import Interrupted, Run
from ganspace_jax.statistics import monotone_curves
from tests import toy_generators

FEW = {"num_samples": 300, "num_images": 16, "num_measured": 8, "num_components": 5}
GENERATORS = {space: toy_generators.linear(has_mapping=space == "w") for space in "wz"}
SCALES = np.array([0.5, 2.0, 1.0])


def _scorer(generator, *, differentiable=True, jacobians=None, categories=()):
    weights, jacobians = toy_generators.planted(generator, jacobians=jacobians)
    read = toy_generators.reader(weights)

    def values(images):
        found = np.array(read(images), np.float64)
        for column, name in enumerate("abc"):
            found[:, column] = found[:, column] > 0 if name in categories else found[:, column]
        return found

    scorer = Scorer(("a", "b", "c"), SCALES, (None,) * 3, tuple(categories), values)
    return scorer._replace(differentiable=read if differentiable else None), jacobians


@functools.cache
def _found(space, *, differentiable=True, **settings):
    generator = GENERATORS[space]
    scorer, jacobians = _scorer(generator, differentiable=differentiable)
    spec = WantedAttributes(**{**FEW, "least_effect": 0.0, **settings})
    return wanted_attributes.find(generator, scorer, spec, name="toy"), jacobians


@pytest.mark.parametrize("space", ["w", "z"])
@pytest.mark.parametrize("differentiable", [True, False])
def test_the_purest_direction_moves_its_planted_attribute_alone(space, differentiable):
    (found, report), jacobians = _found(space, differentiable=differentiable)
    assert [one.name for one in found.named] == ["a", "b", "c"] == [one.name for one in report]
    moved = jacobians.sum(1) @ found.latent_components.T
    share = np.square(moved) / np.square(moved).sum(0)
    assert (np.diag(share) > 0.9).all() and (np.diag(moved) > 0).all()
    for one in report:
        assert one.found.at_sigma.purity > 0.9 and one.found.choice.layers == (0, 3)
        others = {other.choice.method: other.at_sigma.purity for other in one.others}
        assert set(others) == {"component", "random"} and max(others.values()) < one.found.at_sigma.purity


@pytest.mark.parametrize("space", ["w", "z"])
def test_a_direction_is_a_unit_vector_with_its_standard_deviation(space):
    (found, _), _ = _found(space)
    np.testing.assert_allclose(np.linalg.norm(found.latent_components, axis=1), 1.0, rtol=1e-6)
    covariance = toy_generators.covariance(GENERATORS[space])
    exact = np.sqrt(np.einsum("kl,lm,km->k", found.latent_components, covariance, found.latent_components))
    np.testing.assert_allclose(found.latent_stdevs, exact, rtol=0.15 if space == "w" else 1e-6)
    assert found.spec.latent_space == space and found.source.method == wanted_attributes.METHOD


def test_the_dual_and_the_normal_are_exact():
    """The score is <q, w>, with q the sum of the layers' Jacobians."""
    (dual, _), jacobians = _found("w", method="dual")
    q = jacobians.sum(1)
    np.testing.assert_allclose(
        (q @ dual.latent_components.T) / np.diag(q @ dual.latent_components.T), np.eye(3), atol=1e-2
    )
    (normal, _), _ = _found("w", method="normal")
    np.testing.assert_allclose(normal.latent_components, q / np.linalg.norm(q, axis=1, keepdims=True), atol=5e-3)


def test_read_out_and_curve_give_the_scores():
    (found, report), _ = _found("w")
    generator = GENERATORS["w"]
    w = np.random.default_rng(5).normal(size=(50, 5)) + found.latent_mean
    images = w @ toy_generators.matrices(generator).sum(0).T + np.asarray(generator.merge().bias[...])
    scores = images @ toy_generators.planted(generator)[0].T
    for number, one in enumerate(found.named):
        readout = report[number].readout
        assert readout.r2 > 0.999 and readout.accuracy > 0.95 and readout.curve_r2 > 0.97
        value = monotone_curves.evaluate(one.curve, (w - found.latent_mean) @ one.read)
        inside = (value > one.curve.values[0]) & (value < one.curve.values[-1])
        assert inside.sum() > 30
        np.testing.assert_allclose(value[inside], scores[inside, number], atol=0.15)


@pytest.mark.parametrize("search_layers", [True, False])
def test_a_direction_moves_all_layers_if_no_range_is_purer(search_layers):
    (found, report), _ = _found("w", attribute="b", search_layers=search_layers)
    assert report[0].found.choice.layers == (0, 3) and found.named[0].layers is None


def test_a_planted_layer_is_found():
    """In layer 1 the direction moves its score, and in other layers another score."""
    generator = GENERATORS["w"]
    _, rows = toy_generators.planted(generator)
    wanted = np.array(rows)
    wanted[0, [0, 2]], wanted[1, [0, 2]] = 0.0, rows[0, [0, 2]]
    wanted[1, 1] = 0.0
    scorer, _ = _scorer(generator, jacobians=wanted)
    found, report = wanted_attributes.find(generator, scorer, WantedAttributes(**FEW, attribute="a", method="normal"))
    assert report[0].found.choice.layers == (1, 2) == found.named[0].layers
    assert report[0].found.at_sigma.purity > 0.99


def test_runs_repeat_and_every_method_is_compared(tmp_path):
    generator = GENERATORS["w"]
    scorer, _ = _scorer(generator)
    spec = WantedAttributes(**FEW, compare=True, attribute="c, a")
    reports = []
    found, report = wanted_attributes.find(generator, scorer, spec, Run(report=reports.append))
    again, _ = wanted_attributes.find(generator, scorer, spec)
    np.testing.assert_array_equal(found.latent_components, again.latent_components)
    assert [one.name for one in found.named] == ["c", "a"]
    methods = [one.choice.method for one in (report[0].found, *report[0].others)]
    assert sorted(methods) == sorted([*wanted_attributes.METHODS, "random"])
    assert [p.done for p in reports] == sorted(p.done for p in reports) and reports[-1].done == reports[-1].total
    components.save(tmp_path / "components.npz", found)
    read = components.load(tmp_path / "components.npz")
    assert [one.name for one in read.named] == ["c", "a"] and read.source.options["method"] == "purest"
    table = attribute_tables.compared(report).splitlines()
    assert len(table) == 2 + len(methods) and table[2].startswith("| purest | ")
    assert len(attribute_tables.markdown(report).splitlines()) == 4
    assert attribute_tables.as_json(report)[0]["directions"][0]["at_sigma"]["purity"]["value"] > 0.9


def test_a_yes_no_category_is_an_attribute():
    generator = GENERATORS["w"]
    scorer, jacobians = _scorer(generator, differentiable=False, categories="b")
    spec = WantedAttributes(
        **{**FEW, "num_images": 64, "num_measured": 128}, attribute="b", method="normal", least_effect=0.0
    )
    found, report = wanted_attributes.find(generator, scorer, spec)
    q = jacobians[1].sum(0)
    assert found.latent_components[0] @ q / np.linalg.norm(q) > 0.8
    assert report[0].readout.accuracy > 0.8 and report[0].found.at_sigma.slope > 0.2


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("aa", "--attribute=aa: no such score; did you mean 'a'"),
        ("a,,b", "--attribute=: no such score"),
        ("kind", "--attribute=kind: is a category"),
    ],
)
def test_unknown_attributes_are_refused_before_anything_is_computed(attribute, message):
    scorer, _ = _scorer(GENERATORS["w"])
    scorer = scorer._replace(names=("a", "b", "kind"), categories=("kind",), read=lambda images: 1 / 0)
    with pytest.raises(InputError, match=message):
        wanted_attributes.find(GENERATORS["w"], scorer, WantedAttributes(attribute=attribute))


@pytest.mark.parametrize(
    "settings", [{"method": "pure"}, {"num_samples": 10}, {"num_images": 1}, {"seed": -1}, {"least_effect": -0.1}]
)
def test_a_wrong_spec_is_refused(settings):
    name, value = next(iter(settings.items()))
    with pytest.raises(InputError, match=f"--{name}={value}: "):
        WantedAttributes(**settings)


def test_a_stopped_run_is_interrupted():
    scorer, _ = _scorer(GENERATORS["w"])
    with pytest.raises(Interrupted):
        wanted_attributes.find(GENERATORS["w"], scorer, WantedAttributes(**FEW), Run(should_stop=lambda: True))
