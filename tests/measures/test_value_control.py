"""Values that a closed loop sets, for scores that are known exactly."""

import numpy as np
import pytest

from ganspace_jax.directions import latent_directions
from ganspace_jax.directions.edits import Edit
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.directions.sources import Source
from ganspace_jax.errors import InputError
from ganspace_jax.measures import value_control
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.statistics.monotone_curves import Curve

LAYERS, WIDTH, COUNT = 3, 5, 6
ROWS = np.linalg.qr(np.random.default_rng(0).standard_normal((WIDTH, WIDTH)))[0][:3]  # one per score
LATENTS = np.random.default_rng(1).standard_normal((COUNT, LAYERS, WIDTH)).astype(np.float32)
SCORER = Scorer(("a", "b", "turn", "kind"), np.array([1.0, 2.0, 0.25, 1.0]), (None, None, 1.0, None), ("kind",),
                read=lambda images: images)  # fmt: skip


def read(latents):
    """Returns a = <mean of the layers, row>, b, a fifth of a turn a unit, and b > 0."""
    a, b, turn = np.einsum("nld,fd->fn", latents, ROWS) / LAYERS
    return np.stack([a, b, 0.2 * turn % 1.0, b > 0], axis=1)


@pytest.fixture(scope="module")
def found():
    """Directions whose read-outs are exact; that of b tells half of the value."""
    identity, halved = (Curve(np.array([-9.0, 9.0]), np.array([-9.0, 9.0]) * slope) for slope in (1.0, 2.0))
    named = [
        NamedDirection("a", None, ROWS[0], identity), NamedDirection("b", None, ROWS[1], halved),
        NamedDirection("turn"), NamedDirection("still"),
    ]  # fmt: skip
    rows = np.concatenate([ROWS, np.linalg.qr(ROWS.T, "complete")[0][:, -1:].T])
    return latent_directions.of_directions(
        rows, np.ones(4), np.zeros(WIDTH), spec=LayerSpec("w", "w"), source=Source("g"), named=named
    )


def test_several_values_are_reached_and_all_others_stay(found):
    chosen = [Edit("a", value=2.0), Edit("b", value=-1.5)]
    loop = value_control.closed_loop(read, SCORER, found, chosen, LATENTS)
    np.testing.assert_allclose(loop.reached, np.tile([2.0, -1.5], (COUNT, 1)), atol=1e-4)
    after = read(loop.latents)
    np.testing.assert_allclose(after[:, :2], loop.reached, atol=1e-6)
    np.testing.assert_allclose(after[:, 2], read(LATENTS)[:, 2], atol=1e-5)
    steps = np.abs(np.diff(np.einsum("rnld,d->rn", loop.rounds, ROWS[0]) / LAYERS, axis=0))
    assert steps.max() <= value_control.LONGEST_STEP + 1e-5


def test_a_value_that_saturates_is_reached_by_the_slopes_that_the_steps_show(found):
    loop = value_control.closed_loop(
        lambda latents: 3 * np.tanh(read(latents)), SCORER, found, [Edit("a", value=2.85)], LATENTS
    )
    np.testing.assert_allclose(loop.reached, 2.85, atol=0.05)


def test_a_circular_value_goes_the_shorter_way(found):
    start = np.repeat(4.5 * ROWS[2][None, None], LAYERS, axis=1).astype(np.float32)
    loop = value_control.closed_loop(read, SCORER, found, [Edit("turn", value=0.1)], start)
    moved = np.einsum("nld,d->n", loop.latents - start, ROWS[2]) / LAYERS
    np.testing.assert_allclose(moved, 1.0, atol=1e-3)


def test_an_image_that_does_not_show_the_value_stays(found):
    def some(latents):
        values = read(latents)
        values[0, 0] = np.nan
        return values

    loop = value_control.closed_loop(some, SCORER, found, [Edit("a", value=1.0)], LATENTS)
    np.testing.assert_array_equal(loop.latents[0], LATENTS[0])
    np.testing.assert_allclose(loop.reached[1:], 1.0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "said"),
    [("still", "--edit=still: --scorer reads no value"), ("kind", "--edit=kind: --scorer reads no value of this name")],
)
def test_values_that_no_score_has_are_refused(found, name, said):
    with pytest.raises(InputError, match=said):
        value_control.column_of(SCORER, name)


def test_a_direction_that_does_not_move_its_value_is_refused(found):
    with pytest.raises(InputError, match="--edit=a: its direction moves this value by 0 standard deviations"):
        value_control.closed_loop(lambda latents: 0 * read(latents), SCORER, found, [Edit("a", value=1.0)], LATENTS)


def test_control_is_perfect_where_the_read_out_is_exact_and_measured_where_it_is_not(found):
    exact = value_control.measure_control(read, SCORER, found, "a", latents=LATENTS)
    assert exact.r2 == pytest.approx(1.0, abs=1e-6) and exact.low[0] == pytest.approx(1.0, abs=1e-6)
    assert exact.median_error < 1e-5 and exact.others < 1e-5 and exact.flips == 0.0
    # The curve of b tells twice the value, so that half of the wanted b is set.
    values = read(LATENTS)[:, 1]
    targets = values.mean() + 2.0 * np.linspace(-1.3, 1.3, 5)
    missed = 0.5 * targets / 2.0
    half = value_control.measure_control(read, SCORER, found, "b", latents=LATENTS)
    assert half.r2 == pytest.approx(1 - np.mean(missed**2) / np.mean(np.linspace(-1.3, 1.3, 5) ** 2), abs=1e-4)
    assert half.median_error == pytest.approx(np.median(np.abs(missed)), abs=1e-4)
    assert half.flips == pytest.approx(np.mean((targets / 2 > 0)[None] != (values > 0)[:, None]))
    closed = value_control.measure_control(read, SCORER, found, "b", latents=LATENTS, num_rounds=5)
    assert closed.r2 == pytest.approx(1.0, abs=1e-4)
