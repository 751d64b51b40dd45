"""The directions in bare arrays, in every form in which programs save them."""

import re

import ml_dtypes
import numpy as np
import pytest

from ganspace_jax.directions import direction_arrays
from ganspace_jax.directions.direction_arrays import Latents

LATENTS = Latents("w", 5, {"z": 6, "w": 6})
Z_ONLY = Latents("z", 1, {"z": 6})


def _draw(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((6,), (1, 6)), ((1, 6), (1, 6)), ((1, 1, 6), (1, 6)), ((5, 6), (1, 5, 6)), ((1, 5, 6), (1, 5, 6)),
        ((1, 1, 5, 6), (1, 5, 6)), ((4, 6), (4, 6)), ((6, 6), (6, 6)), ((4, 1, 6), (4, 6)), ((5, 1, 6), (5, 6)),
        ((3, 5, 6), (3, 5, 6)), ((3, 1, 5, 6), (3, 5, 6)), ((6, 1), (1, 6)), ((1, 6, 1), (1, 6)),
        ((4, 6, 1, 1), (4, 6)),
    ],
)  # fmt: skip
def test_the_generators_layers_tell_rows_from_directions(shape, expected):
    array = _draw(*shape)
    np.testing.assert_array_equal(direction_arrays.find(array, LATENTS).array, array.reshape(expected))


def test_without_w_all_rows_are_directions_and_without_a_generator_none():
    rows = _draw(5, 6)
    np.testing.assert_array_equal(direction_arrays.find(rows, Z_ONLY).array, rows)
    np.testing.assert_array_equal(direction_arrays.find(rows).array, rows[None])


@pytest.mark.parametrize("kind", [np.float16, ml_dtypes.bfloat16, np.int64, np.int8])
def test_narrow_and_whole_numbers_become_float32(kind):
    array = np.arange(6).astype(kind)
    for content in (array, {"age": array}, [array]):
        found = direction_arrays.find(content, LATENTS).array
        assert found.dtype == np.float32 and found.tolist() == [[0, 1, 2, 3, 4, 5]]


def test_lists_are_arrays():
    rows = _draw(4, 6)
    for content in (list(rows), tuple(rows), rows.tolist(), [row[None] for row in rows]):
        np.testing.assert_array_equal(direction_arrays.find(content, LATENTS).array, rows)
    np.testing.assert_array_equal(direction_arrays.find(rows[0].tolist(), LATENTS).array, rows[:1])
    np.testing.assert_array_equal(direction_arrays.find(list(_draw(5, 6)), LATENTS).array, _draw(1, 5, 6))
    by_layer = _draw(3, 5, 6)
    np.testing.assert_array_equal(direction_arrays.find(list(by_layer), LATENTS).array, by_layer)


@pytest.mark.parametrize("name", ["mean", "W_avg", "center", "eigenvalues", "latent_mean"])
def test_a_mean_or_eigenvalues_beside_a_direction_are_not_directions(name):
    direction, other = _draw(2, 6)
    found = direction_arrays.find({"age": direction, name: other}, LATENTS)
    np.testing.assert_array_equal(found.array, [direction])
    assert found.names == () and found.unused == (name,)
    np.testing.assert_array_equal(direction_arrays.find({name: other}, LATENTS).array, [other])


def test_several_names_are_directions_in_the_files_order():
    young, age, smile = _draw(3, 6)
    content = {"young": young, "age.npy": age[None], "smile": smile[None, None], "note": "by hand", "bias": np.ones(1)}
    found = direction_arrays.find(content, LATENTS)
    np.testing.assert_array_equal(found.array, [young, age, smile])
    assert found.names == ("young", "age", "smile")
    by_layer = _draw(5, 6)
    inner = direction_arrays.find({"edits": {"young": young.tolist(), "age": age}, "version": 2}, LATENTS)
    np.testing.assert_array_equal(inner.array, [young, age])
    mixed = direction_arrays.find({"young": young, "age": by_layer}, LATENTS)
    np.testing.assert_array_equal(mixed.array, [np.tile(young, (5, 1)), by_layer])


STYLES = [_draw(1, width) for width in (8, 8, 4)]
REFUSED = {
    "styles": (STYLES, "3 arrays of shapes (1, 8), (1, 4): StyleSpace's and StyleCLIP's arrays of styles"),
    "names and styles": ([["b4", "b8", "b8"], STYLES], "lists of arrays: StyleSpace's"),
    "means and stdevs of styles": ([STYLES, STYLES], "lists of arrays: StyleSpace's"),
    "names alone": (["age", "smile"], "a list of str; must hold one array"),
    "nothing": ([], "a list of nothing"),
    "channel effects": (_draw(600, 512), "600 rows of 512 numbers, shape (600, 512), but there are at most 512"),
    "wrong width": (_draw(4, 7), "4 rows of 7 numbers, shape (4, 7), but this generator's z has 6 and w has 6"),
    "mapper": ({"state_dict": {"mapper.course_mapping.weight": _draw(2, 2)}, "opts": {}}, "StyleCLIP's latent mapper"),
    "network": ({"linear.weight": _draw(6, 6), "linear.bias": _draw(6)}, "it holds linear.weight, linear.bias; must"),
    "text": (np.array(["a"]), "it holds <U1; must hold"),
    "no numbers": (_draw(0, 6), "an array of shape (0, 6)"),
    "a number": (np.array(1.0), "an array of shape ()"),
    "too many axes": (_draw(2, 3, 5, 6), "an array of shape (2, 3, 5, 6)"),
    "two widths": ({"age": _draw(6), "smile": _draw(7)}, "it holds age (6,), smile (7,); several names must hold one"),
    "two latents": ({"z": _draw(3, 6), "w": _draw(3, 6)}, "it holds z (3, 6), w (3, 6); several names must hold one"),
    "no arrays": ({"opts": "x"}, "it holds opts; must hold"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_holds_no_directions_is_refused_by_name(kind):
    content, message = REFUSED[kind]
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        direction_arrays.find(content, LATENTS)
    assert len(str(error.value)) < 300


def test_channel_effects_are_named_where_the_width_is_clips():
    for rows, is_named in ((_draw(24, 512), True), (_draw(128, 33), False)):
        with pytest.raises(ValueError, match=re.escape(str(rows.shape))) as error:
            direction_arrays.find(rows, LATENTS)
        assert ("StyleCLIP's channel effects (fs3)" in str(error.value)) == is_named


def test_one_direction_of_very_many_layers_does_not_multiply_the_others():
    many = {f"n{index}": np.ones(2, np.float32) for index in range(3)}
    assert direction_arrays.find({"big": np.ones((26, 2), np.float32), **many}).array.shape == (4, 26, 2)
    with pytest.raises(ValueError, match="a direction of 5,000 layers beside others; networks have up to 100"):
        direction_arrays.find({"big": np.ones((5000, 2), np.float32), **many})
