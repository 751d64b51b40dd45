"""Sweeps over the samples of a run: each batch is generated, observed and folded into a state, and nothing of it is kept.

Every device folds its share of each batch into a state of its own. The states meet on the host, at the end of a sweep; until
then the devices, and the processes that they belong to, have nothing to tell one another.
"""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh

from ganspace_jax.errors import InputError
from ganspace_jax.files.resume import Journal
from ganspace_jax.generators import base
from ganspace_jax.sampling import batch_size as batch_sizes
from ganspace_jax.sampling import devices as device_meshes
from ganspace_jax.sampling import layers as layer_readings
from ganspace_jax.sampling.layers import Observed

NUM_GROUPS = 8
STEP_SECONDS = 3.0  # of work for one call of the devices: nobody hears of progress meanwhile, and no signal is answered

Update = Callable[..., Any]  # (state, activation [n, d], latent [n, l], weight [n], *operands) -> state


@runtime_checkable
class Statistics(Protocol):
    """A module of sufficient statistics, such as moments."""

    def merge(self, a: Any, b: Any, /) -> Any: ...

    def to_float64(self, state: Any, /) -> Any: ...


class Samples(NamedTuple):
    """Samples 0 to num_samples - 1 of a seed, the same in every sweep, for every batch size and number of devices.

    batch_size: of all devices together. devices: those of this process. on_progress is called with the number of samples that
    each step added. journal: remembers finished sweeps.
    """

    generator: base.SplitGenerator
    observed: Observed
    num_samples: int
    batch_size: int
    seed: int
    devices: Mesh
    on_progress: Callable[[int], object] = lambda count: None
    journal: Journal = Journal()

    def dimensions(self) -> tuple[int, int]:
        """(d, l): of the layer, and of the latent beside it."""
        definition, params = self.generator
        observe = lambda params, key, i: layer_readings.observe(definition, params, key, self.observed, i)  # noqa: E731
        shapes = jax.eval_shape(observe, params, jax.random.key(self.seed), jnp.arange(1))
        return shapes[0].shape[1], shapes[1].shape[1]

    @property
    def batch_per_device(self) -> int:
        """Rows of a step on each device; no more than a group of the jackknife has."""
        largest = -(-self.num_samples // NUM_GROUPS)
        return -(-min(self.batch_size, largest) // (self.devices.size * jax.process_count()))


class Span(NamedTuple):
    """Batches of one step: `count` of them from sample `first` on, `stride` apart; samples from `stop` on are padding."""

    first: Any
    stop: Any
    stride: Any
    count: Any


def compile_step(samples: Samples, update: Update, state: Any, *operands: Any) -> Any:
    """The program of a step, compiled ahead of time from arrays or shapes, for devices that need not be there."""
    devices, span = samples.devices, Span(*4 * [jax.ShapeDtypeStruct((), jnp.int32)])
    key = device_meshes.abstract(jax.eval_shape(lambda: jax.random.key(0)), devices)
    params, operands = device_meshes.abstract((samples.generator.params, operands), devices)
    states = jax.eval_shape(lambda state: device_meshes.one_each(state, devices), state)
    return _step.lower(
        samples.generator.definition, params, key, samples.observed, update, samples.batch_per_device, devices,
        device_meshes.abstract(states, devices, device_meshes.SPLIT), span, operands,
    ).compile()  # fmt: skip


def fit_batch(samples: Samples, limit: int, update: Update, state: Any, *operands: Any) -> Samples:
    """The same samples with as large a batch as a step has room for in so many bytes on each device of every process."""

    def with_rows(rows: int) -> Samples:
        return samples._replace(batch_size=rows * samples.devices.size * jax.process_count())

    compile_rows = lambda rows: compile_step(with_rows(rows), update, state, *operands)  # noqa: E731
    most = _even_rows(with_rows(samples.num_samples).batch_per_device, batch_sizes.busy_rows(samples.devices))
    own = batch_sizes.rows_that_fit(compile_rows, limit, samples.devices, most)
    return with_rows(int(device_meshes.fold_processes(np.asarray(own), np.minimum)))


def _even_rows(num_rows: int, most: int) -> int:
    """Of a batch, so that as few batches as there must be have little padding: 7 of 1792 for 12,500, not of 2048."""
    batches = -(-num_rows // most)
    return min(most, -(-num_rows // (64 * batches)) * 64)


def bounds(num_samples: int) -> list[int]:
    """Where the NUM_GROUPS groups of the jackknife, runs of consecutive samples, begin and end."""
    return doublings(num_samples, num_samples)[0]


def doublings(num_samples: int, smallest: int) -> list[list[int]]:
    """The same for sets of samples that double in size, up to num_samples, from not less than `smallest`.

    Two groups of one set are a group of the next.
    """
    count = max(0, (num_samples // smallest).bit_length() - 1)
    unit = [num_samples * part // (NUM_GROUPS << count) for part in range((NUM_GROUPS << count) + 1)]
    return [[unit[group << step] for group in range(NUM_GROUPS + 1)] for step in range(count + 1)]


def sweep(
    samples: Samples, statistics: Statistics, update: Update, state: Any, start: int, stop: int, *operands: Any
) -> Any:
    """Folds samples `start` to `stop` - 1 into the state; returns the float64 one of all devices and processes.

    update: a pure function without closures, static under jit; rows of weight 0 are padding. Raises InputError for activations
    that are not finite.
    """
    journal = samples.journal
    found = journal.begin_sweep(statistics.to_float64(state))
    if found is None:
        states = _fold(samples, update, state, start, stop, operands)
        found = functools.reduce(statistics.merge, map(statistics.to_float64, device_meshes.parts(states)))
        journal.finish_sweep(found)
    else:
        samples.on_progress(stop - start)
    return device_meshes.fold_processes(found, statistics.merge)


def _fold(samples: Samples, update: Update, state: Any, start: int, stop: int, operands: Any) -> Any:
    """The states of this process's devices, from where the journal has them."""
    devices, per_device = samples.devices, samples.batch_per_device
    generator, batch_size = samples.generator, per_device * devices.size * jax.process_count()
    params, key, operands = device_meshes.replicate((generator.params, jax.random.key(samples.seed), operands), devices)
    position, states = start, device_meshes.one_each(state, devices)
    if (resumed := samples.journal.resume(states)) is not None:
        position, states = resumed
        samples.on_progress(position - start)
    own, count = jax.process_index() * per_device * devices.size, 1
    while position < stop:
        began, end = time.monotonic(), min(position + count * batch_size, stop)
        span = Span(*map(np.int32, (position + own, stop, batch_size, -(-(end - position) // batch_size))))
        states, finite = _step(
            generator.definition, params, key, samples.observed, update, per_device, devices, states, span, operands
        )
        if not all(np.all(shard.data) for shard in finite.addressable_shards):
            raise InputError(f"layer {samples.observed.layer}: NaN or infinity in samples {position} to {end - 1}")
        count = _next_count(count, time.monotonic() - began, min(STEP_SECONDS, samples.journal.seconds))
        samples.on_progress(end - position)
        samples.journal.keep(end, states)
        position = end
    return states


def _next_count(count: int, took: float, seconds: float) -> int:
    """Batches that take about so many seconds, after `count` of them took `took`: at least 1, and no sudden rise."""
    return max(1, int(count * min(8.0, seconds / max(took, 1e-6))))


@functools.partial(
    jax.jit,
    static_argnames=("definition", "observed", "update", "per_device", "devices"),
    donate_argnames=("states",),
)
def _step(definition, params, key, observed, update, per_device, devices, states, span, operands):
    """Some batches. In one program they share its memory, of which a CPU would otherwise ask for every page again."""

    def on_one(params, key, states, span, operands):
        own = span.first + lax.axis_index(device_meshes.AXIS) * per_device + jnp.arange(per_device)

        def add_batch(number, state):
            indices = own + number * span.stride
            activation, latent = layer_readings.observe(definition, params, key, observed, indices)
            return update(state, activation, latent, (indices < span.stop).astype(activation.dtype), *operands)

        state = lax.fori_loop(0, span.count, add_batch, jax.tree.map(lambda x: x[0], states))
        finite = jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in jax.tree.leaves(state)]))
        return jax.tree.map(lambda x: x[None], state), finite[None]

    specs = (device_meshes.WHOLE, device_meshes.WHOLE, device_meshes.SPLIT, device_meshes.WHOLE, device_meshes.WHOLE)
    spread = jax.shard_map(
        on_one, mesh=devices, in_specs=specs, out_specs=(device_meshes.SPLIT, device_meshes.SPLIT), check_vma=False
    )
    return spread(params, key, states, span, operands)
