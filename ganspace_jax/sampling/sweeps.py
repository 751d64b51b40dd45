"""Sweeps over the samples of a run: each batch is generated, read and folded into a
state.

No sample is stored. Each device folds its share of every batch into a state of its own.
The states are merged on the host at the end of a sweep; until then devices and
processes exchange nothing.
"""

import functools
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.sharding import Mesh

from ganspace_jax.errors import InputError
from ganspace_jax.files.resume import NO_RESUME, Resume
from ganspace_jax.generators import synthesis
from ganspace_jax.generators.base import Generator
from ganspace_jax.run import Progress, Run
from ganspace_jax.sampling import batch_size, devices, layers
from ganspace_jax.sampling.layers import LayerSpec

NUM_GROUPS = 8  # of the jackknife
STEP_SECONDS = 3.0  # target duration of one device call; progress and signals are handled between calls

Update = Callable[..., Any]  # (state, activation [n, d], latent [n, l], weight [n], *operands) -> state


@runtime_checkable
class Statistics(Protocol):
    """A module of sufficient statistics, such as moments."""

    def merge(self, a: Any, b: Any, /) -> Any: ...

    def to_float64(self, state: Any, /) -> Any: ...


class Samples(NamedTuple):
    """Samples 0 to num_samples - 1 of a seed: equal in every sweep, for every batch
    size and number of devices.

    Attributes:
        generator: the generator.
        spec: the layer that is read, resolved for the generator.
        num_samples: number of samples.
        seed: seed of the samples.
    """

    generator: Generator
    spec: LayerSpec
    num_samples: int
    seed: int

    def sizes(self) -> tuple[int, int]:
        """Returns (d, l): the sizes of the layer and of the latent beside it."""
        definition, params = self.generator

        def read(params, key, indices):
            return layers.read(Generator(definition, params), self.spec, key, indices)

        activation, latent = jax.eval_shape(read, params, jax.random.key(self.seed), jnp.arange(1))
        return activation.shape[1], latent.shape[1]


class Execution(NamedTuple):
    """How sweeps run.

    Attributes:
        mesh: devices of this process.
        batch_size: samples per step, over all devices of all processes.
        run: how progress is reported.
        resume: the record of finished and unfinished sweeps.
        note: the note of each progress report.
    """

    mesh: Mesh
    batch_size: int
    run: Run = Run()
    resume: Resume = NO_RESUME
    note: str = ""

    def rows_per_device(self, num_samples: int) -> int:
        """Returns the rows of a step on each device: no more than a jackknife group
        has.
        """
        rows = min(self.batch_size, math.ceil(num_samples / NUM_GROUPS))
        return math.ceil(rows / (self.mesh.size * jax.process_count()))


class Step(NamedTuple):
    """What a step of a sweep computes.

    Attributes:
        update: pure function without closures, static under jit; rows of weight 0 are
            padding.
        state: state before the first sample; arrays or shapes.
        operands: further arguments of `update`.
    """

    update: Update
    state: Any
    operands: tuple[Any, ...] = ()


class _Program(NamedTuple):
    """The static part of a step's program."""

    definition: nnx.GraphDef
    spec: LayerSpec
    update: Update
    rows_per_device: int
    mesh: Mesh


class _Span(NamedTuple):
    """The batches of one step: `count` batches from sample `first` on, `stride` apart;
    samples from `stop` on are padding.
    """

    first: Any
    stop: Any
    stride: Any
    count: Any


def compile_step(samples: Samples, execution: Execution, step: Step) -> Any:
    """Returns the program of a step, compiled from arrays or shapes. The devices need
    not be present.
    """
    mesh, number = execution.mesh, jax.ShapeDtypeStruct((), jnp.int32)
    key = devices.abstract(jax.eval_shape(lambda: jax.random.key(0)), mesh)
    params, operands = devices.abstract((samples.generator.params, step.operands), mesh)
    states = jax.eval_shape(lambda state: devices.one_each(state, mesh), step.state)
    states = devices.abstract(states, mesh, devices.SPLIT)
    span = _Span(first=number, stop=number, stride=number, count=number)
    return _run_step.lower(_program(samples, execution, step), params, key, states, span, operands).compile()


def fit_batch(samples: Samples, execution: Execution, step: Step, limit: int) -> Execution:
    """Returns the execution with the largest batch whose step fits into `limit` bytes
    on each device.
    """
    num_devices = execution.mesh.size * jax.process_count()

    def with_rows(rows: int) -> Execution:
        return execution._replace(batch_size=rows * num_devices)

    def compile_rows(rows: int) -> Any:
        return compile_step(samples, with_rows(rows), step)

    largest = with_rows(samples.num_samples).rows_per_device(samples.num_samples)
    most = _even_rows(largest, batch_size.busy_rows(execution.mesh))
    own = batch_size.rows_that_fit(compile_rows, limit, execution.mesh, most)
    return with_rows(int(devices.fold_processes(np.asarray(own), np.minimum)))


def _even_rows(num_rows: int, most: int) -> int:
    """Returns a batch size that needs the fewest batches with the least padding.

    Example: 12,500 samples become 7 batches of 1,792, not of 2,048.
    """
    num_batches = math.ceil(num_rows / most)
    return min(most, math.ceil(num_rows / (64 * num_batches)) * 64)


def group_bounds(num_samples: int) -> list[int]:
    """Returns where the jackknife's groups of consecutive samples begin and end."""
    return doubling_group_bounds(num_samples, num_samples)[0]


def doubling_group_bounds(num_samples: int, smallest: int) -> list[list[int]]:
    """Returns the group bounds of sets of samples that double in size up to
    num_samples.

    The first set has at least `smallest` samples. Two groups of one set are one group
    of the next set.
    """
    num_doublings = max(0, math.floor(math.log2(num_samples / smallest)))
    num_units = NUM_GROUPS * 2**num_doublings
    units = [num_samples * unit // num_units for unit in range(num_units + 1)]
    return [[units[group * 2**step] for group in range(NUM_GROUPS + 1)] for step in range(num_doublings + 1)]


def sweep(samples: Samples, execution: Execution, statistics: Statistics, step: Step, start: int, stop: int) -> Any:
    """Folds samples `start` to `stop` - 1 into a state; returns it in float64, merged
    over devices and processes.

    Raises:
        InputError: if an activation is NaN or infinite.
        Interrupted: if the run was told to stop; its state is saved.
    """
    finished = execution.resume.begin_sweep(statistics.to_float64(step.state))
    if finished is None:
        states = _fold(samples, execution, step, start, stop)
        finished = functools.reduce(statistics.merge, map(statistics.to_float64, devices.per_device(states)))
        execution.resume.finish_sweep(finished)
    else:
        _report(samples, execution, stop)
    return devices.fold_processes(finished, statistics.merge)


def _fold(samples: Samples, execution: Execution, step: Step, start: int, stop: int) -> Any:
    """Returns the states of this process's devices. It begins where an interrupted
    sweep ended.
    """
    mesh, program = execution.mesh, _program(samples, execution, step)
    own_rows = program.rows_per_device * mesh.size
    stride, count = own_rows * jax.process_count(), 1
    params, key, operands = devices.replicate(
        (samples.generator.params, synthesis.seeded_key(samples.seed), step.operands), mesh
    )
    position, states = start, devices.one_each(step.state, mesh)
    if (resumed := execution.resume.resume(states)) is not None:
        position, states = resumed
        _report(samples, execution, position)
    while position < stop:
        began, end = time.monotonic(), min(position + count * stride, stop)
        span = _Span(
            first=np.int32(position + jax.process_index() * own_rows),
            stop=np.int32(stop),
            stride=np.int32(stride),
            count=np.int32(math.ceil((end - position) / stride)),
        )
        states, finite = _run_step(program, params, key, states, span, operands)
        if not all(np.all(shard.data) for shard in finite.addressable_shards):
            raise InputError(f"layer {samples.spec.layer}: NaN or infinity in samples {position} to {end - 1}")
        count = _next_count(count, time.monotonic() - began, min(STEP_SECONDS, execution.resume.seconds))
        _report(samples, execution, end)
        execution.resume.keep(end, states)
        position = end
    return states


def _report(samples: Samples, execution: Execution, position: int) -> None:
    execution.run.report(Progress(position, samples.num_samples, "sample", execution.note))


def _program(samples: Samples, execution: Execution, step: Step) -> _Program:
    rows = execution.rows_per_device(samples.num_samples)
    return _Program(samples.generator.definition, samples.spec.layer_spec(), step.update, rows, execution.mesh)


def _next_count(count: int, took: float, seconds: float) -> int:
    """Returns how many batches need about `seconds`, if `count` batches needed `took`.

    The result is at least 1, and at most 8 times `count`.
    """
    return max(1, int(count * min(8.0, seconds / max(took, 1e-6))))


@functools.partial(jax.jit, static_argnames=("program",), donate_argnames=("states",))
def _run_step(program: _Program, params, key, states, span, operands):
    """Runs several batches in one compiled program. This reuses its buffers; on a CPU,
    separate calls page-fault again.
    """

    def run_on_device(params, key, states, span, operands):
        rows = program.rows_per_device
        own = span.first + lax.axis_index(devices.AXIS) * rows + jnp.arange(rows)
        generator = Generator(program.definition, params)

        def add_batch(number, state):
            indices = own + number * span.stride
            activation, latent = layers.read(generator, program.spec, key, indices)
            return program.update(state, activation, latent, (indices < span.stop).astype(activation.dtype), *operands)

        state = lax.fori_loop(0, span.count, add_batch, jax.tree.map(lambda x: x[0], states))
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(state)]))
        return jax.tree.map(lambda x: x[None], state), finite[None]

    specs = (devices.WHOLE, devices.WHOLE, devices.SPLIT, devices.WHOLE, devices.WHOLE)
    on_all = jax.shard_map(
        run_on_device, mesh=program.mesh, in_specs=specs, out_specs=(devices.SPLIT, devices.SPLIT), check_vma=False
    )
    return on_all(params, key, states, span, operands)
