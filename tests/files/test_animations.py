"""Animations: frames come back from the files in their order."""

import numpy as np
import pytest
from PIL import Image

from ganspace_jax.errors import InputError
from ganspace_jax.files import animations


def _frames(path):
    """All frames of an animation, as RGB pixels."""
    with Image.open(path) as animation:
        frames = []
        for i in range(animation.n_frames):
            animation.seek(i)
            frames.append(np.asarray(animation.convert("RGB")))
        assert animation.info["loop"] == 0
    return np.stack(frames).astype(int)


@pytest.mark.parametrize(("height", "channels"), [(8, 1), (8, 3), (12, 3), (4, 3)])
def test_gif_goes_there_and_back(tmp_path, height, channels):
    frames = np.linspace(-1, 1, 5).reshape(5, 1, 1, 1) * np.ones((5, height, 8, channels))
    animations.save_gif(tmp_path / "a.gif", frames, seconds=1.6)
    found = _frames(tmp_path / "a.gif")
    assert found.shape == (8, 16 * height, 128, 3)
    np.testing.assert_allclose(found.mean((1, 2, 3)), [0, 64, 128, 191, 255, 191, 128, 64], atol=3)


def test_transparent_frames_are_drawn_over_white(tmp_path):
    """One colour, whose alpha rises from 0 to 1: alpha colour + (1 - alpha) white."""
    colour, opacities = np.array([200, 0, 51]), np.linspace(0, 1, 6)
    frames = np.concatenate([np.tile(colour / 127.5 - 1, (6, 1)), 2 * opacities[:, None] - 1], axis=1)
    animations.save_gif(tmp_path / "a.gif", frames[:, None, None] * np.ones((6, 4, 4, 1)), size=4)
    expected = opacities[:, None] * colour + (1 - opacities[:, None]) * 255
    np.testing.assert_allclose(_frames(tmp_path / "a.gif")[:6, 2, 2], expected, atol=2)


def test_frames_that_are_not_finite_are_no_animation(tmp_path):
    with pytest.raises(InputError, match="images: 2 of 192 values are NaN or infinite"):
        animations.save_gif(tmp_path / "a.gif", np.where(np.arange(192) < 2, np.nan, 0).reshape(1, 8, 8, 3))
    assert list(tmp_path.iterdir()) == []
