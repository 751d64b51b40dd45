"""The probe: its codes, its files and its scorer; the shipped probe reads scenes."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.files import checkpoints
from ganspace_jax.measures import scorers
from ganspace_jax.sampling import reading_network
from ganspace_jax.scenes import probe, probe_training
from ganspace_jax.scenes.factors import CIRCULAR, CONTINUOUS, RANGES, SHAPES, Factors, sample_factors, shows_rotation
from ganspace_jax.scenes.rendering import render_in_chunks

SHIPPED = pathlib.Path(__file__).parents[2] / "ganspace_jax" / "models" / "scenes-probe"
SMALL = probe.Config(resolution=8, channels=(8,), dense_width=16)


@pytest.fixture
def factors():
    """A few hundred scenes."""
    return sample_factors(jax.random.key(7), 300)


@pytest.fixture(scope="module")
def reader():
    """A small probe with random weights."""
    return reading_network.split(probe.Network(SMALL, key=jax.random.key(3)))


@pytest.mark.parametrize("name", CIRCULAR)
def test_circular_codes_repeat_after_a_period_and_not_before(factors, name):
    """Value and value + period are one angle; half a period further is the opposite
    one.
    """
    low, high = RANGES[name]
    values = getattr(factors, name)
    code = probe.encode_factor(name, values)
    np.testing.assert_allclose(probe.encode_factor(name, values + (high - low)), code, atol=1e-5)
    np.testing.assert_allclose(probe.encode_factor(name, values + 0.5 * (high - low)), -code, atol=1e-5)


@pytest.mark.parametrize("name", sorted(set(CONTINUOUS) - set(CIRCULAR)))
def test_linear_codes_reach_from_minus_one_to_one(name):
    """The ends of the range are the ends of the code."""
    code = probe.encode_factor(name, jnp.asarray(RANGES[name], jnp.float32))
    np.testing.assert_allclose(code[:, 0], [-1.0, 1.0], atol=1e-6)


def test_decoding_undoes_encoding(factors):
    """Every factor comes back, also when the (cos, sin) pairs have the wrong length."""
    outputs = probe.encode(factors)
    shorter = {name: 0.3 * c if name in CIRCULAR else c for name, c in outputs.codes.items()}
    decoded = probe.decode(outputs._replace(codes=shorter))
    for name, true, read in zip(Factors._fields, factors, decoded, strict=True):
        np.testing.assert_allclose(read, true, atol=1e-5, err_msg=name)


def test_saved_probe_comes_back_bit_equal(tmp_path, reader):
    """Arrays, configuration and readings."""
    probe.save(tmp_path / "probe", reader)
    loaded = probe.load(tmp_path / "probe")
    assert loaded.config == loaded.network().config == SMALL
    jax.tree.map(np.testing.assert_array_equal, loaded.params, reader.params)
    images = jax.random.uniform(jax.random.key(4), (3, 8, 8, 3), minval=-1.0)
    jax.tree.map(np.testing.assert_array_equal, probe.read_factors(loaded, images), probe.read_factors(reader, images))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"family": "stylegan2"}, "'stylegan2', not a probe"),
        ({"family": "probe", "colour": 1}, "colour"),
        ({"family": "probe", "resolution": 33}, "33 cannot be halved"),
    ],
)
def test_what_is_not_a_probe_is_refused(tmp_path, config, reason):
    """Another family, an unknown entry, a size that cannot be halved: the message names
    the directory and the reason.
    """
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(checkpoints.CheckpointError, match=f"{tmp_path.name}.*{reason}"):
        probe.load(tmp_path)


def test_images_of_another_size_are_refused(reader):
    """The message names the shape found and the shape required."""
    with pytest.raises(InputError, match=r"\[2, 16, 16, 3\].* \[n, 8, 8, 3\]"):
        probe.read_factors(reader, np.zeros((2, 16, 16, 3), np.float32))


def test_the_scorer_reads_what_the_probe_reads(reader):
    """The columns are the factors, the rotation only where it shows."""
    images = jax.random.uniform(jax.random.key(5), (40, 8, 8, 3), minval=-1.0)
    scorer, factors = probe.scorer(reader), probe.read_factors(reader, images)
    values = scorer.read(images)
    assert scorer.names == ("shape", *CONTINUOUS) and scorer.categories == ("shape",)
    assert {name: period for name, period in zip(scorer.names, scorer.periods, strict=True) if period} == {
        name: RANGES[name][1] for name in CIRCULAR
    }
    hidden = ~np.asarray(shows_rotation(factors.shape))
    for name, column in zip(scorer.names, values.T, strict=True):
        seen = ~hidden if name == "rotation" else np.full(len(images), True)
        np.testing.assert_array_equal(np.isnan(column), ~seen)
        np.testing.assert_array_equal(column[seen], np.asarray(getattr(factors, name))[seen])


def test_the_rotation_is_a_value_only_of_shapes_that_show_it(factors):
    values = probe.factor_values(factors)
    rotation = values[:, 1 + CONTINUOUS.index("rotation")]
    hidden = np.isin(np.asarray(SHAPES)[np.asarray(factors.shape)], ("sphere", "cylinder", "cone"))
    assert 0 < hidden.sum() < len(hidden)
    np.testing.assert_array_equal(np.isnan(rotation), hidden)
    assert np.isnan(values).sum() == hidden.sum()


def test_the_scales_are_the_standard_deviations_of_the_factors(reader):
    values = probe.factor_values(sample_factors(jax.random.key(8), 20_000))
    np.testing.assert_allclose(np.nanstd(values[:, 1:], axis=0), probe.scorer(reader).scales[1:], rtol=0.02)


def _change(name, before, after):
    """The change of one factor in each image by its definition, one factor
    at a time.
    """
    if name == "shape":
        return (np.asarray(before.shape) != np.asarray(after.shape)).astype(np.float64)
    low, high = RANGES[name]
    difference = np.asarray(getattr(after, name), np.float64) - np.asarray(getattr(before, name), np.float64)
    if name in CIRCULAR:
        difference = (difference + (high - low) / 2) % (high - low) - (high - low) / 2
    if name == "rotation":
        difference = np.where(shows_rotation(before.shape) & shows_rotation(after.shape), difference, np.nan)
    return difference / ((high - low) / np.sqrt(12.0))


def test_changes_of_the_scorer_are_exactly_those_of_the_factors(factors, reader):
    after = sample_factors(jax.random.key(9), 300)
    expected = np.stack([_change(name, factors, after) for name in ("shape", *CONTINUOUS)], axis=1)
    found = scorers.changes(probe.scorer(reader), probe.factor_values(factors), probe.factor_values(after))
    assert found.shape == (300, 11) and np.isnan(found).any()
    np.testing.assert_array_equal(found, expected)


def test_shipped_probe_reads_fresh_scenes():
    """The figures of its model card hold on scenes that neither training nor the card
    used.
    """
    shipped = probe.load(SHIPPED)
    true = sample_factors(jax.random.key(20_240_531), 512)
    read = probe.read_factors(shipped, render_in_chunks(true, resolution=32, supersampling=2))
    accuracy = probe_training.accuracy(true, read)
    assert accuracy.pop("shape") >= 0.98
    assert {name: value for name, value in accuracy.items() if value < 0.95} == {}
