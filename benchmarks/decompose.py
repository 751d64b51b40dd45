"""Times decompositions against the original's way of doing them (benchmarks/original.py), in one run.

    .venv/bin/pip install -r requirements-bench.txt
    python -m benchmarks.decompose

Prints a table and writes runs/benchmarks/decompose.json. Our seconds are those of the whole call, compilation included; the
original's slow side is run for a part of its blocks and extrapolated, as the table says. The ceiling is the time that the
matrix products alone would take at the speed of a large one. Where OPENBLAS_CORETYPE is set, unset it: it slows NumPy.
"""

import math
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats
import torch

from benchmarks import machine, original
from ganspace_jax.generators import base, biggan_deep, stylegan2
from ganspace_jax.methods import decomposition
from ganspace_jax.methods.decomposition import Decomposition
from ganspace_jax.run import Run


class Size(NamedTuple):
    """Of a decomposition. batch_size: the original's; ours is its own default."""

    num_samples: int
    num_components: int
    batch_size: int


W, GEN_Z = Size(1_000_000, 80, 10_000), Size(1_000_000, 80, 1_000)
NUM_BLOCKS = 20  # of the original's on a layer of 32,768


def mapping_generator(width: int = 512, depth: int = 8) -> base.Generator:
    """StyleGAN2's mapping network, with as little of a synthesis network as there can be."""
    config = stylegan2.Config(width, width, (4, 4), mapping_layers=depth)
    return base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))


def gen_z_generator(channel_width: int = 128, z_dim: int = 128) -> base.Generator:
    """BigGAN-deep's first layer of 256 channel_width numbers, with variances that fall as those of trained ones do."""
    config = biggan_deep.Config(z_dim, 1000, channel_width, ((False, 16, 16),), attention_position=-1)
    generator = base.split(biggan_deep.BigGANDeep(config, key=jax.random.key(0)))
    falling = jnp.concatenate([1.0 / jnp.sqrt(1.0 + jnp.arange(z_dim) / 4), jnp.ones(z_dim)])
    gen_z = {**generator.params["gen_z"], "weight": generator.params["gen_z"]["weight"] * falling[:, None]}
    return generator._replace(params={**generator.params, "gen_z": gen_z})


def torch_mapping(generator: base.Generator) -> original.Activate:
    """The same mapping network in PyTorch."""
    layers = [generator.params["mapping"][f"fc{i}"] for i in range(generator.merge().config.mapping_layers)]
    rate = generator.merge().config.mapping_learning_rate
    weights = [
        torch.tensor(np.asarray(layer["weight"].T * (rate / math.sqrt(layer["weight"].shape[0])))) for layer in layers
    ]
    biases = [torch.tensor(np.asarray(layer["bias"] * rate)) for layer in layers]

    def activate(z: torch.Tensor) -> torch.Tensor:
        x = z * torch.rsqrt(torch.mean(z**2, dim=1, keepdim=True) + 1e-8)
        for weight, bias in zip(weights, biases, strict=True):
            x = torch.nn.functional.leaky_relu(torch.nn.functional.linear(x, weight, bias), 0.2) * math.sqrt(2)
        return x

    return activate


def torch_gen_z(generator: base.Generator, label: int) -> original.Activate:
    """The same first layer in PyTorch: z joined to the embedding of a class, then a linear layer."""
    weight = torch.tensor(np.asarray(generator.params["gen_z"]["weight"].T))
    bias = torch.tensor(np.asarray(generator.params["gen_z"]["bias"]))
    embedding = torch.tensor(np.asarray(generator.params["embeddings"]["weight"][label]))

    def activate(z: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(torch.cat([z, embedding.expand(len(z), -1)], dim=1), weight, bias)

    return activate


def draw_normal(random: np.random.RandomState, shape: tuple[int, int]) -> np.ndarray:
    """z of StyleGAN."""
    return random.standard_normal(shape).astype(np.float32)


def draw_truncated(random: np.random.RandomState, shape: tuple[int, int]) -> np.ndarray:
    """z of BigGAN, as its sampler draws it."""
    return np.asarray(scipy.stats.truncnorm.rvs(-2, 2, size=shape, random_state=random), np.float32)


def compare_w(size: Size, ceiling: float) -> dict[str, str]:
    """A row: components of w. ceiling: FLOP/s of matrix products."""
    generator = mapping_generator()
    width, depth = generator.merge().z_dim, generator.merge().config.mapping_layers
    theirs = original.decompose(
        torch_mapping(generator), lambda random, n: draw_normal(random, (n, width)), **size._asdict(), regress=False
    )
    ours, _ = _time(generator, "w", "w", None, "exact", size)
    least = 2 * size.num_samples * width**2 * (depth + 1) / ceiling  # z -> w, and the products w^T w
    return _row("w, 512 from 8 layers", size, ours, theirs, f"{least / ours:.0%}")


def compare_gen_z(size: Size, num_blocks: int) -> list[dict[str, str]]:
    """Two rows: components of a layer of 32,768 with directions in z, from samples and from the weights."""
    generator, label = gen_z_generator(), 207
    z_dim = generator.merge().z_dim
    theirs = original.decompose(
        torch_gen_z(generator, label), lambda random, n: draw_truncated(random, (n, z_dim)), **size._asdict(),
        regress=True, num_blocks=num_blocks,
    )  # fmt: skip
    rows = []
    for estimator in ("randomized", "analytic"):
        ours, sweeps = _time(generator, "gen_z", "z", label, estimator, size)
        name = f"gen_z, 32,768 from z of 128, {estimator}" + (f", {sweeps} sweeps" if sweeps else "")
        rows.append(_row(name, size, ours, theirs, ""))
    return rows


def _time(
    generator: base.Generator, layer: str, space: str, label: int | None, estimator: str, size: Size
) -> tuple[float, int]:
    """Seconds of our decomposition, and its sweeps."""
    start = time.perf_counter()
    spec = Decomposition(
        layer,
        space,
        label,
        estimator=estimator,
        num_samples=size.num_samples,
        num_components=size.num_components,
    )
    found = decomposition.decompose(generator, spec, Run())
    return time.perf_counter() - start, found.source.num_sweeps


def _row(name: str, size: Size, ours: float, theirs: original.Timed, of_ceiling: str) -> dict[str, str]:
    note = "" if theirs.num_blocks == theirs.of_blocks else f" (from {theirs.num_blocks} of {theirs.of_blocks} blocks)"
    return {
        "layer": name,
        "samples": f"{size.num_samples:,}",
        "ours, s": f"{ours:.2f}",
        "original's way, s": f"{theirs.seconds:.0f}{note}",
        "times faster": f"{theirs.seconds / ours:,.1f}",
        "of the matmul ceiling": of_ceiling,
    }


def main():
    """One table."""
    about, ceiling = machine.describe(), machine.matmul_ceiling()
    about["matmul ceiling"] = f"{ceiling / 1e9:.0f} GFLOP/s"
    print("\n".join(f"{key}: {value}" for key, value in about.items()), flush=True)
    rows = [compare_w(W, ceiling), *compare_gen_z(GEN_Z, NUM_BLOCKS)]
    print(machine.table(rows))
    machine.write_json("decompose", {"about": about, "rows": rows})


if __name__ == "__main__":
    main()
