"""experiments.find_transformation, from a checkpoint to a named direction that edits
use.
"""

import json

import jax
import pytest
from PIL import Image

from ganspace_jax.directions import components
from ganspace_jax.generators import base, dcgan, zoo
from tests.commands import run

FEW = ("--num_images=4", "--num_rows=2", "--num_columns=3")


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Directory of a small DCGAN."""
    path = tmp_path_factory.mktemp("faces") / "model"
    network = dcgan.DCGAN(dcgan.Config(z_dim=6, channels=(8, 4)), key=jax.random.key(0))
    zoo.save(path, base.split(network))
    return path


def test_a_brightness_becomes_a_named_direction_and_is_compared_with_labels(faces, tmp_path):
    workdir = tmp_path / "out"
    result = run("find_transformation", f"--generator={faces}", "--transformation=brightness", "--scorer=statistics",
                 "--compare=brightness", "--num_samples=200", *FEW, f"--workdir={workdir}")  # fmt: skip
    assert result.returncode == 0, result.stderr
    found = components.load(workdir / "components.npz")
    assert [(one.name, one.unit) for one in found.named] == [("brightness", "doublings")]
    with Image.open(workdir / "brightness.png") as picture:
        assert min(picture.size) > 60
    figures = json.loads((workdir / "transformation.json").read_text())["figures"]
    assert list(figures) == ["agreement", "explained", "cosine with the pattern of brightness",
                             "correlation with brightness"]  # fmt: skip
    assert all(-1 <= one["low"] <= one["high"] <= 1 for one in list(figures.values())[:3])
    assert figures["cosine with the pattern of brightness"]["value"] > 0.5
    assert (workdir / "transformation.md").read_text().strip() in result.stdout
    assert "--transformation=brightness" in (workdir / "run.flags").read_text().splitlines()
    assert ("images do not agree" in result.stdout) == (figures["agreement"]["value"] < 0.7)


def test_trajectories_become_a_named_direction_that_sets_an_amount(faces, tmp_path):
    workdir = tmp_path / "out"
    result = run("find_transformation", f"--generator={faces}", "--transformation=brightness", "--method=trajectories",
                 "--num_steps=5", "--compare_direct", *FEW, f"--workdir={workdir}")  # fmt: skip
    assert result.returncode == 0, result.stderr
    found = components.load(workdir / "components.npz")
    assert found.named[0].unit == "doublings" and found.named[0].curve is not None
    with Image.open(workdir / "trajectories.png") as picture:
        assert min(picture.size) > 60
    report = json.loads((workdir / "transformation.json").read_text())
    assert [row["amount"] for row in report["amounts"]] == [-0.5, -0.375, -0.25, -0.125, 0.125, 0.25, 0.375, 0.5]
    assert [row["gain of recursion"]["value"] for row in report["amounts"]][3:5] == [0.0, 0.0]
    assert "PSNR, direct at 0.5" in report["figures"]
    edited = run("edit", f"--components={workdir / 'components.npz'}", f"--generator={faces}", "--seeds=1",
                 "--edit=brightness:=0.1", f"--workdir={tmp_path / 'edit'}")  # fmt: skip
    assert edited.returncode == 0, edited.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--transformation=zom"], "error: --transformation=zom: no such one; did you mean 'zoom'"),
        (["--num_images=1"], "error: --num_images=1: must be from 2"),
        (["--rate=0.1"], "error: --rate=0.1: --method=tangents does not use it"),
        (["--method=trajectories", "--damping=2"], "error: --damping=2.0: --method=trajectories does not use it"),
        (["--scorer=statistics", "--compare=bright"], "error: --compare=bright: no such score; did you mean"),
    ],
)
def test_wrong_flags_are_one_line(faces, tmp_path, flags, message):
    result = run("find_transformation", f"--generator={faces}", *flags, f"--workdir={tmp_path / 'out'}")
    assert result.returncode != 0 and message in result.stderr
    assert not (tmp_path / "out").exists()
