"""Moves latents until their images are the wanted ones, by Adam.

One step is one jitted program, and a loop in Python calls it: on a CPU, a loop inside
the program takes four to six times as long. So a CPU gets small batches, and no chunks
within a batch. Targets, weights and rates are arguments of the program, so that it is
compiled once for all pictures and both stages.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from ganspace_jax.generators import base, chunks
from ganspace_jax.generators.base import Generator
from ganspace_jax.run import Interrupted, Progress, Run
from ganspace_jax.sampling import batch_size, devices, inversion_losses
from ganspace_jax.sampling.inversion_losses import Description, Features, Penalty
from ganspace_jax.shapes import Array, Float

WARM_UP = 10  # steps in which the rate grows
_BUSY_IMAGES = 64  # images per device above which throughput no longer grows
_BUSY_IMAGES_CPU = 16
_ADAM = optax.scale_by_adam()


class Problem(NamedTuple):
    """What is minimised. The rows of a batch do not depend on one another.

    Attributes:
        generator: generator of the images.
        loss: one of inversion_losses.LOSSES.
        features: function that the loss "features" compares images by, or None.
        penalty: penalty on latents far from the generator's own.
        bound: largest absolute value of a latent; infinity without a bound.
        chunked: whether the layers hold chunks of one z.
    """

    generator: Generator
    loss: str
    features: Features | None
    penalty: Penalty
    bound: float
    chunked: bool


class Stage(NamedTuple):
    """A number of steps with a fresh state of Adam.

    Attributes:
        num_steps: number of steps.
        rate: largest learning rate; it follows half a cosine after a warm-up.
        shared: whether all layers move by the same vector.
    """

    num_steps: int
    rate: float
    shared: bool


class _Constants(NamedTuple):
    """The arrays of a program that do not depend on the image."""

    params: Any
    features: Any
    penalty: Penalty
    bound: Any


def descend(
    problem: Problem,
    latents: Float[Array | np.ndarray, "n layers d"],
    label: Float[Array | np.ndarray, "n classes"] | None,
    images: Float[Array | np.ndarray, "n h w c"],
    stages: Sequence[Stage],
    run: Run = Run(),
    note: str = "",
) -> tuple[Float[np.ndarray, "n layers d"], Float[np.ndarray, "n"]]:
    """Returns the latents after all stages, and the loss of each image before the last
    step.

    Args:
        problem: what is minimised.
        latents: latents before the first step.
        label: class weights; None without classes.
        images: the wanted images in [-1, 1].
        stages: the stages in their order.
        run: batch size, progress and stopping.
        note: note of each progress report.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    mesh, count, num_steps = devices.own_devices(), len(images), sum(stage.num_steps for stage in stages)
    rows_per_batch = batch_rows(problem, count, run, mesh)
    total = math.ceil(count / rows_per_batch) * num_steps
    done = itertools.count(1)

    def on_step() -> None:
        run.report(Progress(next(done), total, "step", note))
        if run.should_stop():
            raise Interrupted("stopped; unfinished pictures begin anew")

    parts = []
    for first in range(0, count, rows_per_batch):
        rows = np.minimum(np.arange(first, first + rows_per_batch), count - 1)  # the last row again fills the batch
        arrays = (latents, label, images)
        batch = [None if x is None else devices.ship_rows(np.asarray(x, np.float32)[rows], mesh) for x in arrays]
        part = _descend_batch(problem, batch, stages, mesh, on_step)
        parts.append([np.asarray(x)[: count - first] for x in part])
    found, loss = (np.concatenate(part) for part in zip(*parts, strict=True))
    return found, loss


def batch_rows(problem: Problem, count: int, run: Run, mesh: Mesh) -> int:
    """Returns the images per batch: those of the run, or as many as are useful and fit.

    The batches are as equal as possible, so that few rows are computed in vain.
    """
    rows = run.batch_size or most_rows(problem.generator, mesh)
    if run.batch_size is None and mesh.devices.flat[0].platform != "cpu":
        memory = batch_size.device_memory(mesh)
        rows = mesh.size * batch_size.rows_that_fit(
            lambda rows: _compile(problem, rows * mesh.size, mesh), memory, mesh, rows // mesh.size
        )
    return math.ceil(math.ceil(count / math.ceil(count / rows)) / mesh.size) * mesh.size


def most_rows(generator: Generator, mesh: Mesh) -> int:
    """Returns the images per batch, over all devices, that are useful at most.

    On a CPU the largest activation of a batch fits into the cache.
    """
    if mesh.devices.flat[0].platform != "cpu":
        return _BUSY_IMAGES * mesh.size
    return mesh.size * min(_BUSY_IMAGES_CPU, chunks.rows_in_cache(chunks.largest_activation(generator)))


def _compile(problem: Problem, rows: int, mesh: Mesh) -> Any:
    """Returns the program of a step of so many images, compiled from shapes."""
    network = problem.generator.merge()
    float32 = functools.partial(jax.ShapeDtypeStruct, dtype=jnp.float32)
    latents = float32((rows, *network.latent_shape))
    label = float32((rows, network.num_classes)) if network.num_classes else None
    constants = devices.abstract(_constants(problem), mesh)
    images = jax.eval_shape(lambda *x: network(x[0], label=x[1])[0], latents, label)
    wanted = jax.eval_shape(functools.partial(inversion_losses.describe, problem.loss), constants.features, images)
    batch, moment = devices.abstract(((latents, label, wanted), latents), mesh, devices.SPLIT)
    count = devices.abstract(jax.ShapeDtypeStruct((), jnp.int32), mesh)
    state = optax.ScaleByAdamState(count, moment, moment)
    return _step.lower(_static(problem), constants, batch, state, (float32(()), np.bool_(True))).compile()


def _descend_batch(
    problem: Problem, batch: Sequence[Any], stages: Sequence[Stage], mesh: Mesh, on_step: Callable[[], object]
) -> tuple[Array, Array]:
    latents, label, images = batch
    constants = devices.replicate(_constants(problem), mesh)
    wanted = _describe(problem.loss, problem.features, images)
    loss = jnp.full(len(latents), jnp.nan)
    for stage in stages:
        state = _begin(latents, mesh)
        for step in range(stage.num_steps):
            pace = np.float32(_rate(step, stage)), np.bool_(stage.shared)
            latents, state, loss = _step(_static(problem), constants, (latents, label, wanted), state, pace)
            on_step()
    return latents, loss


def _constants(problem: Problem) -> _Constants:
    return _Constants(problem.generator.params, problem.features, problem.penalty, np.float32(problem.bound))


def _static(problem: Problem) -> tuple[Any, str, bool]:
    return problem.generator.definition, problem.loss, problem.chunked


def _rate(step: int, stage: Stage) -> float:
    warm = min(1.0, (step + 1) / WARM_UP)
    return stage.rate * warm * 0.5 * (1.0 + math.cos(math.pi * step / stage.num_steps))


_describe = jax.jit(inversion_losses.describe, static_argnums=0)


def _begin(latents: Array, mesh: Mesh) -> optax.ScaleByAdamState:
    """Returns Adam's first state, placed as `_step` returns it: a state that is placed
    otherwise would need a second program.
    """
    return optax.ScaleByAdamState(
        devices.replicate(jnp.zeros((), jnp.int32), mesh),
        devices.ship_rows(jnp.zeros_like(latents), mesh),
        devices.ship_rows(jnp.zeros_like(latents), mesh),
    )


@functools.partial(jax.jit, static_argnums=0, donate_argnums=3)
def _step(static, constants, batch, state, pace):
    (definition, loss_name, chunked), (rate, shared) = static, pace
    network, (latents, label, wanted) = base.merge(definition, constants.params), batch

    def total(latents):
        loss = _loss(network, loss_name, chunked, constants, latents, label, wanted)
        return loss.sum(), loss

    gradient, loss = jax.grad(total, has_aux=True)(latents)
    gradient = jnp.where(shared, gradient.sum(1, keepdims=True), gradient)
    moves, state = _ADAM.update(gradient, state)
    latents = jnp.clip(latents - rate * moves, -constants.bound, constants.bound)
    return latents, state, loss


def _loss(
    network: base.Network,
    loss: str,
    chunked: bool,
    constants: _Constants,
    latents: Array,
    label: Array | None,
    wanted: Description,
) -> Float[Array, "n"]:
    images, _ = network(latents, label=label, noise="const")
    error = inversion_losses.compare(inversion_losses.describe(loss, constants.features, images), wanted)
    whole = latents.reshape(len(latents), 1, -1) if chunked else latents
    return error + inversion_losses.penalize(constants.penalty, whole)
