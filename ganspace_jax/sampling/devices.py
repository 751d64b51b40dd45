"""The devices that one step is spread over: batches split, parameters copied to each; and processes on many hosts.

Sampling gives each process a mesh of its own devices and a share of every batch: what the processes know is put together on
the host, once a sweep, and nothing on the way has to wait for all of them.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ganspace_jax.errors import InputError

AXIS = "batch"
SPLIT, WHOLE = PartitionSpec(AXIS), PartitionSpec()
Tree = TypeVar("Tree")


def use_cpu_devices(count: int) -> None:
    """Makes the CPU look like `count` devices; to be called before anything else of JAX.

    One program on two cores leaves them idle between its operations; one program a core does not (half as fast again in
    training, see the flagfiles).
    """
    jax.config.update("jax_num_cpu_devices", count)


def start_distributed(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Joins the processes of a run, before anything else of JAX; without arguments as the cluster's environment says.

    Raises InputError where that says nothing, or the others cannot be reached.
    """
    try:
        jax.distributed.initialize(coordinator, num_processes, process_id)
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"--distributed: {reason}; on an unknown cluster give --coordinator_address=HOST:PORT, --num_processes and "
            f"--process_id"
        ) from None


def own_devices() -> Mesh:
    """A mesh of this process's devices."""
    return Mesh(np.array(jax.local_devices()), (AXIS,))


def is_first_process() -> bool:
    """Whether this process is the one that writes files; true where there is no other."""
    return jax.process_index() == 0


def fold_processes(tree: Tree, merge: Callable[[Tree, Tree], Tree]) -> Tree:
    """What all processes' trees of host arrays make together, in the order of the processes: the same in each of them.

    One tree after the other crosses the network, so that no more than two are in memory.
    """
    count = jax.process_count()
    if count == 1:
        return tree
    return functools.reduce(merge, (_broadcast(tree, index) for index in range(count)))


def _broadcast(tree: Tree, source: int) -> Tree:
    """The tree of one process, to all. As bytes, since JAX would make float64 to float32."""
    leaves, structure = jax.tree.flatten(tree)
    packed = np.frombuffer(b"".join(np.ascontiguousarray(leaf).tobytes() for leaf in leaves), np.uint8)
    firsts = {device.process_index: device for device in reversed(jax.devices())}
    devices = Mesh(np.array([firsts[index] for index in sorted(firsts)]), (AXIS,))
    spread = jax.make_array_from_process_local_data(_sharding(devices, SPLIT), packed[None])
    sent = np.asarray(_share_of(spread, np.int32(source), devices).addressable_data(0))
    sizes = np.cumsum([leaf.nbytes for leaf in leaves])[:-1]
    unpacked = [
        part.view(leaf.dtype).reshape(leaf.shape) for part, leaf in zip(np.split(sent, sizes), leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, unpacked)


@functools.partial(jax.jit, static_argnames="devices")
def _share_of(spread, source, devices):
    """Row `source` of an array whose rows lie on different devices, to each."""

    def pick(own, source):
        return jax.lax.psum(jax.numpy.where(jax.lax.axis_index(AXIS) == source, own[0], 0), AXIS)

    return jax.shard_map(pick, mesh=devices, in_specs=(SPLIT, WHOLE), out_specs=WHOLE)(spread, source)


def all_devices(batch_size: int | None = None) -> Mesh:
    """A mesh of every device; raises InputError where they cannot share a batch of a given size evenly."""
    devices = jax.devices()
    if batch_size is not None and batch_size % len(devices):
        raise InputError(f"--batch_size={batch_size}: must be a multiple of {len(devices)}, the number of devices")
    return Mesh(np.array(devices), (AXIS,))


def split_batch(tree: Tree, mesh: Mesh | None) -> Tree:
    """Inside jit: arrays [batch, ...] lie split over the mesh; without one nothing happens."""
    if mesh is None:
        return tree
    return jax.tree.map(functools.partial(jax.lax.with_sharding_constraint, shardings=_sharding(mesh, SPLIT)), tree)


def replicate(tree: Tree, mesh: Mesh) -> Tree:
    """A copy of every array on each device."""
    return jax.device_put(tree, _sharding(mesh, WHOLE))


@functools.partial(jax.jit, static_argnames="mesh")
def one_each(tree: Any, mesh: Mesh) -> Any:
    """Arrays [devices, ...] with a copy of every array for each device, to be changed there."""
    return split_batch(jax.tree.map(lambda x: jax.numpy.broadcast_to(x, (mesh.size, *x.shape)), tree), mesh)


def spread(array: Any, mesh: Mesh) -> jax.Array:
    """Rows that lie split over the devices, which can share them evenly."""
    return jax.device_put(array, _sharding(mesh, SPLIT))


def abstract(tree: Any, mesh: Mesh, spec: PartitionSpec = WHOLE) -> Any:
    """Shapes and places of a tree of arrays or shapes on the mesh, for programs that are compiled and not run."""
    place = _sharding(mesh, spec)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=place), tree)


def parts(tree: Any) -> list[Any]:
    """What `one_each` made, device by device, on the host."""
    leaves, structure = jax.tree.flatten(tree)
    shards = [[np.asarray(shard.data)[0] for shard in leaf.addressable_shards] for leaf in leaves]
    return [jax.tree.unflatten(structure, part) for part in zip(*shards, strict=True)]


def _sharding(mesh: Mesh, spec: PartitionSpec) -> NamedSharding:
    return NamedSharding(mesh, spec)
