"""Lists the published formats. The arrays of a file determine its format."""

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from checkpoints_convert import (
    biggan_ajbrock,
    biggan_huggingface,
    biggan_studiogan,
    dcgan_layers,
    dcgan_pytorch,
    dcgan_relatives,
    genforce,
    networks,
    nvidia_state_dicts,
    other_networks,
    parts,
    progan_genforce,
    progan_netdissect,
    progan_tensorflow,
    sources,
    stylegan2_genforce,
    stylegan2_lucidrains,
    stylegan2_rosinality,
    stylegan2_tensorflow,
    stylegan3_state_dicts,
    stylegan_ganspace,
    stylegan_genforce,
    stylegan_tensorflow,
    weight_norms,
)
from checkpoints_convert.networks import Arrays, Network
from checkpoints_convert.sources import Source
from ganspace_jax.errors import InputError, first_line
from ganspace_jax.generators import base

Options = Mapping[str, float]

_MAX_RESOLUTION = 4096  # the published networks make up to 1024 pixels; the preview has sixteen images
_IMAGE_CHANNELS = (1, 3, 4)  # pictures of other numbers of channels do not exist


class Format(NamedTuple):
    """One layout of one paper's generator.

    Attributes:
        name: Name for --format.
        description: Name for messages.
        matches: Whether arrays have this layout.
        convert: Conversion of a network; raises InputError.
        options: Names of the options for facts that files do not contain.
        note: What a conversion without options prints, or an empty string.
        assumptions: Lines about facts that the file lacks and the conversion assumes.
    """

    name: str
    description: str
    matches: Callable[[Arrays], bool]
    convert: Callable[[Network, Options], base.Generator]
    options: tuple[str, ...] = ()
    note: str = ""
    assumptions: Callable[[Network, Options], list[str]] = lambda network, options: []


def read(path: str | os.PathLike[str]) -> Source:
    """Returns the networks of a file or a directory.

    Raises:
        InputError: The file is missing, is damaged, or has another kind.
    """
    source = sources.read(path, _families())
    return source._replace(networks=parts.with_parts(source.networks, names_of))


def names_of(arrays: Arrays) -> list[str]:
    """Returns the names of the formats that arrays have."""
    return [one.name for one in FORMATS if one.matches(arrays)]


def recognize(source: Source, wanted: str = "auto", network: str = "auto") -> tuple[Format, Network]:
    """Returns the first network that has a known format, with its format.

    Args:
        source: File that was read.
        wanted: Name of the only format that may be returned, or "auto".
        network: Name of the only network that may be returned, or "auto".

    Raises:
        InputError: The file has no such network, or a name is unknown.
    """
    if wanted not in ("auto", *(one.name for one in FORMATS)):
        raise InputError(f"--format={wanted}: no such format; there are: auto, {_names()}")
    known = [(one, each) for each in source.networks for one in FORMATS if one.matches(networks.layout(each))]
    if not known:
        raise InputError(
            f"--source={source.path}: a {source.kind} with {_holding(source)}; known formats: {_families()}"
        )
    of_format = [(one, each) for one, each in known if wanted in ("auto", one.name)]
    if not of_format:
        raise InputError(f"--format={wanted}: {source.path} is a {known[0][0].description}, {known[0][0].name}")
    for one, each in of_format:
        if network in ("auto", each.name):
            return one, each
    there = ", ".join(each.name or "one without a name" for _, each in of_format)
    raise InputError(f"--network={network}: no such network; {source.path} has: {there}")


def convert(found: Format, network: Network, options: Options, path: str) -> base.Generator:
    """Returns the generator of a network.

    Args:
        found: Format of the network.
        network: Network to convert.
        options: Values of the format's options.
        path: Path of the file, for messages.

    Raises:
        InputError: The network cannot be converted; the message names the file and the
            parameter or argument.
    """
    if unknown := sorted(set(options) - set(found.options)):
        there = ", ".join(found.options) or "none"
        raise InputError(f"--option={unknown[0]}: the options for {found.name} are: {there}")
    try:
        networks.refuse_foreign(network)
        made = found.convert(network, options)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except MemoryError:
        raise InputError(f"{path}: needs more memory than there is") from None
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = first_line(error)
        raise InputError(f"{path}: not a sound {found.description} ({type(error).__name__}: {reason})") from None
    _check_images(made.merge().config, path)
    return made


def notes(found: Format, network: Network, options: Options) -> list[str]:
    """Returns lines about what the file does not contain, for the user."""
    return [*([found.note] if found.note and not options else []), *found.assumptions(network, options)]


def _check_images(config: Any, path: str) -> None:
    """Raises InputError if the images are too large or cannot become pictures."""
    if config.resolution > _MAX_RESOLUTION:
        raise InputError(
            f"{path}: makes images of {config.resolution:,} pixels; networks of up to {_MAX_RESOLUTION:,} pixels convert"
        )
    if config.image_channels not in _IMAGE_CHANNELS:
        raise InputError(
            f"{path}: makes images of {config.image_channels} channels; networks of 1 (grey), 3 (RGB) or 4 (RGBA) convert"
        )


def _holding(source: Source) -> str:
    """Returns what a file without a known generator holds."""
    if other := other_networks.recognize(source.networks):
        return f"{other.words}; {other.advice}"
    names = list(max((each.arrays for each in source.networks), key=len, default={}))
    why = dcgan_relatives.reason(source.networks)
    return f"a network with parameters such as {names[-1]}{f': {why}' if why else ''}" if names else "no network"


def _names() -> str:
    return ", ".join(one.name for one in FORMATS)


def _families() -> str:
    """Returns the families of the formats, each once."""
    families = dict.fromkeys(one.name.partition("_")[0] for one in FORMATS)
    return f"{', '.join(families)}; --help lists their layouts"


def _has(*names: str) -> Callable[[Arrays], bool]:
    """Returns a test whether arrays of all these names exist."""
    return lambda arrays: all(name in arrays for name in names)


def _is_stylegan(arrays: Arrays) -> bool:
    """Returns whether the arrays are StyleGAN's.

    StyleGAN2 has the same constant, but modulates weights. A network with
    const_input_layer=False has a dense layer in place of the constant.
    """
    first = ("synthesis/4x4/Const/const", "synthesis/4x4/Dense/weight")
    return any(name in arrays for name in first) and "synthesis/4x4/Conv/mod_weight" not in arrays


def _is_progan(arrays: Arrays) -> bool:
    return any(_has(f"{first}.conv.weight", f"{first}.wscale.b")(arrays) for first in ("layer1", "features.0"))


def _is_biggan(arrays: Arrays) -> bool:
    """Returns whether the arrays are BigGAN's; its discriminator has the same blocks,
    but no output layer.
    """
    return "blocks.0.0.conv1.weight" in arrays and any(name.startswith("output_layer.") for name in arrays)


def _convert_huggingface(network: Network, _: Options) -> base.Generator:
    if not network.arguments:
        raise InputError("BigGAN-deep's configuration is in config.json; give the directory that contains both files")
    return biggan_huggingface.convert(network.arrays, network.arguments)


FORMATS = (
    Format(
        "stylegan2_pytorch", "StyleGAN2 of NVlabs/stylegan2-ada-pytorch or NVlabs/stylegan3", _has("synthesis.b4.const"),
        nvidia_state_dicts.convert, tuple(nvidia_state_dicts.UNSTORED), assumptions=nvidia_state_dicts.assumptions,
    ),
    Format(
        "stylegan2_tensorflow", "StyleGAN2 of the official TensorFlow code, or of StyleGAN2-ADA's",
        stylegan2_tensorflow.matches,
        lambda network, _: stylegan2_tensorflow.convert(network.arrays, network.arguments),
    ),
    Format(
        "stylegan2_rosinality", "StyleGAN2 of rosinality/stylegan2-pytorch or its forks",
        _has("input.input", "conv1.conv.modulation.weight"),
        lambda network, options: stylegan2_rosinality.convert({**network.beside, "g_ema": network.arrays}, **options),
        ("lr_mlp", "z_dim"),
        assumptions=lambda network, _: stylegan2_rosinality.assumptions({**network.beside, "g_ema": network.arrays}),
    ),
    Format(
        "stylegan2_genforce", "StyleGAN2 of genforce/genforce or genforce/sefa", stylegan2_genforce.is_generator,
        lambda network, options: stylegan2_genforce.convert(network.arrays, options), tuple(stylegan2_genforce.OPTIONS),
        genforce.NOTE,
    ),
    Format(
        "stylegan2_lucidrains", "StyleGAN2 of lucidrains/stylegan2-pytorch", stylegan2_lucidrains.is_generator,
        lambda network, options: stylegan2_lucidrains.convert(network.arrays, options), stylegan2_lucidrains.OPTIONS,
        "noise is off, because a file has no noise image; a mapping network that was trained with a --lr_mlp of its own "
        "needs --option=lr_mlp=NUMBER",
    ),
    Format(
        "stylegan3_pytorch", "StyleGAN3 of NVlabs/stylegan3", _has("synthesis.input.freqs"),
        stylegan3_state_dicts.convert, stylegan3_state_dicts.OPTIONS, assumptions=stylegan3_state_dicts.assumptions,
    ),
    Format(
        "stylegan_tensorflow", "StyleGAN of the official TensorFlow code", _is_stylegan,
        lambda network, _: stylegan_tensorflow.convert(network.arrays, network.arguments),
    ),
    Format(
        "stylegan_ganspace", "StyleGAN of GANSpace's PyTorch port", _has("g_synthesis.blocks.4x4.const"),
        lambda network, options: stylegan_ganspace.convert(network.arrays, **options), ("epsilon",),
        stylegan_ganspace.NOTE,
    ),
    Format(
        "stylegan_genforce", "StyleGAN of genforce/genforce, genforce/sefa or genforce/interfacegan",
        stylegan_genforce.is_generator,
        lambda network, options: stylegan_genforce.convert(network.arrays, options), tuple(stylegan_genforce.OPTIONS),
        genforce.NOTE,
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
        "biggan_studiogan", "BigGAN of POSTECH-CVLab/PyTorch-StudioGAN", biggan_studiogan.is_generator,
        lambda network, options: biggan_studiogan.convert(network.arrays, options), tuple(biggan_studiogan.OPTIONS),
        "the batch norms use the running statistics in the file; that code may compute standing statistics before it "
        "draws images",
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
        "progan_genforce", "ProGAN of genforce/genforce, genforce/sefa or genforce/interfacegan",
        progan_genforce.is_generator,
        lambda network, options: progan_genforce.convert(network.arrays, options), tuple(progan_genforce.OPTIONS),
        "a file does not show whether the first layer has a label beside z; if it has, give --option=label_size=NUMBER",
    ),
    Format(
        "dcgan", "DCGAN of the PyTorch tutorial", lambda arrays: dcgan_layers.is_generator(weight_norms.renamed(arrays)),
        lambda network, options: dcgan_pytorch.convert(network.arrays, network.layers, **options), ("num_classes",),
        "a file does not show whether the first layer has a class beside z; if it has, give --option=num_classes=NUMBER",
    ),
)  # fmt: skip
