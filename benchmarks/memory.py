"""Measures the peak memory of decompositions at several numbers of samples.

It should not depend on the number of samples.

    .venv/bin/pip install -r requirements-bench.txt
    python -m benchmarks.memory

Each run is the command experiments.decompose in its own process, on a layer from
benchmarks/decompose.py. Prints a table, plots runs/benchmarks/memory.png and writes
runs/benchmarks/memory.json.
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
    """Returns the largest resident memory of a decomposition, in gigabytes.

    The kernel measures it over the whole process.

    Args:
        generator: Generator to decompose.
        flags: Flags of experiments.decompose that select the layer.
        num_samples: Number of samples.
    """
    with tempfile.TemporaryDirectory() as directory:
        zoo.save(pathlib.Path(directory) / "generator", generator)
        command = [
            sys.executable,
            "-m",
            "experiments.decompose",
            f"--generator={directory}/generator",
            f"--workdir={directory}/out",
            f"--num_samples={num_samples}",
            "--num_components=80",
            *flags,
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)}: ended with status {status}")
    return usage.ru_maxrss * 1024 / 1e9


def draw(path: pathlib.Path, peaks: dict[str, list[float]]) -> None:
    """Plots peak memory against the number of samples, with one line per layer.

    Args:
        path: PNG file.
        peaks: Peak memory in gigabytes at each of NUM_SAMPLES, by layer.
    """
    figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
    for name, values in peaks.items():
        axes.plot(NUM_SAMPLES, values, marker="o", label=name)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("samples")
    axes.set_ylabel("peak memory (GB)")
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main():
    """Prints and writes the table, and writes the plot."""
    about, peaks, rows = machine.describe(), {}, []
    for name, (make_generator, flags) in LAYERS.items():
        generator = make_generator()
        peaks[name] = [peak_gigabytes(generator, flags, count) for count in NUM_SAMPLES]
        row = {"layer": name}
        for count, peak in zip(NUM_SAMPLES, peaks[name], strict=True):
            row[f"{count:,} samples"] = f"{peak:.2f} GB"
        rows.append(row)
    print(machine.table(rows))
    draw(pathlib.Path("runs") / "benchmarks" / "memory.png", peaks)
    machine.write_json("memory", {"about": about, "rows": rows})


if __name__ == "__main__":
    main()
