"""The names that other codes give to the layers of our networks.

The codes are those that the original GANSpace calls (rosinality's StyleGAN2,
lernapparat's StyleGAN, Hugging Face's BigGAN-deep, netdissect's ProGAN), and NVIDIA's.
A name stands here only if that layer's numbers are ours.
"""

import re
from collections.abc import Callable, Iterable

from ganspace_jax.generators import biggan_deep, progan, stylegan, stylegan2, stylegan3
from ganspace_jax.generators.base import MAPPED_LATENT, Generator

_ABSENT = (
    (r"(style|g_mapping|mapping)\..+", "lies within the mapping network, of which only the output w can be read"),
    (r"(synthesis\.)?input", "is a constant, which is the same in all images"),
)


def of_other_codes(generator: Generator, layers: Iterable[str]) -> dict[str, str]:
    """Returns our layer for each name that another code gives to a layer.

    Args:
        generator: the generator.
        layers: our names of the generator's layers, in the order of the forward pass.
    """
    own = list(layers)
    names = next((list_names(own) for kind, list_names in _NAMES.items() if isinstance(generator.config, kind)), {})
    return {name: layer for name, layer in names.items() if layer in own and name not in own}


def why_absent(name: str) -> str:
    """Returns the reason why a layer of another code cannot be read; "" for other
    names.
    """
    return next((reason for pattern, reason in _ABSENT if re.fullmatch(pattern, name)), "")


def _stylegan2(layers: list[str]) -> dict[str, str]:
    first, *later = _blocks(layers)
    convolutions = {"conv1": f"{first}.conv1"}
    images = {"to_rgb1": first}
    for index, block in enumerate(later):
        convolutions |= {f"convs.{2 * index + part}": f"{block}.conv{part}" for part in (0, 1)}
        images[f"to_rgbs.{index}"] = block
    names = {"style": MAPPED_LATENT, **_nvidia(layers)}
    parts = {"": "", ".activate": "", ".conv": ".linear", ".noise": ".noised", ".conv.modulation": ".style"}
    for name, layer in convolutions.items():
        names |= {name + theirs: layer + ours for theirs, ours in parts.items()}
    for name, block in images.items():  # their ToRGB adds the image so far
        names |= {name: f"{block}.image", f"{name}.conv.modulation": f"{block}.torgb.style"}
    return names


def _stylegan(layers: list[str]) -> dict[str, str]:
    names = {"g_mapping": MAPPED_LATENT, "mapping": MAPPED_LATENT, "g_synthesis": "torgb", "g_synthesis.torgb": "torgb"}
    for block in _blocks(layers):
        size = block.removeprefix("b")
        theirs = f"g_synthesis.blocks.{size}x{size}"
        names |= {f"{theirs}.{part}": f"{block}.{part}" for part in ("conv", "conv0_up", "conv1")}
        for part in ("epi1", "epi2"):
            names |= {
                f"{theirs}.{part}": f"{block}.{part}",
                f"{theirs}.{part}.style_mod": f"{block}.{part}",
                f"{theirs}.{part}.style_mod.lin": f"{block}.{part}.style",
                f"{theirs}.{part}.top_epi": f"{block}.{part}.top_epi",
                f"{theirs}.{part}.top_epi.instance_norm": f"{block}.{part}.top_epi",
            }
        names[theirs] = f"{block}.epi2"
    return names


def _nvidia(layers: list[str]) -> dict[str, str]:
    """Returns the names of NVIDIA's PyTorch code, whose modules have our names."""
    names = {"mapping": MAPPED_LATENT}
    for layer in layers:
        stem, _, part = layer.rpartition(".")
        if part in ("style", "affine"):
            names[f"synthesis.{stem}.affine"] = layer
        elif layer != MAPPED_LATENT and part not in ("linear", "noised", "image", "sum"):
            names[f"synthesis.{layer}"] = layer
    return names


def _biggan_deep(layers: list[str]) -> dict[str, str]:
    names = {f"generator.{layer}": layer for layer in layers if layer != "embeddings"}
    for part in ("theta", "phi", "g", "o_conv"):
        attention = [layer for layer in layers if re.fullmatch(rf"layers\.\d+\.{part}", layer)]
        names |= {f"generator.{layer.removesuffix(part)}snconv1x1_{part}": layer for layer in attention}
    return names


def _progan(layers: list[str]) -> dict[str, str]:
    names = {f"{layer}.relu": layer for layer in layers if layer.startswith("layer")}
    side = 4 * 2 ** ((len(names) - 1) // 2)
    return {**names, f"output_{side}x{side}": "output"}


def _blocks(layers: list[str]) -> list[str]:
    """Returns the names of the blocks, from the first one on."""
    return list(dict.fromkeys(match[1] for layer in layers if (match := re.match(r"(b\d+)\.", layer))))


_NAMES: dict[type, Callable[[list[str]], dict[str, str]]] = {
    stylegan2.Config: _stylegan2,
    stylegan.Config: _stylegan,
    stylegan3.Config: _nvidia,
    biggan_deep.Config: _biggan_deep,
    progan.Config: _progan,
}
