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
    figures = json.loads((workdir / "transformation.json").read_text())
    assert list(figures) == ["agreement", "explained", "cosine with the pattern of brightness",
                             "correlation with brightness"]  # fmt: skip
    assert all(-1 <= one["low"] <= one["high"] <= 1 for one in figures.values())
    assert figures["cosine with the pattern of brightness"]["value"] > 0.5
    assert (workdir / "transformation.md").read_text().strip() in result.stdout
    assert "--transformation=brightness" in (workdir / "run.flags").read_text().splitlines()
    assert ("images do not agree" in result.stdout) == (figures["agreement"]["value"] < 0.7)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--transformation=zom"], "error: --transformation=zom: no such one; did you mean 'zoom'"),
        (["--num_images=1"], "error: --num_images=1: must be from 2"),
        (["--scorer=statistics", "--compare=bright"], "error: --compare=bright: no such score; did you mean"),
    ],
)
def test_wrong_flags_are_one_line(faces, tmp_path, flags, message):
    result = run("find_transformation", f"--generator={faces}", *flags, f"--workdir={tmp_path / 'out'}")
    assert result.returncode != 0 and message in result.stderr
    assert not (tmp_path / "out").exists()
