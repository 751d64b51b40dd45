"""Reads pictures of people: files and folders, in any common raster format.

A picture is turned upright by its EXIF orientation. It is cropped to the middle in the
generator's shape, laid on white where it is transparent, and resized in linear light.
A bad picture is a sentence, and the other pictures are read.
"""

import glob
import itertools
import os
import pathlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ganspace_jax.errors import InputError, first_line, printable
from ganspace_jax.files import picture_names, resampling
from ganspace_jax.files.resampling import Window
from ganspace_jax.shapes import Float

# Formats of pixels alone. Pillow starts Ghostscript for EPS, and other programs for
# screenshots.
FORMATS = (
    "AVIF", "BMP", "DIB", "GIF", "ICO", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "QOI", "SGI", "TGA", "TIFF",
    "WEBP",
)  # fmt: skip
MAX_PICTURES = 100_000
_ORIENTATION = 0x0112  # EXIF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Pillow does not read these. One in a folder is named, not passed over.
_OTHER_PICTURES = (".heic", ".heif", ".jxl", ".dng", ".cr2", ".nef", ".arw", ".svg", ".eps", ".psd")
_TABLE_8, _TABLE_16 = (resampling.to_linear(np.linspace(0.0, 1.0, 1 << bits)).astype(np.float32) for bits in (8, 16))


class Found(NamedTuple):
    """Files that may be pictures.

    Attributes:
        paths: files in their order.
        num_passed_over: files and folders in the named folders that are hidden or no
            pictures.
    """

    paths: list[pathlib.Path]
    num_passed_over: int


class Pictures(NamedTuple):
    """Pictures as images of a generator.

    Attributes:
        images: images in [-1, 1].
        names: names that differ, made of the names of the files.
        notes: sentences about what was done to the pictures.
        problems: one sentence for each bad picture.
    """

    images: Float[np.ndarray, "n h w c"]
    names: list[str]
    notes: list[str]
    problems: list[str]


def find(texts: Sequence[str], flag: str = "--images") -> Found:
    """Returns the files of paths, folders and patterns such as "photos/*.jpg".

    A text with commas that is no path is a list. A folder gives its pictures in sorted
    order, without those in folders inside.

    Args:
        texts: values of the flag.
        flag: name of the flag in messages.

    Raises:
        InputError: There is no such file, or no picture in a folder.
    """
    found, passed_over = [], 0
    for text in itertools.chain.from_iterable(map(_parts, texts)):
        path = pathlib.Path(text)
        if path.is_dir():
            inside = sorted(_listed(path, flag), key=lambda one: one.name)
            pictures = [one for one in inside if _may_be_picture(one)]
            if not pictures:
                raise InputError(f"{flag}={text}: holds no picture; {_formats()}")
            found += pictures
            passed_over += len(inside) - len(pictures)
        elif path.exists():
            found.append(path)
        else:
            matches = sorted(glob.glob(text)) if glob.has_magic(text) else []
            if not matches:
                raise InputError(f"{flag}={text}: no such file or folder")
            found += map(pathlib.Path, matches)
    if not found:
        raise InputError(f"{flag}: is empty; name pictures or a folder")
    if len(found) > MAX_PICTURES:
        raise InputError(f"{flag}: {len(found):,} files; at most {MAX_PICTURES:,} are read at once")
    return Found(found, passed_over)


def _parts(text: str) -> list[str]:
    return [text] if os.path.lexists(text) else [part for part in text.split(",") if part]


def _listed(path: pathlib.Path, flag: str) -> list[pathlib.Path]:
    try:
        return list(path.iterdir())
    except OSError as error:
        raise InputError(f"{flag}={path}: cannot be read: {error.strerror}") from None


def _may_be_picture(path: pathlib.Path) -> bool:
    if path.name.startswith(".") or path.is_dir():
        return False
    Image.init()
    known = [end for end, name in Image.registered_extensions().items() if name in FORMATS]
    return path.suffix.lower() in (*known, *_OTHER_PICTURES)


def _formats() -> str:
    return "PNG, JPEG, WebP, TIFF, GIF, BMP and a few more are read"


def read(paths: Sequence[pathlib.Path], image_shape: tuple[int, int, int]) -> Pictures:
    """Returns pictures as images of a generator's shape. Bad pictures are left out.

    Args:
        paths: files.
        image_shape: height, width and channels of the generator's images; the channels
            are 1 (grey), 3 (RGB) or 4 (RGBA).
    """
    images, kept, problems, kinds = [], [], [], {}
    for path in paths:
        try:
            image, description = read_one(path, image_shape)
        except InputError as error:
            problems.append(str(error))
            continue
        images.append(image)
        kept.append(path)
        kinds.setdefault(description, []).append(path.name)
    names = picture_names.unique([picture_names.safe(path.name) or "picture" for path in kept])
    notes = [printable(f"{_counted(own)}: {description}") for description, own in kinds.items()]
    stacked = np.stack(images) if images else np.zeros((0, *image_shape), np.float32)
    return Pictures(stacked, names, notes, problems)


def _counted(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def read_one(
    path: pathlib.Path, image_shape: tuple[int, int, int], max_pixels: int | None = None
) -> tuple[Float[np.ndarray, "h w c"], str]:
    """Returns a picture as an image in [-1, 1], and what was done to it in words.

    Raises:
        InputError: The file is no picture, is damaged, or is too large.
    """
    if path.suffix.lower() in _OTHER_PICTURES:
        raise InputError(f"{path}: pictures of the kind {path.suffix} are not read; save it as PNG or JPEG")
    if not path.is_file():
        raise InputError(f"{path}: is no file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of strange metadata
            return _read_one(path, image_shape, max_pixels)
    except InputError:
        raise
    except Image.UnidentifiedImageError:
        empty = path.stat().st_size == 0
        raise InputError(f"{path}: {'is empty' if empty else f'is no picture; {_formats()}'}") from None
    except Image.DecompressionBombError:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise InputError(f"{path}: has more than {limit:,} pixels; reduce it first") from None
    except MemoryError:
        raise InputError(f"{path}: does not fit into memory; reduce it first") from None
    except Exception as error:  # Pillow raises many types for damaged files
        raise InputError(f"{path}: is damaged: {first_line(error)}") from None


def _read_one(
    path: pathlib.Path, image_shape: tuple[int, int, int], max_pixels: int | None
) -> tuple[Float[np.ndarray, "h w c"], str]:
    (height, width, channels), did = image_shape, []
    Image.init()  # imports the readers of all formats; a build of Pillow may lack some
    with Image.open(path, formats=[name for name in FORMATS if name in Image.OPEN]) as opened:
        if getattr(opened, "is_animated", False) and opened.format != "MPO":
            did.append("its first image")
        if max_pixels is not None and opened.width * opened.height > max_pixels:
            raise InputError(f"{path}: has {opened.width} x {opened.height} pixels; reduce it to {max_pixels:,} first")
        opened.load()
        picture, size = opened, f"{opened.width} x {opened.height}"
        turn = _TURNS.get(_orientation(opened))
        if turn is not None:
            picture = picture.transpose(turn)
            did.append("turned upright")
        window = resampling.central_window((picture.height, picture.width), (height, width))
        if (window.height, window.width) != (picture.height, picture.width):
            did.append(f"cropped to the middle {window.width} x {window.height}")
        light, alpha = _light(path, picture, window, image_shape)
    if channels != 4 and alpha is not None:
        did.append("laid on white")
    if (window.height, window.width) != (height, width):
        word = "reduced" if window.height > height else "enlarged"
        did.append(f"{word} to {width} x {height}")
    if channels == 1 and light.shape[-1] == 3:
        light = light @ np.asarray(resampling.LUMINANCE)[:, None]
        did.append("made grey")
    image = resampling.to_srgb(np.clip(light, 0.0, 1.0))
    image = np.broadcast_to(image, (height, width, max(3, image.shape[-1]) if channels >= 3 else 1))
    if channels == 4:
        image = np.concatenate([image, np.ones((height, width, 1)) if alpha is None else alpha], axis=-1)
    return (2.0 * image - 1.0).astype(np.float32), ", ".join([size, *did])


def _orientation(picture: Image.Image) -> int:
    """Returns the EXIF orientation; 1, upright, if there is none or EXIF is damaged."""
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # Pillow raises many types for damaged EXIF, and the pixels are sound
        return 1


def _light(
    path: pathlib.Path, picture: Image.Image, window: Window, image_shape: tuple[int, int, int]
) -> tuple[Float[np.ndarray, "h w c"], Float[np.ndarray, "h w 1"] | None]:
    """Returns the light of a window, grey or RGB, and its alpha; None without one.

    Transparent pixels are laid on white before they are averaged. An RGBA generator has
    transparency of its own, so there a pixel counts by its alpha.
    """
    convert, has_alpha = _converter(path, picture)
    white = 0.0 if image_shape[2] == 4 else 1.0

    def read_rows(first: int, stop: int) -> np.ndarray:
        box = (window.left, window.top + first, window.left + window.width, window.top + stop)
        values = convert(picture.crop(box))
        if not has_alpha:
            return values
        light, alpha = values[..., :-1], values[..., -1:]
        return np.concatenate([alpha * light + white * (1.0 - alpha), alpha], axis=-1)

    made = resampling.resize(read_rows, window, image_shape[:2])
    if not has_alpha:
        return made, None
    light, alpha = made[..., :-1], made[..., -1:]
    return (light if white else np.divide(light, alpha, out=np.ones_like(light), where=alpha > 0.0)), alpha


def _converter(path: pathlib.Path, picture: Image.Image) -> tuple[Callable[[Image.Image], np.ndarray], bool]:
    """Returns a function from a part of the picture to its light [h, w, c], and whether
    the last channel is alpha.
    """
    mode, is_transparent = picture.mode, "transparency" in picture.info
    if mode in ("I;16", "I;16L", "I;16B", "I;16N", "I", "F"):
        return _deep_converter(path, picture), False
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or is_transparent:
        return lambda part: _with_alpha(part.convert("RGBA")), True
    if mode in ("1", "L"):
        return lambda part: _TABLE_8[np.asarray(part.convert("L"))][..., None], False
    return lambda part: _TABLE_8[np.asarray(part.convert("RGB"))], False


def _with_alpha(part: Image.Image) -> np.ndarray:
    pixels = np.asarray(part)
    return np.concatenate([_TABLE_8[pixels[..., :3]], pixels[..., 3:].astype(np.float32) / 255.0], axis=-1)


def _deep_converter(path: pathlib.Path, picture: Image.Image) -> Callable[[Image.Image], np.ndarray]:
    """Returns the converter of a grey picture with more than 8 bits.

    Integers are in [0, 65535]. Floating point is in [0, 1], or else in [0, 255].
    """
    low, high = _extremes(picture)
    if not np.isfinite([low, high]).all():
        raise InputError(f"{path}: contains NaN or infinity")
    limit = 65535.0 if picture.mode != "F" else 1.0 if high <= 1.0 else 255.0
    if low < 0.0 or high > limit:
        raise InputError(f"{path}: has values from {low:g} to {high:g}; a picture has values from 0 to {limit:g}")
    if picture.mode != "F":
        return lambda part: _TABLE_16[np.asarray(part).astype(np.uint16)][..., None]
    return lambda part: resampling.to_linear(np.asarray(part) / limit)[..., None]


def _extremes(picture: Image.Image) -> tuple[float, float]:
    """Returns the smallest and the largest value; NaN if there is one."""
    values: Any = np.asarray(picture)
    return float(values.min()), float(values.max())
