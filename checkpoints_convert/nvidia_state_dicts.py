"""Finds the constructor arguments of NVIDIA's StyleGAN2 in its arrays.

torch.save(G_ema.state_dict()) stores arrays, but no constructor arguments. The arrays
determine the architecture: names give the layers, shapes give the widths, and buffers
contain the filters. Two arguments leave no trace: conv_clamp and lr_multiplier. They
get the published values, unless an option gives another value. conv_clamp is 256 in
train.py of both repositories, except for training in float32.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from checkpoints_convert import assembly, stylegan2_pytorch
from checkpoints_convert.networks import Arrays, Network
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base

Options = Mapping[str, float]

UNSTORED = {"conv_clamp": 256.0, "lr_multiplier": 0.01}  # the published values

_REQUIRED = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")
_FILTER_TOLERANCE = 1e-5  # of the largest tap


def convert(network: Network, options: Options) -> base.Generator:
    """Returns the generator of a StyleGAN2, with or without constructor arguments.

    Raises:
        InputError: The network cannot be converted, or an option contradicts the file.
    """
    network = with_arguments(network, options)
    return stylegan2_pytorch.convert(network.arrays, network.arguments, network.clamps)


def with_arguments(network: Network, options: Options) -> Network:
    """Returns the network with StyleGAN2's constructor arguments and conv_clamp.

    Raises:
        InputError: An array is missing, or an option contradicts the file.
    """
    if has_arguments(network, options):
        return network
    arrays = network.arrays
    sides = sorted({int(match[1]) for name in arrays if (match := re.match(r"synthesis\.b(\d{1,9})\.", name))})
    has_shortcuts = any(name.endswith(".skip.weight") for name in arrays)
    has_images = "synthesis.b4.torgb.weight" in arrays
    arguments = {
        **mapping_arguments(arrays, options),
        "img_resolution": sides[-1],
        "img_channels": assembly.shape_of(arrays, f"synthesis.b{sides[-1]}.torgb.bias", 1)[0],
        "synthesis_kwargs": {
            "architecture": "resnet" if has_shortcuts else "skip" if has_images else "orig",
            "resample_filter": _resample_filter(arrays),
            "use_noise": any(name.endswith(".noise_strength") for name in arrays),
        },
    }
    arguments["mapping_kwargs"] |= {} if "mapping.w_avg" in arrays else {"w_avg_beta": None}
    return network._replace(arguments=arguments, clamps=clamps(network, options))


def has_arguments(network: Network, options: Options) -> bool:
    """Returns whether the file contains the constructor arguments.

    A state dict can lie beside a config.json of any content. So it has arguments only
    if they are complete.

    Raises:
        InputError: The file contains them, and so do the options.
    """
    required, found = set(_REQUIRED), network.arguments.keys()
    if required.isdisjoint(found) or (not network.class_name and not required <= found):
        return False
    if options:
        raise InputError(f"--option={next(iter(options))}: the file contains its arguments; leave the option out")
    return True


def assumptions(network: Network, options: Options, unstored: Mapping[str, float] = UNSTORED) -> list[str]:
    """Returns a line about the published values that a conversion uses, or no line.

    Args:
        network: Network of the file.
        options: Values of options by argument.
        unstored: Published values by argument, of arguments that no array determines.
    """
    left_out = set(options) | ({"conv_clamp"} if network.clamps else set())
    values = {name: value for name, value in unstored.items() if name not in left_out}
    if has_arguments(network, {}) or not values:
        return []
    listed = ", ".join(f"{name}, taken as {value:g}" for name, value in values.items())
    none = " (conv_clamp=inf: no clamp)" if "conv_clamp" in values else ""
    return [f"not in the file: {listed} (published default); to change: --option={next(iter(values))}=NUMBER{none}"]


def clamps(network: Network, options: Options) -> Mapping[str, float | None]:
    """Returns the conv_clamp of the file's layers, or else of the option.

    Raises:
        InputError: The option contradicts the layers, or is not positive.
    """
    if network.clamps:
        if "conv_clamp" in options:
            raise InputError("--option=conv_clamp: the layers in the file contain it; leave the option out")
        return network.clamps
    value = positive("conv_clamp", options)
    return {"synthesis": None if math.isinf(value) else value}


def positive(name: str, options: Options, defaults: Mapping[str, float] = UNSTORED) -> float:
    """Returns an option's value, or the published one; raises InputError up to 0."""
    value = float(options.get(name, defaults[name]))
    if not value > 0:
        raise InputError(f"--option={name}={value:g}: must be positive")
    return value


def mapping_arguments(arrays: Arrays, options: Options) -> dict[str, Any]:
    """Returns the arguments that the mapping network's arrays determine.

    Raises:
        InputError: An array is missing, or lr_multiplier is not positive.
    """
    depth = 1 + assembly.largest_number(arrays, r"mapping\.fc(\d{1,9})\.")
    width, inputs = assembly.shape_of(arrays, "mapping.fc0.weight", 2)
    w_dim = assembly.shape_of(arrays, f"mapping.fc{depth - 1}.weight", 2)[0]
    embed, classes = 0, 0
    if "mapping.embed.weight" in arrays:
        embed, classes = assembly.shape_of(arrays, "mapping.embed.weight", 2)
    return {
        "z_dim": inputs - embed,
        "c_dim": classes,
        "w_dim": w_dim,
        "mapping_kwargs": {
            "num_layers": depth,
            "layer_features": None if width == w_dim else width,  # one layer has the width of w
            "embed_features": None if embed in (0, w_dim) else embed,
            "lr_multiplier": positive("lr_multiplier", options),
        },
    }


def _resample_filter(arrays: Arrays) -> Sequence[float]:
    """Returns the taps of the filter of 8x8, or the published taps.

    The file contains the outer product of few taps with themselves, or the row of many
    taps. Both have unit sum.
    """
    stored = arrays.get("synthesis.b8.resample_filter")
    if stored is None:
        return (1, 3, 3, 1)
    row = stored.sum(0, dtype=np.float64) if stored.ndim == 2 else stored.astype(np.float64)
    nonzero = np.abs(row[np.abs(row) > _FILTER_TOLERANCE * np.abs(row).max(initial=0)])
    if stored.ndim not in (1, 2) or not nonzero.size:
        raise InputError(f"parameter synthesis.b8.resample_filter: has shape {stored.shape} and no taps")
    return tuple(np.round(row / nonzero.min(), 4).tolist())
