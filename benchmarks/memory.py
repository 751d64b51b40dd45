"""Peak memory of decompositions against the number of samples: it should not depend on it.

    .venv/bin/pip install -r requirements-bench.txt
    python -m benchmarks.memory

Each run is the command itself in a process of its own, on the layers of benchmarks/decompose.py. Prints a table, draws
runs/benchmarks/memory.png and writes runs/benchmarks/memory.json.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import matplotlib.pyplot as plt

from benchmarks import decompose, machine
from ganspace_jax.generators import base, zoo

NUM_SAMPLES = (10_000, 100_000, 1_000_000)
LAYERS = {
    "w, 512, exact": (decompose.mapping_generator, ["--layer=w", "--latent_space=w", "--estimator=exact"]),
    "gen_z, 32,768, randomized": (
        decompose.gen_z_generator,
        ["--layer=gen_z", "--latent_space=z", "--estimator=randomized", "--label=207"],
    ),
}


def peak_gigabytes(generator: base.Generator, flags: list[str], num_samples: int) -> float:
    """Of the decomposition, from start to end: resident memory as the kernel counts it."""
    with tempfile.TemporaryDirectory() as directory:
        zoo.save(pathlib.Path(directory) / "generator", generator)
        where = [f"--generator={directory}/generator", f"--workdir={directory}/out"]
        command = [sys.executable, "-m", "experiments.decompose", *where, f"--num_samples={num_samples}", *flags]
        process = subprocess.Popen(
            [*command, "--num_components=80"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)}: ended with status {status}")
    return usage.ru_maxrss * 1024 / 1e9


def draw(path: pathlib.Path, peaks: dict[str, list[float]]) -> None:
    """One line a layer."""
    figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
    for name, values in peaks.items():
        axes.plot(NUM_SAMPLES[: len(values)], values, marker="o", label=name)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("samples")
    axes.set_ylabel("peak memory (GB)")
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main():
    """One table and one plot."""
    about, peaks, rows = machine.describe(), {}, []
    for name, (make, flags) in LAYERS.items():
        generator = make()
        peaks[name] = [peak_gigabytes(generator, flags, count) for count in NUM_SAMPLES]
        cells = {f"{count:,}": f"{peak:.2f} GB" for count, peak in zip(NUM_SAMPLES, peaks[name], strict=True)}
        rows.append({"layer": name, **cells})
    print(machine.table(rows))
    draw(pathlib.Path("runs") / "benchmarks" / "memory.png", peaks)
    machine.write_json("memory", {"about": about, "rows": rows})


if __name__ == "__main__":
    main()
