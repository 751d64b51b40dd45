"""Edits that set values with a scorer: along directions, then along paths."""

import numpy as np
import pytest

from ganspace_jax import value_edits
from ganspace_jax.directions import latent_directions
from ganspace_jax.directions.edits import Edit
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.directions.sources import Source
from ganspace_jax.errors import InputError
from ganspace_jax.generators.synthesis import Synthesis
from ganspace_jax.measures import scorers
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.sampling import random_samples
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.statistics.monotone_curves import Curve
from tests import toy_generators

GENERATOR = toy_generators.linear()
WEIGHTS, JACOBIANS = toy_generators.planted(GENERATOR)
READ = toy_generators.reader(WEIGHTS)
SCORER = Scorer(("a", "b", "c"), np.array([0.5, 2.0, 1.0]), (None, None, None), (),
                lambda images: np.asarray(READ(images)), differentiable=READ)  # fmt: skip
LATENTS = random_samples.draw(GENERATOR, 0, 3, seed=0).layers


@pytest.fixture(scope="module")
def found():
    """One direction with a name, that of the first score."""
    curve = Curve(np.array([-2.0, 2.0]), np.array([-1.0, 1.0]))
    named = [NamedDirection("a", None, JACOBIANS[0, 0], curve)]
    rows = JACOBIANS[:1, 0]
    return latent_directions.of_directions(
        rows, np.ones(1), np.zeros(5), spec=LayerSpec("w", "w"), source=Source("toy"), named=named
    )


def test_a_direction_and_a_path_set_their_values_one_after_the_other(found):
    chosen = [Edit("c", value=0.5), Edit("a", value=-1.0)]
    done = value_edits.apply(GENERATOR, SCORER, found, chosen, LATENTS, Synthesis())
    assert done.names == ("a", "c") and list(done.asked) == [-1.0, 0.5]
    near = scorers.ARRIVED * SCORER.scales
    np.testing.assert_allclose(done.reached[:, 1], 0.5, atol=near[2])
    np.testing.assert_allclose(done.reached[:, 0], -1.0, atol=0.25)  # the path lets it drift a little
    np.testing.assert_array_equal(done.at(0.0), LATENTS)
    images = np.asarray(GENERATOR.merge()(done.at(1.0))[0])
    np.testing.assert_allclose(SCORER.read(images)[:, [0, 2]], done.reached, atol=1e-4)
    # The direction is followed in the first half of the way, the path in the second.
    start, quarter, half = (SCORER.read(np.asarray(GENERATOR.merge()(done.at(x))[0]))[:, 0] for x in (0.0, 0.25, 0.5))
    np.testing.assert_allclose(half, -1.0, atol=1e-3)
    np.testing.assert_allclose(quarter, (start + half) / 2, atol=1e-3)
    table = value_edits.table(done, ["x", "y", "z"])
    assert table.count("\n") >= 6 and "asked" in table


def test_only_names_of_directions_or_of_values_are_set(found):
    assert value_edits.has_direction(Edit("a", value=1.0), found, SCORER)
    assert not value_edits.has_direction(Edit("b", value=1.0), found, SCORER)
    with pytest.raises(InputError, match="neither a direction nor a value of --scorer has this name"):
        value_edits.has_direction(Edit("nothing", value=1.0), found, SCORER)


def test_a_path_and_truncation_are_refused_together(found):
    with pytest.raises(InputError, match=r"--truncation_psi=0.5: must be 1 for .*, which follows a path"):
        value_edits.apply(GENERATOR, SCORER, found, [Edit("b", value=1.0)], LATENTS, Synthesis(truncation_psi=0.5))


def test_values_beyond_the_curve_are_told(found):
    assert value_edits.out_of_reach(found, [Edit("a", value=0.5)]) == []
    (line,) = value_edits.out_of_reach(found, [Edit("a", value=3.0)])
    assert line == "a:=3: its direction reaches -1 to 1; 1 is set"
