"""Batches by the compiler's account of memory: what is chosen fits, and twice as much would not."""

import jax
import jax.numpy as jnp
import pytest

from ganspace_jax.generators import base, stylegan2
from ganspace_jax.methods.estimators import all_of_them as estimators
from ganspace_jax.sampling import batch_size as batch_sizes
from ganspace_jax.sampling import devices as device_meshes
from ganspace_jax.sampling import image_batches, sweeps
from ganspace_jax.sampling import layers as layer_readings


@pytest.fixture(scope="module")
def generator():
    config = stylegan2.Config(z_dim=8, w_dim=8, channels=(16, 16, 16), mapping_layers=2)
    return base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))


def _program(rows):
    """Takes some memory for each row, and 4 MB that do not depend on the rows."""
    x, y = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((rows, 1024), (1024, 1024)))
    return jax.jit(lambda x, y: jnp.sort(x, axis=1) @ y).lower(x, y).compile()


@pytest.mark.parametrize("cpu", [True, False])
def test_what_is_of_use_or_a_power_of_two_that_fits_is_chosen(monkeypatch, cpu):
    """A CPU's programs are compiled as they will run, others with few rows first; what is found is the same."""
    devices, compiled = device_meshes.own_devices(), []

    def program(rows):
        compiled.append(rows)
        return _program(rows)

    monkeypatch.setattr(batch_sizes, "_is_cpu", lambda mesh: cpu)
    for limit in (5_000_000, 30_000_000):
        rows = batch_sizes.rows_that_fit(program, limit, devices, 10**6)
        assert rows & (rows - 1) == 0
        assert batch_sizes.of_program(_program(rows)) <= limit < batch_sizes.of_program(_program(2 * rows))
    assert batch_sizes.rows_that_fit(program, 1, devices, 72) == 1
    compiled.clear()
    assert batch_sizes.rows_that_fit(program, 2**40, devices, 72) == 72
    assert compiled == ([72] if cpu else [8])
    assert batch_sizes.of_device(devices) > 0


def test_programs_of_which_not_even_a_few_rows_fit_get_one():
    def too_large(rows):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    assert batch_sizes.rows_that_fit(too_large, 10**9, device_meshes.own_devices(), 64) == 1

    def broken(rows):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        batch_sizes.rows_that_fit(broken, 10**9, device_meshes.own_devices(), 64)


@pytest.mark.parametrize("estimator", ["exact", "randomized", "incremental"])
def test_the_batch_of_a_decomposition_fits(generator, estimator):
    """The step that a run takes stays within the limit."""
    observed = layer_readings.Observed("b16.conv0", "w", None, 1.0)
    devices = device_meshes.own_devices()
    samples = sweeps.Samples(generator, observed, 100_000, 8 * devices.size, 0, devices)
    update, state, *operands = estimators.step(estimator, samples, 3)
    limit = batch_sizes.of_program(sweeps.compile_step(samples, update, state, *operands)) + 3_000_000
    fitting = estimators.fit_batch(estimator, samples, 3, limit)
    assert 8 < fitting.batch_per_device < 1024
    assert batch_sizes.of_program(sweeps.compile_step(fitting, update, state, *operands)) <= limit


def test_the_batch_of_a_decomposition_leaves_little_padding(generator):
    """12,500 samples a group in 7 batches."""
    devices = jax.sharding.Mesh(jax.local_devices()[:1], (device_meshes.AXIS,))
    samples = sweeps.Samples(generator, layer_readings.Observed("w", "w", None, 1.0), 100_000, 1, 0, devices)
    assert batch_sizes.busy_rows(devices) == 2048
    assert estimators.fit_batch("exact", samples, 3, 10**9).batch_size == 1792
    assert estimators.fit_batch("exact", samples._replace(num_samples=800), 3, 10**9).batch_per_device == 100


def test_images_do_not_depend_on_how_many_fit(generator, monkeypatch):
    inputs = image_batches.from_seeds(generator, list(range(5)), None, 1.0)
    settings = image_batches.Settings(activations=("b8.conv1",))

    def images(**more):
        batches = list(image_batches.generate(generator, inputs, settings, **more))
        return len(batches), {name: jnp.concatenate([batch[name] for batch in batches]) for name in batches[0]}

    count, whole = images()
    monkeypatch.setattr(batch_sizes, "rows_that_fit", lambda *_: 1)
    other_count, other = images()
    assert (count, other_count) == (1, 3)  # of two devices, with one image each
    for name, array in whole.items():
        assert len(array) == 5
        assert jnp.abs(other[name] - array).max() < 1e-5 * jnp.abs(array).max()
