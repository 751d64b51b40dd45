"""Times our decompositions and the original's (benchmarks/original.py) in one run.

    .venv/bin/pip install -r requirements-bench.txt
    python -m benchmarks.decompose

Prints a table and writes runs/benchmarks/decompose.json. Our time is that of the whole
call, including compilation. The original computes only some of its blocks of a large
layer. Its time is then extrapolated, and the table contains the number of blocks. The
matmul ceiling is the time of the matrix products alone, at the speed of a large
product.

Unset OPENBLAS_CORETYPE if it is set, because it slows NumPy.
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


class Size(NamedTuple):
    """The size of a decomposition.

    Attributes:
        num_samples: Number of samples.
        num_components: Number of components.
        batch_size: Batch size of the original. Our batch size is our default.
    """

    num_samples: int
    num_components: int
    batch_size: int


W_SIZE = Size(1_000_000, 80, 10_000)
GEN_Z_SIZE = Size(1_000_000, 80, 1_000)
NUM_BLOCKS = 20  # blocks that the original computes of a layer with 32,768 numbers


def mapping_generator(width: int = 512, depth: int = 8) -> base.Generator:
    """Returns StyleGAN2's mapping network with the smallest synthesis network."""
    config = stylegan2.Config(width, width, (4, 4), mapping_layers=depth)
    return base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))


def gen_z_generator(channel_width: int = 128, z_dim: int = 128) -> base.Generator:
    """Returns BigGAN-deep with a first layer of 256 * channel_width numbers.

    The variances of the layer fall, as those of a trained layer do.
    """
    config = biggan_deep.Config(z_dim, 1000, channel_width, ((False, 16, 16),), attention_position=-1)
    generator = base.split(biggan_deep.BigGANDeep(config, key=jax.random.key(0)))
    falling = jnp.concatenate([1.0 / jnp.sqrt(1.0 + jnp.arange(z_dim) / 4), jnp.ones(z_dim)])
    gen_z = {**generator.params["gen_z"], "weight": generator.params["gen_z"]["weight"] * falling[:, None]}
    return generator._replace(params={**generator.params, "gen_z": gen_z})


def torch_mapping(generator: base.Generator) -> original.Activate:
    """Returns the mapping network of a StyleGAN2 in PyTorch."""
    config = generator.merge().config
    rate = config.mapping_learning_rate
    weights, biases = [], []
    for index in range(config.mapping_layers):
        layer = generator.params["mapping"][f"fc{index}"]
        num_inputs = layer["weight"].shape[0]
        weights.append(torch.tensor(np.asarray(layer["weight"].T * (rate / math.sqrt(num_inputs)))))
        biases.append(torch.tensor(np.asarray(layer["bias"] * rate)))

    def activate(z: torch.Tensor) -> torch.Tensor:
        x = z * torch.rsqrt(torch.mean(z**2, dim=1, keepdim=True) + 1e-8)
        for weight, bias in zip(weights, biases, strict=True):
            x = torch.nn.functional.linear(x, weight, bias)
            x = torch.nn.functional.leaky_relu(x, 0.2) * math.sqrt(2)
        return x

    return activate


def torch_gen_z(generator: base.Generator, label: int) -> original.Activate:
    """Returns the first layer of a BigGAN-deep in PyTorch.

    It concatenates z and the embedding of the class `label`, and applies a linear
    layer.
    """
    weight = torch.tensor(np.asarray(generator.params["gen_z"]["weight"].T))
    bias = torch.tensor(np.asarray(generator.params["gen_z"]["bias"]))
    embedding = torch.tensor(np.asarray(generator.params["embeddings"]["weight"][label]))

    def activate(z: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(torch.cat([z, embedding.expand(len(z), -1)], dim=1), weight, bias)

    return activate


def draw_normal(random: np.random.RandomState, shape: tuple[int, int]) -> np.ndarray:
    """Returns z of StyleGAN."""
    return random.standard_normal(shape).astype(np.float32)


def draw_truncated(random: np.random.RandomState, shape: tuple[int, int]) -> np.ndarray:
    """Returns z of BigGAN: its sampler cuts a normal distribution off at -2 and 2."""
    return np.asarray(scipy.stats.truncnorm.rvs(-2, 2, size=shape, random_state=random), np.float32)


def compare_w(size: Size, ceiling: float) -> dict[str, str]:
    """Returns the table's row about components of w.

    Args:
        size: Size of the decomposition.
        ceiling: FLOP/s of a large matrix product.
    """
    generator = mapping_generator()
    width, depth = generator.merge().z_dim, generator.merge().config.mapping_layers
    theirs = original.decompose(
        torch_mapping(generator), lambda random, n: draw_normal(random, (n, width)), **size._asdict(), regress=False
    )
    ours, _ = _time(generator, "w", "w", None, "exact", size)
    # The matrix products are those of each layer from z to w, and w^T w.
    matmul_seconds = 2 * size.num_samples * width**2 * (depth + 1) / ceiling
    return _row("w, 512 from 8 layers", size, ours, theirs, f"{matmul_seconds / ours:.0%}")


def compare_gen_z(size: Size, num_blocks: int) -> list[dict[str, str]]:
    """Returns the table's rows about components of gen_z, with directions in z.

    The layer has 32,768 numbers. The components of the first row are computed from
    samples, those of the second from the weights.

    Args:
        size: Size of the decomposition.
        num_blocks: Number of blocks that the original computes.
    """
    generator, label = gen_z_generator(), 207
    z_dim = generator.merge().z_dim
    theirs = original.decompose(
        torch_gen_z(generator, label), lambda random, n: draw_truncated(random, (n, z_dim)), **size._asdict(),
        regress=True, num_blocks=num_blocks,
    )  # fmt: skip
    rows = []
    for estimator in ("randomized", "analytic"):
        ours, sweeps = _time(generator, "gen_z", "z", label, estimator, size)
        name = f"gen_z, 32,768 from 128 of z, {estimator}"
        if sweeps:
            name = f"{name}, {sweeps} sweeps"
        rows.append(_row(name, size, ours, theirs, ""))
    return rows


def _time(
    generator: base.Generator, layer: str, space: str, label: int | None, estimator: str, size: Size
) -> tuple[float, int]:
    """Returns the seconds and the number of sweeps of our decomposition."""
    start = time.perf_counter()
    spec = Decomposition(
        layer,
        space,
        label,
        estimator=estimator,
        num_samples=size.num_samples,
        num_components=size.num_components,
    )
    components = decomposition.decompose(generator, spec)
    return time.perf_counter() - start, components.source.num_sweeps


def _row(name: str, size: Size, ours: float, theirs: original.Timed, matmul_share: str) -> dict[str, str]:
    their_seconds = f"{theirs.seconds:.0f}"
    if theirs.num_blocks < theirs.total_blocks:
        their_seconds += f" (from {theirs.num_blocks} of {theirs.total_blocks} blocks)"
    return {
        "layer": name,
        "samples": f"{size.num_samples:,}",
        "ours (s)": f"{ours:.2f}",
        "original (s)": their_seconds,
        "speed-up": f"{theirs.seconds / ours:,.1f}",
        "matmul ceiling reached": matmul_share,
    }


def main():
    """Prints and writes the table."""
    about, ceiling = machine.describe(), machine.matmul_ceiling()
    about["matmul ceiling"] = f"{ceiling / 1e9:.0f} GFLOP/s"
    print("\n".join(f"{key}: {value}" for key, value in about.items()), flush=True)
    rows = [compare_w(W_SIZE, ceiling), *compare_gen_z(GEN_Z_SIZE, NUM_BLOCKS)]
    print(machine.table(rows))
    machine.write_json("decompose", {"about": about, "rows": rows})


if __name__ == "__main__":
    main()
