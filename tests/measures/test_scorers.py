"""Scorers: changes against their definition, with an invented scorer."""

import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.measures import scorers
from ganspace_jax.measures.scorers import Scorer

NAMES = ("kind", "width", "angle")
SCORER = Scorer(NAMES, np.array([1.0, 0.5, 45.0]), (None, None, 90.0), ("kind",), lambda images: np.zeros((0, 3)))


def _changes(before, after):
    return scorers.changes(SCORER, np.array(before, np.float64), np.array(after, np.float64))


def test_a_change_is_in_standard_deviations():
    np.testing.assert_array_equal(_changes([[0, 1.0, 10.0]], [[0, 1.25, 55.0 - 9.0]]), [[0.0, 0.5, 0.8]])


@pytest.mark.parametrize(
    ("before", "after", "way"), [(80.0, 10.0, 20.0), (10.0, 80.0, -20.0), (0.0, 180.0, 0.0), (5.0, 49.0, 44.0)]
)
def test_circular_values_go_the_shorter_way(before, after, way):
    np.testing.assert_allclose(_changes([[0, 0, before]], [[0, 0, after]])[0, 2], way / 45.0)


def test_a_category_changes_by_one_whatever_the_distance():
    found = _changes([[0, 0, 0], [0, 0, 0], [5, 0, 0]], [[1, 0, 0], [5, 0, 0], [5, 0, 0]])
    np.testing.assert_array_equal(found[:, 0], [1.0, 1.0, 0.0])


@pytest.mark.parametrize("column", [0, 1, 2])
def test_nan_on_either_side_stays_nan(column):
    with_nan = np.array([[1.0, 2.0, 3.0]])
    with_nan[0, column] = np.nan
    for found in (_changes(with_nan, [[0, 0, 0]]), _changes([[0, 0, 0]], with_nan), _changes(with_nan, with_nan)):
        np.testing.assert_array_equal(np.isnan(found[0]), np.arange(3) == column)


IMAGES = np.random.default_rng(0).uniform(-1, 1, (20, 3, 4, 3)).astype(np.float32)


def _fit(read, **settings):
    return scorers.fit(read, IMAGES, **settings)


def test_a_dict_of_arrays_gives_names_and_standard_deviations():
    def read(images):
        red = images[..., 0].mean((1, 2))
        return {"red": red, "pair": np.stack([2 * red, -3 * red], 1), "row": images[:, :1, 0, 0]}

    scorer = _fit(read)
    assert scorer.names == ("red", "pair_0", "pair_1", "row") and scorer.periods == (None,) * 4
    red = IMAGES[..., 0].mean((1, 2), dtype=np.float64)
    np.testing.assert_allclose(scorer.scales[:3], red.std() * np.array([1, 2, 3]), rtol=1e-5)
    np.testing.assert_allclose(scorer.read(IMAGES[3:5])[:, 1], 2 * red[3:5], rtol=1e-5)


def test_an_array_alone_has_a_name():
    assert _fit(lambda images: images.mean((1, 2, 3))).names == ("value",)
    assert _fit(lambda images: images[:, 0, 0]).names == ("value_0", "value_1", "value_2")


def test_what_does_not_vary_or_show_is_left_out():
    number = np.arange(20.0)
    values = {"constant": number * 0 + 0.1, "hidden": number * np.nan, "once": np.where(number == 3, number, np.nan)}
    scorer = _fit(lambda images: {"number": number[: len(images)], **{n: v[: len(images)] for n, v in values.items()}})
    assert scorer.names == ("number",) and scorer.left_out == ("constant", "hidden", "once")
    assert scorer.read(IMAGES[:2]).tolist() == [[0.0], [1.0]]
    with pytest.raises(InputError, match="none of 1 values varies over 20 reference images"):
        _fit(lambda images: np.ones(len(images)))


def test_images_that_show_no_value_do_not_count():
    number = np.arange(20.0)
    shown = np.where(number < 10, number, np.where(number < 15, np.nan, np.inf))
    scorer = _fit(lambda images: shown[: len(images)])
    np.testing.assert_allclose(scorer.scales, np.arange(10).std())
    assert np.isnan(scorer.read(IMAGES)[10:]).all()


def test_the_deviation_of_a_circular_value_is_about_its_circular_mean():
    number = np.tile([350.0, 10.0], 10)
    scorer = _fit(lambda images: {"angle": number[: len(images)]}, periods={"angle": 360.0})
    np.testing.assert_allclose(scorer.scales, 10.0)
    uniform = (np.arange(20.0) * 18 + 5) % 360
    scorer = _fit(lambda images: {"angle": uniform[: len(images)]}, periods={"angle": 360.0})
    np.testing.assert_allclose(scorer.scales, 360 / np.sqrt(12), rtol=0.01)  # as the probe's scales


def test_a_category_stays_even_if_no_reference_image_changes_it():
    scorer = _fit(lambda images: {"kind": np.ones(len(images)), "x": images[:, 0, 0, 0]}, categories=["kind"])
    assert scorer.names == ("kind", "x") and scorer.categories == ("kind",)
    assert scorers.changes(scorer, np.array([[1.0, 0.0]]), np.array([[3.0, 0.0]])).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda images: None, "value: has NoneType; must be numbers"),
        (lambda images: {"text": ["a"] * len(images)}, "text: has list; must be numbers"),
        (lambda images: {"short": images[:3, 0, 0, 0]}, r"short: has shape \[3\]; must be numbers of shape \[20\]"),
        (lambda images: images, r"value: has shape \[20, 3, 4, 3\]"),
        (lambda images: {"a": images[:, 0, 0], "a_1": images[:, 0, 0, 0]}, "a_1: names two values"),
        (lambda images: {"ragged": [[1], [1, 2]]}, "ragged: has list"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused(read, message):
    with pytest.raises(InputError, match="^mine: " + message):
        _fit(read, subject="mine")


def test_a_name_that_goes_missing_is_refused():
    scorer = _fit(lambda images: {"x" if len(images) == 20 else "y": images[:, 0, 0, 0]})
    with pytest.raises(InputError, match="returned 'x' once"):
        scorer.read(IMAGES[:2])
