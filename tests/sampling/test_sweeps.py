"""Sweeps over samples: the same whatever the devices, which have nothing to tell one
another on the way.
"""

import itertools
import os
import pathlib
import re
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ganspace_jax.directions import components
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan2, synthesis
from ganspace_jax.run import Run
from ganspace_jax.sampling import devices, latents, sample_groups, sweeps
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.sampling.sweep_parts import Execution, Part, Samples, Step
from ganspace_jax.statistics import moments

ROOT = pathlib.Path(__file__).parents[2]
SAMPLES = 1001  # not a multiple of any batch size


def _samples(broken=False):
    config = stylegan2.Config(z_dim=4, w_dim=4, channels=(3, 2), mapping_layers=2)
    generator = base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))
    if broken:
        generator = generator._replace(params=jax.tree.map(lambda x: x * jnp.nan, generator.params))
    return Samples(generator, LayerSpec("b8.conv1", "z"), SAMPLES, 5)


def _add(state, activation, latent, weight):
    return moments.update(state, jnp.concatenate([activation, latent], axis=1), weight)


def _step(samples):
    return Step(_add, moments.init(sum(samples.sizes())))


def _sweep(samples, execution, start=0, stop=SAMPLES):
    return sweeps.sweep(samples, execution, moments, _step(samples), start, stop)


def _mesh(count):
    return jax.sharding.Mesh(np.array(jax.devices()[:count]), (devices.AXIS,))


def test_a_sweep_sees_every_sample_once():
    """Against all samples at once in float64, with devices that get unequal shares of
    the last batch.
    """
    samples, execution = _samples(), Execution(_mesh(2), 64)
    z = latents.sample(jax.random.key(5), jnp.arange(SAMPLES), 4)
    activation = synthesis.activation(samples.generator, synthesis.map_latents(samples.generator, z), "b8.conv1")
    joint = np.concatenate([np.asarray(activation).reshape(SAMPLES, -1), z], axis=1).astype(np.float64)
    found = _sweep(samples, execution)
    assert found.count == SAMPLES
    np.testing.assert_allclose(found.mean, joint.mean(0), atol=1e-5)
    np.testing.assert_allclose(moments.covariance(found), np.cov(joint.T), atol=1e-4)
    part = _sweep(samples, execution, 300, 420)
    np.testing.assert_allclose(part.mean, joint[300:420].mean(0), atol=1e-5)
    assert part.count == 120


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_batches_of_one_step_are_those_of_many(monkeypatch, seconds):
    """To the last bit, and nothing is reported twice."""
    monkeypatch.setattr(sweeps, "STEP_SECONDS", seconds)
    reports, samples = [], _samples()
    found = _sweep(samples, Execution(_mesh(2), 64, Run(report=reports.append)))
    counts = np.diff([0, *(progress.done for progress in reports)]).tolist()
    assert sum(counts) == SAMPLES and counts == ([64] * 15 + [41] if seconds == 0.0 else [64, 512, 425])
    monkeypatch.undo()
    for one, other in zip(found, _sweep(samples, Execution(_mesh(2), 64)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_devices_do_not_communicate_while_they_sweep():
    """So the traffic of a step does not depend on the batch: there is none."""
    samples, execution = _samples(), Execution(_mesh(2), 100)
    states = devices.one_each((moments.init(sum(samples.sizes())),), execution.mesh)
    program = sweeps._program([Part(samples, _step(samples))], execution)
    span = sweeps._Span(0, 100, 100, 1)
    lowered = sweeps._run_step.lower(program, samples.generator.params, jax.random.key(0), states, span, ((),))
    text = lowered.compile().as_text()
    collectives = r"all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter"
    assert not re.search(collectives, text)
    summed = jax.jit(lambda tree: jax.tree.map(lambda x: x.sum(0), tree)).lower(states).compile().as_text()
    assert re.search(collectives, summed)  # what the search would find


def test_not_finite_activations_are_found_on_every_device():
    with pytest.raises(InputError, match="layer b8.conv1: NaN or infinity in samples 1000 to 1000"):
        _sweep(_samples(broken=True), Execution(_mesh(2), 100), 1000, 1001)


def test_eight_devices_agree_with_one():
    """1, 2, 4 and 8 devices in a process of its own, as a process cannot change their
    number.
    """
    code = (
        "import jax; jax.config.update('jax_num_cpu_devices', 8)\n"
        "import numpy as np\n"
        "from tests.sampling import test_sweeps as t\n"
        "one = t._sweep(t._samples(), t.Execution(t._mesh(1), 100))\n"
        "for count in (2, 4, 8):\n"
        "    other = t._sweep(t._samples(), t.Execution(t._mesh(count), 100))\n"
        "    assert other.count == one.count\n"
        "    np.testing.assert_allclose(other.mean, one.mean, atol=1e-6)\n"
        "    np.testing.assert_allclose(other.scatter, one.scatter, rtol=1e-5, atol=1e-3)\n"
        "print('agree', len(jax.devices()))\n"
    )
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.stdout == "agree 8\n", result.stderr[-2000:]


def test_sets_double_and_their_groups_nest():
    for num_samples, smallest in ((1000, 1000), (64_000, 1000), (12_345, 100), (16, 16)):
        sets = sample_groups.doubling_bounds(num_samples, smallest)
        assert sets[-1] == sample_groups.bounds(num_samples) and sets[0][-1] >= smallest
        assert len(sets) == 1 or sets[0][-1] < 2 * smallest + 1
        for small, large in itertools.pairwise(sets):
            assert large[:5] == small[::2]
        assert all(len(bounds) == sample_groups.NUM_GROUPS + 1 and bounds == sorted(set(bounds)) for bounds in sets)


def test_two_processes_of_four_devices_agree_with_one(tmp_path):
    """The command itself, over the loopback; the second process writes nothing, and no
    state is left.
    """
    flags = ["--latent_space=z", "--num_samples=1001", "--num_components=4", "--batch_size=64", "--until_stable=0.01"]
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "4"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"

    def start(name, *more):
        command = [sys.executable, "-m", "experiments.decompose", *flags, f"--workdir={tmp_path / name}", *more]
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    together = ["--distributed", f"--coordinator_address={address}", "--num_processes=2"]
    runs = [start("one"), *(start("two", *together, f"--process_id={k}") for k in range(2))]
    outputs = [run.communicate() for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], outputs
    assert "written" in outputs[1][0] and "written" not in outputs[2][0]
    one, two = (components.load(tmp_path / name / "components.npz") for name in ("one", "two"))
    for name in (
        "activation_components",
        "activation_mean",
        "activation_stdevs",
        "latent_components",
        "r2",
        "stability",
    ):
        np.testing.assert_allclose(getattr(two, name), getattr(one, name), rtol=2e-3, atol=2e-5, err_msg=name)
    assert {path.name for path in (tmp_path / "two").iterdir()} == {path.name for path in (tmp_path / "one").iterdir()}
