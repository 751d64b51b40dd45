"""Uploaded pictures: written in one folder, inverted, and then a start of pictures."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments.explorer import inverting, uploading
from ganspace_jax.directions.edited_images import Start
from ganspace_jax.errors import InputError
from ganspace_jax.generators import zoo
from ganspace_jax.run import Progress
from ganspace_jax.sampling import inversion
from ganspace_jax.sampling.inversion import Inversion
from tests.experiments.explorer.conftest import Page, open_explorer


@pytest.fixture
def page(tmp_path, components_path):
    """A page of an explorer whose latents of a picture are its bytes."""
    explorer = open_explorer(tmp_path / "work", [components_path])

    def invert(path, report):
        report(1, 2)
        data = path.read_bytes()
        if not data.startswith(b"latent"):
            raise InputError(f"{path}: is no picture")
        return Start(path.stem, jnp.full(explorer.renderer.generator.latent_shape, data[6] / 64)), "found"

    explorer.uploads.invert = invert
    yield Page(explorer)
    explorer.stop()


def _upload(page, name, data):
    answer, _ = page("upload", data, name=name)
    for thread in list(page.explorer.jobs._threads):
        thread.join(30)
    return page.ask("job", job=answer["job"])[0]


def test_an_uploaded_picture_becomes_a_start(page):
    assert page("about")[0]["can_upload"] is True
    end = _upload(page, "me.png", b"latent\x20")
    assert (end["state"], end["picture"], end["told"]) == ("done", "me", "found")
    again = _upload(page, "me.png", b"latent\x60")
    assert again["picture"] == "me_2" and page("about")[0]["pictures"] == ["me", "me_2"]
    shown = [page("picture", state={"starts": [{"picture": name}]})[1] for name in ("me", "me_2")]
    assert shown[0] != shown[1]


@pytest.mark.parametrize(
    "name", ["../../x.png", "/etc/passwd", "", ".", "a\x00b.png", "x" * 250 + ".jpeg", "évil .PNG", "x.p n"]
)
def test_names_stay_in_the_folder(page, tmp_path, name):
    end = _upload(page, name, b"latent\x20")
    assert end["state"] == "done" and page("picture", state={"starts": [{"picture": end["picture"]}]})
    (path,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert path.parent == tmp_path / "work" / "uploads" and path.name.isascii()


def test_bad_pictures_are_told_in_one_line(page):
    end = _upload(page, "bad.png", b"GIF89a")
    assert (end["state"], end["error"]) == ("failed", "bad.png: is no picture")
    assert "upload x: is empty" in page.ask("upload", b"", name="x")[0]["error"]
    assert page("about")[0]["pictures"] == []
    assert not [path for path in page.explorer.origins.workdir.rglob("*") if path.is_file()]


def test_the_number_of_pictures_is_bounded(page, monkeypatch):
    monkeypatch.setattr(uploading, "MAX_UPLOADS", 2)
    assert [_upload(page, "a.png", b"latent\x20")["picture"] for _ in range(2)] == ["a", "a_2"]
    assert "there are 2 pictures already" in page.ask("upload", b"latent\x20", name="a")[0]["error"]


def test_without_an_inversion_one_line_tells_so(page):
    page.explorer.uploads.invert = None
    assert page("about")[0]["can_upload"] is False
    assert "own pictures are not inverted here" in page.ask("upload", b"x", name="a")[0]["error"]
    np.testing.assert_equal(list(page.explorer.origins.workdir.glob("uploads/*")), [])


def test_a_picture_is_read_and_inverted_as_by_the_command(tmp_path, monkeypatch):
    """The inversion is that of experiments.invert, which has tests of its own."""
    generator, given, steps = zoo.load("stylegan2-scenes"), {}, []
    pixels, path = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8), tmp_path / "me.png"
    Image.fromarray(pixels).save(path)

    def invert(own, images, spec, run, **settings):
        given.update(settings, generator=own, images=images, spec=spec)
        run.report(Progress(3, 80, "step"))
        latents = np.full((1, *own.latent_shape), 0.5, np.float32)
        return inversion.Inverted(latents, images, np.array([21.26]), np.array([1.0]), np.array([[0.0, 1.0]]))

    monkeypatch.setattr(inversion, "invert", invert)
    start, told = inverting.inverter(generator, "encoder", "class")(path, lambda *step: steps.append(step))
    np.testing.assert_allclose(given.pop("images"), pixels[None] / 127.5 - 1.0, atol=0.01)
    assert given == {"generator": generator, "spec": Inversion(), "start": "encoder", "label": "class"}
    assert steps == [(3, 80)] and told == "32 x 32; found with a PSNR of 21.3 dB"
    assert start.name == "me" and np.all(start.latents == 0.5) and start.label.tolist() == [0.0, 1.0]
    monkeypatch.setattr(inverting, "MAX_PIXELS", 1_023)
    with pytest.raises(InputError, match="has 32 x 32 pixels; reduce it to 1,023 first"):
        inverting.inverter(generator)(path, print)
