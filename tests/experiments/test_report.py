"""experiments.report: finished claims are kept, and one page holds them all."""

import json

import numpy as np
import pytest

from ganspace_jax.claims import findings
from ganspace_jax.claims.findings import Figure, Finding
from ganspace_jax.files import pictures
from tests.commands import run

FOUND = Finding("Is it kept?", "yes", "It was saved.", [Figure("share", 0.25, 0.2, 0.3)], [],
                {"One picture": np.full((4, 4, 3), 7, np.uint8)})  # fmt: skip


@pytest.fixture
def workdir(tmp_path):
    """Work directory of a run that tested one claim."""
    directory = tmp_path / "findings"
    directory.mkdir()
    about = {"num_images": 64, "seed": 3}
    (directory / "layer_ranges.json").write_text(json.dumps({"about": about, **findings.to_json(FOUND)}))
    pictures.save_png(directory / "layer_ranges_0.png", FOUND.pictures["One picture"])
    return tmp_path


def test_finished_claims_are_not_computed_again(workdir):
    result = run("report", "--claims=layer_ranges", "--num_images=64", "--seed=3", f"--workdir={workdir}")
    assert result.returncode == 0, result.stderr
    page, words = (workdir / "report.html").read_text(), (workdir / "report.md").read_text()
    assert "Is it kept?" in page and "0.25 (0.2 to 0.3)" in page and page.count("data:image/png") == 1
    assert "--claims=layer_ranges --num_images=64 --seed=3" in page
    assert words.startswith("## Is it kept?\n\nyes: It was saved.") and words in result.stdout
    assert {"--claims=layer_ranges", "--num_images=64"} <= set((workdir / "run.flags").read_text().splitlines())


def test_an_unknown_claim_is_named(tmp_path):
    result = run("report", "--claims=layer_range", f"--workdir={tmp_path / 'out'}")
    assert result.returncode == 1 and not (tmp_path / "out").exists()
    assert "--claims=layer_range: no such claim; did you mean 'layer_ranges' or " in result.stderr
