"""experiments.invert and edit --images: from files of pictures to latents that other
commands read; bad pictures, stopped runs and wrong flags.
"""

import json
import pathlib
import signal

import jax
import numpy as np
import pytest
from PIL import Image

import ganspace_jax as gs
from ganspace_jax.files import pictures
from ganspace_jax.generators import zoo
from ganspace_jax.sampling import encoder, inversion
from ganspace_jax.scenes import factors, rendering
from tests.commands import run

FEW = ("--num_steps_shared=4", "--num_steps=6")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three rendered scenes at twice the generator's size, and files that are none."""
    directory = tmp_path_factory.mktemp("pictures")
    scenes = factors.sample_factors(jax.random.key(5), 3)
    images = pictures.to_uint8(np.asarray(rendering.render_in_chunks(scenes, 32, 2)))
    for name, pixels in zip(("a", "b", "c"), images, strict=True):
        Image.fromarray(pixels).resize((64, 64), Image.Resampling.NEAREST).save(directory / f"{name}.png")
    (directory / "letter.png").write_text("Dear Sir")
    (directory / "notes.txt").write_text("x")
    return directory


@pytest.fixture(scope="module")
def inverted(folder, tmp_path_factory):
    """A run in batches of two pictures."""
    directory = tmp_path_factory.mktemp("runs") / "own"
    result = run("invert", f"--images={folder}", *FEW, "--batch_size=2", f"--workdir={directory}")
    assert result.returncode == 0, result.stderr
    return directory, result


def _arrays(directory):
    with np.load(directory / "latents.npz") as file:
        return dict(file)


def _pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def test_a_bad_picture_is_named_and_the_others_are_finished(inverted):
    directory, result = inverted
    assert "letter.png: is no picture" in result.stderr and "Traceback" not in result.stderr
    assert "a.png and 2 more: 64 x 64, reduced to 32 x 32" in result.stdout
    assert "passed over: 1 " in result.stdout
    content = json.loads((directory / "inversion.json").read_text())
    assert [row["name"] for row in content["pictures"]] == ["a", "b", "c"] and len(content["skipped"]) == 1
    assert sorted(path.name for path in directory.iterdir()) == [
        "inversion.json", "inversion.md", "latents.npz", "reconstructions.png", "run.flags",
    ]  # fmt: skip


def test_the_images_of_the_latents_come_near(folder, inverted, tmp_path):
    """experiments.generate reads the latents and draws the pictures by their names."""
    directory = inverted[0]
    result = run("generate", f"--latents={directory / 'latents.npz'}", f"--workdir={tmp_path}")
    assert result.returncode == 0, result.stderr
    rows = json.loads((directory / "inversion.json").read_text())["pictures"]
    for row in rows:
        found, own = _pixels(tmp_path / f"{row['name']}.png"), _pixels(folder / f"{row['name']}.png")[::2, ::2]
        psnr = 10 * np.log10(255**2 / np.square(found.astype(float) - own).mean())
        assert psnr == pytest.approx(row["psnr"], abs=0.1) and psnr > 18.0
    assert _arrays(directory)["ws"].shape == (3, *gs.load("stylegan2-scenes").latent_shape)


def test_the_steps_start_at_the_encoder_and_improve_on_it(folder, inverted, tmp_path):
    result = run("invert", f"--images={folder}", "--num_steps_shared=0", "--num_steps=0", f"--workdir={tmp_path}")
    assert result.returncode == 0 and "start: encoder" in result.stdout, result.stderr
    generator = zoo.load("stylegan2-scenes")
    shipped = encoder.load(zoo.resolve("stylegan2-scenes") / "encoder", generator)
    own = np.stack([_pixels(folder / f"{name}.png")[::2, ::2] for name in "abc"]) / np.float32(127.5) - 1
    np.testing.assert_allclose(_arrays(tmp_path)["ws"], encoder.encode(shipped, own)[0], atol=1e-3)
    before, after = (json.loads((one / "inversion.json").read_text())["psnr"] for one in (tmp_path, inverted[0]))
    assert after["median"] > before["median"] + 1.0


def test_a_stopped_run_continues_bit_for_bit(folder, inverted, tmp_path, monkeypatch):
    """The second of two batches is stopped; the first is not computed again. The last
    picture fills the second batch.
    """
    command = ("invert", f"--images={folder}", *FEW, "--batch_size=2", f"--workdir={tmp_path / 'own'}")
    original, counts = inversion.invert, []

    def invert(generator, images, *arguments, **options):
        counts.append(len(images))
        if len(counts) == 2:
            signal.raise_signal(signal.SIGTERM)
        return original(generator, images, *arguments, **options)

    monkeypatch.setattr(inversion, "invert", invert)
    stopped = run(*command)
    assert stopped.returncode == 143, stopped.stderr
    assert stopped.stderr.splitlines()[-1].startswith("stopped; 2 of 3 pictures are saved in")
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["state"]
    other = run(*command, "--num_steps=7")
    assert other.returncode == 1 and "--num_steps" in other.stderr and counts == [2, 2]
    again = run(*command)
    assert again.returncode == 0 and counts == [2, 2, 2], again.stderr
    for key, array in _arrays(inverted[0]).items():
        np.testing.assert_array_equal(_arrays(tmp_path / "own")[key], array)
    assert not (tmp_path / "own" / "state").exists()
    np.testing.assert_array_equal(
        _pixels(tmp_path / "own" / "reconstructions.png"), _pixels(inverted[0] / "reconstructions.png")
    )


def test_run_flags_repeat_the_run(inverted, tmp_path):
    result = run("invert", f"--flagfile={inverted[0] / 'run.flags'}", f"--workdir={tmp_path}")
    assert result.returncode == 0, result.stderr
    np.testing.assert_array_equal(_arrays(tmp_path)["ws"], _arrays(inverted[0])["ws"])


def test_a_poor_picture_is_told_in_words(tmp_path):
    """A picture of noise is no scene. Without an encoder, several starts may help."""
    Image.fromarray(np.random.RandomState(0).randint(0, 256, (32, 32, 3), np.uint8)).save(tmp_path / "noise.png")
    result = run("invert", f"--images={tmp_path / 'noise.png'}", *FEW, f"--workdir={tmp_path / 'own'}")
    assert result.returncode == 0 and "poor: the image differs from the picture" in result.stdout, result.stderr
    assert "remark" in (tmp_path / "own" / "inversion.md").read_text() and "--num_starts" not in result.stdout
    searched = run("invert", f"--images={tmp_path / 'noise.png'}", "--encoder=none", "--num_nearest=200", *FEW,
                   f"--workdir={tmp_path / 'own'}")  # fmt: skip
    assert searched.returncode == 0 and "try --num_starts=16" in searched.stdout, searched.stderr


def test_the_class_is_found_and_kept_in_the_file(folder, tmp_path):
    command = ("invert", "--generator=biggan-deep-scenes", f"--images={folder / 'a.png'}", "--num_steps_shared=1")
    result = run(*command, "--num_steps=1", f"--workdir={tmp_path / 'own'}")
    assert result.returncode == 0, result.stderr
    arrays, generator = _arrays(tmp_path / "own"), zoo.load("biggan-deep-scenes")
    row = json.loads((tmp_path / "own" / "inversion.json").read_text())["pictures"][0]
    true = int(factors.sample_factors(jax.random.key(5), 3).shape[0])
    assert row["class"] == generator.class_names[true] and arrays["label"].argmax() == true
    made = run("generate", "--generator=biggan-deep-scenes", f"--latents={tmp_path / 'own' / 'latents.npz'}",
               "--batch_size=2", f"--workdir={tmp_path}")  # fmt: skip
    assert made.returncode == 0, made.stderr
    own, found = _pixels(folder / "a.png")[::2, ::2].astype(float), _pixels(tmp_path / "a.png")
    assert 10 * np.log10(255**2 / np.square(found - own).mean()) == pytest.approx(row["psnr"], abs=0.1)


def test_edit_inverts_and_edits_in_one_command(folder, tmp_path, monkeypatch):
    """Its middle column is the found image, as --latents shows it."""
    few = inversion.Inversion(num_steps_shared=2, num_steps=2)
    original = inversion.invert
    monkeypatch.setattr(inversion, "invert", lambda g, images, spec, *a, **b: original(g, images, few, *a, **b))
    result = run("decompose", "--num_samples=2000", "--num_components=2", f"--workdir={tmp_path}")
    assert result.returncode == 0, result.stderr
    edit = ("edit", f"--components={tmp_path / 'components.npz'}", "--edit=E(v0)=2", "--num_columns=3")
    result = run(*edit, f"--images={folder / 'a.png'}", f"--images={folder / 'b.png'}", f"--workdir={tmp_path / 'one'}")
    assert result.returncode == 0 and "a: found with a PSNR of" in result.stdout, result.stderr
    run("invert", f"--images={folder / 'a.png'},{folder / 'b.png'}", f"--workdir={tmp_path / 'own'}")
    result = run(*edit, f"--latents={tmp_path / 'own' / 'latents.npz'}", f"--workdir={tmp_path / 'two'}")
    assert result.returncode == 0, result.stderr
    one, two = (_pixels(tmp_path / name / "edit.png") for name in ("one", "two"))
    np.testing.assert_allclose(one.astype(int), two, atol=1)
    for flag in ("--seeds=1", f"--latents={tmp_path / 'own' / 'latents.npz'}"):
        result = run(*edit, f"--images={folder / 'a.png'}", flag, f"--workdir={tmp_path / 'no'}")
        assert result.returncode == 1 and "cannot be given beside --images" in result.stderr
        assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--images=none.png",), "error: --images=none.png: no such file or folder"),
        (("--images=letter.png",), "error: --images: no picture can be read; letter.png: is no picture"),
        (("--images=a.png", "--encoder=nowhere"), "error: --encoder=nowhere: not a checkpoint directory"),
        (("--images=a.png", "--start=mean", "--encoder=x"), "error: --start=mean: cannot be given beside --encoder"),
        (("--images=a.png", "--latent_space=z"), "error: --latent_space=z: "),
        (("--images=a.png", "--label=cone"), "error: --label=cone: this generator is not conditional"),
        ((), "error: --images: needed"),
    ],
)
def test_what_cannot_be_done_ends_in_one_line(folder, tmp_path, monkeypatch, flags, message):
    monkeypatch.chdir(folder)
    result = run("invert", *flags, f"--workdir={tmp_path / 'own'}")
    assert result.returncode == 1 and not (tmp_path / "own").exists()
    assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith(message), result.stderr


def test_the_encoder_of_another_generator_is_refused(folder, tmp_path):
    directory = pathlib.Path(zoo.resolve("biggan-deep-scenes")) / "encoder"
    result = run("invert", f"--images={folder}", f"--encoder={directory}", f"--workdir={tmp_path / 'own'}")
    assert result.returncode == 1 and "is the encoder of the generator" in result.stderr


def test_without_an_encoder_it_starts_from_the_nearest_sample(folder, tmp_path):
    result = run("invert", f"--images={folder / 'a.png'}", "--encoder=none", "--num_nearest=200", *FEW,
                 "--num_starts=2", f"--workdir={tmp_path}")  # fmt: skip
    assert result.returncode == 0 and "start: nearest" in result.stdout, result.stderr


@pytest.mark.parametrize("name", ["stylegan2-scenes", "biggan-deep-scenes"])
def test_features_of_the_generators_own_discriminator(folder, tmp_path, name):
    result = run("invert", f"--generator={name}", f"--images={folder / 'b.png'}", "--loss=features",
                 "--num_steps_shared=1", "--num_steps=1", f"--workdir={tmp_path}")  # fmt: skip
    assert result.returncode == 0, result.stderr


def test_features_need_a_discriminator(folder, tmp_path):
    generator = zoo.load("stylegan2-scenes")
    zoo.save(tmp_path / "alone", generator)
    result = run("invert", f"--generator={tmp_path / 'alone'}", f"--images={folder}", "--loss=features",
                 f"--workdir={tmp_path / 'own'}")  # fmt: skip
    assert result.returncode == 1 and "--loss=features: needs the generator's discriminator" in result.stderr
