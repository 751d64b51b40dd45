"""Every command on a generator whose images are not square."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ganspace_jax.files import pictures
from ganspace_jax.generators import base, stylegan2, synthesis, zoo
from ganspace_jax.sampling import latents
from tests.commands import run

SIZE = (24, 16)  # height, width
SCALE = 4  # from 16 to at least 64 pixels


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A checkpoint directory of a conditional generator of 24 x 16 pixels."""
    config = stylegan2.Config(
        z_dim=4, w_dim=4, channels=(4, 3, 3), mapping_layers=1, base_size=(6, 4), num_classes=2, embed_width=2
    )
    directory = tmp_path_factory.mktemp("sizes") / "model"
    zoo.save(directory, base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0))))
    return directory


@pytest.fixture(scope="module")
def decomposed(model):
    """Estimator -> components file of the 12 x 8 activations."""
    files = {}
    for estimator in ("exact", "randomized"):
        workdir = model.parent / estimator
        _run(
            "decompose", f"--generator={model}", "--layer=b8.conv1", f"--estimator={estimator}", "--num_samples=400",
            "--num_components=2", "--label=0", f"--workdir={workdir}",
        )  # fmt: skip
        files[estimator] = workdir / "components.npz"
    return files


def _run(*arguments):
    result = run(*arguments)
    assert result.returncode == 0, result.stderr


def _picture(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_both_estimators_find_components_of_the_activations_size(decomposed):
    found = {}
    for estimator, path in decomposed.items():
        with np.load(path) as file:
            found[estimator] = file["act_comp"]
        assert found[estimator].shape == (2, 1, 3, 12, 8)  # GANSpace's layout
    cosine = abs(np.sum(found["exact"][0] * found["randomized"][0]))
    assert cosine > 0.9


@pytest.mark.parametrize("mode", ["latent", "activation"])
def test_pictures_and_animations_keep_the_shape_of_the_images(model, decomposed, tmp_path, mode):
    _run(
        "visualize", f"--components={decomposed['exact']}", f"--mode={mode}", "--num_rows=2", "--num_columns=3",
        "--seeds=1", "--animate", f"--workdir={tmp_path}",
    )  # fmt: skip
    generator = zoo.load(model)
    z = jnp.asarray(latents.from_seeds([1], 4, "normal"))
    label = jax.nn.one_hot(jnp.array([0]), 2)
    image = synthesis.synthesize(generator, synthesis.map_latents(generator, z, label))
    tile = pictures.enlarged(pictures.to_uint8(image), SCALE)[0]
    assert tile.shape == (96, 64, 3)
    windows = np.lib.stride_tricks.sliding_window_view(_picture(tmp_path / "components_seed1.png"), tile.shape)
    corners = windows[:, :, 0, ::95, ::63].astype(int) - tile[::95, ::63]
    candidates = windows[:, :, 0][np.abs(corners).max((2, 3, 4)) <= 1].astype(int)
    assert (np.abs(candidates - tile).max((1, 2, 3)) <= 1).sum() == 2  # the middle of both rows
    assert _picture(tmp_path / "component01.gif").shape[:2] == (192, 128)


def test_edited_images_and_mixtures_keep_their_shape(model, decomposed, tmp_path):
    _run(
        "edit", f"--components={decomposed['exact']}", "--edit=E(v0,0-3)=2", "--seeds=1-2", "--num_columns=3",
        f"--workdir={tmp_path}",
    )  # fmt: skip
    height, width = _picture(tmp_path / "edit.png").shape[:2]
    assert height >= 2 * 96 and width >= 3 * 64 and height < 3 * 96
    _run("style_mixing", f"--generator={model}", f"--workdir={tmp_path / 'mixed'}")
    assert (tmp_path / "mixed" / "early_kept.png").is_file()


def test_generated_images_and_arrays_are_those_of_the_generator(model, tmp_path):
    _run(
        "generate", f"--generator={model}", "--seeds=1-3", "--label=1", "--save_arrays", "--activations=b8.conv0",
        "--batch_size=2", f"--workdir={tmp_path}",
    )  # fmt: skip
    with np.load(tmp_path / "arrays.npz") as file:
        assert file["image"].shape == (3, *SIZE, 3) and file["b8.conv0"].shape == (3, 12, 8, 3)
        images = file["image"]
    generator = zoo.load(model)
    label = jax.nn.one_hot(jnp.array([1, 1, 1]), 2)
    w = synthesis.map_latents(generator, jnp.asarray(latents.from_seeds([1, 2, 3], 4, "normal")), label)
    np.testing.assert_allclose(images, synthesis.synthesize(generator, w), atol=1e-4)


def test_measures_and_refusals(model, decomposed, tmp_path):
    """The probe of the scenes requires square images, which the message says."""
    _run("faithfulness", f"--components={decomposed['exact']}", f"--workdir={tmp_path / 'faithful'}")
    for measure in ("transfer", "effects"):
        result = run(measure, f"--components={decomposed['exact']}", f"--workdir={tmp_path / measure}")
        assert result.returncode == 1 and "24, 16, 3]; the probe requires [n, 32, 32, 3]" in result.stderr
