"""Converts DCGAN generators of PyTorch: the tutorial's network under any names.

A state dict does not contain the number of classes. A conditional DCGAN has the label
as the last inputs of its first layer. So the option num_classes gives their number.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from checkpoints_convert import assembly, dcgan_layers, dcgan_modules, weight_norms
from checkpoints_convert.dcgan_layers import Arrays, Layer, parameter
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, dcgan


def convert(state: Arrays, layers: Mapping[str, Mapping[str, Any]] = {}, *, num_classes: float = 0) -> base.Generator:
    """Returns the generator of a state dict.

    The bias of a convolution before a batch norm is subtracted from the batch norm's
    mean. So the activation of that layer is the convolution without its bias.

    Args:
        state: Arrays by name.
        layers: Classes and settings of a whole module's layers by path.
        num_classes: Number of classes, whose one-hot label is the last inputs of the
            first layer; 0 for an unconditional network.

    Raises:
        InputError: A parameter is missing, left over or does not continue the chain of
            layers. Or num_classes does not leave an input for z. Or a layer is not the
            tutorial's.
    """
    state = weight_norms.computed(state)
    chain = dcgan_layers.find(state)
    dcgan_modules.check(layers, chain)
    config = dataclasses.replace(
        _configuration(state, chain, num_classes), epsilon=dcgan_modules.epsilon(layers, chain)
    )
    tensors = assembly.Tensors(state)

    def fetch(name: str) -> np.ndarray:
        layer, leaf = _place(name, chain)
        if leaf in ("weight", "bias") and _is_norm(name) and _is_without_gain(state, layer):
            return np.full(config.channels[chain.index(layer)], leaf == "weight", np.float32)
        array = tensors.take(_their_name(name, chain))
        if leaf == "running_mean":
            return _without_bias(array, tensors, parameter(layer.convolution, "bias"))
        return assembly.transposed_convolution(array) if array.ndim == 4 else array

    generator = assembly.assemble("dcgan", config, fetch, lambda name: _their_name(name, chain))
    tensors.finish(ignored=lambda name: name.endswith("num_batches_tracked"))
    return generator


def _configuration(state: Arrays, chain: tuple[Layer, ...], num_classes: float) -> dcgan.Config:
    """Returns the configuration of these layers; raises InputError for num_classes."""
    names = [parameter(layer.convolution, "weight") for layer in chain]
    inputs, image_channels = state[names[0]].shape[0], state[names[-1]].shape[1]
    if not 0 <= num_classes < inputs or num_classes != int(num_classes):
        raise InputError(
            f"--option=num_classes={num_classes:g}: must be a whole number from 0 to {inputs - 1}, because the first "
            f"layer {names[0]} has {inputs} inputs for z and the classes"
        )
    return dcgan.Config(
        z_dim=inputs - int(num_classes),
        channels=tuple(state[name].shape[1] for name in names[:-1]),
        image_channels=image_channels,
        output_bias=parameter(chain[-1].convolution, "bias") in state,
        num_classes=int(num_classes),
    )


def _place(name: str, chain: tuple[Layer, ...]) -> tuple[Layer, str]:
    """Returns the layer that our parameter main_N.leaf belongs to, and the leaf."""
    module, leaf = name.split(".")
    return chain[_number(module) // 3], leaf


def _is_norm(name: str) -> bool:
    """Returns whether our parameter main_N.leaf is a batch norm's: N is 1, 4, ..."""
    return _number(name) % 3 == 1


def _number(name: str) -> int:
    return int(re.findall(r"\d+", name)[0])


def _their_name(name: str, chain: tuple[Layer, ...]) -> str:
    """Returns the file's name of our parameter main_N.leaf."""
    layer, leaf = _place(name, chain)
    return parameter(str(layer.norm) if _is_norm(name) else layer.convolution, leaf)


def _is_without_gain(state: Arrays, layer: Layer) -> bool:
    """Returns whether the batch norm has affine=False: neither weight nor bias."""
    return not any(parameter(str(layer.norm), leaf) in state for leaf in ("weight", "bias"))


def _without_bias(mean: np.ndarray, tensors: assembly.Tensors, name: str) -> np.ndarray:
    """Returns a batch norm's mean less the bias of this name, if there is one."""
    if name not in tensors:
        return mean
    bias = tensors.take(name)
    if bias.shape != mean.shape:
        raise InputError(f"parameter {name}: has shape {bias.shape}, the mean of its batch norm has {mean.shape}")
    return mean - bias
