"""The components file: earlier versions load, and changed arrays or fields are the same
components or one line.
"""

import dataclasses
import json

import jaxtyping
import numpy as np
import pytest

from ganspace_jax.directions import array_checks, component_tables, components, foreign_files
from ganspace_jax.directions.components import Components, Source
from ganspace_jax.errors import InputError
from ganspace_jax.sampling.layers import LayerSpec

KEYS = ("act_comp", "act_mean", "act_stdev", "lat_comp", "lat_mean", "lat_stdev", "var_ratio", "random_stdevs", "r2",
        "stability", "latent_uncertainty", "variance_error")  # fmt: skip
USED = KEYS[:6]  # the arrays that make images


@pytest.fixture(autouse=True)
def as_users_run():
    """Turns the annotations' checks off, which would refuse arrays before the checks
    that users have.
    """
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


def _components():
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.uniform(0.1, 0.9, shape).astype(np.float32)  # noqa: E731
    spec = LayerSpec("b8", "w", None, 0.7, 3)
    options = {**dataclasses.asdict(spec), "num_samples": 9, "seed": 4, "estimator": "exact"}
    source = Source("g", "0a1b", "decomposition", options, 9, 2, "float32", ("a sentence",))
    return Components(
        draw(3, 2, 2, 5), draw(2, 2, 5), draw(3), draw(3, 6), draw(6), draw(3), draw(3), draw(3), draw(3), draw(3), draw(3),
        draw(3), spec, source,
    )  # fmt: skip


@pytest.fixture
def arrays(tmp_path):
    components.save(tmp_path / "own.npz", _components())
    with np.load(tmp_path / "own.npz") as file:
        return dict(file)


def _without_checksum(arrays):
    return {name: array for name, array in arrays.items() if name != "checksum"}


def _assert_same(loaded):
    own = _components()
    assert (loaded.spec, loaded.source) == (own.spec, own.source)
    for name, value in vars(own).items():
        np.testing.assert_array_equal(getattr(loaded, name), value)


def test_files_without_a_checksum_load(tmp_path, arrays):
    np.savez(tmp_path / "old.npz", **_without_checksum(arrays))
    _assert_same(components.load(tmp_path / "old.npz"))


def test_files_from_before_the_latent_uncertainty_load_and_tell_it_as_unknown(tmp_path):
    own = _components()
    components.save(tmp_path / "new.npz", own)
    with np.load(tmp_path / "new.npz") as file:
        np.savez(tmp_path / "old.npz", **{n: a for n, a in file.items() if n not in ("latent_uncertainty", "checksum")})
    loaded = components.load(tmp_path / "old.npz")
    assert np.isnan(loaded.latent_uncertainty).all() and np.array_equal(loaded.stability, own.stability)
    assert all(row.count("unknown") == 1 for row in component_tables.table(loaded).splitlines()[1:])
    assert component_tables.summary(loaded)["components"][0]["latent_uncertainty_degrees"] is None


@pytest.mark.parametrize("name", KEYS)
def test_plausible_numbers_that_differ_from_the_checksum_are_refused(tmp_path, arrays, name):
    changed = np.where(arrays[name] == arrays[name].max(), np.float32(0.95), arrays[name])
    for files in ({**arrays, name: changed}, {**arrays, "checksum": arrays["checksum"][::-1]}):
        _assert_refused(tmp_path / "c.npz", files, "differs from its checksum, so it is damaged")
    np.savez(tmp_path / "c.npz", **_without_checksum({**arrays, name: changed}))
    components.load(tmp_path / "c.npz")


@pytest.mark.parametrize("name", ["act_mean", "lat_mean", "latent_uncertainty"])
def test_an_optional_array_that_is_gone_is_refused(tmp_path, arrays, name):
    del arrays[name]
    _assert_refused(tmp_path / "c.npz", arrays, "differs from its checksum")


def test_an_own_file_without_its_about_text_is_no_file_of_another_program(tmp_path, arrays):
    del arrays["about"]
    _assert_refused(tmp_path / "c.npz", arrays, "no array 'about'")


def _assert_refused(path, arrays, message=None):
    np.savez(path, **arrays)
    for load in (components.load, foreign_files.load_components):
        with pytest.raises(InputError, match=message) as caught:
            load(path)
        assert str(caught.value).startswith(f"{path}: ") and str(caught.value).isprintable()


def test_what_is_saved_comes_back(tmp_path):
    for layers in ((), (4,)):
        own = _components()
        shape = (*layers, 6)
        own = dataclasses.replace(
            own, latent_components=np.ones((3, *shape), np.float32), latent_mean=np.ones(shape, np.float32)
        )
        components.save(tmp_path / "c.npz", own)
        loaded = components.load(tmp_path / "c.npz")
        np.testing.assert_array_equal(loaded.latent_components, own.latent_components)
        np.testing.assert_array_equal(loaded.latent_mean, own.latent_mean)


def test_an_unknown_mean_stays_unknown_and_unknown_figures_are_never_nan(tmp_path):
    unknown = np.full(3, np.nan, np.float32)
    own = dataclasses.replace(
        _components(), latent_mean=None, activation_mean=None, variance_ratio=unknown, r2=unknown, stability=unknown
    )
    components.save(tmp_path / "c.npz", own)
    loaded = components.load(tmp_path / "c.npz")
    assert loaded.latent_mean is None and loaded.activation_mean is None
    assert json.loads(json.dumps(component_tables.summary(loaded), allow_nan=False))["components"][0]["r2"] is None
    assert "unknown" in component_tables.table(loaded) and "nan" not in component_tables.table(loaded)


@pytest.mark.parametrize("oldest", [False, True])
def test_files_of_the_flat_format_load(tmp_path, arrays, oldest):
    about = {
        "generator": "g", "fingerprint": "0a1b", "layer": "b8", "latent_space": "w", "seed": 4, "num_samples": 9,
        "label": None, "estimator": "exact", "truncation_psi": 0.7, "num_sweeps": 2, "compute_dtype": "float32",
    }  # fmt: skip
    if oldest:
        for name in ("truncation_psi", "num_sweeps", "compute_dtype"):
            del about[name]
    np.savez(tmp_path / "old.npz", **_without_checksum({**arrays, "about": np.array(json.dumps(about))}))
    loaded = foreign_files.load_components(tmp_path / "old.npz")
    assert loaded.spec == LayerSpec("b8", "w", None, 1.0 if oldest else 0.7)
    assert (loaded.source.generator, loaded.source.fingerprint, loaded.source.method) == ("g", "0a1b", "decomposition")
    assert (loaded.source.seed, loaded.source.estimator, loaded.source.num_samples) == (4, "exact", 9)
    assert loaded.source.num_sweeps == (1 if oldest else 2)
    np.testing.assert_array_equal(loaded.latent_components, _components().latent_components)


@pytest.mark.parametrize("name", KEYS)
def test_changes_that_keep_the_numbers_load_the_same(tmp_path, arrays, name):
    for change in (lambda x: x.astype(np.float64), lambda x: x.astype(">f4"), np.asfortranarray):
        np.savez(tmp_path / "c.npz", **{**arrays, name: change(arrays[name]), "extra": np.zeros(2)})
        _assert_same(components.load(tmp_path / "c.npz"))


CHANGES = {
    "integers": lambda x: x.astype(np.int32),
    "half": lambda x: x.astype(np.float16),
    "complex": lambda x: x.astype(np.complex64),
    "bool": lambda x: x > 0,
    "text": lambda x: x.astype(str),
    "empty": lambda x: x[:0],
    "no numbers": lambda x: x[..., :0],
    "scalar": lambda x: np.float32(1.0),
    "one more row": lambda x: np.concatenate([x, x[:1]]),
    "flat": lambda x: x[None, ...].reshape(1, -1),
    "one more axis": lambda x: x[..., None],
    "infinity": lambda x: np.where(x == x.max(), np.inf, x).astype(np.float32),
    "1e30": lambda x: np.where(x == x.max(), 1e30, x).astype(np.float32),
    "1e300": lambda x: np.where(x == x.max(), 1e300, x.astype(np.float64)),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", KEYS)
def test_a_changed_array_is_refused(tmp_path, arrays, name, change):
    changed = CHANGES[change](arrays[name])
    if name == "lat_mean" and change == "flat":
        return  # a mean is one row
    _assert_refused(tmp_path / "c.npz", {**arrays, name: changed}, "not a components file")


@pytest.mark.parametrize("name", USED)
def test_nan_is_refused_in_the_arrays_that_make_images(tmp_path, arrays, name):
    changed = np.where(arrays[name] == arrays[name].max(), np.nan, arrays[name]).astype(np.float32)
    _assert_refused(tmp_path / "c.npz", {**arrays, name: changed}, "NaN")


@pytest.mark.parametrize("name", [key for key in (*KEYS, "about") if not key.endswith(("_mean", "_uncertainty"))])
def test_a_missing_array_is_refused(tmp_path, arrays, name):
    del arrays[name]
    np.savez(tmp_path / "c.npz", **arrays)
    with pytest.raises(InputError, match=f"no array '{name}'"):
        components.load(tmp_path / "c.npz")


@pytest.mark.parametrize("name", ["act_stdev", "lat_stdev"])
def test_negative_standard_deviations_are_refused(tmp_path, arrays, name):
    _assert_refused(tmp_path / "c.npz", {**arrays, name: -arrays[name]}, "negative")


def test_the_largest_number_still_makes_finite_images():
    """The bound's reason: the square of the longest step is a float32 number."""
    assert np.finfo(np.float32).max > (1e4 * array_checks.MAX_NUMBER**2) ** 2


VALUES = (None, True, -1, 1.5, 2**70, float("nan"), float("inf"), "x", "a\x1b[31mb", "a\nb", "", [], [1], ["\x00"], {})
ALLOWED = {  # values of the same type, which no program can tell from the right ones
    "generator": ("x", ""), "fingerprint": ("x", ""), "method": ("x", ""), "compute_dtype": ("x", ""),
    "options": ({},), "num_samples": (2**70,), "num_sweeps": (2**70,), "assumptions": ([],),
    "layer": (None, "x", ""), "latent_space": (None,), "label": (None, -1, 2**70, "x", ""), "truncation_psi": (),
    "truncation_cutoff": (None, -1, 2**70),
}  # fmt: skip


@pytest.mark.parametrize("field", ALLOWED)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_changed_field_of_another_type_is_refused(tmp_path, arrays, field, value):
    about = json.loads(str(arrays["about"]))
    part = "source" if field in about["source"] else "spec"
    about[part][field] = value
    path = tmp_path / "c.npz"
    changed = {**arrays, "about": np.array(json.dumps(about))}
    if (field, value) == ("label", None):  # the value that it has
        np.savez(path, **changed)
        _assert_same(components.load(path))
    elif any(type(value) is type(one) and value == one for one in ALLOWED[field]):
        _assert_refused(path, changed, "differs from its checksum")
        np.savez(path, **_without_checksum(changed))
        components.load(path)
    else:
        _assert_refused(path, _without_checksum(changed))


@pytest.mark.parametrize("part", ["source", "spec"])
def test_missing_and_extra_fields_are_refused(tmp_path, arrays, part):
    about = json.loads(str(arrays["about"]))
    for name in about[part]:
        shorter = {**about, part: {key: value for key, value in about[part].items() if key != name}}
        _assert_refused(tmp_path / "c.npz", {**arrays, "about": np.array(json.dumps(shorter))}, f"{name} is missing")
    longer = {**about, part: {**about[part], "a\x1b[2J": 1}}
    _assert_refused(tmp_path / "c.npz", {**arrays, "about": np.array(json.dumps(longer))})


@pytest.mark.parametrize("text", ["", "{", "3", "null", "[]", '{"spec": 1}', '{"spec": {}, "source": 1}', "[" * 5000])
def test_an_about_that_is_no_record_is_refused(tmp_path, arrays, text):
    _assert_refused(tmp_path / "c.npz", {**arrays, "about": np.array([text])})
