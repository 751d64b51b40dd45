"""Converts networks of the published sizes, and times their images beside PyTorch's.

    .venv/bin/pip install -r requirements-bench.txt
    python -m benchmarks.full_size [--only=progan,stylegan3]

Each network has random weights and is written in the format of a published code. The
converter runs as a command of its own, as a user runs it, with no program compiled
before. Then both programs make the same image, and take turns at making it. Prints a
table and writes runs/benchmarks/full_size.json.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytorch_pretrained_biggan
import torch

from benchmarks import machine, progan_torch, stylegan2_torch, stylegan3_torch, stylegan_torch, synthesis
from ganspace_jax.generators import base, biggan_deep, stylegan3, zoo
from ganspace_jax.generators import synthesis as our_synthesis

CHANNELS = (512, 512, 512, 512, 512, 256, 128, 64, 32)  # of StyleGAN2 at 4, 8, ..., 1024 pixels, config F
OLDER_CHANNELS = (512, 512, 512, 512, 256, 128, 64, 32, 16)  # of ProGAN and StyleGAN
REPEATS = 3


class Case(NamedTuple):
    """One network of the table.

    Attributes:
        name: Name of the row.
        network: The network in PyTorch.
        save: Function that writes the network's file and returns its path.
        inputs: Function (our generator) that returns the inputs of `network`.
        psi: Truncation of the image.
        label: One-hot class [1, classes], or None.
    """

    name: str
    network: torch.nn.Module
    save: Callable[[pathlib.Path], pathlib.Path]
    inputs: Callable[[base.Generator], tuple[Any, ...]]
    psi: float = 1.0
    label: np.ndarray | None = None


def latent(size: int) -> np.ndarray:
    """Returns the z of the image, [1, size]."""
    return np.clip(np.random.default_rng(0).standard_normal((1, size), np.float32), -2, 2)


def _torch_file(network: torch.nn.Module) -> Callable[[pathlib.Path], pathlib.Path]:
    def save(folder: pathlib.Path) -> pathlib.Path:
        torch.save(network.state_dict(), folder / "network.pt")
        return folder / "network.pt"

    return save


def stylegan2(side: int) -> Case:
    """Returns StyleGAN2, config F, in rosinality's layout."""
    network = stylegan2_torch.Generator(CHANNELS[: side.bit_length() - 2])
    return Case(f"StyleGAN2, {side} px", network, _torch_file(network), lambda _: (torch.from_numpy(latent(512)),))


def stylegan3_t(side: int) -> Case:
    """Returns StyleGAN3, configuration T, as an official state dict."""
    network = stylegan3_torch.Generator(stylegan3.Config(z_dim=512, w_dim=512, resolution=side))
    return Case(f"StyleGAN3-T, {side} px", network, _torch_file(network), lambda _: (torch.from_numpy(latent(512)),))


def progan(side: int) -> Case:
    """Returns ProGAN in netdissect's layout."""
    network = progan_torch.Generator(OLDER_CHANNELS[: side.bit_length() - 2])
    return Case(f"ProGAN, {side} px", network, _torch_file(network), lambda _: (torch.from_numpy(latent(512)),))


def stylegan(side: int) -> Case:
    """Returns StyleGAN in the layout of GANSpace's port.

    Its noise images come from our generator, because the file has none.
    """
    network = stylegan_torch.Generator(OLDER_CHANNELS[: side.bit_length() - 2])

    def inputs(ours: base.Generator) -> tuple[Any, ...]:
        blocks = [ours.params["synthesis"][f"b{4 * 2**index}"] for index in range(side.bit_length() - 2)]
        noises = [
            [torch.from_numpy(np.array(block[name]["noise_const"])) for name in ("epi1", "epi2")] for block in blocks
        ]
        return torch.from_numpy(latent(512)), noises

    return Case(f"StyleGAN, {side} px", network, _torch_file(network), inputs)


def biggan(side: int) -> Case:
    """Returns BigGAN-deep as a directory of pytorch-pretrained-biggan."""
    config = pytorch_pretrained_biggan.BigGANConfig(
        output_dim=side, z_dim=128, class_embed_dim=128, channel_width=128, num_classes=1000,
        layers=[list(block) for block in biggan_deep.PUBLISHED_BLOCKS[side]],
        attention_layer_position=8, eps=1e-4, n_stats=51,
    )  # fmt: skip
    label = np.eye(1000, dtype=np.float32)[[207]]
    z, y = torch.from_numpy(latent(128)), torch.from_numpy(label)
    network = synthesis.with_statistics(pytorch_pretrained_biggan.BigGAN(config), z, y)

    def save(folder: pathlib.Path) -> pathlib.Path:
        torch.save(network.state_dict(), folder / "pytorch_model.bin")
        (folder / "config.json").write_text(json.dumps(config.to_dict()))
        return folder

    return Case(f"BigGAN-deep, {side} px", network, save, lambda _: (z, y, 0.4), 0.4, label)


CASES: dict[str, Callable[[], Case]] = {
    "stylegan2-1024": lambda: stylegan2(1024),
    "stylegan2-512": lambda: stylegan2(512),
    "stylegan2-256": lambda: stylegan2(256),
    "stylegan3-256": lambda: stylegan3_t(256),
    "biggan-deep-512": lambda: biggan(512),
    "biggan-deep-128": lambda: biggan(128),
    "progan-1024": lambda: progan(1024),
    "stylegan-1024": lambda: stylegan(1024),
}


def compare(case: Case, folder: pathlib.Path) -> dict[str, str]:
    """Returns the row of one network.

    Raises:
        AssertionError: The two programs make different images.
    """
    network = case.network.eval()
    seconds, peak = _convert(case.save(folder), folder / "made")
    ours = zoo.load(folder / "made")
    z = jnp.asarray(latent(ours.z_dim))
    label = None if case.label is None else jnp.asarray(case.label)

    def make_ours() -> jax.Array:
        latents = our_synthesis.map_latents(ours, z, label)
        return our_synthesis.synthesize(ours, latents, label=label, truncation_psi=case.psi)

    inputs = case.inputs(ours)
    with torch.no_grad():
        make_theirs = lambda: network(*inputs).permute(0, 2, 3, 1).numpy()  # noqa: E731
        expected, made = make_theirs(), np.asarray(make_ours())
        difference = float(np.abs(made - expected).max() / np.abs(expected).max())
        if not difference <= 1e-3:
            raise AssertionError(f"{case.name}: images differ by {difference:.1g}")
        pairs = [(machine.seconds(make_ours), machine.seconds(make_theirs)) for _ in range(REPEATS)]
    our_seconds, their_seconds = (min(times) for times in zip(*pairs, strict=True))
    return {
        "network": case.name,
        "conversion, s": f"{seconds:.0f}",
        "peak memory, GB": f"{peak:.1f}",
        "images differ by": f"{difference:.0e}",
        "ours, s per image": f"{our_seconds:.2f}",
        "PyTorch, s per image": f"{their_seconds:.2f}",
        "times faster": f"{their_seconds / our_seconds:.2f}",
    }


def _convert(source: pathlib.Path, output: pathlib.Path) -> tuple[float, float]:
    """Returns the seconds and the peak memory in GB of the converter's command."""
    command = [sys.executable, "-m", "checkpoints_convert", f"--source={source}", f"--output={output}"]
    with tempfile.TemporaryDirectory() as cache:  # an empty cache: nothing is compiled before
        environment = {**os.environ, "XDG_CACHE_HOME": cache}
        start, peak = time.perf_counter(), 0.0
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            peak = _peak_memory(process.pid) or peak
            time.sleep(0.02)
        seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"the converter failed: {' '.join(command)}")
    return seconds, peak


def _peak_memory(pid: int) -> float:
    """Returns the peak memory of a process in GB, 0 if Linux does not tell it.

    The system's accounts of a child also contain the memory of its parent.
    """
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1e6 if found else 0.0


def main():
    """Prints and writes the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help=f"names, separated by commas, of: {', '.join(CASES)}")
    wanted = parser.parse_args().only.split(",")
    about = machine.describe()
    print("\n".join(f"{key}: {value}" for key, value in about.items()), flush=True)
    rows = []
    for name, make in CASES.items():
        if wanted != [""] and name not in wanted:
            continue
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory() as folder, torch.no_grad():
            rows.append(compare(make(), pathlib.Path(folder)))
        print(rows[-1], flush=True)
    print(machine.table(rows))
    machine.write_json("full_size", {"about": about, "rows": rows})


if __name__ == "__main__":
    main()
