"""The devices that one step is spread over: batches split, parameters copied to each."""

import functools
from typing import TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ganspace_jax.failures import InputError

AXIS = "batch"
Tree = TypeVar("Tree")


def use_cpu_devices(count: int) -> None:
    """Makes the CPU look like `count` devices; to be called before anything else of JAX.

    One program on two cores leaves them idle between its operations; one program a core does not (half as fast again in
    training, see the flagfiles).
    """
    jax.config.update("jax_num_cpu_devices", count)


def all_devices(batch_size: int) -> Mesh:
    """A mesh of every device; raises InputError where they cannot share a batch evenly."""
    devices = jax.devices()
    if batch_size % len(devices):
        raise InputError(f"--batch_size={batch_size}: must be a multiple of {len(devices)}, the number of devices")
    return Mesh(np.array(devices), (AXIS,))


def split_batch(tree: Tree, mesh: Mesh | None) -> Tree:
    """Inside jit: arrays [batch, ...] lie split over the mesh; without one nothing happens."""
    if mesh is None:
        return tree
    return jax.tree.map(functools.partial(jax.lax.with_sharding_constraint, shardings=_split(mesh)), tree)


def replicate(tree: Tree, mesh: Mesh) -> Tree:
    """A copy of every array on each device."""
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def _split(mesh: Mesh) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec(AXIS))
