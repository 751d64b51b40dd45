"""Animations: frames come back from the files in their order."""

import os
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from ganspace_jax.errors import InputError
from ganspace_jax.files import animations

STEPS = [0, 64, 128, 191, 255]
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
FORMS = [pytest.param(form, marks=needs_ffmpeg if form == "mp4" else ()) for form in animations.FORMS]
FAKE = """#!/bin/sh
for target; do :; done
{body}
"""


def _frames(path, mode="RGB"):
    """All frames of an animation, as pixels."""
    if path.suffix == ".mp4":
        return _frames_of_video(path)
    with Image.open(path) as animation:
        frames = []
        for i in range(animation.n_frames):
            animation.seek(i)
            frames.append(np.asarray(animation.convert(mode)))
            assert animation.info["duration"] == 40
        assert animation.info["loop"] == 0
    return np.stack(frames).astype(int)


def _frames_of_video(path):
    ask = ["ffprobe", "-v", "error", "-of", "csv=p=0", "-show_entries", "stream=width,height,r_frame_rate,pix_fmt"]
    told = subprocess.run([*ask, path], capture_output=True, text=True, check=True).stdout.strip().split(",")
    assert told[2:] == ["yuv420p", "25/1"]
    read = ["ffmpeg", "-loglevel", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    found = subprocess.run(read, capture_output=True, check=True).stdout
    return np.frombuffer(found, np.uint8).reshape(-1, int(told[1]), int(told[0]), 3).astype(int)


def _levels(levels, height=8, width=8, channels=3):
    return np.array(levels, np.uint8)[:, None, None, None] * np.ones((height, width, channels), np.uint8)


@pytest.fixture
def fake_ffmpeg(tmp_path, monkeypatch):
    """A function that puts a script of this body before all other programs."""

    def put(body):
        folder = tmp_path / "programs"
        folder.mkdir()
        (folder / "ffmpeg").write_text(FAKE.format(body=body))
        (folder / "ffmpeg").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    return put


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("height", [8, 12, 4])
def test_animation_goes_there_and_back(tmp_path, form, height):
    path = tmp_path / f"a.{form}"
    animations.save(path, _levels(STEPS, height))
    found = _frames(path)
    assert found.shape == (8, 16 * height, 128, 3)
    np.testing.assert_allclose(found.mean((1, 2, 3)), [*STEPS, *STEPS[-2:0:-1]], atol=3)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("form", FORMS)
def test_colours_and_places_are_kept(tmp_path, form):
    """Four quarters of one colour each; the colours move on from frame to frame."""
    colours = np.array([[220, 40, 30], [30, 200, 60], [40, 60, 210], [230, 220, 90]], np.uint8)
    frames = np.stack([np.roll(colours, k, axis=0).reshape(2, 2, 3) for k in range(3)]).repeat(32, 1).repeat(32, 2)
    animations.save(tmp_path / f"a.{form}", frames, size=64)
    found = _frames(tmp_path / f"a.{form}")[:3]
    np.testing.assert_allclose(found[:, 16::32, 16::32], frames[:, 16::32, 16::32], atol=6)


@needs_ffmpeg
def test_video_of_an_odd_size_gets_one_more_row_and_column(tmp_path):
    animations.save(tmp_path / "a.mp4", _levels([200] * 2, 33, 65), size=1)
    found = _frames(tmp_path / "a.mp4")
    assert found.shape == (2, 34, 66, 3)
    np.testing.assert_allclose(found, 200, atol=3)


@pytest.mark.parametrize("form", FORMS)
def test_transparent_frames_are_drawn_over_white(tmp_path, form):
    """One colour, whose alpha rises from 0 to 1: alpha colour + (1 - alpha) white."""
    colour, opacities = np.array([200, 0, 51]), np.linspace(0, 1, 6)
    frames = np.concatenate([np.tile(colour, (6, 1)), 255 * opacities[:, None]], axis=1).astype(np.uint8)
    animations.save(tmp_path / f"a.{form}", frames[:, None, None].repeat(16, 1).repeat(16, 2), size=16)
    expected = opacities[:, None] * colour + (1 - opacities[:, None]) * 255
    if form == "webp":
        found = _frames(tmp_path / "a.webp", "RGBA")[:6, 8, 8]
        np.testing.assert_allclose(found[:, 3], 255 * opacities, atol=1)
        np.testing.assert_allclose(found[1:, :3], np.tile(colour, (5, 1)), atol=8)
    else:
        np.testing.assert_allclose(_frames(tmp_path / f"a.{form}")[:6, 8, 8], expected, atol=6)


def test_frames_and_size_are_piped_to_ffmpeg(tmp_path, fake_ffmpeg):
    fake_ffmpeg(f'echo "$@" > {tmp_path}/told; cat > "$target"')
    animations.save(tmp_path / "a.mp4", _levels(STEPS, 4, 6), size=1)
    piped = np.frombuffer((tmp_path / "a.mp4").read_bytes(), np.uint8).reshape(8, 4, 6, 3)
    np.testing.assert_array_equal(piped, _levels([*STEPS, *STEPS[-2:0:-1]], 4, 6))
    assert "-pix_fmt rgb24 -s 6x4 -r 25 -i pipe:0" in (tmp_path / "told").read_text()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.mp4", "programs", "told"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("head -c 1 > /dev/null; echo first >&2; echo 'no libx264' >&2; exit 3", "failed with status 3: no libx264"),
        ('cat > "$target"; exit 1', "failed with status 1: it told no reason"),
    ],
)
def test_a_failure_of_ffmpeg_is_one_line_and_leaves_the_older_file(tmp_path, fake_ffmpeg, body, told):
    fake_ffmpeg(body)
    (tmp_path / "a.mp4").write_text("older")
    with pytest.raises(InputError, match=f"^ffmpeg: {told}$"):
        animations.save(tmp_path / "a.mp4", np.zeros((9, 256, 256, 3), np.uint8))
    assert (tmp_path / "a.mp4").read_text() == "older"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.mp4", "programs"]


def test_without_ffmpeg_there_is_no_mp4(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert animations.forms() == ("webp", "gif")
    with pytest.raises(InputError, match=r"^a\.mp4: MP4 needs ffmpeg, which is not installed"):
        animations.save(tmp_path / "a.mp4", _levels(STEPS))
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_form_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"a\.avi: unknown form .* must end in \.webp, \.gif, \.mp4"):
        animations.save(tmp_path / "a.avi", _levels(STEPS))


def test_a_folder_that_is_missing_is_one_line(tmp_path):
    with pytest.raises(InputError, match="cannot be written: No such file or directory"):
        animations.save(tmp_path / "none" / "a.webp", _levels(STEPS))
