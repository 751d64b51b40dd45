"""experiments.find_attribute, from a checkpoint to named directions that edits use."""

import importlib.util
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ganspace_jax.directions import components, edits
from ganspace_jax.directions.edits import Edit
from ganspace_jax.generators import base, dcgan, zoo
from tests import onnx_files
from tests.commands import run

FEW = (
    "--num_samples=120",
    "--num_images=48",
    "--num_measured=32",
    "--num_components=4",
    "--num_rows=2",
    "--num_columns=3",
)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Directory of a DCGAN as those that draw faces, only smaller."""
    path = tmp_path_factory.mktemp("faces") / "model"
    network = dcgan.DCGAN(dcgan.Config(z_dim=6, channels=(8, 4)), key=jax.random.key(0))
    zoo.save(path, base.split(network))
    return path


def test_statistics_of_faces_become_named_directions_that_edits_use(faces, tmp_path):
    workdir = tmp_path / "out"
    result = run("find_attribute", f"--generator={faces}", "--scorer=statistics", "--attribute=brightness,warmth", *FEW,
                 f"--workdir={workdir}")  # fmt: skip
    assert result.returncode == 0, result.stderr
    found = components.load(workdir / "components.npz")
    assert [one.name for one in found.named] == ["brightness", "warmth"] and found.spec.latent_space == "z"
    for name in ("brightness", "warmth", "attributes"):
        with Image.open(workdir / f"{name}.png") as picture:
            assert min(picture.size) > 60
    table = (workdir / "attribute.md").read_text().splitlines()
    assert len(table) == 4 and table[2].startswith("| brightness | 0 | ") and table[0] in result.stdout
    rows = json.loads((workdir / "attribute.json").read_text())
    methods = [one["method"] for one in rows[0]["directions"]]
    assert methods == ["purest", "component", "random"]
    for row in rows:
        assert all(0 < one["at_sigma"]["purity"]["value"] < 1 for one in row["directions"])
        assert row["directions"][0]["at_sigma"]["slope"]["low"] > 0.2  # it raises its score
    flags = (workdir / "run.flags").read_text().splitlines()
    assert {"--attribute=brightness,warmth", "--method=purest", "--num_images=48"} <= set(flags)
    control = run("evaluate_control", f"--components={workdir / 'components.npz'}", "--scorer=statistics", "--num_samples=8",
                  "--paths=contrast", "--num_paths=3", f"--workdir={tmp_path / 'control'}")  # fmt: skip
    assert control.returncode == 0, control.stderr
    report = json.loads((tmp_path / "control" / "control.json").read_text())
    missed = {name: [one["median_error"] for one in pair] for name, pair in report["control"].items()}
    assert set(missed) == {"brightness", "warmth"} and all(closed < opened for opened, closed in missed.values())
    assert [way for _, way, _ in report["paths"]["contrast"]] == ["path", "path"]
    assert (tmp_path / "control" / "control.md").read_text() in control.stdout
    moved = edits.apply(jnp.zeros((1, 1, 6)), found, [Edit("brightness", sigma=2.0)])[0, 0]
    np.testing.assert_allclose(moved, 2 * found.latent_stdevs[0] * found.latent_components[0], rtol=1e-5)


@pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="onnxruntime is not installed")
def test_the_outputs_of_an_onnx_file_are_attributes(faces, tmp_path):
    mean = onnx_files.node("ReduceMean", ["image"], ["mean"], axes=[2, 3], keepdims=0)
    path = onnx_files.write(tmp_path / "colours.onnx", [mean], {"mean": (onnx_files.FLOAT, (None, 3))})
    result = run("find_attribute", f"--generator={faces}", f"--scorer={path},names=red+green+blue", *FEW,
                 "--compare", f"--workdir={tmp_path / 'out'}")  # fmt: skip
    assert result.returncode == 0, result.stderr
    found = components.load(tmp_path / "out" / "components.npz")
    assert [one.name for one in found.named] == ["red", "green", "blue"]
    rows = json.loads((tmp_path / "out" / "attribute.json").read_text())
    slopes = [row["directions"][0]["at_sigma"]["slope"]["value"] for row in rows]
    assert np.min(slopes) > 0.2
    assert "| dual | " in (tmp_path / "out" / "attribute.md").read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--attribute=bright"], "error: --attribute=bright: no such score; did you mean 'brightness'"),
        (["--method=pure"], "--method"),
        (["--label=1"], "error: --label=1: this generator is not conditional"),
        (["--num_samples=5"], "error: --num_samples=5: must be at least 100"),
    ],
)
def test_wrong_flags_are_one_line(faces, tmp_path, flags, message):
    result = run(
        "find_attribute", f"--generator={faces}", "--scorer=statistics", *flags, f"--workdir={tmp_path / 'out'}"
    )
    assert result.returncode != 0 and message in result.stderr
    assert not (tmp_path / "out").exists()
