"""experiments.evaluate_inversion, from rendered scenes to tables and the plot."""

import dataclasses
import json

import pytest
from PIL import Image

from ganspace_jax.directions import components
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.generators import zoo
from ganspace_jax.methods import decomposition
from ganspace_jax.methods.decomposition import Decomposition
from tests.commands import run


def test_tables_and_plot_of_one_variant(tmp_path):
    spec = Decomposition(num_samples=200, num_components=2)
    found = decomposition.decompose(zoo.load("stylegan2-scenes"), spec, name="stylegan2-scenes")
    named = (NamedDirection("horizontal", (0, 2)), NamedDirection("not_a_factor"))
    components.save(tmp_path / "components.npz", dataclasses.replace(found, named=named))
    result = run("evaluate_inversion", f"--components={tmp_path / 'components.npz'}", "--num_images=6",
                 "--num_samples=6", "--variants=w+:1e-4:encoder", "--batch_size=6", "--num_components=1",
                 f"--workdir={tmp_path / 'out'}")  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "inversions.json", "inversions.md", "run.flags", "tradeoff.png",
    ]  # fmt: skip
    rows = json.loads((tmp_path / "out" / "inversions.json").read_text())
    assert list(rows) == ["samples", "w+:0.0001:encoder"]
    own = rows["w+:0.0001:encoder"]
    assert 24 < own["psnr_low"]["value"] < own["psnr_median"]["value"] <= own["psnr_median"]["high"]
    assert own["r2"]["value"] > 0.9 and own["categories"]["value"] == 1.0 and own["seconds"]["value"] > 0
    assert 0.4 < own["amplitude_components"]["value"] < 2.5 and 0 < own["purity"]["value"] < 1
    table = (tmp_path / "out" / "inversions.md").read_text()
    assert table in result.stdout and table.count("| samples |") == 2
    with Image.open(tmp_path / "out" / "tradeoff.png") as picture:
        assert min(picture.size) > 400


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--variants=z:1e-3:encoder"], "--variants=z:1e-3:encoder: must be SPACE:PENALTY:START, with w+ or w"),
        (["--variants=w:-1:mean"], "--variants=w:-1:mean: must be"),
        (["--variants=w+:1e-4:encoder", "--encoder=none"], "--variants: begin at an encoder, but stylegan2-scenes"),
    ],
)
def test_wrong_variants_are_one_line(tmp_path, flags, message):
    result = run("evaluate_inversion", *flags, f"--workdir={tmp_path / 'out'}")
    assert result.returncode == 1 and message in result.stderr and "Traceback" not in result.stderr
