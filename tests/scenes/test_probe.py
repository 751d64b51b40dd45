"""The probe: its codes, its loss and its figures say what they should, and the shipped one reads scenes."""

import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.files import checkpoints
from ganspace_jax.scenes import probe
from ganspace_jax.scenes import rendering as scenes

SHIPPED = pathlib.Path(__file__).parents[2] / "ganspace_jax" / "models" / "scenes-probe"
SMALL = probe.Config(resolution=8, channels=(8,), dense_width=16)
CUBE, SPHERE = scenes.SHAPES.index("cube"), scenes.SHAPES.index("sphere")


@pytest.fixture
def factors():
    """A few hundred scenes."""
    return scenes.sample_factors(jax.random.key(7), 300)


@pytest.mark.parametrize("name", scenes.CIRCULAR)
def test_circular_codes_repeat_after_a_period_and_not_before(factors, name):
    """Value and value + period are one angle; half a period further is the opposite one."""
    low, high = scenes.RANGES[name]
    values = getattr(factors, name)
    code = probe.encode_factor(name, values)
    np.testing.assert_allclose(probe.encode_factor(name, values + (high - low)), code, atol=1e-5)
    np.testing.assert_allclose(probe.encode_factor(name, values + 0.5 * (high - low)), -code, atol=1e-5)


@pytest.mark.parametrize("name", sorted(set(scenes.CONTINUOUS) - set(scenes.CIRCULAR)))
def test_linear_codes_reach_from_minus_one_to_one(name):
    """The ends of the range are the ends of the code."""
    code = probe.encode_factor(name, jnp.asarray(scenes.RANGES[name], jnp.float32))
    np.testing.assert_allclose(code[:, 0], [-1.0, 1.0], atol=1e-6)


def test_decoding_undoes_encoding(factors):
    """Every factor comes back, also when the (cos, sin) pairs have the wrong length."""
    outputs = probe.encode(factors)
    shorter = {name: 0.3 * c if name in scenes.CIRCULAR else c for name, c in outputs.codes.items()}
    decoded = probe.decode(outputs._replace(codes=shorter))
    for name, true, read in zip(scenes.Factors._fields, factors, decoded, strict=True):
        np.testing.assert_allclose(read, true, atol=1e-5, err_msg=name)


def test_accuracy_of_perfect_readings_is_one_and_of_shuffled_ones_is_not(factors):
    """R2 of another scene's factors is below zero, for circular ones too."""
    assert probe.accuracy(factors, factors) == pytest.approx(dict.fromkeys(scenes.Factors._fields, 1.0))
    shuffled = jax.tree.map(lambda x: jnp.roll(x, 1), factors)
    assert max(probe.accuracy(factors, shuffled).values()) < 0.4


def test_accuracy_of_circular_factors_knows_the_period(factors):
    """A reading a whole period off is right."""
    period = np.float32(scenes.RANGES["rotation"][1])
    read = factors._replace(rotation=factors.rotation + period, wall_hue=factors.wall_hue - 1.0)
    assert probe.accuracy(factors, read) == pytest.approx(dict.fromkeys(scenes.Factors._fields, 1.0), abs=1e-4)


@pytest.mark.parametrize(("shape", "counts"), [(SPHERE, False), (CUBE, True)])
def test_rotation_counts_only_where_it_shows(factors, shape, counts):
    """Turning the spheres' reading changes neither loss nor accuracy; turning the cubes' does."""
    turned = factors._replace(rotation=jnp.where(factors.shape == shape, factors.rotation + 0.5, factors.rotation))
    _, terms = probe.loss(probe.encode(turned), factors)
    assert (float(terms["rotation"]) > 0.1) == counts
    assert (probe.accuracy(factors, turned)["rotation"] < 0.9) == counts


def test_loss_is_the_unexplained_share_of_variance(factors):
    """Perfect codes cost nothing; the mean code costs about one in every factor."""
    perfect = probe.encode(factors)
    assert all(float(value) < 1e-6 for name, value in probe.loss(perfect, factors)[1].items() if name != "shape")
    mean = perfect._replace(codes=jax.tree.map(jnp.zeros_like, perfect.codes))
    _, terms = probe.loss(mean, factors)
    for name in scenes.CONTINUOUS:
        assert float(terms[name]) == pytest.approx(1.0, abs=0.2), name


def test_chunks_have_one_shape_and_do_not_show(factors):
    """Any number of rows gives one call shape, and the rows of an unchunked call."""
    shapes = set()

    def double(x):
        shapes.add(x.shape)
        return {"twice": 2 * x}

    for num_rows in (0, 1, 64, 65, 300):
        rows = factors.size[:num_rows]
        np.testing.assert_array_equal(probe.in_chunks(double, rows, size=64)["twice"], 2 * rows)
    assert shapes == {(64,)}


def test_training_learns_and_compiles_once():
    """A short training at 8x8 learns the colours; the second step runs the first one's program."""
    recipe = probe.Recipe(num_images=6400, batch_size=64, learning_rate=1e-2)
    traces = []

    def render(factors):
        traces.append(factors)
        return scenes.render(factors, resolution=SMALL.resolution, supersampling=1)

    definition, state = probe.init(probe.Probe(SMALL, key=jax.random.key(0)), recipe)
    terms = {}
    for _ in range(recipe.num_steps):
        state, terms = probe.update(definition, recipe, render, state, jax.random.key(1))
    assert len(traces) == 1
    assert float(terms["wall_hue"]) < 0.3
    assert float(terms["floor_hue"]) < 0.3


def test_saved_probe_comes_back_bit_equal(tmp_path):
    """Arrays, configuration and readings."""
    original = probe.split(probe.Probe(SMALL, key=jax.random.key(3)))
    probe.save(tmp_path / "probe", original)
    loaded = probe.load(tmp_path / "probe")
    assert loaded.merge().config == SMALL
    jax.tree.map(np.testing.assert_array_equal, loaded.params, original.params)
    pictures = jax.random.uniform(jax.random.key(4), (3, 8, 8, 3), minval=-1.0)
    jax.tree.map(
        np.testing.assert_array_equal, probe.read_factors(loaded, pictures), probe.read_factors(original, pictures)
    )


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"family": "stylegan2"}, "'stylegan2', not a probe"),
        ({"family": "probe", "colour": 1}, "colour"),
        ({"family": "probe", "resolution": 33}, "33 cannot be halved"),
    ],
)
def test_what_is_not_a_probe_is_refused(tmp_path, config, reason):
    """Another family, an unknown entry, a size that cannot be halved: the message says which directory and why."""
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(checkpoints.CheckpointError, match=f"{tmp_path.name}.*{reason}"):
        probe.load(tmp_path)


def test_images_of_another_size_are_refused():
    """The message says which size the probe reads."""
    reader = probe.split(probe.Probe(SMALL, key=jax.random.key(0)))
    with pytest.raises(InputError, match="8, 8, 3"):
        probe.read_factors(reader, np.zeros((2, 16, 16, 3), np.float32))


def test_shipped_probe_reads_fresh_scenes():
    """The figures of its model card hold on scenes that neither training nor the card has seen."""
    reader = probe.load(SHIPPED)
    true = scenes.sample_factors(jax.random.key(20_240_531), 512)
    read = probe.read_factors(reader, probe.render_scenes(true, resolution=32, supersampling=2))
    accuracy = probe.accuracy(true, read)
    assert accuracy.pop("shape") >= 0.98
    assert {name: value for name, value in accuracy.items() if value < 0.95} == {}
