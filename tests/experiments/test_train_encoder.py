"""experiments.train_encoder on a small generator: it writes an encoder of that
generator, and a signal saves the run, which the same command continues.
"""

import json
import signal

import jax
import numpy as np
import pytest

from ganspace_jax.files import checkpoints
from ganspace_jax.generators import base, stylegan2, zoo
from ganspace_jax.sampling import encoder, encoder_training
from tests.commands import run


@pytest.fixture
def command(tmp_path, monkeypatch):
    monkeypatch.setattr(encoder_training, "_METRIC_JACOBIANS", 1)
    config = stylegan2.Config(z_dim=3, w_dim=3, channels=(3, 2), mapping_layers=1)
    zoo.save(tmp_path / "model", base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0))))
    return ("train_encoder", f"--generator={tmp_path / 'model'}", "--num_images=32", "--batch_size=4",
            "--num_held_out=6")  # fmt: skip


def test_a_signal_saves_and_the_same_command_goes_on(command, tmp_path, monkeypatch):
    whole = run(*command, f"--workdir={tmp_path / 'whole'}")
    assert whole.returncode == 0, whole.stderr
    update, count = encoder_training.update, 0

    def update_and_signal(*arguments):
        nonlocal count
        count += 1
        if count == 3:
            signal.raise_signal(signal.SIGTERM)
        return update(*arguments)

    monkeypatch.setattr(encoder_training, "update", update_and_signal)
    stopped = run(*command, f"--workdir={tmp_path / 'work'}")
    assert stopped.returncode == 143 and "the same command continues" in stopped.stderr.splitlines()[-1]
    assert not (tmp_path / "work" / "encoder").exists()
    again = run(*command, f"--workdir={tmp_path / 'work'}")
    assert again.returncode == 0 and count == 8, again.stderr
    generator = zoo.load(tmp_path / "model")
    one, two = (encoder.load(tmp_path / name / "encoder", generator) for name in ("whole", "work"))
    jax.tree.map(np.testing.assert_array_equal, one.params, two.params)
    figures = json.loads((tmp_path / "work" / "accuracy.json").read_text())
    assert figures == json.loads((tmp_path / "whole" / "accuracy.json").read_text())
    assert set(figures) == {"num_held_out", "explained", "psnr_median", "psnr_10th_percentile"}


def test_another_generator_in_the_same_directory_is_refused(command, tmp_path):
    assert run(*command, f"--workdir={tmp_path / 'work'}").returncode == 0
    result = run(*command, "--generator=stylegan2-scenes", f"--workdir={tmp_path / 'work'}")
    assert result.returncode == 1 and "--generator" in result.stderr and len(result.stderr.splitlines()) == 1


def test_the_shipped_encoders_were_trained_by_their_flagfiles():
    """The configuration names the generator, so a new generator needs a new encoder."""
    for name in ("stylegan2-scenes", "biggan-deep-scenes"):
        config = checkpoints.load_config(zoo.resolve(name) / "encoder")
        assert config["generator"] == zoo.fingerprint(zoo.load(name))
