"""StyleGAN2 of NVlabs/stylegan2-ada-pytorch and of NVlabs/stylegan3: the generator's arrays and constructor arguments -> ours.

The two repositories differ in where they keep the synthesis network's arguments, and in the default of conv_clamp. That is why
the clamp is taken from the layers. The filters in the file are compared with those of the arguments, and then dropped. Where a
network was trained without a mean w (w_avg_beta=None), it is made here, over 10,000 z.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from checkpoints_convert import assembly
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
_RESAMPLING = {"orig": ("conv0.",), "skip": ("conv0.", ""), "resnet": ("conv0.", "skip.")}  # what does in a block
_SUPPORTED = {"activation": "lrelu", "kernel_size": 3}
# Of training and of speed, and what the arrays (the channels) or the layers (the clamp) say themselves.
_WITHOUT_EFFECT = (
    "channel_base", "channel_max", "conv_clamp", "num_fp16_res", "fp16_channels_last", "fused_modconv_default",
    "w_avg_beta", "freeze_layers", "freeze_embed",
)  # fmt: skip

_FILTER_TOLERANCE = 1e-5  # of the largest tap


def configuration(state: Mapping[str, np.ndarray], source: Mapping[str, Any]) -> stylegan2.Config:
    """From the constructor arguments, and the channels from the arrays; without the clamp, which is not among these.

    Raises InputError for arguments that are missing or not known, and for what no generator of ours can be.
    """
    own = {name: value for name, value in source.items() if name not in ("mapping_kwargs", "synthesis_kwargs")}
    if missing := sorted(set(_REQUIRED) - set(own)):
        raise InputError(f"constructor argument {missing[0]}: missing")
    flat = {name: value for name, value in own.items() if name not in _REQUIRED}
    mapping = _known(source.get("mapping_kwargs") or {}, _MAPPING)
    synthesis = _known({**flat, **(source.get("synthesis_kwargs") or {})}, _SYNTHESIS)
    if (architecture := synthesis.get("architecture", "skip")) not in _RESAMPLING:
        raise InputError(f"constructor argument architecture={architecture!r}: there are {', '.join(_RESAMPLING)}")
    z_dim, depth = int(own["z_dim"]), int(mapping.get("num_layers", 8))
    for name, number in (("z_dim", z_dim), ("num_layers", depth)):
        if number < 1:
            raise InputError(f"constructor argument {name}={number}: must be at least 1")
    return stylegan2.Config(
        z_dim=z_dim,
        w_dim=int(own["w_dim"]),
        channels=_channels(state, int(own["img_resolution"])),
        num_classes=int(own["c_dim"]),
        image_channels=int(own["img_channels"]),
        architecture=architecture,
        resample_filter=taps(synthesis.get("resample_filter", (1, 3, 3, 1)), "constructor argument resample_filter"),
        use_noise=bool(synthesis.get("use_noise", True)),
        **{_MAPPING[name]: value for name, value in mapping.items()},
    )


def convert(
    state: Mapping[str, np.ndarray], source: Mapping[str, Any], clamps: Mapping[str, float | None]
) -> base.Generator:
    """The generator of parameters and buffers by dotted name, of the constructor arguments, and of each layer's conv_clamp.

    Raises InputError for parameters that are missing, left over or of another shape, for filters other than ours, and for
    clamps that differ.
    """
    tensors = assembly.Tensors(state)
    config = dataclasses.replace(configuration(state, source), conv_clamp=_clamp(clamps))
    has_mean = (source.get("mapping_kwargs") or {}).get("w_avg_beta", 0.995) is not None

    def fetch(name: str) -> np.ndarray:
        if name == "mapping.w_avg" and not has_mean:
            return np.zeros(config.w_dim, np.float32)  # until the mapping can be asked
        array = tensors.take(name)
        if array.ndim == 4:
            # Up-sampling layers are transposed convolutions: their kernels meet the zero-inserted image turned.
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
    """A filter for ours, turned: the originals convolve with it, ours correlate. Raises InputError."""
    if np.ndim(value) != 1 or np.size(value) < 2 or not np.sum(value):  # type: ignore[arg-type]
        raise InputError(f"{what}={value}: only a row of at least two numbers with a sum converts")
    return tuple(float(tap) for tap in reversed(value))  # type: ignore[arg-type]


def _known(arguments: Mapping[str, Any], names: Sequence[str] | Mapping[str, str]) -> dict[str, Any]:
    """The arguments of these names; raises InputError for others, but for those that the image does not depend on."""
    for name, value in arguments.items():
        if name in _SUPPORTED and value != _SUPPORTED[name]:
            raise InputError(f"constructor argument {name}={value!r}: only {_SUPPORTED[name]!r} converts")
    if unknown := sorted(set(arguments) - {*names, *_SUPPORTED, *_WITHOUT_EFFECT}):
        raise InputError(f"constructor argument {unknown[0]}: not known here; there are: {', '.join(names)}")
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in arguments.items()}
    return {name: value for name, value in plain.items() if name in names}


def _channels(state: Mapping[str, np.ndarray], resolution: int) -> tuple[int, ...]:
    if resolution < 4 or resolution & (resolution - 1):
        raise InputError(f"constructor argument img_resolution={resolution}: must be a power of two, at least 4")
    sides = [2**power for power in range(2, resolution.bit_length())]
    return tuple(assembly.shape_of(state, f"synthesis.b{side}.conv1.bias", 1)[0] for side in sides)


def _clamp(clamps: Mapping[str, float | None]) -> float | None:
    """The one clamp of all layers but the shortcuts, which have none; raises InputError."""
    found: dict[float | None, str] = {}
    for layer, value in clamps.items():
        clamp = None if value is None else float(value)
        if not layer.endswith(".skip"):
            found.setdefault(clamp, layer)
        elif clamp is not None:
            raise InputError(f"conv_clamp of {layer}: {clamp:g}; only shortcuts without one convert")
    if len(found) != 1:
        said = " and ".join(f"{clamp} in {layer}" for clamp, layer in found.items())
        raise InputError(f"conv_clamp: {said or 'said by no layer'}; only one for all layers converts")
    return next(iter(found))


def _check_filter(tensors: assembly.Tensors, name: str, ours: tuple[float, ...]) -> None:
    found, row = tensors.take(name), np.array(ours[::-1]) / np.sum(ours)
    expected = row if found.ndim == 1 else np.outer(row, row)  # long filters are stored as a row
    if found.shape != expected.shape or np.abs(found - expected).max() > _FILTER_TOLERANCE * np.abs(expected).max():
        raise InputError(f"parameter {name}: not the filter that the constructor arguments give")
