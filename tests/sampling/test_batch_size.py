"""Batches by the compiler's account of memory: what is chosen fits, and twice as much
would not.
"""

import jax
import jax.numpy as jnp
import pytest

from ganspace_jax.generators import base, stylegan2
from ganspace_jax.methods.estimators.choice import ESTIMATORS
from ganspace_jax.run import Run
from ganspace_jax.sampling import batch_size as batch_sizes
from ganspace_jax.sampling import devices, image_batches, latent_files, sweeps
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.sampling.sweep_parts import Execution, Part, Samples


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
    """A CPU's programs are compiled as they will run, others with few rows first; what
    is found is the same.
    """
    mesh, compiled = devices.own_devices(), []

    def program(rows):
        compiled.append(rows)
        return _program(rows)

    monkeypatch.setattr(batch_sizes, "_is_cpu", lambda mesh: cpu)
    for limit in (5_000_000, 30_000_000):
        rows = batch_sizes.rows_that_fit(program, limit, mesh, 10**6)
        assert rows & (rows - 1) == 0
        assert batch_sizes.program_memory(_program(rows)) <= limit < batch_sizes.program_memory(_program(2 * rows))
    assert batch_sizes.rows_that_fit(program, 1, mesh, 72) == 1
    compiled.clear()
    assert batch_sizes.rows_that_fit(program, 2**40, mesh, 72) == 72
    assert compiled == ([72] if cpu else [8])
    assert batch_sizes.device_memory(mesh) > 0


def test_programs_of_which_not_even_a_few_rows_fit_get_one():
    def too_large(rows):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    assert batch_sizes.rows_that_fit(too_large, 10**9, devices.own_devices(), 64) == 1

    def broken(rows):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        batch_sizes.rows_that_fit(broken, 10**9, devices.own_devices(), 64)


@pytest.mark.parametrize("estimator", ["exact", "randomized", "incremental"])
def test_the_batch_of_a_decomposition_fits(generator, estimator):
    """The step that a run takes stays within the limit."""
    samples = Samples(generator, LayerSpec("b16.conv0", "w"), 100_000, 0)
    mesh = devices.own_devices()
    execution = Execution(mesh, 8 * mesh.size)
    step = ESTIMATORS[estimator].largest_step(samples, 3)
    limit = batch_sizes.program_memory(sweeps.compile_step([Part(samples, step)], execution)) + 3_000_000
    fitting = sweeps.fit_batch([Part(samples, step)], execution, limit)
    assert 8 < fitting.rows_per_device(100_000) < 1024
    assert batch_sizes.program_memory(sweeps.compile_step([Part(samples, step)], fitting)) <= limit


def test_the_batch_of_a_decomposition_leaves_little_padding(generator):
    """12,500 samples a group in 7 batches."""
    mesh = jax.sharding.Mesh(jax.local_devices()[:1], (devices.AXIS,))
    samples, execution = Samples(generator, LayerSpec("w", "w"), 100_000, 0), Execution(mesh, 1)
    step = ESTIMATORS["exact"].largest_step(samples, 3)
    assert batch_sizes.busy_rows(mesh) == 2048
    assert sweeps.fit_batch([Part(samples, step)], execution, 10**9).batch_size == 1792
    few = samples._replace(num_samples=800)
    assert sweeps.fit_batch([Part(few, step)], execution, 10**9).rows_per_device(800) == 100


def test_images_do_not_depend_on_how_many_fit(generator, monkeypatch):
    inputs = latent_files.from_seeds(generator, list(range(5)), None, 1.0)

    def images():
        batches = list(image_batches.generate(generator, inputs, activations=("b8.conv1",), run=Run()))
        return len(batches), {name: jnp.concatenate([batch[name] for batch in batches]) for name in batches[0]}

    count, whole = images()
    monkeypatch.setattr(batch_sizes, "rows_that_fit", lambda *_: 1)
    other_count, other = images()
    assert (count, other_count) == (1, 3)  # of two devices, with one image each
    for name, array in whole.items():
        assert len(array) == 5
        assert jnp.abs(other[name] - array).max() < 1e-5 * jnp.abs(array).max()
