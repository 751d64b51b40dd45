"""Converts StyleGAN3 of NVlabs/stylegan3 and of StyleGAN-Human.

The filters in the file must equal the filters that the configuration gives.
StyleGAN-Human's argument square=False halves all widths.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from checkpoints_convert import assembly
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan3

_FIELDS = {
    "z_dim": "z_dim",
    "w_dim": "w_dim",
    "c_dim": "num_classes",
    "img_resolution": "resolution",
    "img_channels": "image_channels",
    "channel_base": "channel_base",
    "channel_max": "channel_max",
    "num_layers": "num_layers",
    "num_critical": "num_critical",
    "first_cutoff": "first_cutoff",
    "first_stopband": "first_stopband",
    "last_stopband_rel": "last_stopband_rel",
    "margin_size": "margin",
    "output_scale": "output_scale",
    "conv_kernel": "kernel_size",
    "filter_size": "filter_size",
    "lrelu_upsampling": "inner_upsampling",
    "use_radial_filters": "radial_filters",
    "conv_clamp": "conv_clamp",
    "square": "square",
}
_REQUIRED = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")
_MAPPING_FIELDS = {"num_layers": "mapping_layers", "lr_multiplier": "mapping_learning_rate"}
_TRAINING = (  # no effect on images
    "magnitude_ema_beta", "num_fp16_res", "w_avg_beta", "freeze_layers", "freeze_embed", "verbose",
)  # fmt: skip


def configuration(source: Mapping[str, Any]) -> stylegan3.Config:
    """Returns the configuration that the constructor arguments give.

    Args:
        source: Constructor arguments; mapping_kwargs contains those of the mapping
            network.

    Raises:
        InputError: An argument is missing or unknown, or its value cannot be converted.
    """
    own = {name: value for name, value in source.items() if name != "mapping_kwargs"}
    if missing := sorted(set(_REQUIRED) - set(own)):
        raise InputError(f"constructor argument {missing[0]}: missing")
    entries = {**_renamed(own, _FIELDS), **_renamed(source.get("mapping_kwargs", {}), _MAPPING_FIELDS)}
    try:
        return stylegan3.Config(**entries)
    except ValueError as error:
        raise InputError(f"constructor arguments: {error}") from None


def _renamed(source: Mapping[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """Returns arguments under our fields' names; raises InputError for unknown ones."""
    if unknown := sorted(set(source) - set(fields) - set(_TRAINING)):
        raise InputError(f"constructor argument {unknown[0]}: not known; the known ones are: {', '.join(fields)}")
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in source.items()}
    return {fields[name]: value for name, value in plain.items() if name in fields}


def convert(state: Mapping[str, np.ndarray], source: Mapping[str, Any]) -> base.Generator:
    """Returns the generator of a network.

    Args:
        state: Parameters and buffers by dotted name.
        source: Constructor arguments.

    Raises:
        InputError: A parameter is missing, left over or has another shape, or a filter
            is not the arguments' filter.
    """
    tensors = assembly.Tensors(state)
    config = configuration(source)
    _check_depth(state, r"synthesis\.(L\d+)_", "num_layers", config.num_layers + 1)  # ToRGB is one more
    _check_depth(state, r"mapping\.(fc\d+)\.", "mapping_kwargs num_layers", config.mapping_layers)

    def fetch(name: str) -> np.ndarray:
        array = tensors.take(name)
        if name.endswith("input.transform") and array.ndim == 3:
            return array[0] if has_one_transform(state) else np.eye(3, dtype=np.float32)
        if array.ndim == 4:
            return assembly.convolution(array)
        return array.T if array.ndim == 2 and name.endswith(".weight") else array

    generator = assembly.assemble("stylegan3", config, fetch)
    for plan in stylegan3.plan_layers(config):
        for direction, shape, design in (
            ("up", (plan.up_taps,), plan.up_filter),
            ("down", plan.down_shape, plan.down_filter),
        ):
            name = f"synthesis.{plan.name}.{direction}_filter"
            if shape != (1,):  # the file does not contain identities
                _check_filter(name, tensors.take(name), assembly.filter_tolerance(state[name]), shape, design)
    tensors.finish()
    return generator


def has_one_transform(state: Mapping[str, np.ndarray]) -> bool:
    """Returns whether the file has one transform of the Fourier features.

    Encoders for unaligned pictures store the transforms of their last batch in its
    place, as [n, 3, 3].
    """
    transform = state.get("synthesis.input.transform", np.eye(3))
    return transform.ndim < 3 or bool(len(transform) and (transform == transform[:1]).all())


def _check_depth(state: Mapping[str, np.ndarray], pattern: str, argument: str, expected: int) -> None:
    """Raises InputError if an argument's number of layers is not the file's.

    The check comes first, because a wrong number could need any amount of memory.
    """
    found = len({match[1] for name in state if (match := re.match(pattern, name))})
    if found != expected:
        raise InputError(f"constructor argument {argument}: gives {expected} layers, the file has {found}")


def _check_filter(
    name: str, found: np.ndarray, tolerance: float, shape: tuple[int, ...], design: Callable[[], np.ndarray]
) -> None:
    """Raises InputError if a filter of the file is not the configuration's filter.

    Args:
        name: Name of the filter in the file.
        found: Filter in the file.
        tolerance: Largest difference that is allowed, as a share of the largest tap.
        shape: Shape of the configuration's filter. It is compared first, because a
            square design of a long row could need any memory.
        design: Returns the configuration's filter.
    """
    expected = design() if found.shape == shape else np.zeros(0)
    if found.shape != shape or np.abs(found - expected).max() > tolerance * np.abs(expected).max():
        raise InputError(f"parameter {name}: not the filter that the constructor arguments give")
