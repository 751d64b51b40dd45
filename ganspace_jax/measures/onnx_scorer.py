"""Scorers that are ONNX files, such as classifiers of attributes.

The metadata of a file gives the range and the order of its colours by ONNX's own keys,
Image.NominalPixelRange and Image.BitmapPixelFormat. Its key `names` holds the names of
the values: a list, or a dict of name by number. Settings replace what the file gives.
"""

import ast
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from ganspace_jax.errors import InputError, first_line, nearest
from ganspace_jax.measures import scorers
from ganspace_jax.measures.scorers import Images, Scorer

RANGES: dict[str, tuple[Any, Any]] = {  # mean and scale of colours in [0, 1]
    "signed": (0.5, 0.5),
    "unit": (0.0, 1.0),
    "bytes": (0.0, 1.0 / 255.0),
    "imagenet": (np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])),
}
CHOICES = {"range": tuple(RANGES), "layout": ("nchw", "nhwc"), "order": ("rgb", "bgr")}
_METADATA_RANGES = {"normalized_1_1": "signed", "normalized_0_1": "unit", "nominalrange_0_255": "bytes"}
_TYPES = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64, "tensor(uint8)": np.uint8
}  # fmt: skip
_BATCH = 32
_INSTALL = "needs onnxruntime; install it: pip install -r requirements-onnx.txt"


class Settings(NamedTuple):
    """Settings of an ONNX file. None leaves a setting to the file.

    Attributes:
        size: side of the images that the network reads, pixels. If the file leaves the
            size free, None keeps the images' own size.
        range: name in RANGES. signed is [-1, 1], unit is [0, 1], bytes is [0, 255], and
            imagenet subtracts ImageNet's mean and divides by its standard deviation.
        layout: nchw or nhwc, which tells where the channels are.
        order: rgb or bgr, the order of the channels.
        names: names of the values, in order.
    """

    size: int | None = None
    range: str | None = None
    layout: str | None = None
    order: str | None = None
    names: tuple[str, ...] | None = None


class Network(NamedTuple):
    """An ONNX network and how it reads images.

    Attributes:
        session: session of onnxruntime.
        subject: begin of the error messages.
        batch_size: number of images in a run; None if the file leaves it free.
        size: height and width of the input, pixels; None if the file leaves it free.
        channels: number of channels of the input, 1 or 3.
        dtype: number type of the input.
        settings: settings, with the file's range, layout and order in place of None.
        known_names: names of the values in the file's metadata, if any.
    """

    session: Any
    subject: str
    batch_size: int | None
    size: tuple[int | None, int | None]
    channels: int
    dtype: Any
    settings: Settings
    known_names: tuple[str, ...]


def parse_settings(text: str, subject: str) -> Settings:
    """Returns the settings of a text such as "size=224,range=imagenet,names=smile+age".

    Raises:
        InputError: a setting is unknown or has a wrong value.
    """
    values: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        if name not in Settings._fields:
            hint = nearest(name, Settings._fields)
            raise InputError(f"{subject}: {part}: is no setting; {hint}there are {', '.join(Settings._fields)}")
        if name in CHOICES and value not in CHOICES[name]:
            raise InputError(f"{subject}: {part}: must be {' or '.join(CHOICES[name])}")
        if name == "size" and not (value.isdecimal() and 1 <= int(value) <= 4096):
            raise InputError(f"{subject}: {part}: must be a number of pixels from 1 to 4096")
        values[name] = int(value) if name == "size" else tuple(value.split("+")) if name == "names" else value
    return Settings(**values)


def load(path: str | os.PathLike[str], settings: Settings | None = None, *, subject: str | None = None) -> Network:
    """Loads an ONNX file. onnxruntime executes ONNX's own operators only.

    Args:
        path: the file.
        settings: settings that replace those of the file.
        subject: begin of the error messages; by default the path.

    Raises:
        InputError: onnxruntime is missing, the file cannot be read, or its input is no
            batch of images.
    """
    subject = str(path) if subject is None else subject
    if not pathlib.Path(path).is_file():
        raise InputError(f"{subject}: no such file")
    try:
        import onnxruntime  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        found = "" if isinstance(error, ModuleNotFoundError) else f" ({first_line(error)})"
        raise InputError(f"{subject}: {_INSTALL}{found}") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # the exceptions say the same
    try:
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's have no common base
        raise InputError(f"{subject}: cannot be loaded as an ONNX file: {_reason(error)}") from None
    return _network(session, settings or Settings(), subject)


def _network(session: Any, settings: Settings, subject: str) -> Network:
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise InputError(f"{subject}: has {len(inputs)} inputs; must have one, the images")
    shape, kind = [one if isinstance(one, int) and one > 0 else None for one in inputs[0].shape], inputs[0].type
    if len(shape) != 4 or kind not in _TYPES:
        raise InputError(
            f"{subject}: input {inputs[0].name}: is a {kind} of shape {inputs[0].shape}; must be a tensor(float) of "
            f"shape [images, channels, height, width] or [images, height, width, channels]"
        )
    metadata = session.get_modelmeta().custom_metadata_map
    settings = settings._replace(**_filled(settings, shape, _TYPES[kind], metadata))
    channels, size = (shape[1], shape[2:]) if settings.layout == "nchw" else (shape[3], shape[1:3])
    channels = channels or 3
    if channels not in (1, 3) or (channels == 1 and settings.range == "imagenet"):
        raise InputError(
            f"{subject}: input of shape {inputs[0].shape}: has {channels} channels for layout={settings.layout} and "
            f"range={settings.range}; must have 3, or 1 for ranges other than imagenet"
        )
    if settings.size and any(one not in (None, settings.size) for one in size):
        raise InputError(f"{subject}: size={settings.size}: the file requires {' x '.join(map(str, size))}")
    height, width = (one or settings.size for one in size)
    return Network(
        session, subject, shape[0], (height, width), channels, _TYPES[kind], settings, _known_names(metadata)
    )


def _filled(settings: Settings, shape: list[int | None], dtype: Any, metadata: Mapping[str, str]) -> dict[str, str]:
    """Returns range, layout and order: the given ones, else those of the file."""
    given = {name.lower(): str(value).lower() for name, value in metadata.items()}
    channels_last = shape[3] in (1, 3) and shape[1] not in (1, 3)
    default_range = "bytes" if dtype is np.uint8 else "signed"
    return {
        "range": settings.range or _METADATA_RANGES.get(given.get("image.nominalpixelrange", ""), default_range),
        "layout": settings.layout or ("nhwc" if channels_last else "nchw"),
        "order": settings.order or ("bgr" if given.get("image.bitmappixelformat", "").startswith("bgr") else "rgb"),
    }


def _known_names(metadata: Mapping[str, str]) -> tuple[str, ...]:
    try:
        names = ast.literal_eval(metadata.get("names", ""))
        names = [names[i] for i in range(len(names))] if isinstance(names, dict) else names
    except (ValueError, SyntaxError, LookupError, MemoryError, RecursionError):
        return ()
    return tuple(map(str, names)) if isinstance(names, list | tuple) else ()


def describe(network: Network) -> str:
    """Returns a sentence that tells how the network reads images, for a note."""
    settings, (height, width) = network.settings, network.size
    size = f"of {height} x {width} pixels" if height and width else "of their own size"
    return (
        f"reads images {size} with {network.channels} channels, range={settings.range}, layout={settings.layout}, "
        f"order={settings.order}"
    )


def scorer(network: Network, images: Images) -> Scorer:
    """Returns the scorer of an ONNX file.

    Integer and boolean outputs are categories.

    Args:
        network: the loaded file.
        images: reference images, which give the standard deviations.
    """
    first = _outputs(network, images[:1])
    categories = [name for name, values in first.items() if values.dtype.kind in "iub"]
    return scorers.fit(lambda some: _outputs(network, some), images, categories=categories, subject=network.subject)


def prepare(network: Network, images: Images) -> np.ndarray:
    """Returns images in [-1, 1] as the network's input. They are stretched to its
    size.
    """
    colours, settings = scorers.shown_colours(images), network.settings
    count, *own, channels = colours.shape
    size = [wanted or found for wanted, found in zip(network.size, own, strict=True)]
    if size != own:
        colours = jax.image.resize(colours, (count, *size, channels), "linear")
    pixels = np.asarray(colours, np.float64)
    if channels != network.channels:
        pixels = np.repeat(pixels, 3, axis=-1) if channels == 1 else (pixels @ scorers.LUMA)[..., None]
    mean, scale = RANGES[settings.range or "signed"]
    pixels = (pixels - mean) / scale
    pixels = pixels[..., ::-1] if settings.order == "bgr" else pixels
    pixels = np.rint(pixels) if network.dtype is np.uint8 else pixels
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2) if settings.layout == "nchw" else pixels, network.dtype)


def _outputs(network: Network, images: Images) -> dict[str, np.ndarray]:
    """Returns the values of images by name, from runs of one batch size."""
    size = network.batch_size or min(_BATCH, len(images))
    parts = []
    for start in range(0, len(images), size):
        rows = np.minimum(np.arange(start, start + size), len(images) - 1)  # the last image again fills the batch
        parts.append(_run(network, prepare(network, np.asarray(images)[rows])))
    return _named(network, {name: np.concatenate([part[name] for part in parts])[: len(images)] for name in parts[0]})


def _run(network: Network, batch: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the outputs that hold values of images, [n, f]. Feature maps are left
    out.
    """
    outputs = network.session.get_outputs()
    try:
        arrays = network.session.run(None, {network.session.get_inputs()[0].name: batch})
    except Exception as error:  # onnxruntime's have no common base
        raise InputError(
            f"{network.subject}: fails on images of shape {list(batch.shape)}; size= or layout= may be wrong: "
            f"{_reason(error)}"
        ) from None
    found = {
        output.name: array.reshape(len(batch), -1)
        for output, array in zip(outputs, arrays, strict=True)
        if isinstance(array, np.ndarray) and array.dtype.kind in "biuf" and _has_values(array, len(batch))
    }
    if not found:
        kinds = " and ".join(f"{one.name}, a {one.type} of shape {one.shape}" for one in outputs)
        raise InputError(f"{network.subject}: returns {kinds}; must return numbers of shape [images, values]")
    return found


def _has_values(array: np.ndarray, count: int) -> bool:
    """Returns whether the shape is [n], [n, f], or one of these with sides of 1."""
    return array.ndim >= 1 and len(array) == count and array.size == count * max((1, *array.shape[1:]))


def _named(network: Network, outputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns one column per value: by given names, names in the file, or numbers."""
    known, columns = network.known_names, {}
    for output, array in outputs.items():
        width = array.shape[1]
        numbered = [f"{output}_{i}" for i in range(width)] if width > 1 else [output]
        is_known = len(set(known)) == len(known) == width and not set(known) & set(columns)
        columns |= dict(zip(known if is_known else numbered, array.T, strict=True))
    names = network.settings.names
    if names is None:
        return columns
    if len(names) != len(columns) or len(set(names)) != len(names):
        raise InputError(f"{network.subject}: names {len(set(names))} values; the file returns {len(columns)}")
    return dict(zip(names, columns.values(), strict=True))


def _reason(error: BaseException) -> str:
    """Returns the first line of onnxruntime's message without its number and kind."""
    text = first_line(error)
    return text.rpartition(" : ")[2] if text.startswith("[ONNXRuntimeError]") else text
