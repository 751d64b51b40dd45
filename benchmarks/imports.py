"""Measures the CPU time of importing the zoo, relative to importing jax and flax alone.

    python -m benchmarks.imports

Prints the median over paired runs, each in a process of its own.
"""

import resource
import statistics
import subprocess
import sys

NUM_PAIRS = 7
STATEMENTS = {
    "jax and flax": "import jax, flax",
    "jax and flax.nnx": "import jax, flax.nnx",
    "the zoo": "import ganspace_jax.generators.zoo",
    "the library": "import ganspace_jax as gs; gs.decompose",
}


def cpu_seconds(statement: str) -> float:
    """Returns the CPU time of a Python process that runs one statement."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", statement], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    """Prints one line per statement."""
    rounds = [{name: cpu_seconds(text) for name, text in STATEMENTS.items()} for _ in range(NUM_PAIRS)]
    for name in STATEMENTS:
        seconds = statistics.median(one[name] for one in rounds)
        ratios = [statistics.median(one[name] / one[base] for one in rounds) for base in list(STATEMENTS)[:2]]
        print(f"{name:18} {seconds:5.2f} CPU s; {ratios[0]:.2f} times jax and flax, {ratios[1]:.2f} times flax.nnx")


if __name__ == "__main__":
    main()
