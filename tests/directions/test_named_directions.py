"""Named directions come back from a components file, and damaged ones are refused by
name.
"""

import dataclasses
import json

import jaxtyping
import numpy as np
import pytest

from ganspace_jax.directions import component_tables, components, foreign_files, latent_directions, named_directions
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.directions.random_directions import random_like
from ganspace_jax.directions.sources import Source
from ganspace_jax.errors import InputError
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.statistics.monotone_curves import Curve


@pytest.fixture(autouse=True)
def as_users_run():
    """Turns the annotations' checks off, which would refuse arrays before the checks
    that users have.
    """
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def _curve(*values):
    return Curve(np.arange(len(values), dtype=np.float32), np.array(values, np.float32))


READ = np.linspace(-1.0, 1.0, 6, dtype=np.float32)
NAMED = (
    NamedDirection("light_intensity", (0, 2), READ, _curve(-1.0, 0.5, 0.5, 3.0), "factor"),
    NamedDirection("object-hue", None, -READ, None, "turns", 1.0),
    NamedDirection("zoom", (1, 2)),
    NamedDirection("depth", None, 2 * READ, _curve(0.0, 1.0)),
)


def _components(named=NAMED, *, layers=()):
    move = np.random.default_rng(0).standard_normal((4, *layers, 6))
    return latent_directions.of_directions(
        move, np.arange(1.0, 5.0), np.zeros(6), spec=LayerSpec("w", "w"), source=Source("g"), named=named
    )


@pytest.fixture
def arrays(tmp_path):
    components.save(tmp_path / "own.npz", _components())
    with np.load(tmp_path / "own.npz") as file:
        return dict(file)


def _assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        plain = {"read": None, "curve": None}
        assert one._replace(**plain) == other._replace(**plain)
        for array, wanted in ((one.read, other.read), *zip(one.curve or (None,), other.curve or (None,), strict=True)):
            assert (array is None) is (wanted is None)
            np.testing.assert_array_equal(array, wanted)


@pytest.mark.parametrize("layers", [(), (3,)])
@pytest.mark.parametrize("per_layer", [False, True])
def test_what_is_saved_comes_back(tmp_path, layers, per_layer):
    named = NAMED
    if per_layer and layers:
        named = tuple(one._replace(read=None if one.read is None else np.tile(one.read, (3, 1))) for one in NAMED)
    own = _components(named, layers=layers)
    components.save(tmp_path / "c.npz", own)
    for load in (components.load, foreign_files.load_components):
        loaded = load(tmp_path / "c.npz")
        _assert_same(loaded.named, named)
        np.testing.assert_array_equal(loaded.latent_components, own.latent_components)


def test_files_without_names_are_those_of_earlier_versions(tmp_path, arrays):
    plain = _components(())
    components.save(tmp_path / "c.npz", plain)
    with np.load(tmp_path / "c.npz") as file:
        assert set(arrays) - set(file) == set(named_directions.ARRAYS)
        assert set(json.loads(str(file["about"]))) == {"spec", "source"}
    assert components.load(tmp_path / "c.npz").named == ()


def _assert_refused(path, arrays, message):
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=message) as caught:
        components.load(path)
    assert str(caught.value).startswith(f"{path}: ") and str(caught.value).isprintable()


CHANGES = {
    "integers": lambda x: np.nan_to_num(x).astype(np.int32),
    "text": lambda x: x.astype(str),
    "empty": lambda x: x[:0],
    "one row": lambda x: x[0],
    "one more row": lambda x: np.concatenate([x, x[:1]]),
    "one more column": lambda x: np.concatenate([x, x[:, :1]], axis=1),
    "two more axes": lambda x: x[:, :, None, None],
    "infinity": lambda x: np.where(x == np.nanmax(x), np.inf, x).astype(np.float32),
    "1e30": lambda x: np.where(x == np.nanmax(x), 1e30, x).astype(np.float32),
    "a hole": lambda x: np.concatenate([np.full_like(x[:, :1], np.nan), x[:, 1:]], axis=1),
}


@pytest.mark.parametrize("name", named_directions.ARRAYS)
@pytest.mark.parametrize("change", CHANGES)
def test_a_damaged_array_is_refused_by_name(tmp_path, arrays, name, change):
    """The checksum is left out, so that each check stands for itself."""
    del arrays["checksum"]
    message = name if change != "one more column" or name != "curve_values" else "curve_knots"
    _assert_refused(tmp_path / "c.npz", {**arrays, name: CHANGES[change](arrays[name])}, message)


@pytest.mark.parametrize("name", named_directions.ARRAYS)
def test_plausible_numbers_that_differ_from_the_checksum_are_refused(tmp_path, arrays, name):
    _assert_refused(tmp_path / "c.npz", {**arrays, name: arrays[name] * np.float32(1.5)}, "differs from its checksum")
    _assert_refused(tmp_path / "c.npz", {key: arrays[key] for key in arrays if key != name}, "checksum|knots|values")


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        *(("name", value) for value in (None, 3, "", "v3", "3x", "a b", "a=b", "a\x1b[31m", "x" * 81, "zoom")),
        *(("layers", value) for value in (3, [1], [0, 1.5], [True, 2], [2, 2], [-1, 2], [3, 1], ["0", "1"])),
        *(("unit", value) for value in (None, 3, "a\nb")),
        *(("period", value) for value in ("1", True, 0, -1.0, float("nan"), float("inf"))),
    ],
)
def test_a_changed_entry_is_refused(tmp_path, arrays, entry, value):
    about = json.loads(str(arrays["about"]))
    about["named"][0][entry] = value
    del arrays["checksum"]
    _assert_refused(tmp_path / "c.npz", {**arrays, "about": np.array(json.dumps(about))}, "not a components file")


@pytest.mark.parametrize("named", [None, 3, {}, [], [3], [{}], [{"name": "a"}]])
def test_a_list_of_names_of_another_kind_is_refused(tmp_path, arrays, named):
    about = {**json.loads(str(arrays["about"])), "named": named}
    del arrays["checksum"]
    _assert_refused(tmp_path / "c.npz", {**arrays, "about": np.array(json.dumps(about))}, "not a components file")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"curve": _curve(1.0)}, "curve_knots"),
        ({"curve": _curve(1.0, 0.0)}, "curve_values"),
        ({"curve": Curve(np.zeros(2), np.arange(2.0))}, "curve_knots"),
        ({"curve": _curve(0.0, 1.0), "read": None}, "no read-out"),
        ({"read": np.ones(5, np.float32)}, "readouts"),
        ({"layers": (0, 4)}, "layers"),
    ],
)
def test_named_directions_that_do_not_fit_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        _components((NAMED[0]._replace(**changed), *NAMED[1:]), layers=(3,))


def test_as_many_names_as_components():
    with pytest.raises(ValueError, match="there are 4 components"):
        _components(NAMED[:3])


def test_tables_show_the_names():
    lines = component_tables.table(_components()).splitlines()
    for line, one, layers in zip(lines[1:], NAMED, ("0-1", "all", "1-1", "all"), strict=True):
        assert line.split()[1:3] == [one.name, layers]
    assert "name" not in component_tables.table(_components(()))
    rows = json.loads(json.dumps(component_tables.summary(_components()), allow_nan=False))["components"]
    assert [row["name"] for row in rows] == [one.name for one in NAMED]
    assert (rows[0]["layers"], rows[1]["period"]) == ([0, 2], 1.0)


@pytest.mark.parametrize("text", ["Light intensity", "v3", "3x", "", "ganspace:smile", "äöü", "x" * 300, "=", "a-b_c2"])
def test_any_text_gives_a_name_that_is_free(text):
    name = named_directions.identifier(text)
    second = named_directions.identifier(text, [name])
    named_directions.check([NamedDirection(name), NamedDirection(second)], np.zeros((2, 3)))
    assert named_directions.identifier("Light intensity") == "Light_intensity"
    assert named_directions.identifier(name) == name


def test_random_directions_move_the_same_layers():
    random = random_like(_components(), seed=0)
    components.check_arrays(random)
    assert [one.layers for one in random.named] == [one.layers for one in NAMED]
    assert all(one.read is None and one.name.startswith("random") for one in random.named)


def test_directions_alone_are_components_of_the_latent_space():
    found = _components()
    assert found.spec.is_latent and np.isnan(found.variance_ratio).all() and len(found) == 4
    assert found.latent_components.dtype == np.float32
    one_mean = _components(layers=(3,))
    assert one_mean.latent_mean is not None and one_mean.latent_mean.shape == (3, 6)
    without = dataclasses.replace(found, latent_mean=None, activation_mean=None)
    components.check_arrays(without)
