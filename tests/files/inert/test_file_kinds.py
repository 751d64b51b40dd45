"""What a file is, told by its bytes: each kind under a name that says nothing."""

import gzip
import io
import json
import os
import pickle
import random
import struct
import tarfile
import zipfile

import numpy as np
import pytest

from ganspace_jax.files.inert import file_kinds, graph_files

TABLE_MAGIC = bytes.fromhex("57fb808b247547db")


def _zip(*names, data=b"x" * 40, compression=zipfile.ZIP_STORED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name in names:
            archive.writestr(name, data)
    return content.getvalue()


def _tar(name):
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return content.getvalue()


def _npy(value):
    content = io.BytesIO()
    np.save(content, value, allow_pickle=True)
    return content.getvalue()


def _varint(number):
    digits = []
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    return bytes([*digits, number])


def _message(*fields):
    """A protocol buffer; a field is (number, integer) or (number, bytes)."""
    made = b""
    for number, value in fields:
        if isinstance(value, int):
            made += _varint(number << 3) + _varint(value)
        else:
            made += _varint(number << 3 | 2) + _varint(len(value)) + value
    return made


ONNX_GRAPH = _message((1, _message((1, b"z"), (2, b"image"), (4, b"Gemm"))))
META_GRAPH = _message((1, _message((2, _message((1, _message((1, b"Add"), (2, b"x"))))))), (2, b"graph"))
STORAGE = b"\x80\x02}q\x00X\x01\x00\x00\x00wctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n"

KINDS = {
    "an empty file": b"",
    "a web page (HTML)": b"<!DOCTYPE html><html><head></head>",
    "a web page (HTML) with the title 'Google Drive - Quota exceeded'": (
        b"\xef\xbb\xbf\n <HTML><head><title>Google Drive -\n Quota exceeded</title>"
    ),
    "a web page (HTML) with the title 'Über'": "\n<head><title>Über</title>".encode("utf-16"),
    "a web page (HTML) with the title 'Acc\ufffds'": b"<!-- \x00 --><!DOCTYPE html><title>Acc\xe8s</title>",
    "the index of a checkpoint in several files (JSON)": b'{"metadata": {}, "weight_map": {}}',
    "an XML text": b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    "a JSON text": b'{"message": "Not Found"}',
    "a plain text": "Länge\tund Breite\r\n".encode(),
    "a Git LFS pointer, not the file itself": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "a picture (PNG)": b"\x89PNG\r\n\x1a\n\x00\x00",
    "a picture (JPEG)": b"\xff\xd8\xff\xe0\x00",
    "a picture (WebP)": b"RIFF\x00\x00\x00\x00WEBPVP8 ",
    "a picture (GIF)": b"GIF89a\x00\x00",
    "a video (MP4)": b"\x00\x00\x00\x18ftypisom\x00",
    "a tar archive": _tar("a/weights.pt"),
    "a file compressed by gzip": gzip.compress(b"abc"),
    "a 7z archive": b"7z\xbc\xaf'\x1c\x00",
    "a RAR archive": b"Rar!\x1a\x07\x01\x00",
    "a zip archive with a.pt, b.txt": _zip("a.pt", "b.txt"),
    "a zip archive with 1, 2, 3 and 2 more": _zip(*"54321"),
    "the .index of a TensorFlow checkpoint": b"\x00\x01\xff" * 20 + TABLE_MAGIC,
    "the text that names a TensorFlow checkpoint": b'model_checkpoint_path: "model.ckpt-1"\n',
    "a TensorFlow graph (.pb)": _message((1, _message((1, b"z"), (2, b"Placeholder"))), (1, b"\x0a\x01w")),
    "the .meta of a TensorFlow checkpoint, a graph": META_GRAPH,
    "a TensorFlow SavedModel": _message((1, 1), (2, META_GRAPH)),
    "a TensorFlow Lite model": b"\x1c\x00\x00\x00TFL3\x00\x00",
    "an HDF5 file, such as Keras' weights (.h5)": b"\x89HDF\r\n\x1a\n\x00",
    "a Keras model (.keras)": _zip("metadata.json", "config.json", "model.weights.h5"),
    "an ONNX model": _message((1, 8), (2, b"pytorch"), (3, b"2.1.0"), (7, ONNX_GRAPH), (8, _message((2, 17)))),
    "a TorchScript archive, which holds a program": _zip("g/data.pkl", "g/constants.pkl", "g/code/__torch__.py"),
    "a torch file that another program unpacked and packed": _zip(
        "g/data.pkl", "g/data/0", compression=zipfile.ZIP_DEFLATED
    ),
    "data.pkl, a part of a torch file without its numbers": STORAGE,
    "a NumPy file (.npy) of pickled Python objects": _npy(np.array({"a": 1}, dtype=object)),
    "a GGUF file, which holds a language model": b"GGUF\x03\x00\x00\x00",
    "a MessagePack file, such as flax's checkpoints (.msgpack)": b"\x81\xa6params\x81\xa5dense\xc0",
    "a pickle of protocol 0 or 1": pickle.dumps({"a": 1}, protocol=0),
    "a torch file that is cut short": _zip("archive/data.pkl", "archive/data/0")[:60],
    "a NumPy archive (.npz) that is cut short": _zip("arr_0.npy", "arr_1.npy")[:60],
    "a zip archive that is cut short": _zip("a.pt", "b.pt")[:60],
}


@pytest.mark.parametrize("words", KINDS)
def test_a_kind_is_told_by_content(words, tmp_path):
    (tmp_path / "file").write_bytes(KINDS[words])
    kind = file_kinds.recognize(tmp_path / "file")
    assert kind is not None and kind.words == words
    said = file_kinds.describe(tmp_path / "file")
    assert said is not None and said.startswith(f"is {words}") and said.isprintable()
    assert ("damaged" in said) is False and ("cut short" in said) is ("cut short" in words)


def _safetensors():
    header = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(4)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("torch", _zip("archive/data.pkl", "archive/data/0", "archive/version")),
        ("torch", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."),
        ("pickle", pickle.dumps({"G_ema": 1}, protocol=4)),
        ("pickle", STORAGE.replace(b"wc", b"wctorch.storage\n_load_from_bytes\nc")),
        ("npy", _npy(np.ones(2))),
        ("npz", _zip("arr_0.npy", "arr_1.npy")),
        ("npz", _zip()),
        ("safetensors", _safetensors()),
    ],
)
def test_what_is_read_has_no_description_unless_the_reader_asks(name, data, tmp_path):
    (tmp_path / "file.html").write_bytes(data)
    assert file_kinds.recognize(tmp_path / "file.html").name == name
    assert file_kinds.describe(tmp_path / "file.html") is None
    assert file_kinds.describe(tmp_path / "file.html", ()).startswith("is a")


def test_an_archive_of_arrays_is_described_by_one_of_them(tmp_path):
    (tmp_path / "file").write_bytes(_zip("Generator|G_Z|w.npy", "Generator|G_Z|b.npy"))
    assert file_kinds.describe(tmp_path / "file", ()) == "is a NumPy archive (.npz) of arrays such as Generator|G_Z|b"


def test_the_data_of_a_tensorflow_checkpoint_is_told_by_its_index(tmp_path):
    data = tmp_path / "model.ckpt-1.data-00000-of-00001"
    data.write_bytes(random.Random(0).randbytes(100))
    assert file_kinds.recognize(data) is None
    (tmp_path / "model.ckpt-1.index").write_bytes(b"\x00" * 40 + TABLE_MAGIC)
    assert file_kinds.recognize(data).words == "the .data of a TensorFlow checkpoint"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("config.json", "arrays"), "a checkpoint of this program already"),
        (("model_index.json", "unet"), "a diffusion pipeline, not a GAN generator"),
        (("data.pkl", "version"), "an unpacked torch file"),
        (("model.ckpt.index", "checkpoint"), "the directory of a TensorFlow checkpoint"),
        (("a.pt", "b.pt"), "a directory with a.pt, b.pt"),
        ((), "a directory with nothing"),
    ],
)
def test_a_directory_is_told_by_its_names(names, words, tmp_path):
    for name in names:
        (tmp_path / name).touch()
    assert file_kinds.recognize(tmp_path).words == words


def test_a_missing_file_a_pipe_and_noise_have_no_kind(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "noise").write_bytes(b"\xfe\x01\x00\xc3" * 50)
    for name in ("missing", "pipe", "noise"):
        assert file_kinds.recognize(tmp_path / name) is None and file_kinds.describe(tmp_path / name) is None


def test_control_characters_of_a_file_are_escaped(tmp_path):
    for number, data in enumerate((_zip("a\x1b[31m.pt"), _zip("a\x1b[2J.npy"), b"<html><title>\x1b[2Jx</title>")):
        (tmp_path / f"{number}").write_bytes(data)
        said = file_kinds.describe(tmp_path / f"{number}", ())
        assert said is None or (said.isprintable() and "\x1b" not in said)


def test_changed_bytes_never_raise(tmp_path):
    """The checks read hostile files, so they give an answer or none."""
    source = random.Random(7)
    for data in KINDS.values():
        for _ in range(12):
            changed = bytearray(data[: source.randrange(len(data) + 1)])
            for _ in range(source.randrange(4) if changed else 0):
                changed[source.randrange(len(changed))] = source.randrange(256)
            (tmp_path / "file").write_bytes(changed)
            said = file_kinds.describe(tmp_path / "file", ())
            assert said is None or said.isprintable()


@pytest.mark.parametrize(
    "data",
    [
        _message((1, 200), (7, ONNX_GRAPH)),  # no version of ONNX
        _message((1, 8), (2, b"\x00\x01"), (7, ONNX_GRAPH)),  # the producer's name is no text
        _message((1, 8), (2, b"pytorch")),  # no graph
        _message((1, 8), (9, b"x"), (7, ONNX_GRAPH)),  # no such field
        _message((1, _message((1, b"z"), (2, b"two words")))),
        b"",
        b"\xff" * 40,
    ],
)
def test_other_protocol_buffers_are_no_graphs(data):
    assert graph_files.recognize(data) is None


def test_a_checkpoint_is_told_by_its_first_bytes():
    for data in (_zip("a/data.pkl"), pickle.dumps(1, protocol=2), _safetensors()):
        assert file_kinds.is_checkpoint(data[:4096])
    for data in (_zip("a/readme.txt"), b"\x80\x09", b"notes", b"", b"PK\x03\x04"):
        assert not file_kinds.is_checkpoint(data)
