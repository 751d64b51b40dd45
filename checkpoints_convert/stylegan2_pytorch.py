"""Converts StyleGAN2 of NVlabs/stylegan2-ada-pytorch and of NVlabs/stylegan3.

The two repositories store the synthesis network's arguments in different places, and
have different defaults of conv_clamp. So the layers give the clamp. The filters in the
file must equal the filters that the arguments give. A network that was trained without
a mean w (w_avg_beta=None) gets the mean of 10,000 z.

Forks of the first repository make images of other sizes; see stylegan2_sizes.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from checkpoints_convert import assembly, stylegan2_sizes
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan2

_REQUIRED = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")
_MAPPING = {
    "num_layers": "mapping_layers",
    "layer_features": "mapping_width",
    "embed_features": "embed_width",
    "lr_multiplier": "mapping_learning_rate",
}
_SYNTHESIS = ("architecture", "resample_filter", "use_noise")
_RESAMPLING = {"orig": ("conv0.",), "skip": ("conv0.", ""), "resnet": ("conv0.", "skip.")}  # layers of a block
# countHW is eps696/stylegan2ada's number of latents whose images are joined.
_SUPPORTED = {"activation": "lrelu", "kernel_size": 3, "countHW": [1, 1]}
# Arguments of training and speed. The arrays give the channels, the layers the clamp.
# The last line has arguments of forks. In eps696/stylegan2ada, scale_type and splitfine
# act only through size and countHW. In PDillis/stylegan3-fun, extended_sgan2 doubles
# the channels. stylegan2_sizes checks the arguments of sizes.
_WITHOUT_EFFECT = (
    "channel_base", "channel_max", "conv_clamp", "num_fp16_res", "fp16_channels_last", "fused_modconv_default",
    "w_avg_beta", "freeze_layers", "freeze_embed", *stylegan2_sizes.ARGUMENTS,
    "verbose", "scale_type", "splitfine", "extended_sgan2",
)  # fmt: skip

_FILTER_TOLERANCE = 1e-5  # of the largest tap


def configuration(state: Mapping[str, np.ndarray], source: Mapping[str, Any]) -> stylegan2.Config:
    """Returns the configuration that the arguments give, without the clamp.

    Args:
        state: Parameters and buffers by dotted name; they give the channels.
        source: Constructor arguments.

    Raises:
        InputError: An argument is missing or unknown, or its value cannot be converted.
    """
    own = {name: value for name, value in source.items() if name not in ("mapping_kwargs", "synthesis_kwargs")}
    if missing := sorted(set(_REQUIRED) - set(own)):
        raise InputError(f"constructor argument {missing[0]}: missing")
    flat = {name: value for name, value in own.items() if name not in _REQUIRED}
    flat |= source.get("synthesis_kwargs") or {}
    mapping, synthesis = _known(source.get("mapping_kwargs") or {}, _MAPPING), _known(flat, _SYNTHESIS)
    if (architecture := synthesis.get("architecture", "skip")) not in _RESAMPLING:
        raise InputError(f"constructor argument architecture={architecture!r}: there are {', '.join(_RESAMPLING)}")
    z_dim, depth = int(own["z_dim"]), int(mapping.get("num_layers", 8))
    for name, number in (("z_dim", z_dim), ("num_layers", depth)):
        if number < 1:
            raise InputError(f"constructor argument {name}={number}: must be at least 1")
    base_size = stylegan2_sizes.base_size(state, "synthesis.b4.const", 3, "synthesis.b4.conv1.noise_const")
    blocks = stylegan2_sizes.block_names(state, own["img_resolution"], base_size)
    config = stylegan2.Config(
        z_dim=z_dim,
        w_dim=int(own["w_dim"]),
        channels=tuple(assembly.shape_of(state, f"synthesis.{block}.conv1.bias", 1)[0] for block in blocks),
        base_size=base_size,
        num_classes=int(own["c_dim"]),
        image_channels=int(own["img_channels"]),
        architecture=architecture,
        resample_filter=taps(synthesis.get("resample_filter", (1, 3, 3, 1)), "constructor argument resample_filter"),
        use_noise=bool(synthesis.get("use_noise", True)),
        **{_MAPPING[name]: value for name, value in mapping.items()},
    )
    stylegan2_sizes.check(flat, config)
    return config


def convert(
    state: Mapping[str, np.ndarray], source: Mapping[str, Any], clamps: Mapping[str, float | None]
) -> base.Generator:
    """Returns the generator of a network.

    Args:
        state: Parameters and buffers by dotted name.
        source: Constructor arguments.
        clamps: conv_clamp by layer.

    Raises:
        InputError: A parameter is missing, left over or has another shape, a filter is
            not the arguments' filter, or the clamps differ.
    """
    tensors = assembly.Tensors(state)
    config = dataclasses.replace(configuration(state, source), conv_clamp=_clamp(clamps))
    has_mean = (source.get("mapping_kwargs") or {}).get("w_avg_beta", 0.995) is not None

    def fetch(name: str) -> np.ndarray:
        if name == "mapping.w_avg" and not has_mean:
            return np.zeros(config.w_dim, np.float32)  # computed below
        array = tensors.take(name)
        if array.ndim == 4:
            # An up-sampling layer is a transposed convolution. So it applies its kernel
            # rotated by 180 degrees to the image with inserted zeros.
            kernel = assembly.convolution(array)
            return kernel[::-1, ::-1] if ".conv0." in name else kernel
        if array.ndim == 3:
            return np.moveaxis(array, 0, -1)  # the constant
        return array.T if array.ndim == 2 and name.endswith(".weight") else array

    generator = assembly.assemble("stylegan2", config, fetch)
    if not has_mean:
        generator.params["mapping"]["w_avg"] = assembly.mean_latent(generator)
    for index in range(1, len(config.channels)):
        for layer in _RESAMPLING[config.architecture]:
            _check_filter(tensors, f"synthesis.b{4 * 2**index}.{layer}resample_filter", config.resample_filter)
    tensors.finish(ignored=lambda name: name.endswith(".resample_filter"))  # of layers that do not resample
    return generator


def taps(value: Sequence[float] | None, what: str) -> tuple[float, ...]:
    """Returns a filter in reverse order: the original code convolves, ours correlates.

    Args:
        value: Filter as a constructor argument.
        what: Name of the filter, for the message.

    Raises:
        InputError: The filter is no row of at least two numbers, or its sum is 0.
    """
    if np.ndim(value) != 1 or np.size(value) < 2 or not np.sum(value):  # type: ignore[arg-type]
        raise InputError(f"{what}={value}: only a row of at least two numbers with a sum converts")
    return tuple(float(tap) for tap in reversed(value))  # type: ignore[arg-type]


def _known(arguments: Mapping[str, Any], names: Sequence[str] | Mapping[str, str]) -> dict[str, Any]:
    """Returns the arguments of these names; raises InputError for unknown arguments.

    Arguments without effect on the image are dropped.
    """
    for name, value in arguments.items():
        if name in _SUPPORTED and value != _SUPPORTED[name]:
            raise InputError(f"constructor argument {name}={value!r}: only {_SUPPORTED[name]!r} converts")
    if unknown := sorted(set(arguments) - {*names, *_SUPPORTED, *_WITHOUT_EFFECT}):
        raise InputError(f"constructor argument {unknown[0]}: not known; the known ones are: {', '.join(names)}")
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in arguments.items()}
    return {name: value for name, value in plain.items() if name in names}


def _clamp(clamps: Mapping[str, float | None]) -> float | None:
    """Returns the clamp of all layers except the shortcuts, which must have none.

    Raises:
        InputError: The layers' clamps differ, no layer has an entry, or a shortcut has
            a clamp.
    """
    found: dict[float | None, str] = {}
    for layer, value in clamps.items():
        clamp = None if value is None else float(value)
        if not layer.endswith(".skip"):
            found.setdefault(clamp, layer)
        elif clamp is not None:
            raise InputError(f"conv_clamp of {layer}: {clamp:g}; only shortcuts without one convert")
    if len(found) != 1:
        said = " and ".join(f"{clamp} in {layer}" for clamp, layer in found.items())
        raise InputError(f"conv_clamp: {said or 'no layer has it'}; all layers must have the same")
    return next(iter(found))


def _check_filter(tensors: assembly.Tensors, name: str, ours: tuple[float, ...]) -> None:
    """Raises InputError if the filter of this name in the file is not our filter."""
    found, row = tensors.take(name), np.array(ours[::-1]) / np.sum(ours)
    expected = row if found.ndim == 1 else np.outer(row, row)  # long filters are stored as a row
    if found.shape != expected.shape or np.abs(found - expected).max() > _FILTER_TOLERANCE * np.abs(expected).max():
        raise InputError(f"parameter {name}: not the filter that the constructor arguments give")
