"""The shipped generators of limited scenes show what their training allowed."""

import jax
import numpy as np
import pytest

from ganspace_jax.claims import limited_data
from ganspace_jax.claims.limited_data import MOVED, TIED
from ganspace_jax.generators import zoo
from ganspace_jax.sampling import random_samples, scored_images
from ganspace_jax.scenes import factors, probe, rendering


@pytest.fixture(scope="module")
def scorer():
    return probe.scorer(probe.load(limited_data.MODELS / "probe"))


@pytest.fixture(scope="module")
def places(scorer):
    """The place and the light in random images of each generator, in standard
    deviations over all scenes.
    """

    def read(name):
        generator = zoo.load(limited_data.MODELS / name)
        at = random_samples.draw(generator, 0, 256, seed=5)
        values = np.concatenate([scorer.read(x) for x in scored_images.images(generator, at.layers, at.weights)])
        columns = [scorer.names.index(factor) for factor in (MOVED, TIED)]
        return (values / scorer.scales)[:, columns]

    return {name: read(name) for name in limited_data.NAMES}


def test_a_fixed_factor_does_not_vary_and_a_tied_one_follows(places):
    spread = {name: values.std(0) for name, values in places.items()}
    assert spread["fixed"][0] < 0.25 and spread["fixed"][1] > 0.7
    assert spread["all"].min() > 0.7 and spread["tied"].min() > 0.7
    together = {name: np.corrcoef(values.T)[0, 1] for name, values in places.items()}
    assert together["tied"] > 0.8 and abs(together["all"]) < 0.3


def test_the_probe_of_small_images_reads_scenes(scorer):
    true = factors.sample_factors(jax.random.key(11), 200)
    values = scorer.read(rendering.render_in_chunks(true, 16, 2))
    for name in (MOVED, TIED):
        column = values[:, scorer.names.index(name)]
        assert np.corrcoef(column, np.asarray(getattr(true, name)))[0, 1] ** 2 > 0.95


def test_spread_and_company_are_their_definitions(scorer):
    moved, tied = (scorer.names.index(name) for name in (MOVED, TIED))
    rows = np.zeros((40, len(scorer.names)))
    rows[:20, moved] = 2 * scorer.scales[moved]
    rows[:, tied] = 0.25 * scorer.scales[moved]
    changes = rows / scorer.scales[moved]  # changes are in standard deviations
    found = limited_data.Measured(rows, changes, changes, 0, np.zeros((1, 1)))
    assert limited_data.spread_of(found, scorer, "toy").value == pytest.approx(1.0)
    assert limited_data.along_with(changes, scorer, "toy").value == pytest.approx(0.25)
