"""Finds the constructor arguments of NVIDIA's StyleGAN3 in its arrays.

A state dict contains no constructor arguments. The names of the layers contain sizes
and channels, and the buffers contain the filters. Both must be those of the published
cutoffs, or of the cutoffs that options give. The number of critical layers is the first
number that fits.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from checkpoints_convert import assembly, networks, nvidia_state_dicts, stylegan3_pytorch
from checkpoints_convert.networks import Arrays, Network
from checkpoints_convert.nvidia_state_dicts import Options, positive
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan3
from ganspace_jax.generators.stylegan3_filters import Plan

UNSTORED = {**nvidia_state_dicts.UNSTORED, "output_scale": 0.25}  # the published values
# Published values that the filters and the layers' names confirm.
CONFIRMED = {"first_cutoff": 2.0, "first_stopband": 2**2.1, "last_stopband_rel": 2**0.3, "lrelu_upsampling": 2}

OPTIONS = (*UNSTORED, *CONFIRMED)

_MAX_LAYERS = 40  # published networks have 15
_CRITICAL = 2  # the published number of critical layers
_CHANNELS = (32768, 512)  # channel_base and channel_max of configuration T
_CHANNEL_BASES = (32768, 65536, 16384)  # of configurations T and R, and of smaller networks


class _Layer(NamedTuple):
    """Facts in the name of a layer, such as L3_36_512."""

    name: str
    size: int
    channels: int


def convert(network: Network, options: Options) -> base.Generator:
    """Returns the generator of a StyleGAN3, with or without constructor arguments.

    Raises:
        InputError: The network cannot be converted, or an option contradicts the file.
    """
    network = with_arguments(network, options)
    # The constructor arguments may lack conv_clamp. The layers always have it.
    return stylegan3_pytorch.convert(network.arrays, {**network.arguments, "conv_clamp": networks.conv_clamp(network)})


def assumptions(network: Network, options: Options) -> list[str]:
    """Returns lines about facts that the file lacks and the conversion assumes."""
    lines = nvidia_state_dicts.assumptions(network, options, UNSTORED)
    if not stylegan3_pytorch.has_one_transform(network.arrays):
        lines.append("synthesis.input.transform has a transform for each picture of a batch: the identity is taken")
    return lines


def with_arguments(network: Network, options: Options) -> Network:
    """Returns the network with StyleGAN3's constructor arguments and conv_clamp.

    Raises:
        InputError: An array is missing, an option contradicts the file, or no
            configuration has the file's filters and layers.
    """
    if nvidia_state_dicts.has_arguments(network, options):
        return network
    arguments = {
        **_synthesis_arguments(network.arrays, options),
        **nvidia_state_dicts.mapping_arguments(network.arrays, options),
        "output_scale": positive("output_scale", options, UNSTORED),
    }
    mapping = arguments["mapping_kwargs"]
    arguments["mapping_kwargs"] = {name: mapping[name] for name in ("num_layers", "lr_multiplier")}  # has one width
    return network._replace(arguments=arguments, clamps=nvidia_state_dicts.clamps(network, options))


def _synthesis_arguments(arrays: Arrays, options: Options) -> dict[str, Any]:
    """Returns the first arguments that give the file's layers and filters."""
    layers = _layers(arrays)
    values = {name: positive(name, options, CONFIRMED) for name in CONFIRMED}
    misfits = []
    for number in sorted(range(len(layers) - 1), key=lambda number: abs(number - _CRITICAL)):
        arguments = {**_shared_arguments(arrays, layers, values), "num_critical": number}
        arguments |= _channel_arguments(layers, stylegan3.plan_layers(_configuration(arguments, *_CHANNELS)))
        misfit = _misfit(arrays, layers, arguments)
        if not misfit:
            return arguments
        misfits.append(misfit)
    given = ", ".join(f"{name}={value:.6g}" for name, value in values.items())
    raise InputError(
        f"parameter {misfits[0]}: is another with {given}, whatever layers are critical; give the values of the "
        "training, such as --option=first_cutoff=NUMBER"
    )


def _layers(arrays: Arrays) -> list[_Layer]:
    """Returns the layers in their order; raises InputError if one is missing."""
    matches = (re.match(r"synthesis\.(L(\d{1,3})_(\d{1,9})_(\d{1,9}))\.", name) for name in arrays)
    found = {int(match[2]): _Layer(match[1], int(match[3]), int(match[4])) for match in matches if match}
    if len(found) > _MAX_LAYERS:
        raise InputError(
            f"parameters synthesis.L*: {len(found)} layers; networks of up to {_MAX_LAYERS} layers convert"
        )
    missing = next(number for number in range(len(found) + 1) if number not in found)
    if len(found) < 2 or missing < len(found):
        raise InputError(f"parameters synthesis.L{missing}_*: missing from the file")
    return [found[number] for number in range(len(found))]


def _shared_arguments(arrays: Arrays, layers: list[_Layer], values: Mapping[str, float]) -> dict[str, Any]:
    """Returns the arguments that do not depend on the number of critical layers."""
    first, resolution = f"synthesis.{layers[0].name}", layers[-1].size
    upsampling = int(values["lrelu_upsampling"])
    down = (name for layer in layers if (name := f"synthesis.{layer.name}.down_filter") in arrays)
    taps = np.size(arrays.get(f"{first}.up_filter", np.zeros(6 * upsampling)))
    rate = 2 ** math.ceil(math.log2(min(2 * values["first_stopband"], resolution)))
    return {
        **values,
        "lrelu_upsampling": upsampling,
        "img_resolution": resolution,
        "img_channels": layers[-1].channels,
        "num_layers": len(layers) - 1,
        "margin_size": (layers[0].size - rate) // 2,
        "conv_kernel": assembly.shape_of(arrays, f"{first}.weight", 4)[2],
        "filter_size": max(1, taps // max(1, upsampling)),
        "use_radial_filters": next((np.ndim(arrays[name]) == 2 for name in down), False),
    }


def _configuration(arguments: Mapping[str, Any], channel_base: float, channel_max: float) -> stylegan3.Config:
    """Returns a configuration of these layers; the widths of z and w play no role."""
    return stylegan3.Config(
        z_dim=1,
        w_dim=1,
        resolution=arguments["img_resolution"],
        image_channels=arguments["img_channels"],
        channel_base=channel_base,
        channel_max=channel_max,
        num_layers=arguments["num_layers"],
        num_critical=arguments["num_critical"],
        first_cutoff=arguments["first_cutoff"],
        first_stopband=arguments["first_stopband"],
        last_stopband_rel=arguments["last_stopband_rel"],
        margin=arguments["margin_size"],
        kernel_size=arguments["conv_kernel"],
        filter_size=arguments["filter_size"],
        inner_upsampling=arguments["lrelu_upsampling"],
        radial_filters=arguments["use_radial_filters"],
    )


def _channel_arguments(layers: list[_Layer], plans: Sequence[Plan]) -> dict[str, float]:
    """Returns channel_base and channel_max that give the layers' channels.

    A layer has channel_base / (2 cutoff) channels, rounded, and at most channel_max. So
    the channels leave an interval for channel_base. A published value in it comes
    first, and then the value with most factors of two.
    """
    most = max(layer.channels for layer in layers[:-1])
    low, high = 0.0, math.inf
    for layer, plan in zip(layers[:-1], plans, strict=False):
        low = max(low, 2 * plan.out_cutoff * (layer.channels - 0.5))
        if layer.channels < most:
            high = min(high, 2 * plan.out_cutoff * (layer.channels + 0.5))
    steps = (2**power for power in range(math.ceil(math.log2(max(low, 1))), -1, -1))
    bases = (*_CHANNEL_BASES, *(math.ceil(low / step) * step for step in steps), (low + min(high, 2 * low)) / 2)
    fitting = (base for base in bases if low < base < high)
    return {"channel_base": next(fitting, _CHANNELS[0]), "channel_max": most}  # an empty interval is a misfit


def _misfit(arrays: Arrays, layers: list[_Layer], arguments: Mapping[str, Any]) -> str:
    """Returns the first layer or filter that the arguments do not give, or ""."""
    config = _configuration(arguments, arguments["channel_base"], arguments["channel_max"])
    for layer, plan in zip(layers, stylegan3.plan_layers(config), strict=True):
        if layer.name != plan.name:
            return f"synthesis.{layer.name}"
        for name, shape, design in _filters(plan):
            stored = arrays.get(name)
            if (stored is None) != (shape == (1,)):
                return name
            if stored is not None and not _is_design(stored, shape, design):
                return name
    return ""


def _filters(plan: Plan) -> Iterator[tuple[str, tuple[int, ...], Any]]:
    """Yields name, shape and design of a layer's two filters."""
    yield f"synthesis.{plan.name}.up_filter", (plan.up_taps,), plan.up_filter
    yield f"synthesis.{plan.name}.down_filter", plan.down_shape, plan.down_filter


def _is_design(stored: np.ndarray, shape: tuple[int, ...], design: Any) -> bool:
    """Returns whether a stored filter is the designed one.

    The shape is compared first, because a long design could need any memory.
    """
    if stored.shape != shape:
        return False
    try:
        expected = design()
    except ValueError:  # a cutoff beyond half the sampling rate
        return False
    return bool(np.abs(stored - expected).max() <= assembly.filter_tolerance(stored) * np.abs(expected).max())
