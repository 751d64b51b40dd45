"""How many rows of a batch fit into a device's memory: by the compiler's account, before anything runs."""

import math
import os
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh

_FEW = 8  # rows of a program whose memory tells that of larger batches
_BUSY, _BUSY_CPU = 16_384, 2_048  # rows on a device beyond which nothing becomes faster


def of_device(mesh: Mesh) -> int:
    """Bytes that a program may use on each device: three quarters of a GPU's or TPU's, of a CPU's share a quarter."""
    limit = (mesh.devices.flat[0].memory_stats() or {}).get("bytes_limit")
    if limit is not None:
        return int(0.75 * limit)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (4 * mesh.size)


def of_program(program: Any) -> int:
    """Bytes that a compiled program takes on each device, its arguments and results included."""
    sizes = program.memory_analysis()
    held = sizes.argument_size_in_bytes + sizes.output_size_in_bytes - sizes.alias_size_in_bytes
    return held + sizes.temp_size_in_bytes


def busy_rows(mesh: Mesh) -> int:
    """Rows that keep each device busy."""
    return _BUSY_CPU if _is_cpu(mesh) else _BUSY


def rows_that_fit(compile_rows: Callable[[int], Any], memory: int, mesh: Mesh, most: int) -> int:
    """Rows a device with which a program stays within so many bytes: `most`, or a power of two below that; at least 1.

    compile_rows: the program for so many rows on each device. A CPU's compiler takes any number of them, so what will run is
    compiled first, once. Others might take long for what is far too large: there a few rows are compiled, and where these say
    that memory may be short, more as well, since what does not grow with the rows is then told from what does.
    """
    if _is_cpu(mesh) and (_bytes(compile_rows, most) or math.inf) <= memory:
        return most
    few = min(_FEW, most)
    needed = _bytes(compile_rows, few)
    if needed is None:
        return 1
    rows = few * memory // needed
    if rows < most:
        more = max(2 * few, rows)
        needed_by_more = _bytes(compile_rows, more)
        growth = 0 if needed_by_more is None else (needed_by_more - needed) / (more - few)
        rows = int(few + (memory - needed) / growth) if growth > 0 else rows
    return most if rows >= most else 1 << max(1, rows).bit_length() - 1


def _is_cpu(mesh: Mesh) -> bool:
    return mesh.devices.flat[0].platform == "cpu"


def _bytes(compile_rows: Callable[[int], Any], rows: int) -> int | None:
    """None where the compiler itself finds that so many rows do not fit."""
    try:
        return of_program(compile_rows(rows))
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return None
