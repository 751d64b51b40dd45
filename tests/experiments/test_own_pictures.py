"""The commands on latents of own pictures, on the shipped generator: they show these
pictures, and run.flags repeats them.
"""

import json

import numpy as np
import pytest
from PIL import Image

import ganspace_jax as gs
from tests import tensor_files
from tests.commands import run


@pytest.fixture(scope="module")
def components(tmp_path_factory):
    directory = tmp_path_factory.mktemp("components")
    result = run("decompose", "--num_samples=2000", "--num_components=2", f"--workdir={directory}")
    assert result.returncode == 0, result.stderr
    return f"--components={directory / 'components.npz'}"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The latents of seeds 1 to 3: of seed 1 alone; of seeds 2 and 3 by picture; z."""
    generator, directory = gs.load("stylegan2-scenes"), tmp_path_factory.mktemp("files")
    ws = np.asarray(gs.latents(generator, [1, 2, 3]))
    np.save(directory / "me.npy", ws[0])
    pictures = {f"faces/{name}.png": {"latent": ws[i], "noise": []} for i, name in ((1, "ann"), (2, "bob"))}
    tensor_files.write_torch(directory / "projected.pt", pictures)
    z = np.concatenate([np.random.RandomState(seed).standard_normal((1, 64)) for seed in (1, 2, 3)])
    np.save(directory / "z.npy", z.astype(np.float32))
    return directory


def _images(path):
    return np.asarray(Image.open(path).convert("RGB"))


def _run(*arguments, said=""):
    result = run(*arguments)
    assert result.returncode == 0, result.stderr
    assert said in result.stdout, result.stdout
    return result


def test_edit_draws_a_row_per_picture_as_of_the_seeds(components, files, tmp_path):
    edit = ("edit", components, "--edit=E(v0)=2", "--num_columns=3")
    _run(*edit, "--seeds=2,3", f"--workdir={tmp_path / 'seeds'}")
    _run(*edit, f"--latents={files / 'projected.pt'}", f"--workdir={tmp_path / 'own'}")
    seeds, own = (_images(tmp_path / name / "edit.png") for name in ("seeds", "own"))
    tiles = 3 * 64 + 8  # and the margin, to the right of the labels
    np.testing.assert_allclose(own[40:, -tiles:].astype(int), seeds[40:, -tiles:], atol=1)
    _run("edit", f"--flagfile={tmp_path / 'own' / 'run.flags'}", f"--workdir={tmp_path / 'again'}")
    np.testing.assert_array_equal(_images(tmp_path / "again" / "edit.png"), own)


def test_latent_space_is_that_of_latents_where_the_components_tell_theirs(components, files, tmp_path):
    edit = ("edit", components, "--edit=E(v0)=2", "--num_columns=3")
    _run(*edit, f"--latents={files / 'z.npy'}", "--latent_space=z", f"--workdir={tmp_path / 'z'}")
    _run(*edit, "--seeds=1-3", f"--workdir={tmp_path / 'seeds'}")
    own, seeds = (_images(tmp_path / name / "edit.png")[40:, -200:].astype(int) for name in ("z", "seeds"))
    np.testing.assert_allclose(own, seeds, atol=1)
    assumed = "z.npy: the file does not tell whether its 3 latents are in w or z: w is assumed (--latent_space)"
    _run(*edit, f"--latents={files / 'z.npy'}", f"--workdir={tmp_path / 'w'}", said=assumed)
    assert np.abs(_images(tmp_path / "w" / "edit.png")[40:, -200:].astype(int) - own).max() > 10
    refused = run(*edit, "--seeds=1", "--latent_space=z", f"--workdir={tmp_path / 'w'}")
    assert "--latent_space=z: the directions of" in refused.stderr


def test_latent_space_is_that_of_latents_and_of_several_directions_that_tell_none(files, tmp_path):
    """Without the number of layers, two rows would be taken for one direction in w."""
    rows = np.eye(2, 64, dtype=np.float32)
    np.save(tmp_path / "two.npy", rows)
    np.save(tmp_path / "one.npy", rows[1])
    edit = (
        "edit",
        "--generator=stylegan2-scenes",
        "--num_columns=3",
        "--latent_space=z",
        f"--latents={files / 'z.npy'}",
    )
    for name, component in (("two", 1), ("one", 0)):
        components, text = f"--components={tmp_path / name}.npy", f"--edit=E(v{component})=4"
        _run(*edit, components, text, f"--workdir={tmp_path / name}")
    two, one = (_images(tmp_path / name / "edit.png")[40:, -200:] for name in ("two", "one"))
    np.testing.assert_array_equal(two, one)


def test_visualize_draws_the_components_of_each_picture(components, files, tmp_path):
    visualize = ("visualize", components, "--num_rows=1", "--num_columns=3")
    note = "note: {}: [8, 64] is one picture with a row per layer, not 8 pictures"
    one = ("--latents", files / "me.npy", f"--workdir={tmp_path / 'one'}")
    _run(*visualize, *one, said=note.format(files / "me.npy"))
    _run(*visualize, "--seeds=1-3", f"--workdir={tmp_path / 'seeds'}")
    said = "(rows start from the mean latent)"
    _run(*visualize, f"--latents={files / 'projected.pt'}", f"--workdir={tmp_path / 'several'}", said=said)
    for own, seed in (("one/{}.png", 1), ("several/{}_ann.png", 2), ("several/{}_bob.png", 3)):
        for kind in ("components", "random"):
            picture = _images(tmp_path / own.format(kind))
            np.testing.assert_allclose(
                picture[40:].astype(int), _images(tmp_path / "seeds" / f"{kind}_seed{seed}.png")[40:], atol=1
            )
    assert {path.name for path in (tmp_path / "one").iterdir()} == {"components.png", "random.png", "visualize.flags"}
    flags = f"--flagfile={tmp_path / 'several' / 'visualize.flags'}"
    _run("visualize", flags, f"--workdir={tmp_path / 'again'}")
    for path in (tmp_path / "several").glob("*.png"):
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes()


def test_generate_names_its_images_after_the_pictures(files, tmp_path):
    _run("generate", f"--latents={files / 'projected.pt'}", "--save_arrays", f"--workdir={tmp_path / 'own'}")
    _run("generate", "--seeds=2,3", "--save_arrays", f"--workdir={tmp_path / 'seeds'}")
    names = {path.name for path in (tmp_path / "own").iterdir()}
    assert names == {"ann.png", "bob.png", "arrays.npz", "run.flags"}
    with np.load(tmp_path / "own/arrays.npz") as own, np.load(tmp_path / "seeds/arrays.npz") as seeds:
        np.testing.assert_allclose(own["image"], seeds["image"], atol=1e-4)


def test_effects_are_those_on_the_pictures(components, files, tmp_path):
    """Of one picture alone, the size is the absolute slope."""
    _run("effects", components, f"--latents={files / 'me.npy'}", f"--workdir={tmp_path / 'one'}")
    _run("effects", components, f"--latents={files / 'projected.pt'}", f"--workdir={tmp_path / 'two'}")
    one, two = (json.loads((tmp_path / name / "effects.json").read_text()) for name in ("one", "two"))
    np.testing.assert_allclose(one["size"], np.abs(one["slope"]), rtol=1e-6)
    assert np.abs(np.array(one["size"]) - two["size"]).max() > 1e-3
    _run("effects", f"--flagfile={tmp_path / 'two' / 'run.flags'}", f"--workdir={tmp_path / 'again'}")
    assert (tmp_path / "again" / "effects.json").read_bytes() == (tmp_path / "two" / "effects.json").read_bytes()


@pytest.mark.parametrize(
    "command", [("edit", "--edit=E(v0)=1"), ("visualize",), ("generate",)], ids=lambda command: command[0]
)
def test_seeds_beside_latents_are_refused(components, files, tmp_path, command):
    arguments = (*command, *([] if command[0] == "generate" else [components]))
    result = run(*arguments, f"--latents={files / 'me.npy'}", "--seeds=1", f"--workdir={tmp_path / 'new'}")
    assert result.returncode == 1 and not (tmp_path / "new").exists()
    assert result.stderr == "error: --seeds: cannot be given beside --latents; leave one of them out\n"
