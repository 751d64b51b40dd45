"""Measures how long animations take to write, and how large they are.

    python -m benchmarks.animations

Prints one row per form that this machine can write. The animation has 48 pictures of
512 px, a procedural scene that turns into another one, and the way back. Files and
pictures are in runs/benchmarks/animations.
"""

import os
import pathlib
import time

import jax
import numpy as np

from benchmarks import machine
from ganspace_jax.files import animations, pictures
from ganspace_jax.scenes import factors, rendering
from ganspace_jax.scenes.factors import Factors

NUM_FRAMES, SIZE = 48, 512
SEED = 3  # of the two scenes
FOLDER = pathlib.Path("runs/benchmarks/animations")


def frames() -> np.ndarray:
    """Returns pictures of even steps between two scenes. The shape is that of the
    first.
    """
    ends = factors.sample_factors(jax.random.key(SEED), 2)
    render = jax.jit(lambda one: rendering.render(one, SIZE, supersampling=1))
    made = []
    for share in np.linspace(0, 1, NUM_FRAMES, dtype=np.float32):
        mixed = [(1 - share) * end[0] + share * end[1] for end in ends]
        made.append(np.asarray(render(Factors(ends.shape[0], *mixed[1:]))))
    return pictures.to_uint8(np.stack(made))


def cpu_seconds() -> float:
    """Returns the CPU time of this process and of those that it waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def main():
    """Prints the table."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    made, rows = frames(), []
    for form in animations.forms():
        path = FOLDER / f"scenes.{form}"
        began, spent = time.perf_counter(), cpu_seconds()
        animations.save(path, made)
        rows.append(
            {
                "form": form,
                "seconds": f"{time.perf_counter() - began:.2f}",
                "CPU seconds": f"{cpu_seconds() - spent:.2f}",
                "KB": f"{path.stat().st_size / 1000:.0f}",
            }
        )
    print(machine.table(rows))


if __name__ == "__main__":
    main()
