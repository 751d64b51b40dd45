"""Scorers that are ONNX files: what they read of images, their names, and refusals."""

import importlib.util
import sys

import numpy as np
import pytest

from ganspace_jax.errors import InputError
from ganspace_jax.measures import onnx_scorer
from ganspace_jax.measures.onnx_scorer import Settings
from tests import onnx_files
from tests.onnx_files import FLOAT, INT64, UINT8

IMAGES = np.random.default_rng(0).uniform(-1.2, 1.2, (35, 4, 6, 3)).astype(np.float32)  # more than a batch
COLOURS = (np.clip(IMAGES.astype(np.float64), -1, 1) + 1) / 2
MEAN = onnx_files.node("ReduceMean", ["image"], ["mean"], axes=[2, 3], keepdims=0)  # one value per channel
LAST_MEAN = onnx_files.node("ReduceMean", ["image"], ["mean"], axes=[1, 2], keepdims=0)


def _write(directory, nodes=(MEAN,), outputs=None, **settings):
    outputs = {"mean": (FLOAT, (None, None))} if outputs is None else outputs
    return onnx_files.write(directory / "model.onnx", nodes, outputs, **settings)


def _scorer(path, images=IMAGES, **settings):
    return onnx_scorer.scorer(onnx_scorer.load(path, Settings(**settings)), images)


requires_onnxruntime = pytest.mark.skipif(
    importlib.util.find_spec("onnxruntime") is None, reason="onnxruntime is not installed"
)


@requires_onnxruntime
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("signed", lambda c: 2 * c - 1),
        ("unit", lambda c: c),
        ("bytes", lambda c: 255 * c),
        ("imagenet", lambda c: (c - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
    ],
)
def test_a_range_scales_the_colours(tmp_path, name, expected):
    scorer = _scorer(_write(tmp_path), range=name)
    values = expected(COLOURS).mean((1, 2))
    np.testing.assert_allclose(scorer.read(IMAGES), values, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scorer.scales, values.std(0), rtol=1e-4)
    assert scorer.names == ("mean_0", "mean_1", "mean_2") and scorer.categories == ()


@requires_onnxruntime
def test_the_order_of_dimensions_and_colours_is_the_files(tmp_path):
    last = {"inputs": {"image": (FLOAT, (None, 4, 6, 3))}, "metadata": {"Image.BitmapPixelFormat": "Bgr8"}}
    scorer = _scorer(_write(tmp_path, [LAST_MEAN], **last), range="unit")
    np.testing.assert_allclose(scorer.read(IMAGES), COLOURS.mean((1, 2))[:, ::-1], rtol=1e-5)
    scorer = _scorer(tmp_path / "model.onnx", range="unit", order="rgb")
    np.testing.assert_allclose(scorer.read(IMAGES), COLOURS.mean((1, 2)), rtol=1e-5)
    free = {"inputs": {"image": (FLOAT, (None, None, None, None))}}
    scorer = _scorer(_write(tmp_path, [LAST_MEAN], **free), range="unit", layout="nhwc")
    np.testing.assert_allclose(scorer.read(IMAGES), COLOURS.mean((1, 2)), rtol=1e-5)


@requires_onnxruntime
def test_the_range_is_in_the_metadata_or_follows_from_bytes(tmp_path):
    path = _write(tmp_path, metadata={"Image.NominalPixelRange": "Normalized_0_1"})
    np.testing.assert_allclose(_scorer(path).read(IMAGES), COLOURS.mean((1, 2)), rtol=1e-5)
    assert "range=unit" in onnx_scorer.describe(onnx_scorer.load(path))
    cast = onnx_files.node("Cast", ["bytes"], ["image"], to=1)
    path = _write(tmp_path, [cast, MEAN], inputs={"bytes": (UINT8, onnx_files.BATCH)})
    np.testing.assert_allclose(_scorer(path).read(IMAGES), np.rint(255 * COLOURS).mean((1, 2)), rtol=1e-5)


@requires_onnxruntime
def test_a_fixed_batch_and_size_are_filled(tmp_path):
    path = _write(tmp_path, inputs={"image": (FLOAT, (4, 3, 8, 12))})
    doubled = _scorer(path, range="unit")
    np.testing.assert_allclose(doubled.read(IMAGES), COLOURS.mean((1, 2)), atol=0.05)
    assert onnx_scorer.prepare(onnx_scorer.load(path), IMAGES[:4]).shape == (4, 3, 8, 12)
    assert "8 x 12 pixels" in onnx_scorer.describe(onnx_scorer.load(path))
    free = onnx_scorer.load(_write(tmp_path), Settings(size=5))
    assert onnx_scorer.prepare(free, IMAGES[:2]).shape == (2, 3, 5, 5)


@requires_onnxruntime
def test_channels_are_those_of_the_file(tmp_path):
    grey = onnx_scorer.load(_write(tmp_path, inputs={"image": (FLOAT, (None, 1, None, None))}), Settings(range="unit"))
    np.testing.assert_allclose(
        onnx_scorer.prepare(grey, IMAGES)[:, 0], COLOURS @ [0.299, 0.587, 0.114], rtol=1e-5, atol=1e-6
    )
    colour = onnx_scorer.load(_write(tmp_path), Settings(range="unit"))
    np.testing.assert_allclose(
        onnx_scorer.prepare(colour, IMAGES[..., :1]), COLOURS[:, None, :, :, 0].repeat(3, 1), rtol=1e-5, atol=1e-6
    )


@requires_onnxruntime
@pytest.mark.parametrize("names", ["{0: 'a', 1: 'b', 2: 'c'}", '["a", "b", "c"]'])
def test_names_are_given_or_in_the_metadata(tmp_path, names):
    path = _write(tmp_path, metadata={"names": names})
    assert _scorer(path).names == ("a", "b", "c")
    assert _scorer(path, names=("r", "g", "b")).names == ("r", "g", "b")
    with pytest.raises(InputError, match="names 2 values; the file returns 3"):
        _scorer(path, names=("r", "g"))
    assert _scorer(_write(tmp_path, metadata={"names": "['a', 'a', 'c']"})).names[0] == "mean_0"
    assert _scorer(_write(tmp_path, metadata={"names": "__import__('os')"})).names[0] == "mean_0"


@requires_onnxruntime
def test_outputs_that_are_whole_numbers_are_categories_and_maps_are_left_out(tmp_path):
    nodes = [
        MEAN,
        onnx_files.node("ArgMax", ["mean"], ["class"], axis=1, keepdims=0),
        onnx_files.node("Identity", ["image"], ["map"]),
        onnx_files.node("ReduceMean", ["image"], ["light"], axes=[1, 2, 3], keepdims=1),
    ]
    outputs = {"class": (INT64, (None,)), "map": (FLOAT, onnx_files.BATCH), "light": (FLOAT, (None, 1, 1, 1))}
    scorer = _scorer(_write(tmp_path, nodes, outputs), range="unit")
    assert scorer.names == ("class", "light") and scorer.categories == ("class",)
    means = COLOURS.mean((1, 2))
    np.testing.assert_allclose(scorer.read(IMAGES), np.stack([means.argmax(1), means.mean(1)], 1), rtol=1e-5)
    with pytest.raises(InputError, match="returns map, a tensor.float. of shape .*; must return numbers"):
        _scorer(_write(tmp_path, nodes, {"map": (FLOAT, onnx_files.BATCH)}))


TWO = {"image": (FLOAT, onnx_files.BATCH), "other": (FLOAT, onnx_files.BATCH)}
CUSTOM = onnx_files.node("Mystery", ["image"], ["mean"], domain="mine")


@requires_onnxruntime
@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        ({"inputs": TWO}, {}, "has 2 inputs; must have one"),
        (
            {"inputs": {"image": (FLOAT, (None, 7))}, "nodes": [], "outputs": {"image": (FLOAT, (None, 7))}},
            {},
            "four|shape",
        ),
        ({"inputs": {"image": (FLOAT, (None, 5, None, None))}}, {}, "has 5 channels for layout=nchw"),
        ({"inputs": {"image": (FLOAT, (None, 1, None, None))}}, {"range": "imagenet"}, "has 1 channels"),
        ({"inputs": {"image": (FLOAT, (None, 3, 8, 8))}}, {"size": 9}, "size=9: the file requires 8 x 8"),
        ({"nodes": [CUSTOM]}, {}, "cannot be loaded as an ONNX file: .*Mystery"),
    ],
)
def test_other_models_are_refused(tmp_path, model, settings, message):
    with pytest.raises(InputError, match=message) as caught:
        onnx_scorer.load(_write(tmp_path, **model), Settings(**settings))
    assert str(caught.value).startswith(str(tmp_path / "model.onnx"))


@requires_onnxruntime
def test_images_of_a_wrong_size_are_refused(tmp_path):
    deep = onnx_files.node("SpaceToDepth", ["image"], ["deep"], blocksize=4)
    path = _write(tmp_path, [deep, onnx_files.node("ReduceMean", ["deep"], ["mean"], axes=[2, 3], keepdims=0)])
    with pytest.raises(InputError, match=r"fails on images of shape \[1, 3, 4, 6\]; size= or layout="):
        _scorer(path)
    assert len(_scorer(path, size=4).names) == 48


@requires_onnxruntime
@pytest.mark.parametrize("content", [b"", b"not an ONNX file", b"\x08\x08" * 50])
def test_what_is_no_onnx_file_is_refused(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(InputError, match="model.onnx: cannot be loaded as an ONNX file: [^\\[]"):
        onnx_scorer.load(path)


def test_a_missing_file_or_onnxruntime_is_reported(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="none.onnx: no such file"):
        onnx_scorer.load(tmp_path / "none.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match="model.onnx: needs onnxruntime; install it: pip install -r"):
        onnx_scorer.load(_write(tmp_path))


def test_settings_are_read_from_text():
    found = onnx_scorer.parse_settings("size=224,range=imagenet,layout=nhwc,order=bgr,names=smile+age", "x")
    assert found == Settings(224, "imagenet", "nhwc", "bgr", ("smile", "age"))
    assert onnx_scorer.parse_settings("", "x") == Settings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size=0", "size=0: must be a number of pixels"),
        ("size=", "size=: must be"),
        ("range=half", "range=half: must be signed or unit or bytes or imagenet"),
        ("rnge=unit", "rnge=unit: is no setting; did you mean 'range'"),
    ],
)
def test_wrong_settings_are_refused(text, message):
    with pytest.raises(InputError, match="^x: " + message):
        onnx_scorer.parse_settings(text, "x")
