"""Sweeps over samples: the same whatever the devices, which have nothing to tell one another on the way."""

import functools
import os
import pathlib
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax import latents, mesh, moments, observation, sampling
from ganspace_jax.failures import InputError
from ganspace_jax.generators import base, stylegan2

ROOT = pathlib.Path(__file__).parents[1]
SAMPLES = 1001  # not a multiple of any batch size


def _samples(devices, batch_size=100, broken=False):
    config = stylegan2.Config(z_dim=4, w_dim=4, channels=(3, 2), mapping_layers=2)
    generator = base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))
    if broken:
        generator = generator._replace(params=jax.tree.map(lambda x: x * jnp.nan, generator.params))
    observed = observation.Observed("b8.conv1", "z", None, 1.0)
    return sampling.Samples(generator, observed, SAMPLES, batch_size, 5, devices)


def _add(state, activation, latent, weight):
    return moments.update(state, jnp.concatenate([activation, latent], axis=1), weight)


def _swept(samples, start=0, stop=SAMPLES):
    parts = sampling.sweep(samples, _add, moments.init(sum(samples.dimensions())), start, stop)
    assert len(parts) == samples.devices.size
    return functools.reduce(moments.merge, map(moments.to_float64, parts))


def _mesh(count):
    return jax.sharding.Mesh(np.array(jax.devices()[:count]), (mesh.AXIS,))


def test_a_sweep_sees_every_sample_once():
    """Against all samples at once in float64, with devices that get unequal shares of the last batch."""
    samples = _samples(_mesh(2), batch_size=64)
    z = latents.sample(jax.random.key(5), jnp.arange(SAMPLES), 4)
    activation = base.activation(samples.generator, base.map_latents(samples.generator, z), "b8.conv1")
    joint = np.concatenate([np.asarray(activation).reshape(SAMPLES, -1), z], axis=1).astype(np.float64)
    found = _swept(samples)
    assert found.count == SAMPLES
    np.testing.assert_allclose(found.mean, joint.mean(0), atol=1e-5)
    np.testing.assert_allclose(moments.covariance(found), np.cov(joint.T), atol=1e-4)
    part = _swept(samples, 300, 420)
    np.testing.assert_allclose(part.mean, joint[300:420].mean(0), atol=1e-5)
    assert part.count == 120


def test_devices_do_not_communicate_while_they_sweep():
    """So the traffic of a step does not depend on the batch: there is none."""
    samples = _samples(_mesh(2))
    generator, states = samples.generator, mesh.one_each(moments.init(sum(samples.dimensions())), samples.devices)
    fixed = (generator.definition, generator.params, jax.random.key(0), samples.observed)
    lowered = sampling._step.lower(*fixed, _add, 50, samples.devices, states, 0, 100, ())
    text = lowered.compile().as_text()
    collectives = r"all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter"
    assert not re.search(collectives, text)
    summed = jax.jit(lambda tree: jax.tree.map(lambda x: x.sum(0), tree)).lower(states).compile().as_text()
    assert re.search(collectives, summed)  # what the search would find


def test_not_finite_activations_are_found_on_every_device():
    with pytest.raises(InputError, match="layer b8.conv1: NaN or infinity in the batch of samples 1000 to 1000"):
        _swept(_samples(_mesh(2), broken=True), 1000, 1001)


def test_eight_devices_agree_with_one():
    """1, 4 and 8 devices in a process of its own, as a process cannot change their number."""
    code = (
        "import jax; jax.config.update('jax_num_cpu_devices', 8)\n"
        "import sys; sys.path.insert(0, 'tests')\n"
        "import numpy as np, test_sampling as t\n"
        "one = t._swept(t._samples(t._mesh(1)))\n"
        "for count in (4, 8):\n"
        "    other = t._swept(t._samples(t._mesh(count)))\n"
        "    assert other.count == one.count\n"
        "    np.testing.assert_allclose(other.mean, one.mean, atol=1e-6)\n"
        "    np.testing.assert_allclose(other.scatter, one.scatter, rtol=1e-5, atol=1e-3)\n"
        "print('agree', len(jax.devices()))\n"
    )
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.stdout == "agree 8\n", result.stderr[-2000:]
