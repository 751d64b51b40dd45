"""experiments.compare, from a checkpoint to tables, and continued from kept files."""

import csv

import jax
import numpy as np
import pytest
from PIL import Image

from ganspace_jax.generators import base, dcgan, zoo
from ganspace_jax.measures import comparison
from tests.commands import run

FEW = ("--scorer=statistics", "--attribute=brightness,warmth", "--num_samples=100", "--num_images=8",
       "--num_measured=8", "--num_components=3")  # fmt: skip


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Directory of a DCGAN as those that draw faces, only smaller."""
    path = tmp_path_factory.mktemp("faces") / "model"
    network = dcgan.DCGAN(dcgan.Config(z_dim=4, channels=(4,)), key=jax.random.key(0))
    zoo.save(path, base.split(network))
    return path


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Saves the seconds of intervals."""
    monkeypatch.setattr(comparison, "NUM_RESAMPLES", 20)


def _rows(workdir):
    return list(csv.DictReader((workdir / "compare.csv").read_text().splitlines()))


def test_methods_are_compared_and_the_run_continues(faces, tmp_path):
    workdir, measured = tmp_path / "out", tmp_path / "out" / "measured"
    command = ["compare", f"--generator={faces}", *FEW, f"--workdir={workdir}"]
    result = run(*command, "--methods=random", "--num_seeds=2")
    assert result.returncode == 0, result.stderr
    made = {path.name: path.stat().st_mtime_ns for path in measured.iterdir()}
    assert set(made) == {"random_0.npz", "random_1.npz"}
    first, rows = (workdir / "compare.md").read_text(), _rows(workdir)
    assert first.strip() in result.stdout and "| method | brightness | warmth |" in first

    with np.load(measured / "random_0.npz") as arrays:
        np.savez(measured / "dual_0.npz", **{**arrays, "about": "other settings"})
    (measured / "random_1.npz").write_bytes(b"damaged")
    result = run(*command, "--methods=random,dual", "--num_seeds=2")
    assert result.returncode == 0, result.stderr
    again = {path.name: path.stat().st_mtime_ns for path in measured.iterdir()}
    assert set(again) == {*made, "dual_0.npz", "dual_1.npz"}
    assert again["random_0.npz"] == made["random_0.npz"] and again["random_1.npz"] > made["random_1.npz"]
    repeated = _rows(workdir)
    assert _but_seconds(rows) == _but_seconds(repeated)[: len(rows) - 1]
    assert [row["value"] for row in repeated if row["figure"] == "directions"] == ["3", "2"]
    purity = [row for row in repeated if (row["score"], row["figure"]) == ("mean", "purity")]
    assert [row["method"] for row in purity] == ["random", "dual"]
    assert all(0 < float(row["low"]) <= float(row["high"]) < 1 for row in purity)
    with Image.open(workdir / "compare.png") as picture:
        assert min(picture.size) > 200
    assert "--methods=random,dual" in (workdir / "run.flags").read_text().splitlines()


def _but_seconds(rows):
    return [row for row in rows if row["figure"] != "seconds"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--methods=pcaa"], "error: --methods=pcaa: no such method; did you mean 'pca'"),
        (["--attribute=bright"], "error: --attribute=bright: no such score; did you mean 'brightness'"),
        (["--num_seeds=0"], "error: --num_seeds=0: must be from 1 to 100"),
    ],
)
def test_wrong_flags_are_one_line(faces, tmp_path, flags, message):
    result = run("compare", f"--generator={faces}", *FEW, *flags, f"--workdir={tmp_path / 'out'}")
    assert result.returncode == 1 and message in result.stderr
    assert not (tmp_path / "out").exists()
