"""The largest batch that fits into a device's memory, by the compiler's account and
before anything runs.
"""

import math
import os
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh

_FEW_ROWS = 8  # the memory of a program with so many rows predicts that of larger batches
_BUSY_ROWS, _BUSY_ROWS_CPU = 16_384, 2_048  # rows per device above which throughput no longer grows


def device_memory(mesh: Mesh) -> int:
    """Returns the bytes that a program may use on each device.

    That is three quarters of the memory of a GPU or TPU, and of a CPU's share a
    quarter.
    """
    limit = (mesh.devices.flat[0].memory_stats() or {}).get("bytes_limit")
    if limit is not None:
        return int(0.75 * limit)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (4 * mesh.size)


def program_memory(program: Any) -> int:
    """Returns the bytes that a compiled program uses on each device, with its arguments
    and results.
    """
    sizes = program.memory_analysis()
    held = sizes.argument_size_in_bytes + sizes.output_size_in_bytes - sizes.alias_size_in_bytes
    return held + sizes.temp_size_in_bytes


def busy_rows(mesh: Mesh) -> int:
    """Returns the number of rows per device above which throughput no longer grows."""
    return _BUSY_ROWS_CPU if _is_cpu(mesh) else _BUSY_ROWS


def rows_that_fit(compile_rows: Callable[[int], Any], memory: int, mesh: Mesh, most: int) -> int:
    """Returns the rows per device with which a program stays within `memory` bytes.

    The result is `most`, or a power of two below it, and at least 1. A CPU's compiler
    accepts any number of rows, so the program that will run is compiled first, once. On
    GPU and TPU, compiling a far too large batch is slow. So a small batch is compiled,
    and if memory looks tight a second size; the two give fixed and per-row memory.

    Args:
        compile_rows: function that returns the program for a number of rows per device.
        memory: limit per device, in bytes.
        mesh: the devices.
        most: largest number of rows that is useful.
    """
    if _is_cpu(mesh) and (_bytes(compile_rows, most) or math.inf) <= memory:
        return most
    few = min(_FEW_ROWS, most)
    needed = _bytes(compile_rows, few)
    if needed is None:
        return 1
    rows = few * memory // needed
    if rows < most:
        more = max(2 * few, rows)
        needed_by_more = _bytes(compile_rows, more)
        per_row = 0 if needed_by_more is None else (needed_by_more - needed) / (more - few)
        rows = int(few + (memory - needed) / per_row) if per_row > 0 else rows
    return most if rows >= most else _power_of_two_below(rows)


def _power_of_two_below(rows: int) -> int:
    """Returns the largest power of two that is at most `rows`, and at least 1."""
    return 2 ** (max(1, rows).bit_length() - 1)


def _is_cpu(mesh: Mesh) -> bool:
    return mesh.devices.flat[0].platform == "cpu"


def _bytes(compile_rows: Callable[[int], Any], rows: int) -> int | None:
    """Returns the memory of a program, or None if the compiler itself runs out of
    memory.
    """
    try:
        return program_memory(compile_rows(rows))
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return None
