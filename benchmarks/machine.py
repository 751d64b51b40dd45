"""What the machine is, and how fast its matrix products are: the ceiling that the tables are held against."""

import json
import pathlib
import platform
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

SIDES = (512, 1024, 2048)  # of the square matrices multiplied; larger ones are slower


def seconds(run: Callable[[], Any], repeats: int = 1) -> float:
    """The shortest of so many runs; `run` returns when its work is done, or arrays that are waited for."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - start)
    return min(times)


def matmul_ceiling() -> float:
    """FLOP/s of float32 matrix products at the highest precision: the best that XLA does on the device that JAX chose."""
    multiply = jax.jit(lambda a: jnp.matmul(a, a, precision="highest"))
    rates = []
    for side in SIDES:
        square = jax.random.normal(jax.random.key(0), (side, side))
        jax.block_until_ready(multiply(square))
        rates.append(2 * side**3 / seconds(lambda square=square: multiply(square), repeats=20))
    return max(rates)


def describe() -> dict[str, str]:
    """Device, versions, and the kernels of NumPy's linear algebra, which OPENBLAS_CORETYPE can make slower than need be."""
    import sklearn
    import threadpoolctl
    import torch

    kernels = {pool["architecture"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}
    return {
        "device": f"{jax.devices()[0].device_kind}, {platform.machine()}, {_processor()}, {torch.get_num_threads()} threads",
        "versions": f"jax {jax.__version__}, numpy {np.__version__}, torch {torch.__version__}, "
        f"scikit-learn {sklearn.__version__}",
        "BLAS kernels": ", ".join(sorted(kernels)),
    }


def _processor() -> str:
    """As Linux names it."""
    path = pathlib.Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "unknown processor")


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown; the keys of the first row are the columns."""
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([str(row[key]) for key in head] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_json(name: str, content: dict[str, Any]) -> None:
    """To runs/benchmarks."""
    path = pathlib.Path("runs") / "benchmarks" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
    print(f"written: {path}")
