"""BigGAN-deep of pytorch-pretrained-biggan: its state dict and config.json -> ours. Spectral norm is divided out, once."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from checkpoints_convert import assembly
from ganspace_jax.generators import base, biggan_deep


def configuration(source: Mapping[str, Any]) -> biggan_deep.Config:
    """config.json's entries as ours."""
    return biggan_deep.Config(
        z_dim=source["z_dim"],
        num_classes=source["num_classes"],
        channel_width=source["channel_width"],
        blocks=tuple((bool(up), before, after) for up, before, after in source["layers"]),
        attention_position=source["attention_layer_position"],
        embed_width=source["class_embed_dim"],
        num_statistics=source["n_stats"],
        epsilon=source["eps"],
    )


def convert(state: Mapping[str, np.ndarray], source: Mapping[str, Any]) -> base.SplitGenerator:
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
