"""Training of the probe: the loss, the accuracy, and a short run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.sampling import reading_network, reading_training
from ganspace_jax.scenes import probe, probe_training, rendering
from ganspace_jax.scenes.factors import CONTINUOUS, RANGES, SHAPES, Factors, sample_factors

SMALL = probe.Config(resolution=8, channels=(8,), dense_width=16)
CUBE, SPHERE = SHAPES.index("cube"), SHAPES.index("sphere")


@pytest.fixture
def factors():
    """A few hundred scenes."""
    return sample_factors(jax.random.key(7), 300)


def test_accuracy_of_perfect_readings_is_one_and_of_shuffled_ones_is_not(factors):
    """R2 of another scene's factors is below zero, for circular ones too."""
    perfect = dict.fromkeys(Factors._fields, 1.0)
    assert probe_training.accuracy(factors, factors) == pytest.approx(perfect)
    shuffled = jax.tree.map(lambda x: jnp.roll(x, 1), factors)
    assert max(probe_training.accuracy(factors, shuffled).values()) < 0.4


def test_accuracy_of_circular_factors_has_the_period(factors):
    """A reading a whole period off is right."""
    period = np.float32(RANGES["rotation"][1])
    read = factors._replace(rotation=factors.rotation + period, wall_hue=factors.wall_hue - 1.0)
    perfect = dict.fromkeys(Factors._fields, 1.0)
    assert probe_training.accuracy(factors, read) == pytest.approx(perfect, abs=1e-4)


@pytest.mark.parametrize(("shape", "counts"), [(SPHERE, False), (CUBE, True)])
def test_rotation_counts_only_where_it_shows(factors, shape, counts):
    """A wrong rotation of spheres changes neither loss nor accuracy; a wrong rotation
    of cubes does.
    """
    turned = factors._replace(rotation=jnp.where(factors.shape == shape, factors.rotation + 0.5, factors.rotation))
    _, terms = probe_training.loss(probe.encode(turned), factors)
    assert (float(terms["rotation"]) > 0.1) == counts
    assert (probe_training.accuracy(factors, turned)["rotation"] < 0.9) == counts


def test_loss_is_the_unexplained_fraction_of_variance(factors):
    """Perfect codes cost nothing; the mean code costs about one in every factor."""
    perfect = probe.encode(factors)
    terms = probe_training.loss(perfect, factors)[1]
    assert all(float(value) < 1e-6 for name, value in terms.items() if name != "shape")
    mean = perfect._replace(codes=jax.tree.map(jnp.zeros_like, perfect.codes))
    total, terms = probe_training.loss(mean, factors)
    for name in CONTINUOUS:
        assert float(terms[name]) == pytest.approx(1.0, abs=0.2), name
    assert float(total) == pytest.approx(sum(map(float, terms.values())), rel=1e-5)


def test_training_learns_and_compiles_once():
    """A short training at 8x8 learns the colours; the second step runs the first one's
    program.
    """
    recipe = reading_training.Recipe(num_images=6400, batch_size=64, learning_rate=1e-2)
    traces = []

    def render(factors):
        traces.append(factors)
        return rendering.render(factors, resolution=SMALL.resolution, supersampling=1)

    definition, params = reading_network.split(probe.Network(SMALL, key=jax.random.key(0)))
    state = reading_training.init(params, recipe)
    terms = {}
    for _ in range(recipe.num_steps):
        state, terms = probe_training.update(definition, recipe, render, state, jax.random.key(1))
    assert len(traces) == 1
    assert float(terms["wall_hue"]) < 0.3
    assert float(terms["floor_hue"]) < 0.3


def test_a_partial_batch_is_a_step():
    assert reading_training.Recipe(num_images=129, batch_size=64).num_steps == 3
