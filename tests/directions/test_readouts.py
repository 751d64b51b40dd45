"""Values that read-outs and curves set, on latents whose value is known exactly."""

import dataclasses

import jax
import numpy as np
import pytest

from ganspace_jax.directions import array_moves, edits, latent_directions, readouts
from ganspace_jax.directions.edits import ALL, Edit
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.directions.sources import Source
from ganspace_jax.errors import InputError
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.statistics.monotone_curves import Curve

LAYERS, WIDTH = 5, 6
KNOTS, VALUES = np.array([-4.0, -1.0, 0.5, 4.0]), np.array([-10.0, -2.0, 1.0, 30.0])


@pytest.fixture(scope="module")
def found():
    """Three directions with values of their own units, and one without a curve."""
    rng = np.random.default_rng(0)
    move, read, mean = rng.standard_normal((4, WIDTH)), rng.standard_normal((4, WIDTH)), rng.standard_normal(WIDTH)
    curve = Curve(KNOTS, VALUES)
    named = [
        NamedDirection("everywhere", None, read[0], curve),
        NamedDirection("early", (0, 2), read[1], curve._replace(values=VALUES / 10)),
        NamedDirection("by_layer", (1, 4), np.tile(read[2], (1, 1))[0], curve),
        NamedDirection("no_curve", (2, 3), read[3]),
    ]
    return latent_directions.of_directions(
        move, np.array([2.0, 0.5, 1.0, 1.0]), mean, spec=LayerSpec("w", "w"), source=Source("g"), named=named
    )


@pytest.fixture(scope="module")
def latents():
    return jax.random.normal(jax.random.key(0), (3, LAYERS, WIDTH))


def _coordinate(latents, found, k):
    """The definition, in float64."""
    start, stop = found.named[k].layers or (0, LAYERS)
    away = np.asarray(latents, np.float64)[:, start:stop] - np.asarray(found.latent_mean, np.float64)
    return away.mean(1) @ np.asarray(found.named[k].read, np.float64)


@pytest.mark.parametrize("k", range(4))
def test_coordinates_and_values_are_those_of_the_definition(found, latents, k):
    expected = _coordinate(latents, found, k)
    np.testing.assert_allclose(readouts.coordinates(latents, found, k), expected, rtol=1e-5, atol=1e-5)
    if k < 3:
        value = np.interp(expected, KNOTS, found.named[k].curve.values)
        np.testing.assert_allclose(readouts.values(latents, found, k), value, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["everywhere", "early", "by_layer"])
@pytest.mark.parametrize("wanted", [-0.75, 0.0, 0.9])
@pytest.mark.parametrize("layers", [None, (0, 2), ALL])
def test_a_value_is_set_exactly_along_the_direction(found, latents, name, wanted, layers):
    k = [one.name for one in found.named].index(name)
    moved = np.asarray(edits.apply(latents, found, [Edit(name, layers, value=wanted)]), np.float64)
    value = np.interp(_coordinate(moved, found, k), KNOTS, found.named[k].curve.values)
    np.testing.assert_allclose(value, wanted, atol=1e-4)
    start, stop = edits.layer_range(edits.resolve(Edit(name, layers), found), LAYERS)
    difference = moved - np.asarray(latents)
    inside = np.isin(np.arange(LAYERS), np.arange(start, stop))
    assert (difference[:, ~inside] == 0).all()
    direction = found.latent_components[k]
    along = difference[:, inside] @ direction / (direction @ direction)
    np.testing.assert_allclose(difference[:, inside], along[..., None] * direction, atol=1e-4)
    np.testing.assert_allclose(along, along[:, :1].repeat(stop - start, 1), atol=1e-4)


def test_several_values_and_steps_are_set_together_in_any_order(found, latents):
    both = [Edit("everywhere", value=0.5), Edit("no_curve", sigma=3.0), Edit("early", value=-0.5)]
    for order in (both, both[::-1]):
        moved = edits.apply(latents, found, order)
        np.testing.assert_allclose(readouts.values(moved, found, 0), 0.5, atol=1e-4)
        np.testing.assert_allclose(readouts.values(moved, found, 1), -0.5, atol=1e-4)


def test_a_share_of_the_way_lies_on_the_way(found, latents):
    edit = Edit("early", value=0.5)
    end, half = edits.apply(latents, found, [edit]), edits.apply(latents, found, [edit.scaled(0.5)])
    np.testing.assert_allclose(half, (latents + end) / 2, atol=1e-5)
    frames = edits.strip(latents[0], found, edit, num_frames=3)
    np.testing.assert_allclose(frames[0], latents[0], atol=1e-6)
    np.testing.assert_allclose(frames[1:], np.stack([half[0], end[0]]), atol=1e-5)


@pytest.mark.parametrize(("asked", "reached"), [(1e6, 30.0), (-11.0, -10.0)])
def test_a_value_out_of_reach_becomes_the_end_of_the_range(found, latents, asked, reached):
    assert readouts.reach(found, 0) == (-10.0, 30.0)
    moved = edits.apply(latents, found, [Edit("everywhere", value=asked)])
    np.testing.assert_allclose(readouts.values(moved, found, 0), reached, rtol=1e-4)


def test_setting_a_value_runs_inside_jit(found, latents):
    chosen = [Edit("early", value=0.5), Edit("everywhere", sigma=1.0)]
    jitted = jax.jit(lambda latents: edits.apply(latents, found, chosen))
    np.testing.assert_allclose(jitted(latents), edits.apply(latents, found, chosen), atol=1e-5)


def test_no_value_compiles(found, latents):
    def run(*chosen):
        edits.apply(latents, found, chosen)
        return array_moves._set._cache_size()

    first = run(Edit("early", value=0.5), Edit("everywhere", value=1.0))
    assert run(Edit("by_layer", (1, 2), value=2.0), Edit("early", ALL, value=-0.5, share=0.5)) == first
    assert run(*(Edit(name, value=0.25) for name in ("everywhere", "early", "by_layer"))) == first + 1


def test_a_centred_edit_sets_the_same_value(found, latents):
    edit = Edit("everywhere", value=2.5)
    np.testing.assert_array_equal(
        edits.apply(latents, found, [edit], centred=True), edits.apply(latents, found, [edit])
    )


def test_a_z_in_pieces_has_one_coordinate(found):
    """The same z as one vector, and as three pieces of two numbers."""
    own = dataclasses.replace(found, named=(found.named[0], *found.named[1:]))
    z = jax.random.normal(jax.random.key(1), (4, WIDTH))
    expected = (np.asarray(z) - own.latent_mean) @ own.named[0].read
    np.testing.assert_allclose(readouts.coordinates(z.reshape(4, 3, 2), own, 0), expected, rtol=1e-4, atol=1e-5)
    moved = edits.apply(z.reshape(4, 3, 2), own, [Edit("everywhere", value=0.25)])
    np.testing.assert_allclose(readouts.values(moved, own, 0), 0.25, atol=1e-4)


def test_directions_with_a_row_per_layer_set_values_too(found, latents):
    rng = np.random.default_rng(5)
    move, read = rng.standard_normal((2, 1, LAYERS, WIDTH))
    own = latent_directions.of_directions(
        move, np.ones(1), found.latent_mean, spec=LayerSpec("w", "w"), source=Source("g"),
        named=[NamedDirection("a", (1, 3), read[0], Curve(KNOTS, VALUES))],
    )  # fmt: skip
    moved = np.asarray(edits.apply(latents, own, [Edit("a", value=0.0)]), np.float64)
    coordinate = ((moved - found.latent_mean) * read[0])[:, 1:3].sum(2).mean(1)
    np.testing.assert_allclose(np.interp(coordinate, KNOTS, VALUES), 0.0, atol=1e-4)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ([Edit("no_curve", value=1.0)], "no curve"),
        ([Edit("early", (3, 5), value=1.0)], "does not move this value in these layers"),
        ([Edit("early", value=1.0), Edit("early", value=1.0)], "early and early cannot be set together"),
    ],
)
def test_values_that_cannot_be_set_are_refused(found, latents, chosen, message):
    with pytest.raises(InputError, match=f"--edit.*{message}"):
        edits.apply(latents, found, chosen)


def test_components_without_a_mean_or_names_set_no_value(found, latents):
    for changed in ({"latent_mean": None}, {"named": ()}):
        with pytest.raises(InputError, match="no mean|no curve"):
            edits.apply(latents, dataclasses.replace(found, **changed), [Edit(0, value=1.0)])
