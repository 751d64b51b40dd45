"""BigGAN-deep of pytorch-pretrained-biggan: its state dict and config.json -> ours. Spectral norm is divided out, once."""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from checkpoints_convert import assembly
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, biggan_deep

# The package's names and defaults: of its network of 128 pixels. It has class_embed_dim besides, and never reads it.
DEFAULTS: dict[str, Any] = {
    "z_dim": 128, "num_classes": 1000, "channel_width": 128, "layers": biggan_deep.PUBLISHED_BLOCKS[128],
    "attention_layer_position": 8, "n_stats": 51, "eps": 1e-4,
}  # fmt: skip

_MAX_LAYERS = 64  # the published networks have up to 14


def configuration(source: Mapping[str, Any]) -> biggan_deep.Config:
    """config.json's entries as ours, all that DEFAULTS names; raises InputError for those that are no such numbers."""
    blocks, position = _blocks(source["layers"]), source["attention_layer_position"]
    is_there = _is_count(position, 0) and position < len(blocks)  # the package looks for the layer of that number
    return biggan_deep.Config(
        z_dim=_count(source, "z_dim"),
        num_classes=_count(source, "num_classes"),
        channel_width=_count(source, "channel_width"),
        blocks=blocks,
        attention_position=position if is_there else -1,
        num_statistics=_count(source, "n_stats"),
        epsilon=_epsilon(source["eps"]),
    )


def _is_count(value: Any, least: int = 1) -> bool:
    return type(value) is int and value >= least


def _count(source: Mapping[str, Any], name: str) -> int:
    if not _is_count(source[name]):
        raise _unfit(name, source[name], "a whole number from 1 on")
    return source[name]


def _epsilon(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
        raise _unfit("eps", value, "a number from 0 on")
    return float(value)


def _blocks(layers: Any) -> tuple[biggan_deep.BlockConfig, ...]:
    if not isinstance(layers, list | tuple) or not 1 <= len(layers) <= _MAX_LAYERS or not all(map(_is_layer, layers)):
        raise _unfit("layers", layers, f"a list of up to {_MAX_LAYERS} [true or false, channels in, channels out]")
    return tuple((bool(up), before, after) for up, before, after in layers)


def _is_layer(entry: Any) -> bool:
    is_triple = isinstance(entry, list | tuple) and len(entry) == 3
    return is_triple and entry[0] in (0, 1) and all(map(_is_count, entry[1:]))


def _unfit(name: str, value: Any, wanted: str) -> InputError:
    text = ascii(value)
    return InputError(f"config.json: {name} is {text if len(text) <= 40 else f'{text[:40]}...'}, wanted is {wanted}")


def convert(state: Mapping[str, np.ndarray], source: Mapping[str, Any]) -> base.Generator:
    """The generator of a state dict; raises InputError for parameters that are missing, left over or of another shape."""
    tensors = assembly.Tensors(state)
    config = configuration(source)

    def fetch(name: str) -> np.ndarray:
        if name == "embeddings.weight":
            return tensors.take(name).T
        theirs = "generator." + re.sub(r"^layers_", "layers.", name)
        theirs = re.sub(r"\.(theta|phi|g|o_conv)\.weight$", r".snconv1x1_\1.weight", theirs)
        if name.endswith(".gamma"):
            return tensors.take(theirs).reshape(())
        array = _folded(tensors, theirs)
        if name.startswith("conv_to_rgb"):
            array = array[: config.image_channels]  # the rest never reaches the image
        if not name.endswith(".weight") or name == "bn.weight":
            return array
        return assembly.convolution(array) if array.ndim == 4 else array.T

    generator = assembly.assemble("biggan_deep", config, fetch)
    tensors.finish()
    return generator


def _folded(tensors: assembly.Tensors, name: str) -> np.ndarray:
    if f"{name}_orig" not in tensors:
        return tensors.take(name)
    return assembly.divide_spectral_norm(*(tensors.take(f"{name}_{part}") for part in ("orig", "u", "v")))
