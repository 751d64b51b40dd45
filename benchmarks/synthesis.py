"""Times images of StyleGAN2 and BigGAN-deep in JAX and in PyTorch, in one run.

    .venv/bin/pip install -r requirements-bench.txt
    python -m benchmarks.synthesis

StyleGAN2 in PyTorch is benchmarks/stylegan2_torch.py. BigGAN-deep in PyTorch is the
package pytorch-pretrained-biggan. Both networks have the published sizes and random
weights, which our converters read. So both programs make the same images. Prints a
table and writes runs/benchmarks/synthesis.json.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import pytorch_pretrained_biggan
import torch

from benchmarks import machine, stylegan2_torch
from checkpoints_convert import biggan_huggingface, stylegan2_rosinality
from ganspace_jax.generators import base, biggan_deep, synthesis

STYLEGAN2_256 = (512, 512, 512, 512, 512, 256, 128)  # channels at 4, 8, ..., 256 pixels, config F
BATCH, REPEATS = 8, 5


def compare_stylegan2(channels: tuple[int, ...], batch: int, repeats: int) -> dict[str, str]:
    """Returns the table's row about z -> images of StyleGAN2."""
    torch.manual_seed(0)
    theirs = stylegan2_torch.Generator(channels).eval()
    ours = stylegan2_rosinality.convert(_arrays(theirs.state_dict()))
    z = np.random.default_rng(0).standard_normal((batch, 512), np.float32)
    name = f"StyleGAN2, {ours.merge().config.resolution} px, batch {batch}"
    return _compare(name, theirs, lambda: _images(ours, z, None), torch.from_numpy(z), repeats=repeats)


def compare_biggan_deep(resolution: int, batch: int, repeats: int) -> dict[str, str]:
    """Returns the table's row about z and classes -> images of BigGAN-deep.

    The truncation is 0.4.
    """
    torch.manual_seed(0)
    layers = [list(block) for block in biggan_deep.PUBLISHED_BLOCKS[resolution]]
    config = pytorch_pretrained_biggan.BigGANConfig(
        output_dim=resolution, z_dim=128, class_embed_dim=128, channel_width=128, num_classes=1000, layers=layers,
        attention_layer_position=8, eps=1e-4, n_stats=51,
    )  # fmt: skip
    z = np.clip(np.random.default_rng(0).standard_normal((batch, 128), np.float32), -2, 2)
    label = np.eye(1000, dtype=np.float32)[np.arange(batch)]
    theirs = with_statistics(
        pytorch_pretrained_biggan.BigGAN(config), torch.from_numpy(z[:2]), torch.from_numpy(label[:2])
    )
    ours = biggan_huggingface.convert(_arrays(theirs.state_dict()), config.to_dict())
    return _compare(
        f"BigGAN-deep, {resolution} px, batch {batch}", theirs, lambda: _images(ours, z, label, 0.4),
        torch.from_numpy(z), torch.from_numpy(label), 0.4, repeats=repeats,
    )  # fmt: skip


def with_statistics(network: torch.nn.Module, z: torch.Tensor, label: torch.Tensor) -> torch.nn.Module:
    """Sets spectral norms and batch norm statistics to those of the random weights.

    Without them the images are not finite.

    Args:
        network: BigGAN-deep of the package in training mode, changed in place.
        z: Latents [n, 128].
        label: One-hot classes [n, 1000].
    """
    batch_norms = [module for module in network.modules() if hasattr(module, "running_means")]
    hooks = [batch_norm.register_forward_pre_hook(_store_statistics) for batch_norm in batch_norms]
    with torch.no_grad():
        # The package leaves these two tensors uninitialised.
        network.generator.bn.weight.fill_(1.0)
        network.generator.bn.bias.zero_()
        # Each pass brings the norms closer to the largest singular values.
        for _ in range(5):
            network(z, label, 0.4)
    for hook in hooks:
        hook.remove()
    return network.eval()


def _store_statistics(batch_norm: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
    batch_norm.running_means[:] = inputs[0].mean((0, 2, 3))
    batch_norm.running_vars[:] = inputs[0].var((0, 2, 3))


def _arrays(state: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in state.items()}


def _images(
    generator: base.Generator, z: np.ndarray, label: np.ndarray | None, truncation_psi: float = 1.0
) -> jax.Array:
    y = None if label is None else jnp.asarray(label)
    mapped = synthesis.map_latents(generator, jnp.asarray(z), y)
    return synthesis.synthesize(generator, mapped, label=y, truncation_psi=truncation_psi)


def _compare(
    name: str, theirs: torch.nn.Module, make_ours: Callable[[], jax.Array], *inputs: object, repeats: int
) -> dict[str, str]:
    """Returns a row of the table.

    Args:
        name: Name of the network in the table.
        theirs: Network in PyTorch.
        make_ours: Function that returns our images.
        *inputs: Inputs of `theirs`.
        repeats: Number of timed runs of each program.

    Raises:
        AssertionError: The two programs make different images.
    """
    with torch.no_grad():
        expected = theirs(*inputs).permute(0, 2, 3, 1).numpy()
        their_seconds = machine.seconds(lambda: theirs(*inputs).numpy(), repeats)
    images = np.asarray(make_ours())  # The first call compiles.
    difference = float(np.abs(images - expected).max() / np.abs(expected).max())
    if not difference <= 1e-3:
        raise AssertionError(f"{name}: images differ by {difference:.1g}")
    our_seconds = machine.seconds(make_ours, repeats)
    return {
        "network": name,
        "ours (images/s)": f"{len(images) / our_seconds:.2f}",
        "PyTorch (images/s)": f"{len(images) / their_seconds:.2f}",
        "speed-up": f"{their_seconds / our_seconds:.2f}",
        "largest difference": f"{difference:.0e}",
    }


def main():
    """Prints and writes the table."""
    about = machine.describe()
    print("\n".join(f"{key}: {value}" for key, value in about.items()), flush=True)
    rows = [compare_stylegan2(STYLEGAN2_256, BATCH, REPEATS), compare_biggan_deep(128, BATCH, REPEATS)]
    print(machine.table(rows))
    machine.write_json("synthesis", {"about": about, "rows": rows})


if __name__ == "__main__":
    main()
