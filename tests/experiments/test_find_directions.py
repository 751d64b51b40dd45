"""find_directions writes components that other commands read."""

import json

import numpy as np

from ganspace_jax.directions import components
from tests import commands


def test_named_directions_are_drawn_and_edited(tmp_path):
    made = commands.run(
        "find_directions", "--method=sefa", "--moved_layers=0-1", "--num_components=2", "--num_samples=500",
        f"--workdir={tmp_path / 'sefa'}",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    path = tmp_path / "sefa" / "components.npz"
    found = components.load(path)
    assert [one.layers for one in found.named] == [(0, 2), (0, 2)] and np.isfinite(found.latent_stdevs).all()
    assert json.loads((tmp_path / "sefa" / "summary.json").read_text())["source"]["method"] == "sefa"
    assert (tmp_path / "sefa" / "run.flags").is_file()
    edited = commands.run(
        "edit", f"--components={path}", "--edit=sefa_1=2", "--seeds=1", "--num_columns=2", f"--workdir={tmp_path / 'e'}"
    )
    assert edited.returncode == 0, edited.stderr


def test_an_unknown_method_and_a_wrong_option_are_told_in_one_line(tmp_path):
    for flags, text in (
        (["--method=icaa"], "icaa"),
        (["--method=pca", "--whitened"], "--whitened: is an option of sefa"),
    ):
        result = commands.run("find_directions", *flags, f"--workdir={tmp_path}")
        assert result.returncode == 1 and text in result.stderr and len(result.stderr.splitlines()) == 1, result.stderr
