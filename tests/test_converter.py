"""The converter's command line, on the reference files."""

import json
import os
import pathlib
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from golden_arrays import error, load
from PIL import Image

from checkpoints_convert import formats
from ganspace_jax.failures import InputError
from ganspace_jax.generators import base, zoo

ROOT = pathlib.Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"


def _run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "checkpoints_convert", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("source", "arrays", "said"),
    [
        ("dcgan_64.pth", "dcgan_64", "DCGAN of the PyTorch tutorial: 64 px, z 24, no classes"),
        (
            "biggan_deep_hf_128",
            "biggan_deep_hf_128",
            "BigGAN-deep of pytorch-pretrained-biggan: 128 px, z 14, 7 classes",
        ),
    ],
)
def test_a_converted_file_makes_the_reference_images(tmp_path, source, arrays, said):
    result = _run(f"--source={GOLDEN / source}", f"--output={tmp_path / 'out'}")
    assert result.returncode == 0, result.stderr
    assert said in result.stdout and "written: " in result.stdout
    reference = load(arrays)
    generator = zoo.load(tmp_path / "out")
    label = jnp.asarray(reference["input/label"]) if "input/label" in reference else None
    z = jnp.asarray(reference["input/z"].reshape(len(reference["input/z"]), -1))
    image = base.synthesize(generator, base.map_latents(generator, z, label), label=label)
    assert error(image, reference["output/image"]) < 1e-4
    with Image.open(tmp_path / "out" / "preview.png") as preview:
        side = generator.merge().config.resolution
        assert preview.size == (8 * side, 2 * side)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((f"--source={ROOT / 'README.md'}",), "README.md: not a format that is known"),
        (("--source=missing.pth",), "--source=missing.pth: no such file"),
        ((f"--source={GOLDEN / 'stylegan2_rosinality_f32.pt'}",), "holds no DCGAN"),
        ((f"--source={GOLDEN / 'dcgan_64.pth'}", "--format=biggan_huggingface"), "holds no BigGAN-deep"),
        ((f"--source={GOLDEN / 'dcgan_64.pth'}", "--format=other"), "--format=other: there are: auto, dcgan"),
        ((f"--source={GOLDEN / 'biggan_deep_hf_128' / 'pytorch_model.bin'}",), "give the directory that holds both"),
    ],
)
def test_what_cannot_be_converted_is_one_line(tmp_path, arguments, message):
    result = _run(*arguments, f"--output={tmp_path / 'out'}")
    assert result.returncode == 1
    assert message in result.stderr and len(result.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_wrappers_are_seen_through():
    """A training checkpoint that holds both networks: the generator is found, the discriminator is not taken for it."""
    state = formats.read(GOLDEN / "dcgan_64.pth").content
    judge = {"main.0.weight": np.zeros((8, 3, 4, 4), np.float32), "main.2.weight": np.zeros((16, 8, 4, 4), np.float32)}
    wrapped = {"epoch": 3, "netD_state_dict": judge, "netG_state_dict": {f"module.{k}": v for k, v in state.items()}}
    found, arrays = formats.recognize(formats.Source(wrapped, {}), "auto", "x")
    assert found.name == "dcgan" and set(arrays) == set(state)


def test_a_directory_wants_its_configuration(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({}))
    with pytest.raises(InputError, match=r"pytorch_model\.bin: no such file"):
        formats.read(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(InputError, match=r"wants pytorch_model\.bin and a readable config\.json"):
        formats.read(tmp_path)
