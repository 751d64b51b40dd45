"""Tells what a file is, by its bytes and never by its name.

Each check reads a few kilobytes. A zip archive's index is read within the limits of
archives.py. Nothing is executed, and texts from a file appear as printable text only.
"""

import os
import pathlib
import re
import struct
from collections.abc import Collection, Mapping
from typing import NamedTuple

from ganspace_jax.errors import printable
from ganspace_jax.files.inert import archives, graph_files, network_pickles, safetensors_files, torch_files, web_pages

_HEAD = 1 << 14  # bytes
_TAIL = (1 << 16) + 22  # bytes; the end of a zip archive's index is within them
_MAX_TITLE = 60  # characters
_MAX_NAMES = 3  # of files in a message
_TABLE_MAGIC = bytes.fromhex("57fb808b247547db")  # of LevelDB's tables, at their end
_ZIP_END = b"PK\x05\x06"
_ZIP_NAME = slice(26, 28)  # length of the first record's name, which begins at byte 30


class FileKind(NamedTuple):
    """What a file is.

    Attributes:
        name: Short name, such as "torch" or "web_page".
        words: Words for messages, with their article.
        advice: What to do about the file, "" if there is no general advice.
        source: Advice to a user who needs a checkpoint, "" if `advice` is enough.
    """

    name: str
    words: str
    advice: str = ""
    source: str = ""


# The kinds whose content this package reads.
READABLE = ("torch", "pickle", "npy", "npz", "safetensors")
# The kinds from which archives.py extracts files.
ARCHIVES = ("zip", "tar", "gzip", "bzip2", "xz")

_AGAIN = "download or copy it again"
_PYTORCH = "give the PyTorch file that it was made from"
_TENSORFLOW = "give NVIDIA's network pickle (.pkl), or the network converted to PyTorch"
_ORIGINAL = "give the file that torch.save wrote"
_CHECKPOINT = "give the network's checkpoint of PyTorch or NVIDIA"
_EXTRACT = "extract it, and give the file in it"

# The first bytes of files. The longest prefixes are not ambiguous.
_MAGIC = (
    (b"\x93NUMPY", FileKind("npy", "a NumPy array (.npy)", source=_CHECKPOINT)),
    (b"\x89PNG\r\n\x1a\n", FileKind("picture", "a picture (PNG)")),
    (b"\xff\xd8\xff", FileKind("picture", "a picture (JPEG)")),
    (b"GIF87a", FileKind("picture", "a picture (GIF)")),
    (b"GIF89a", FileKind("picture", "a picture (GIF)")),
    (b"II*\x00", FileKind("picture", "a picture (TIFF)")),
    (b"MM\x00*", FileKind("picture", "a picture (TIFF)")),
    (b"\x1aE\xdf\xa3", FileKind("video", "a video (Matroska or WebM)")),
    (b"%PDF-", FileKind("pdf", "a PDF document")),
    (b"7z\xbc\xaf'\x1c", FileKind("7z", "a 7z archive", _EXTRACT)),
    (b"Rar!\x1a\x07", FileKind("rar", "a RAR archive", _EXTRACT)),
    (b"(\xb5/\xfd", FileKind("zstd", "a file compressed by Zstandard", _EXTRACT)),
    (b"\x89HDF\r\n\x1a\n", FileKind("hdf5", "an HDF5 file, such as Keras' weights (.h5)", source=_PYTORCH)),
    (b"GGUF", FileKind("gguf", "a GGUF file, which holds a language model")),
)
_RIFF = {
    b"WEBP": FileKind("picture", "a picture (WebP)"),
    b"AVI ": FileKind("video", "a video (AVI)"),
    b"WAVE": FileKind("audio", "a sound file (WAV)"),
}
_TFLITE = FileKind("tflite", "a TensorFlow Lite model", source=_TENSORFLOW)
_INDEX = FileKind("tensorflow_checkpoint", "the .index of a TensorFlow checkpoint", source=_TENSORFLOW)
_DATA = FileKind("tensorflow_checkpoint", "the .data of a TensorFlow checkpoint", source=_TENSORFLOW)
_GRAPHS = {
    "onnx": FileKind("onnx", "an ONNX model", source="give the PyTorch file that it was exported from"),
    "saved_model": FileKind("tensorflow_graph", "a TensorFlow SavedModel", source=_TENSORFLOW),
    "frozen_graph": FileKind("tensorflow_graph", "a TensorFlow graph (.pb)", source=_TENSORFLOW),
    "meta_graph": FileKind("tensorflow_graph", "the .meta of a TensorFlow checkpoint, a graph", source=_TENSORFLOW),
}
_TORCH = FileKind("torch", "a torch file")
_TORCH_PART = FileKind(
    "torch_part", "data.pkl, a part of a torch file without its numbers", "give the whole file that torch.save wrote"
)
_PICKLE = FileKind("pickle", "a pickle")


def describe(path: str | os.PathLike[str], readable: Collection[str] = READABLE) -> str | None:
    """Returns what a file is and what to do about it, such as "is an empty file;
    download or copy it again".

    Returns None if the file's kind is in `readable` or is unknown.
    """
    kind = recognize(path)
    if kind is None or kind.name in readable:
        return None
    return f"is {kind.words}" + (f"; {kind.advice}" if kind.advice else "")


def recognize(path: str | os.PathLike[str]) -> FileKind | None:
    """Returns the kind of a file or a directory.

    Returns None if the kind is unknown. Also returns None for missing files, and for
    pipes and devices, because reading them could block.
    """
    path = pathlib.Path(path)
    try:
        if path.is_dir():
            return _of_directory(path)
        if not path.is_file():
            return None
        with open(path, "rb") as file:
            head, size = file.read(_HEAD), os.fstat(file.fileno()).st_size
            file.seek(max(0, size - _TAIL))
            tail = file.read(_TAIL)
        return _of_file(path, head, tail, size)
    except OSError:
        return None


def is_checkpoint(start: bytes) -> bool:
    """Returns whether a file's first bytes are those of a torch file, a pickle or a
    safetensors file.
    """
    is_zip = start.startswith(b"PK\x03\x04") and _first_record(start).endswith(b"data.pkl")
    return is_zip or network_pickles.begins(start) or safetensors_files.begins(start)


def of_start(start: bytes) -> FileKind | None:
    """Returns the kind of a file in an archive by its first bytes, as far as these show
    it.
    """
    if archives.kind(start) == "zip":
        return FileKind("zip", "a zip archive", _EXTRACT)
    by_magic = next((kind for magic, kind in _MAGIC if start.startswith(magic)), None)
    return by_magic or _of_archive(start) or _of_text(start)


def _first_record(head: bytes) -> bytes:
    """Returns the name of the first record of a zip archive."""
    return head[30 : 30 + struct.unpack("<H", head[_ZIP_NAME])[0]] if len(head) >= 30 else b""


def _of_file(path: pathlib.Path, head: bytes, tail: bytes, size: int) -> FileKind | None:
    if not size:
        return FileKind("empty", "an empty file", _AGAIN)
    if head.startswith((b"PK\x03\x04", _ZIP_END)):
        return _of_zip(path, head, tail)
    if torch_files.is_torch_file(path):
        return _TORCH
    if network_pickles.is_pickle(path):
        return _of_pickle(head)
    if head.startswith(b"\x93NUMPY") and re.search(rb"'descr': *'\|O", head[:256]):
        return FileKind("npy_objects", "a NumPy file (.npy) of pickled Python objects", source=_CHECKPOINT)
    if safetensors_files.begins(head):
        return FileKind("safetensors", "a safetensors file")
    by_magic = next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
    return by_magic or _of_archive(head) or _of_other_binary(path, head, tail) or _of_text(head)


def _of_pickle(head: bytes) -> FileKind:
    """Returns whether a pickle is a whole one, or the pickle of a torch zip.

    The latter refers to storages outside of it. NVIDIA's pickles contain whole torch
    files, which refer to storages too.
    """
    refers = re.search(rb"[X\x8c]\x07(\x00\x00\x00)?storage", head)
    is_whole = b"_load_from_bytes" in head
    return _TORCH_PART if refers and b"torch" in head and not is_whole else _PICKLE


def _of_archive(head: bytes) -> FileKind | None:
    words = {
        "tar": "a tar archive", "gzip": "a file compressed by gzip", "bzip2": "a file compressed by bzip2",
        "xz": "a file compressed by xz",
    }  # fmt: skip
    kind = archives.kind(head)
    return FileKind(kind, words[kind], _EXTRACT) if kind in words else None


def _of_other_binary(path: pathlib.Path, head: bytes, tail: bytes) -> FileKind | None:
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        is_picture = head[8:12] in (b"avif", b"heic", b"mif1")
        return FileKind("picture", "a picture (AVIF or HEIC)") if is_picture else FileKind("video", "a video (MP4)")
    if head[4:8] == b"TFL3":
        return _TFLITE
    if tail.endswith((_TABLE_MAGIC, _TABLE_MAGIC[::-1])):
        return _INDEX
    if _has_index(path):
        return _DATA
    if graph := graph_files.recognize(head):
        return _GRAPHS[graph]
    if re.match(rb"[\x81-\x8f][\xa1-\xbf][a-zA-Z_]+[\x80-\x8f\xa0-\xbf\xc0-\xdf]", head):
        return FileKind("msgpack", "a MessagePack file, such as flax's checkpoints (.msgpack)", source=_PYTORCH)
    return None


def _has_index(path: pathlib.Path) -> bool:
    """Returns whether the index of a TensorFlow checkpoint lies beside its data.

    The data has no bytes of its own that tell its kind.
    """
    stem, found, _ = path.name.rpartition(".data-")
    index = path.with_name(f"{stem}.index")
    if not (found and stem and index.is_file()):
        return False
    with open(index, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 8))
        return file.read(8) in (_TABLE_MAGIC, _TABLE_MAGIC[::-1])


def _of_zip(path: pathlib.Path, head: bytes, tail: bytes) -> FileKind | None:
    first = _first_record(head)
    if _ZIP_END not in tail:
        kind = {b"data.pkl": "a torch file", b".npy": "a NumPy archive (.npz)"}
        words = next((words for end, words in kind.items() if first.endswith(end)), "a zip archive")
        return FileKind("cut_short", f"{words} that is cut short", _AGAIN)
    names = archives.zip_records(path)
    if names is None:  # a damaged index, of which the reader gives the reason
        return _TORCH if first.endswith(b"data.pkl") else FileKind("zip", "a damaged zip archive", _AGAIN)
    roots = [name.removesuffix("data.pkl") for name in names if name.endswith("data.pkl")]
    if roots:
        return _of_torch_zip(roots[0], names)
    if all(name.endswith(".npy") for name in names):
        held = f" of arrays such as {printable(min(names))[:_MAX_TITLE].removesuffix('.npy')}" if names else ""
        return FileKind("npz", f"a NumPy archive (.npz){held}", source=_CHECKPOINT)
    if "config.json" in names and any(name.endswith(".weights.h5") for name in names):
        return FileKind("keras", "a Keras model (.keras)", source=_PYTORCH)
    return FileKind("zip", f"a zip archive with {_listed(names)}", _EXTRACT)


def _of_torch_zip(root: str, is_compressed: Mapping[str, bool]) -> FileKind:
    if f"{root}constants.pkl" in is_compressed:
        return FileKind("torchscript", "a TorchScript archive, which holds a program", source="give its state dict")
    if is_compressed[f"{root}data.pkl"]:  # torch compresses no record
        return FileKind("torch_part", "a torch file that another program unpacked and packed", _ORIGINAL)
    return _TORCH


def _of_text(head: bytes) -> FileKind | None:
    """Returns the kind of a text, None for other files."""
    if page := web_pages.text(head):
        return _of_web_page(page)
    if head.startswith((b"(dp", b"(lp", b"(dq", b"c__builtin__\n", b"ccopy_reg\n", b"cnumpy", b"ccollections\n")):
        return FileKind("old_pickle", "a pickle of protocol 0 or 1", "save it again with protocol 2 or higher")
    text = head.decode("utf-8-sig", "ignore" if len(head) == _HEAD else "replace")
    if "\ufffd" in text or not all(letter.isprintable() or letter in "\t\n\r\f" for letter in text):
        return None
    text = text.lstrip()
    start = text[:200].lower()
    if start.startswith(("version https://git-lfs", "version https://hawser")):
        return FileKind("lfs", "a Git LFS pointer, not the file itself", "fetch the file with: git lfs pull")
    if start.startswith("model_checkpoint_path:"):
        return FileKind("tensorflow_checkpoint", "the text that names a TensorFlow checkpoint", source=_TENSORFLOW)
    if start.startswith("<?xml"):
        return FileKind("xml", "an XML text")
    if start.startswith("{") and '"weight_map"' in text:
        return FileKind("index", "the index of a checkpoint in several files (JSON)", source=_CHECKPOINT)
    if start.startswith(("{", "[")):
        return FileKind("json", "a JSON text")
    return FileKind("text", "a plain text")


def _of_web_page(text: str) -> FileKind:
    words = printable(web_pages.title(text))[:_MAX_TITLE]
    return FileKind(
        "web_page",
        f"a web page (HTML){f' with the title {words!r}' if words else ''}",
        "the site sent it in place of the file; download the file in a browser",
    )


def _of_directory(path: pathlib.Path) -> FileKind:
    names = sorted(entry.name for entry, _ in zip(path.iterdir(), range(1000), strict=False))
    if "config.json" in names and "arrays" in names:
        return FileKind("own", "a checkpoint of this program already", f"give it as --generator={path}")
    if "model_index.json" in names:
        return FileKind("pipeline", "a diffusion pipeline, not a GAN generator")
    if "saved_model.pb" in names:
        return _GRAPHS["saved_model"]
    if "data.pkl" in names:
        return FileKind("torch_part", "an unpacked torch file", _ORIGINAL)
    if any(name.endswith(".index") for name in names):
        return _INDEX._replace(words="the directory of a TensorFlow checkpoint")
    return FileKind("directory", f"a directory with {_listed(names)}", "give one file")


def _listed(names: Collection[str]) -> str:
    """Returns the first names and the number of all."""
    shown = ", ".join(printable(name)[:_MAX_TITLE] for name in sorted(names)[:_MAX_NAMES])
    return (
        f"{shown}{f' and {len(names) - _MAX_NAMES:,} more' if len(names) > _MAX_NAMES else ''}" if names else "nothing"
    )
