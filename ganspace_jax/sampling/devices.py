"""The devices and processes that share one computation.

Batches are split over the devices of a mesh, and parameters are copied to each device.
In sampling, each process has a mesh of its own devices and a share of every batch. The
processes merge their results on the host, once per sweep, so no step waits for all.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ganspace_jax import errors
from ganspace_jax.errors import InputError

AXIS = "batch"
SPLIT, WHOLE = PartitionSpec(AXIS), PartitionSpec()
Tree = TypeVar("Tree")


def use_cpu_devices(count: int) -> None:
    """Makes the CPU look like `count` devices. Must be called before anything else of
    JAX.

    One program on two cores leaves the cores idle between its operations. One program
    per core does not, and trains 1.5 times as fast (see the flagfiles).
    """
    jax.config.update("jax_num_cpu_devices", count)


def start_distributed(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Joins the processes of a run. Must be called before anything else of JAX.

    Without arguments, the environment of the cluster provides the values.

    Raises:
        InputError: if the environment does not, or if a process cannot be reached.
    """
    try:
        jax.distributed.initialize(coordinator, num_processes, process_id)
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"--distributed: {errors.first_line(error)}; on an unknown cluster give --coordinator_address=HOST:PORT, "
            f"--num_processes and --process_id"
        ) from None


def own_devices() -> Mesh:
    """Returns a mesh of this process's devices."""
    return Mesh(np.array(jax.local_devices()), (AXIS,))


def all_devices(batch_size: int | None = None) -> Mesh:
    """Returns a mesh of all devices. Raises InputError if they cannot share the batch
    evenly.
    """
    devices = jax.devices()
    if batch_size is not None and batch_size % len(devices):
        raise InputError(f"--batch_size={batch_size}: must be a multiple of {len(devices)}, the number of devices")
    return Mesh(np.array(devices), (AXIS,))


def is_first_process() -> bool:
    """Returns whether this process writes the files. A single process does."""
    return jax.process_index() == 0


def fold_processes(tree: Tree, merge: Callable[[Tree, Tree], Tree]) -> Tree:
    """Returns the merged trees of host arrays of all processes, equal in every process.

    The trees are merged in the order of the processes. They cross the network one after
    the other, so no more than two are in memory.
    """
    count = jax.process_count()
    if count == 1:
        return tree
    return functools.reduce(merge, (_broadcast(tree, index) for index in range(count)))


def _broadcast(tree: Tree, source: int) -> Tree:
    """Returns the tree of one process in all processes. It travels as bytes, because
    JAX would round float64.
    """
    leaves, structure = jax.tree.flatten(tree)
    packed = np.frombuffer(b"".join(np.ascontiguousarray(leaf).tobytes() for leaf in leaves), np.uint8)
    firsts = {device.process_index: device for device in reversed(jax.devices())}
    mesh = Mesh(np.array([firsts[index] for index in sorted(firsts)]), (AXIS,))
    rows = jax.make_array_from_process_local_data(_sharding(mesh, SPLIT), packed[None])
    sent = np.asarray(_row_of(rows, np.int32(source), mesh).addressable_data(0))
    sizes = np.cumsum([leaf.nbytes for leaf in leaves])[:-1]
    unpacked = [
        part.view(leaf.dtype).reshape(leaf.shape) for part, leaf in zip(np.split(sent, sizes), leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, unpacked)


@functools.partial(jax.jit, static_argnames="mesh")
def _row_of(rows, source, mesh):
    """Returns row `source` of an array whose rows lie on different devices, on each
    device.
    """

    def pick(own, source):
        return jax.lax.psum(jax.numpy.where(jax.lax.axis_index(AXIS) == source, own[0], 0), AXIS)

    return jax.shard_map(pick, mesh=mesh, in_specs=(SPLIT, WHOLE), out_specs=WHOLE)(rows, source)


def split_batch(tree: Tree, mesh: Mesh | None) -> Tree:
    """Splits arrays [batch, ...] over the mesh, inside jit. Without a mesh it returns
    them unchanged.
    """
    if mesh is None:
        return tree
    return jax.tree.map(functools.partial(jax.lax.with_sharding_constraint, shardings=_sharding(mesh, SPLIT)), tree)


def replicate(tree: Tree, mesh: Mesh) -> Tree:
    """Copies every array to each device."""
    return jax.device_put(tree, _sharding(mesh, WHOLE))


@functools.partial(jax.jit, static_argnames="mesh")
def one_each(tree: Any, mesh: Mesh) -> Any:
    """Returns arrays [devices, ...] with one copy of every array per device, which that
    device may change.
    """
    return split_batch(jax.tree.map(lambda x: jax.numpy.broadcast_to(x, (mesh.size, *x.shape)), tree), mesh)


def ship_rows(array: Any, mesh: Mesh) -> jax.Array:
    """Splits the rows of an array evenly over the devices."""
    return jax.device_put(array, _sharding(mesh, SPLIT))


def abstract(tree: Any, mesh: Mesh, spec: PartitionSpec = WHOLE) -> Any:
    """Returns shapes with a place on the mesh, for programs that are compiled and not
    run.
    """
    place = _sharding(mesh, spec)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), tree)


def per_device(tree: Any) -> list[Any]:
    """Returns the trees that `one_each` made, one per device, on the host."""
    leaves, structure = jax.tree.flatten(tree)
    shards = [[np.asarray(shard.data)[0] for shard in leaf.addressable_shards] for leaf in leaves]
    return [jax.tree.unflatten(structure, part) for part in zip(*shards, strict=True)]


def _sharding(mesh: Mesh, spec: PartitionSpec) -> NamedSharding:
    # A program returns arrays on one device as whole ones. For arguments that are
    # placed otherwise, it would be compiled a second time.
    return NamedSharding(mesh, WHOLE if mesh.size == 1 else spec)
