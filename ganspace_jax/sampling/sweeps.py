"""Sweeps over the samples of a run: each batch is generated, read and folded into a
state.

One sweep may read several layers, each with a state of its own. Then each batch passes
the network once for all of them. No sample is stored. Each device folds its share of
every batch into states of its own. The states are merged on the host at the end of a
sweep; until then devices and processes exchange nothing.
"""

import functools
import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jax.sharding import Mesh

from ganspace_jax.errors import InputError
from ganspace_jax.generators import synthesis
from ganspace_jax.generators.base import Generator
from ganspace_jax.run import Progress
from ganspace_jax.sampling import batch_size, devices, layers
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.sampling.sweep_parts import Execution, Part, Samples, Statistics, Step, Update

STEP_SECONDS = 3.0  # target duration of one device call; progress and signals are handled between calls


class _Program(NamedTuple):
    """The static part of a step's program: one layer and one update per part."""

    definition: nnx.GraphDef
    specs: tuple[LayerSpec, ...]
    updates: tuple[Update, ...]
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


def compile_step(parts: Sequence[Part], execution: Execution) -> Any:
    """Returns the program of a step, compiled from arrays or shapes. The devices need
    not be present.
    """
    mesh, number = execution.mesh, jax.ShapeDtypeStruct((), jnp.int32)
    key = devices.abstract(jax.eval_shape(lambda: jax.random.key(0)), mesh)
    params, operands = devices.abstract((parts[0].samples.generator.params, _operands(parts)), mesh)
    states = jax.eval_shape(lambda state: devices.one_each(state, mesh), _states(parts))
    states = devices.abstract(states, mesh, devices.SPLIT)
    span = _Span(first=number, stop=number, stride=number, count=number)
    return _run_step.lower(_program(parts, execution), params, key, states, span, operands).compile()


def fit_batch(parts: Sequence[Part], execution: Execution, limit: int) -> Execution:
    """Returns the execution with the largest batch whose step fits into `limit` bytes
    on each device.
    """
    num_devices, num_samples = execution.mesh.size * jax.process_count(), parts[0].samples.num_samples

    def with_rows(rows: int) -> Execution:
        return execution._replace(batch_size=rows * num_devices)

    def compile_rows(rows: int) -> Any:
        return compile_step(parts, with_rows(rows))

    largest = with_rows(num_samples).rows_per_device(num_samples)
    most = _even_rows(largest, batch_size.busy_rows(execution.mesh))
    own = batch_size.rows_that_fit(compile_rows, limit, execution.mesh, most)
    return with_rows(int(devices.fold_processes(np.asarray(own), np.minimum)))


def _even_rows(num_rows: int, most: int) -> int:
    """Returns a batch size that needs the fewest batches with the least padding.

    Example: 12,500 samples become 7 batches of 1,792, not of 2,048.
    """
    num_batches = math.ceil(num_rows / most)
    return min(most, math.ceil(num_rows / (64 * num_batches)) * 64)


def sweep(samples: Samples, execution: Execution, statistics: Statistics, step: Step, start: int, stop: int) -> Any:
    """Returns the state of one layer; see `sweep_together`."""
    return sweep_together([Part(samples, step)], [statistics], execution, start, stop)[0]


def sweep_together(
    parts: Sequence[Part], statistics: Sequence[Statistics], execution: Execution, start: int, stop: int
) -> list[Any]:
    """Folds samples `start` to `stop` - 1 into one state per part; returns them in
    float64, merged over devices and processes.

    Raises:
        InputError: if an activation is NaN or infinite.
        Interrupted: if the run was told to stop; all states are saved.
    """

    def to_float64(states: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(own.to_float64(state) for own, state in zip(statistics, states, strict=True))

    def merge(a: Sequence[Any], b: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(own.merge(*pair) for own, *pair in zip(statistics, a, b, strict=True))

    finished = execution.resume.begin_sweep(to_float64(_states(parts)))
    if finished is None:
        states = _fold(parts, execution, start, stop)
        finished = functools.reduce(merge, map(to_float64, devices.per_device(states)))
        execution.resume.finish_sweep(finished)
    else:
        _report(parts, execution, stop)
    return list(devices.fold_processes(finished, merge))


def _states(parts: Sequence[Part]) -> tuple[Any, ...]:
    return tuple(part.step.state for part in parts)


def _operands(parts: Sequence[Part]) -> tuple[Any, ...]:
    return tuple(part.step.operands for part in parts)


def _fold(parts: Sequence[Part], execution: Execution, start: int, stop: int) -> Any:
    """Returns the states of this process's devices. It begins where an interrupted
    sweep ended.
    """
    mesh, program = execution.mesh, _program(parts, execution)
    samples = parts[0].samples
    own_rows = program.rows_per_device * mesh.size
    stride, count = own_rows * jax.process_count(), 1
    params, key, operands = devices.replicate(
        (samples.generator.params, synthesis.seeded_key(samples.seed), _operands(parts)), mesh
    )
    position, states = start, devices.one_each(_states(parts), mesh)
    if (resumed := execution.resume.resume(states)) is not None:
        position, states = resumed
        _report(parts, execution, position)
    while position < stop:
        began, end = time.monotonic(), min(position + count * stride, stop)
        span = _Span(
            first=np.int32(position + jax.process_index() * own_rows),
            stop=np.int32(stop),
            stride=np.int32(stride),
            count=np.int32(math.ceil((end - position) / stride)),
        )
        states, finite = _run_step(program, params, key, states, span, operands)
        if broken := [part.samples.spec.layer for part, good in zip(parts, _on_all(finite), strict=True) if not good]:
            raise InputError(f"layer {', '.join(map(str, broken))}: NaN or infinity in samples {position} to {end - 1}")
        count = _next_count(count, time.monotonic() - began, min(STEP_SECONDS, execution.resume.seconds))
        _report(parts, execution, end)
        execution.resume.keep(end, states)
        position = end
    return states


def _on_all(finite: Any) -> np.ndarray:
    """Returns for each part whether its state is finite on all devices of this
    process.
    """
    return np.all([np.asarray(shard.data)[0] for shard in finite.addressable_shards], axis=0)


def _report(parts: Sequence[Part], execution: Execution, position: int) -> None:
    execution.run.report(Progress(position, parts[0].samples.num_samples, "sample", execution.note))


def _program(parts: Sequence[Part], execution: Execution) -> _Program:
    samples = parts[0].samples
    specs, updates = zip(*((part.samples.spec.layer_spec(), part.step.update) for part in parts), strict=True)
    rows = execution.rows_per_device(samples.num_samples)
    return _Program(samples.generator.definition, specs, updates, rows, execution.mesh)


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

        def add_batch(number, states):
            indices = own + number * span.stride
            weight = (indices < span.stop).astype(jnp.float32)
            read = layers.read_together(generator, program.specs, key, indices)
            parts = zip(program.updates, states, read, operands, strict=True)
            return tuple(update(state, *one, weight, *more) for update, state, one, more in parts)

        states = lax.fori_loop(0, span.count, add_batch, jax.tree.map(lambda x: x[0], states))
        finite = [jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(state)])) for state in states]
        return jax.tree.map(lambda x: x[None], states), jnp.stack(finite)[None]

    specs = (devices.WHOLE, devices.WHOLE, devices.SPLIT, devices.WHOLE, devices.WHOLE)
    on_all = jax.shard_map(
        run_on_device, mesh=program.mesh, in_specs=specs, out_specs=(devices.SPLIT, devices.SPLIT), check_vma=False
    )
    return on_all(params, key, states, span, operands)
