"""experiments.trajectory_questions, on a small network."""

import json

import jax
import pytest

from ganspace_jax.generators import base, dcgan, zoo
from tests.commands import run


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Directory of a small network whose images have the size that the probe reads."""
    path = tmp_path_factory.mktemp("network") / "model"
    zoo.save(path, base.split(dcgan.DCGAN(dcgan.Config(z_dim=6, channels=(4, 4, 4)), key=jax.random.key(0))))
    return path


def test_a_question_becomes_a_table(network, tmp_path):
    result = run("trajectory_questions", f"--generator={network}", "--question=start", "--num_images=4",
                 f"--workdir={tmp_path / 'out'}")  # fmt: skip
    assert result.returncode == 0, result.stderr
    table = (tmp_path / "out" / "start.md").read_text()
    assert table.strip() in result.stdout and table.startswith("| start | targets | steps | loss x 1000 |")
    rows = json.loads((tmp_path / "out" / "start.json").read_text())
    assert len(rows) == 12 and {row["start"] for row in rows} == {"own", "random"}
    assert all(row["loss x 1000"]["low"] <= row["loss x 1000"]["value"] <= row["loss x 1000"]["high"] for row in rows)
    assert "--question=start" in (tmp_path / "out" / "run.flags").read_text().splitlines()
    assert not (tmp_path / "out" / "frame.md").exists()


def test_an_unknown_question_is_one_line(network, tmp_path):
    result = run("trajectory_questions", f"--generator={network}", "--question=why", f"--workdir={tmp_path / 'out'}")
    assert result.returncode != 0 and "--question" in result.stderr and not (tmp_path / "out").exists()
