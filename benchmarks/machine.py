"""Describes the machine, measures times, and writes the tables of the benchmarks."""

import json
import pathlib
import platform
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.files import tables

SIDES = (512, 1024, 2048)  # rows of the square matrices; products of larger ones are slower


def seconds(run: Callable[[], Any], repeats: int = 1) -> float:
    """Returns the shortest time of several runs, in seconds.

    Args:
        run: Function without arguments. Each time includes the wait for the arrays
            that it returns.
        repeats: Number of runs.
    """
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - start)
    return min(times)


def matmul_ceiling() -> float:
    """Returns the FLOP/s of the fastest matrix product.

    The products are XLA's, in float32 at the highest precision, on JAX's default
    device.
    """
    multiply = jax.jit(lambda a: jnp.matmul(a, a, precision="highest"))
    rates = []
    for side in SIDES:
        square = jax.random.normal(jax.random.key(0), (side, side))
        jax.block_until_ready(multiply(square))
        duration = seconds(lambda square=square: multiply(square), repeats=20)
        rates.append(2 * side**3 / duration)
    return max(rates)


def describe() -> dict[str, str]:
    """Returns the device, the versions, and the kernels of NumPy's linear algebra.

    The environment variable OPENBLAS_CORETYPE can select kernels that are slower than
    the best ones of the processor.
    """
    import sklearn
    import threadpoolctl
    import torch

    kernels = {pool["architecture"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}
    device = [jax.devices()[0].device_kind, platform.machine(), _processor(), f"{torch.get_num_threads()} threads"]
    versions = {"jax": jax, "numpy": np, "torch": torch, "scikit-learn": sklearn}
    return {
        "device": ", ".join(device),
        "versions": ", ".join(f"{name} {package.__version__}" for name, package in versions.items()),
        "BLAS kernels": ", ".join(sorted(kernels)),
    }


def _processor() -> str:
    """Returns Linux's name of the processor."""
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "unknown processor")


def table(rows: list[dict[str, Any]]) -> str:
    """Returns a Markdown table. The keys of the first row are the headings."""
    header = list(rows[0])
    return tables.markdown(header, [[str(row[key]) for key in header] for row in rows])


def write_json(name: str, content: dict[str, Any]) -> None:
    """Writes a report to runs/benchmarks/NAME.json."""
    path = pathlib.Path("runs") / "benchmarks" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
    print(f"written: {path}")
