"""--scorer of effects and transfer: readers of any generator's images."""

import importlib.util
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ganspace_jax import named_scorers
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, dcgan, progan, stylegan2, synthesis, zoo
from ganspace_jax.measures import picture_statistics
from tests import onnx_files
from tests.commands import run

GENERATORS = {
    "dcgan": lambda key: dcgan.DCGAN(dcgan.Config(z_dim=6, channels=(8, 4), image_channels=1), key=key),
    "progan": lambda key: progan.ProGAN(progan.Config(z_dim=6, channels=(4, 4, 3)), key=key),
    "stylegan2": lambda key: stylegan2.StyleGAN2(
        stylegan2.Config(
            z_dim=4, w_dim=4, channels=(4, 3, 3), mapping_layers=1, base_size=(6, 4), num_classes=2, embed_width=2
        ),
        key=key,
    ),
}
IMAGES = np.random.default_rng(0).uniform(-1, 1, (6, 3, 4, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def components(tmp_path_factory):
    """Name -> components file of a small generator of that family."""
    directory = tmp_path_factory.mktemp("generators")

    def file(name):
        workdir = directory / name
        if not workdir.exists():
            zoo.save(directory / f"{name}-model", base.split(GENERATORS[name](jax.random.key(0))))
            label = ["--label=1"] if name == "stylegan2" else []
            found = run("decompose", f"--generator={directory / f'{name}-model'}", "--num_samples=200",
                        "--num_components=2", *label, f"--workdir={workdir}")  # fmt: skip
            assert found.returncode == 0, found.stderr
        return workdir / "components.npz"

    return file


def _effects(path, scorer, workdir):
    result = run("effects", f"--components={path}", f"--scorer={scorer}", "--num_samples=8", f"--workdir={workdir}")
    assert result.returncode == 0, result.stderr
    report = json.loads((workdir / "effects.json").read_text())
    assert np.shape(report["size"]) == np.shape(report["slope"]) == (2, len(report["factors"]))
    return result, report


@pytest.mark.parametrize("name", GENERATORS)
def test_statistics_are_those_of_any_generator(components, tmp_path, name):
    result, report = _effects(components(name), "statistics", tmp_path)
    names = [one for one in picture_statistics.NAMES if name != "dcgan" or one not in ("saturation", "warmth", "hue")]
    assert set(report["factors"]) <= set(names) and {"brightness", "contrast"} <= set(report["factors"])
    assert np.max(report["size"]) > 0.1
    table = (tmp_path / "effects.md").read_text().splitlines()
    assert table[0].count("|") == 2 + len(report["factors"]) and len(table) == 4 and table[0] in result.stdout
    with Image.open(tmp_path / "effects.png") as chart:
        assert min(chart.size) > 100
    assert "--scorer=statistics" in (tmp_path / "run.flags").read_text()


def test_an_own_function_reads_the_unmoved_images_first(components, tmp_path, monkeypatch):
    """The standard deviations are those over the random images before a step."""
    file = tmp_path / "mine.py"
    file.write_text(
        "seen = []\ndef light(images):\n    seen.append(images)\n    return {'light': images.mean((1, 2, 3))}\n"
    )
    _, report = _effects(components("progan"), f"{file}:light", tmp_path / "out")
    assert report["factors"] == ["light"]
    monkeypatch.syspath_prepend(tmp_path)
    _, again = _effects(components("progan"), "mine:light", tmp_path / "again")
    seen = sys.modules.pop("mine").seen
    assert again == report and len(seen) == 1 + 2 * 2 and seen[0].dtype == np.float32
    generator = zoo.load(components("progan").parents[1] / "progan-model")
    z = jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(jax.random.key(0), i), (6,)))(jnp.arange(8))
    unmoved = synthesis.synthesize(generator, synthesis.map_latents(generator, z))
    np.testing.assert_allclose(seen[0], unmoved, atol=1e-4)
    light = [images.mean((1, 2, 3), dtype=np.float64) for images in seen]
    np.testing.assert_allclose(report["scales"], light[0].std(), rtol=1e-4)
    for k in range(2):
        change = (light[2 + 2 * k] - light[1 + 2 * k]) / light[0].std()
        np.testing.assert_allclose(report["slope"][k][0], change.mean(), rtol=1e-4)
        np.testing.assert_allclose(report["size"][k][0], np.sqrt(np.square(change).mean()), rtol=1e-4)


def test_many_values_are_all_in_the_file_and_the_largest_in_the_chart(components, tmp_path):
    file = tmp_path / "many.py"
    file.write_text("def pixels(images):\n    return images.reshape(len(images), -1)[:, :100]\n")
    result, report = _effects(components("progan"), f"{file}:pixels", tmp_path / "out")
    assert len(report["factors"]) == 100 and "The 40 values that move most; effects.json has all 100" in result.stdout
    shown = result.stdout.splitlines()[0].split(" | ")[1:]
    least, size = sorted(np.max(report["size"], 0))[-40], np.max(report["size"], 0)
    assert len(shown) == 40
    assert shown[0].strip() == f"value {np.flatnonzero(size >= least)[0]}"


@pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="onnxruntime is not installed")
def test_an_onnx_file_tells_how_it_reads(components, tmp_path):
    mean = onnx_files.node("ReduceMean", ["image"], ["mean"], axes=[2, 3], keepdims=0)
    path = onnx_files.write(tmp_path / "red.onnx", [mean], {"mean": (onnx_files.FLOAT, (None, 3))})
    result, report = _effects(components("stylegan2"), f"{path},range=unit,names=r+g+b", tmp_path / "out")
    assert report["factors"] == ["r", "g", "b"] and "range=unit, layout=nchw, order=rgb" in result.stdout


def test_transfer_has_the_flag_too(components, tmp_path):
    result = run("transfer", f"--components={components('stylegan2')}", "--scorer=statistics", "--num_samples=8",
                 "--num_pictures=0", f"--workdir={tmp_path}")  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert set(json.loads((tmp_path / "transfer.json").read_text())) == {"class 0", "class 1"}


def test_the_probe_reads_no_other_images(components, tmp_path):
    result = run("effects", f"--components={components('progan')}", "--num_samples=8", f"--workdir={tmp_path}")
    assert result.returncode == 1 and result.stderr.count("\n") == 1
    assert "the probe requires [n, 32, 32, 3]; --scorer=statistics reads images of any size" in result.stderr
    assert "note: --scorer=probe: reads scenes only" in result.stdout


CODE = """
def good(images):
    return images[:, 0, 0]

number = 3

def bad(images):
    x = 1
    return images[0, x, 10**6]

def some(images):
    return {"angle": images[:, 0, 0, 0] % 1, "kind": images[:, 0, 0, 1] > 0}

some.periods = {"angle": 1.0}
some.categories = ["kind"]
"""


def _load(name, **settings):
    return named_scorers.load(name, lambda: IMAGES, **settings)


def test_a_function_has_periods_and_categories(tmp_path):
    (tmp_path / "code.py").write_text(CODE)
    scorer = _load(f"{tmp_path / 'code.py'}:some")
    assert scorer.names == ("angle", "kind") and scorer.periods == (1.0, None) and scorer.categories == ("kind",)
    assert _load(f"{tmp_path / 'code.py'}:good").read(IMAGES).shape == (6, 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("statistic", "no such scorer; did you mean 'statistics'.*must be probe, statistics, FILE.onnx or MODULE:F"),
        ("", "--scorer=: no such scorer"),
        ("code.py:god", "code.py has no function 'god'; did you mean 'good'"),
        ("code.py:number", "code.py has no function 'number'"),
        ("code.py:bad", r"IndexError: .* \(.*code.py, line 9\)"),
        ("none.py:f", "cannot import .*none.py: FileNotFoundError"),
        ("no_such_module_here:f", "cannot import no_such_module_here: ModuleNotFoundError"),
        ("broken.py:f", "cannot import .*broken.py: SyntaxError"),
        ("leaves.py:f", "cannot import .*leaves.py: SystemExit"),
        (":f", "cannot import"),
        ("none.onnx", "none.onnx: no such file"),
        ("none.onnx,colour=red", "--scorer=none.onnx: colour=red: is no setting"),
    ],
)
def test_wrong_names_are_one_line(tmp_path, monkeypatch, name, message):
    for file, text in {"code": CODE, "broken": "def f(:", "leaves": "raise SystemExit"}.items():
        (tmp_path / f"{file}.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(InputError, match=message) as caught:
        _load(name)
    assert str(caught.value).startswith("--scorer=") and len(str(caught.value)) < 400


def test_a_probe_for_another_scorer_is_refused(tmp_path):
    with pytest.raises(InputError, match="--probe=x: is not used by --scorer=statistics"):
        _load("statistics", probe_directory="x")


def test_what_is_left_out_is_printed(capsys):
    grey = np.repeat(IMAGES[:, :, :, :1], 3, axis=-1)
    scorer = named_scorers.load("statistics", lambda: grey)
    assert "hue" not in scorer.names
    assert (
        "leaves out saturation, warmth, hue, because the images do not show or do not vary" in capsys.readouterr().out
    )


def test_zoo_generators_need_no_note(capsys):
    assert named_scorers.load("probe", lambda: IMAGES, generator_name="stylegan2-scenes").names[0] == "shape"
    assert capsys.readouterr().out == ""
