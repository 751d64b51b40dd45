"""Runs: they report every step, and a killed run loses nothing."""

import os
import pathlib
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.generators import stylegan2, zoo
from ganspace_jax.run import Progress
from ganspace_jax.scenes.training import adversarial, loop
from ganspace_jax.scenes.training import discriminator as discriminators

ROOT = pathlib.Path(__file__).parents[3]


def _grey(key, num_images):
    return adversarial.Batch(jnp.zeros((num_images, 4, 4, 3)))


def _train(workdir, num_images):
    """Trains tiny networks in workdir, and returns the reports."""
    config = stylegan2.Config(z_dim=2, w_dim=2, channels=(2,), mapping_layers=1, use_noise=False)
    recipe = adversarial.Recipe(num_images=num_images, batch_size=4, r1_weight=0.0, style_mixing=0.0, decay=0.0)
    networks, state = adversarial.init(
        stylegan2.StyleGAN2(config, key=jax.random.key(0)),
        discriminators.Discriminator(discriminators.Config((2,)), key=jax.random.key(1)),
        recipe,
    )
    reports = []
    program = loop.Program(networks, recipe, _grey, jax.random.key(2))
    loop.run(program, state, workdir, loop.Intervals(sample_every=8, save_every=1e9), reports.append)
    return reports


def test_a_run_reports_its_start_and_every_step_and_a_resumed_run_the_remaining_steps(tmp_path):
    assert _train(tmp_path, 12) == [Progress(done, 12, "image") for done in (0, 4, 8, 12)]
    assert _train(tmp_path, 20) == [Progress(done, 20, "image") for done in (12, 16, 20)]
    assert _train(tmp_path, 20) == [Progress(20, 20, "image")]
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == ["000000008.png", "000000012.png", "000000016.png", "000000020.png"]


def _command(workdir):
    return [
        *(sys.executable, "-m", "experiments.train_scenes", "--channels=4", "--discriminator_channels=4"),
        *("--latent_dim=4", "--mapping_layers=2", "--num_images=2400", "--batch_size=4", "--save_every=1"),
        *("--sample_every=1200", f"--workdir={workdir}"),
    ]


def test_a_killed_run_ends_where_the_whole_run_ends(tmp_path):
    """Killed soon after its first save, the same command goes on to bit-equal networks,
    metrics and pictures.
    """
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    whole = subprocess.run(_command(tmp_path / "whole"), cwd=ROOT, env=environment, capture_output=True, text=True)
    assert whole.returncode == 0, whole.stderr
    killed = subprocess.Popen(_command(tmp_path / "killed"), cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    while not any(path.name.isdecimal() for path in (tmp_path / "killed").glob("state/*")):
        assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed" / "samples" / "000002400.png").exists()
    again = subprocess.run(_command(tmp_path / "killed"), cwd=ROOT, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    first, second = (zoo.load(tmp_path / name / "generator") for name in ("whole", "killed"))
    jax.tree.map(np.testing.assert_array_equal, first.params, second.params)
    for name in ("metrics.jsonl", "samples/000001200.png", "samples/000002400.png"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes(), name
