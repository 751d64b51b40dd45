"""Converts BigGAN-deep from pytorch-pretrained-biggan: a state dict and config.json.

The conversion divides each weight by its spectral norm once, so our network does not.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from checkpoints_convert import assembly
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, biggan_deep

# The package's names and defaults, which are those of its network of 128 pixels. The
# package also has class_embed_dim, but never reads it.
DEFAULTS: dict[str, Any] = {
    "z_dim": 128, "num_classes": 1000, "channel_width": 128, "layers": biggan_deep.PUBLISHED_BLOCKS[128],
    "attention_layer_position": 8, "n_stats": 51, "eps": 1e-4,
}  # fmt: skip

_MAX_LAYERS = 64  # the published networks have up to 14 layers


def configuration(source: Mapping[str, Any]) -> biggan_deep.Config:
    """Returns the configuration that config.json describes.

    Args:
        source: Entries of config.json, with every name in DEFAULTS.

    Raises:
        InputError: An entry has the wrong type or is out of range.
    """
    blocks = _blocks(source["layers"])
    # The package adds attention before the layer of this number, if there is one.
    position = source["attention_layer_position"]
    has_attention = _is_count(position, least=0) and position < len(blocks)
    return biggan_deep.Config(
        z_dim=_count(source, "z_dim"),
        num_classes=_count(source, "num_classes"),
        channel_width=_count(source, "channel_width"),
        blocks=blocks,
        attention_position=position if has_attention else -1,
        num_statistics=_count(source, "n_stats"),
        epsilon=_epsilon(source["eps"]),
    )


def _is_count(value: Any, least: int = 1) -> bool:
    # A boolean is an instance of int, but no count.
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
    if not isinstance(entry, list | tuple) or len(entry) != 3:
        return False
    up, before, after = entry
    return up in (0, 1) and _is_count(before) and _is_count(after)


def _unfit(name: str, value: Any, expected: str) -> InputError:
    """Returns the error about an entry of config.json that is not as expected."""
    text = ascii(value)
    if len(text) > 40:
        text = f"{text[:40]}..."
    return InputError(f"config.json: {name} is {text}, wanted is {expected}")


def convert(state: Mapping[str, np.ndarray], source: Mapping[str, Any]) -> base.Generator:
    """Returns the generator of a state dict.

    Args:
        state: State dict of the package's network.
        source: Entries of config.json, with every name in DEFAULTS.

    Raises:
        InputError: A parameter is missing, unused, or has the wrong shape. Or an
            entry of `source` has the wrong type or is out of range.
    """
    tensors = assembly.Tensors(state)
    config = configuration(source)

    def fetch(name: str) -> np.ndarray:
        if name == "embeddings.weight":
            return tensors.take(name).T
        theirs = _their_name(name)
        if name.endswith(".gamma"):
            return tensors.take(theirs).reshape(())
        array = _without_spectral_norm(tensors, theirs)
        if name.startswith("conv_to_rgb"):
            # The package drops the channels that exceed the image's.
            array = array[: config.image_channels]
        if not name.endswith(".weight") or name == "bn.weight":
            return array
        return assembly.convolution(array) if array.ndim == 4 else array.T

    generator = assembly.assemble("biggan_deep", config, fetch)
    tensors.finish()
    return generator


def _their_name(name: str) -> str:
    """Returns the package's name of one of our parameters, except the embeddings'.

    Example: layers_3.theta.weight -> generator.layers.3.snconv1x1_theta.weight.
    """
    theirs = "generator." + re.sub(r"^layers_", "layers.", name)
    return re.sub(r"\.(theta|phi|g|o_conv)\.weight$", r".snconv1x1_\1.weight", theirs)


def _without_spectral_norm(tensors: assembly.Tensors, name: str) -> np.ndarray:
    """Returns a parameter, divided by its spectral norm if it has one."""
    if f"{name}_orig" not in tensors:
        return tensors.take(name)
    return assembly.divide_spectral_norm(
        tensors.take(f"{name}_orig"), tensors.take(f"{name}_u"), tensors.take(f"{name}_v")
    )
