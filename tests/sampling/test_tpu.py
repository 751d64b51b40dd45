"""Programs for TPUs, compiled ahead of time on a machine without one: `make test-tpu`
installs the compiler and runs these.

Compiled for slices of v5e chips, whose memory is 16 GB. What is compiled is what a run
executes: the step of a decomposition, and the synthesis of images, on a mesh of all
chips of the slice.
"""

import functools

import jax
import numpy as np
import pytest

pytest.importorskip("libtpu", reason="the TPU's compiler is not installed; make test-tpu installs it")

from jax.experimental import topologies

from ganspace_jax.generators import biggan_deep, stylegan2, zoo
from ganspace_jax.generators.synthesis import Synthesis
from ganspace_jax.methods.estimators.choice import ESTIMATORS
from ganspace_jax.sampling import batch_size as batch_sizes
from ganspace_jax.sampling import devices, image_batches, sweeps
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.sampling.sweep_parts import Execution, Part, Samples

MEMORY = 16_000_000_000  # bytes of a v5e chip
LIMIT = int(0.75 * MEMORY)  # what a run there takes batches for
COLLECTIVES = ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter")


@pytest.fixture(scope="module", autouse=True)
def no_machine():
    """The compiler asks the cloud what machine it is on, where nobody answers, and
    locks a TPU that is not there.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TPU_SKIP_MDS_QUERY", "1")
        patch.setenv("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
        yield


def _slice(shape):
    """A mesh of the chips of a v5e slice."""
    chips = topologies.get_topology_desc(platform="tpu", topology_name=f"v5e:{shape}").devices
    return jax.sharding.Mesh(np.array(chips), (devices.AXIS,))


def _stylegan2():
    """Shapes of StyleGAN2 of 1024 px, configuration F."""
    channels = (512, 512, 512, 512, 512, 256, 128, 64, 32)
    return zoo.abstract_generator("stylegan2", stylegan2.Config(512, 512, channels))


def _biggan_deep():
    """Shapes of the published BigGAN-deep of 512 px."""
    config = biggan_deep.Config(128, 1000, 128, biggan_deep.PUBLISHED_BLOCKS[512])
    return zoo.abstract_generator("biggan_deep", config)


STEPS = {
    "StyleGAN2, w": (_stylegan2, LayerSpec("w", "w"), "exact"),
    "StyleGAN2, b8.conv1": (_stylegan2, LayerSpec("b8.conv1", "w"), "randomized"),
    "BigGAN-deep, gen_z": (_biggan_deep, LayerSpec("gen_z", "z", 0), "randomized"),
}


def _samples(name):
    make, spec, _ = STEPS[name]
    return Samples(make(), spec, 1_000_000, 0)


def _step(name, samples):
    """Returns the step of the run's longest sweep, with 20 components."""
    return ESTIMATORS[STEPS[name][2]].largest_step(samples, 20)


def _compile(name, chips, batch_size):
    samples = _samples(name)
    return sweeps.compile_step([Part(samples, _step(name, samples))], Execution(chips, batch_size))


@pytest.mark.parametrize("name", STEPS)
def test_steps_of_a_decomposition_fit_at_the_default_batch(name):
    """On 4 chips and on 256, where nothing but the batch is different; and no chip
    waits for another.
    """
    few = _slice("2x2")
    samples = _samples(name)
    execution = sweeps.fit_batch([Part(samples, _step(name, samples))], Execution(few, few.size), LIMIT)
    rows = execution.rows_per_device(samples.num_samples)
    assert rows >= 256
    for chips in (few, _slice("16x16")):
        program = _compile(name, chips, rows * chips.size)
        assert batch_sizes.program_memory(program) < MEMORY
        assert not any(word in program.as_text() for word in COLLECTIVES)


@pytest.mark.parametrize("name", ["StyleGAN2, w", "BigGAN-deep, gen_z"])
def test_each_chip_has_half_the_work_of_a_step_when_there_are_twice_as_many(name):
    work = [_compile(name, _slice(shape), 8192).cost_analysis()["flops"] for shape in ("2x2", "2x4")]
    assert work[0] / work[1] == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize("make", [_stylegan2, _biggan_deep])
def test_images_fit_at_the_default_batch_and_share_the_chips(make):
    few = _slice("2x2")

    @functools.cache  # minutes each
    def program(rows, chips):
        return image_batches.compile_images(make(), Synthesis(), (), rows, chips)

    rows = batch_sizes.rows_that_fit(lambda count: program(count, few), LIMIT, few, 32)
    assert rows >= 4
    programs = [program(rows, few), program(rows // 2, _slice("2x4")), program(rows, _slice("16x16"))]
    assert all(batch_sizes.program_memory(one) < MEMORY for one in programs)
    work = [one.cost_analysis()["flops"] for one in programs]
    assert work[0] / work[1] == pytest.approx(2.0, rel=0.05)
    assert work[2] == pytest.approx(work[0], rel=0.01)
