"""The published formats: how each is told from the others, by what is in the file, and what converts it."""

import json
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from checkpoints_convert import (
    biggan_ajbrock,
    biggan_huggingface,
    dcgan_pytorch,
    networks,
    progan_netdissect,
    progan_tensorflow,
    stylegan2_pytorch,
    stylegan2_rosinality,
    stylegan2_tensorflow,
    stylegan3_pytorch,
    stylegan_ganspace,
    stylegan_tensorflow,
)
from checkpoints_convert.networks import Arrays, Network
from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import network_pickles, torch_files
from ganspace_jax.generators import base

Options = Mapping[str, float]

_MAX_CONFIGURATION = 1 << 16  # bytes; the published ones have 1,000
_MAX_RESOLUTION = 4096  # the published networks make up to 1024 pixels; the preview has sixteen images


class Source(NamedTuple):
    """What was read: the checkpoint file, the kind of file that it is, and the networks in it, moving averages first."""

    path: str
    kind: str
    networks: tuple[Network, ...]


class Format(NamedTuple):
    """One layout of one paper's generator.

    matches: whether arrays of these names are of it. convert: raises InputError. options: names of what a user may have to say
    because no file does.
    """

    name: str
    description: str
    matches: Callable[[Arrays], bool]
    convert: Callable[[Network, Options], base.Generator]
    options: tuple[str, ...] = ()


_KINDS = (
    ("torch file", torch_files.is_torch_file, torch_files.read),
    ("pickle", network_pickles.is_pickle, network_pickles.read),
)


def read(path: str | os.PathLike[str]) -> Source:
    """Reads a file, or a directory with pytorch_model.bin and config.json; raises InputError."""
    path = pathlib.Path(path)
    config = {}
    if path.is_dir():
        config, path = _configuration(path), path / "pytorch_model.bin"
    if not path.is_file():
        raise InputError(f"--source={path}: {'is no regular file' if os.path.lexists(path) else 'no such file'}")
    for kind, is_of_kind, reader in _KINDS:
        if is_of_kind(path):
            return Source(str(path), kind, _find(path, reader(path), config))
    raise InputError(f"--source={path}: neither a torch file nor a pickle; known formats: {_names()}")


def _find(path: pathlib.Path, content: Any, config: Mapping[str, Any]) -> tuple[Network, ...]:
    try:
        return networks.find(content, config)
    except RecursionError:
        raise InputError(f"--source={path}: its contents are nested too deeply") from None
    except InputError as error:
        what = "".join(letter if letter.isprintable() else "?" for letter in str(error))
        raise InputError(f"--source={path}: {what}") from None


def _configuration(directory: pathlib.Path) -> dict[str, Any]:
    """What config.json says, and where it is silent the package's defaults; raises InputError."""
    path = directory / "config.json"
    try:
        fits = path.is_file() and path.stat().st_size <= _MAX_CONFIGURATION  # a pipe would be waited for
        config = json.loads(path.read_text()) if fits else None
    except (OSError, ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise InputError(
            f"--source={directory}: a directory wants pytorch_model.bin and a readable config.json of up to 64 KiB"
        )
    return {**biggan_huggingface.DEFAULTS, **config}


def recognize(source: Source, wanted: str = "auto", network: str = "auto") -> tuple[Format, Network]:
    """The first network of a known format, and that format; raises InputError.

    wanted: the name of a format, and network: the name of a network, for which no other is taken.
    """
    if wanted not in ("auto", *(one.name for one in FORMATS)):
        raise InputError(f"--format={wanted}: there are: auto, {_names()}")
    known = [(one, each) for each in source.networks for one in FORMATS if one.matches(each.arrays)]
    if not known:
        names = list(max((each.arrays for each in source.networks), key=len, default={}))
        holds = f"a network with parameters such as {names[-1]}" if names else "no network"
        raise InputError(f"--source={source.path}: a {source.kind} with {holds}; known formats: {_names()}")
    of_format = [(one, each) for one, each in known if wanted in ("auto", one.name)]
    if not of_format:
        raise InputError(f"--format={wanted}: {source.path} is a {known[0][0].description}, {known[0][0].name}")
    for one, each in of_format:
        if network in ("auto", each.name):
            return one, each
    there = ", ".join(each.name or "one without a name" for _, each in of_format)
    raise InputError(f"--network={network}: {source.path} has: {there}")


def convert(found: Format, network: Network, options: Options, path: str) -> base.Generator:
    """The generator of a network; raises InputError, which names the file and what does not fit."""
    if unknown := sorted(set(options) - set(found.options)):
        there = ", ".join(found.options) or "none"
        raise InputError(f"--option={unknown[0]}: for {found.name} there are: {there}")
    try:
        made = found.convert(network, options)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except MemoryError:
        raise InputError(f"{path}: asks for more memory than there is") from None
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise InputError(f"{path}: not a sound {found.description} ({type(error).__name__}: {reason})") from None
    resolution = made.merge().config.resolution
    if resolution > _MAX_RESOLUTION:
        raise InputError(
            f"{path}: makes images of {resolution:,} pixels; converted are those of up to {_MAX_RESOLUTION:,}"
        )
    return made


def _names() -> str:
    return ", ".join(one.name for one in FORMATS)


def _has(*names: str) -> Callable[[Arrays], bool]:
    return lambda arrays: all(name in arrays for name in names)


def _is_stylegan(arrays: Arrays) -> bool:
    """StyleGAN2 has the same constant, but modulates weights; const_input_layer=False has a dense layer in its place."""
    first = ("synthesis/4x4/Const/const", "synthesis/4x4/Dense/weight")
    return any(name in arrays for name in first) and "synthesis/4x4/Conv/mod_weight" not in arrays


def _is_dcgan(arrays: Arrays) -> bool:
    """A discriminator of the same layout begins with a plain convolution, which has no batch norm behind it."""
    return _has("main.0.weight", "main.1.running_mean")(arrays) and arrays["main.0.weight"].ndim == 4


def _is_progan(arrays: Arrays) -> bool:
    return any(_has(f"{first}.conv.weight", f"{first}.wscale.b")(arrays) for first in ("layer1", "features.0"))


def _is_biggan(arrays: Arrays) -> bool:
    """The discriminator has blocks of the same names, but no output layer."""
    return "blocks.0.0.conv1.weight" in arrays and any(name.startswith("output_layer.") for name in arrays)


def _convert_stylegan3(network: Network, _: Options) -> base.Generator:
    # The constructor arguments need not name it; the layers do.
    return stylegan3_pytorch.convert(network.arrays, {**network.arguments, "conv_clamp": networks.conv_clamp(network)})


def _convert_huggingface(network: Network, _: Options) -> base.Generator:
    if not network.arguments:
        raise InputError("BigGAN-deep's configuration is in config.json; give the directory that holds both")
    return biggan_huggingface.convert(network.arrays, network.arguments)


FORMATS = (
    Format(
        "stylegan2_pytorch", "StyleGAN2 of NVlabs/stylegan2-ada-pytorch or NVlabs/stylegan3", _has("synthesis.b4.const"),
        lambda network, _: stylegan2_pytorch.convert(network.arrays, network.arguments, network.clamps),
    ),
    Format(
        "stylegan2_tensorflow", "StyleGAN2 of the official TensorFlow code, or of StyleGAN2-ADA's",
        _has("synthesis/4x4/Const/const", "synthesis/4x4/Conv/mod_weight"),
        lambda network, _: stylegan2_tensorflow.convert(network.arrays, network.arguments),
    ),
    Format(
        "stylegan2_rosinality", "StyleGAN2 of rosinality/stylegan2-pytorch or its forks",
        _has("input.input", "conv1.conv.modulation.weight"),
        lambda network, options: stylegan2_rosinality.convert({**network.beside, "g_ema": network.arrays}, **options),
        ("lr_mlp",),
    ),
    Format(
        "stylegan3_pytorch", "StyleGAN3 of NVlabs/stylegan3", _has("synthesis.input.freqs"), _convert_stylegan3
    ),
    Format(
        "stylegan_tensorflow", "StyleGAN of the official TensorFlow code", _is_stylegan,
        lambda network, _: stylegan_tensorflow.convert(network.arrays, network.arguments),
    ),
    Format(
        "stylegan_ganspace", "StyleGAN of GANSpace's PyTorch port", _has("g_synthesis.blocks.4x4.const"),
        lambda network, options: stylegan_ganspace.convert(network.arrays, **options), ("epsilon",),
    ),
    Format(
        "biggan_ajbrock", "BigGAN of ajbrock/BigGAN-PyTorch", _is_biggan,
        lambda network, options: biggan_ajbrock.convert(network.arrays, options), tuple(biggan_ajbrock.OPTIONS),
    ),
    Format(
        "biggan_huggingface", "BigGAN-deep of pytorch-pretrained-biggan", _has("generator.gen_z.weight_orig"),
        _convert_huggingface,
    ),
    Format(
        "progan_tensorflow", "ProGAN of the official TensorFlow code", _has("4x4/Dense/weight", "ToRGB_lod0/weight"),
        lambda network, _: progan_tensorflow.convert(network.arrays, network.arguments, network.class_name),
    ),
    Format(
        "progan_netdissect", "ProGAN of netdissect's PyTorch port", _is_progan,
        lambda network, _: progan_netdissect.convert(network.arrays),
    ),
    Format(
        "dcgan", "DCGAN of the PyTorch tutorial", _is_dcgan, lambda network, _: dcgan_pytorch.convert(network.arrays)
    ),
)  # fmt: skip
