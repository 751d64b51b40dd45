"""The devices that one step is spread over: batches split, parameters copied to each."""

import functools
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ganspace_jax.failures import InputError

AXIS = "batch"
SPLIT, WHOLE = PartitionSpec(AXIS), PartitionSpec()
Tree = TypeVar("Tree")


def use_cpu_devices(count: int) -> None:
    """Makes the CPU look like `count` devices; to be called before anything else of JAX.

    One program on two cores leaves them idle between its operations; one program a core does not (half as fast again in
    training, see the flagfiles).
    """
    jax.config.update("jax_num_cpu_devices", count)


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


def one_each(tree: Any, mesh: Mesh) -> Any:
    """Arrays [devices, ...] with a copy of every array for each device, to be changed there."""
    copies = lambda x: jax.numpy.broadcast_to(x, (mesh.size, *x.shape))  # noqa: E731
    return jax.jit(lambda t: jax.tree.map(copies, t), out_shardings=_sharding(mesh, SPLIT))(tree)


def parts(tree: Any) -> list[Any]:
    """What `one_each` made, device by device, on the host: those of this process."""
    leaves, structure = jax.tree.flatten(tree)
    shards = [[np.asarray(shard.data)[0] for shard in leaf.addressable_shards] for leaf in leaves]
    return [jax.tree.unflatten(structure, part) for part in zip(*shards, strict=True)]


def _sharding(mesh: Mesh, spec: PartitionSpec) -> NamedSharding:
    return NamedSharding(mesh, spec)
