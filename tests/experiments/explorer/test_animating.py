"""Animations: the frames of a slider's range and of walks, and their files."""

import dataclasses
import io
import itertools

import numpy as np
import pytest
from PIL import Image

from experiments.explorer import animating, state
from experiments.explorer.state import Move
from ganspace_jax.directions.edited_images import Start
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.errors import InputError
from ganspace_jax.files import animations
from ganspace_jax.statistics.monotone_curves import Curve
from tests.experiments.explorer.conftest import make_components, open_explorer

MOVE = Move("components", 1, (0, 4), 1.0)
FIRST = state.read({"psi": 0.5, "edits": [{"group": "components", "number": 0, "sigma": 2}]})
SECOND = state.read(
    {"starts": [{"seed": 4}], "edits": [{"group": "components", "number": 1, "sigma": -1, "layers": [0, 3]}]}
)


def _finished(page, name):
    for thread in list(page.explorer.jobs._threads):
        thread.join(30)
    return page.ask("job", job=name)[0]


def test_a_moved_slider_keeps_its_layers_and_its_place():
    one = animating.with_sigma(FIRST, Move("components", 0, None, 0), -1.0)
    assert one.edits == (Move("components", 0, None, -1.0),)
    both = animating.with_sigma(FIRST, MOVE, 0.5)
    assert both.edits == (*FIRST.edits, Move("components", 1, (0, 4), 0.5))
    assert animating.with_sigma(both, Move("components", 1, None), 3.0).edits[1] == Move("components", 1, (0, 4), 3.0)


def test_a_sweep_goes_through_the_range(page):
    renderer = page.explorer.renderer
    frames = [frame() for frame in animating.swept(renderer, FIRST, 0, MOVE, 3)]
    expected = [renderer.image(animating.with_sigma(FIRST, MOVE, sigma)) for sigma in (-3.0, 0.0, 3.0)]
    np.testing.assert_array_equal(frames, expected)


def test_a_walk_passes_through_its_states(page):
    renderer = page.explorer.renderer
    states = [FIRST, SECOND, FIRST]
    frames = [frame() for frame in animating.walked(renderer, states, 0, 9)]
    for k, one in zip((0, 4, 8), states, strict=True):
        np.testing.assert_array_equal(frames[k], renderer.image(one))
    steps = [np.abs(a - b).mean() for a, b in itertools.pairwise(frames)]
    whole = np.abs(frames[4] - frames[0]).mean()
    assert all(0 < step < 0.9 * whole for step in steps)
    with pytest.raises(InputError, match="at least two states"):
        list(animating.walked(renderer, [FIRST], 0, 3))


def test_other_controls_jump_halfway(page):
    renderer = page.explorer.renderer
    ends = [dataclasses.replace(FIRST, centred=centred) for centred in (False, True)]
    frames = [frame() for frame in animating.walked(renderer, ends, 0, 5)]
    first, second = map(renderer.image, ends)
    assert np.abs(first - second).max() > 0.01
    np.testing.assert_allclose(frames, [first, first, second, second, second], atol=1e-4)


def test_a_walk_to_a_set_value_goes_evenly_through_latents(tmp_path):
    curve = Curve(np.array([-99.0, 99.0]), np.array([-1.0, 1.0]))
    named = tuple(NamedDirection(name, None, np.ones(64), curve) for name in "abcd")
    renderer = open_explorer(
        tmp_path, [make_components(tmp_path / "named.npz", layer="b8.conv0", named=named)]
    ).renderer
    value = state.State(edits=(Move("components", 0, (0, 3), value=0.05), Move("components", 1, None, 1.0)))
    frames = [frame() for frame in animating.walked(renderer, [FIRST, value], 0, 5)]
    np.testing.assert_array_equal(frames[0], renderer.image(FIRST))
    np.testing.assert_array_equal(frames[4], renderer.image(value))
    ends = [renderer.moved(renderer.start(one.starts[0], renderer.view(one).synthesis), one) for one in (FIRST, value)]
    middle = Start("middle", (ends[0] + ends[1]) / 2)
    halfway = renderer.image_from(middle, state.State(psi=(FIRST.psi + value.psi) / 2))
    np.testing.assert_allclose(frames[2], halfway, atol=1e-5)
    assert np.abs(halfway - frames[0]).max() > 0.01 and np.abs(halfway - frames[4]).max() > 0.01
    activation = state.State(mode="activation", edits=FIRST.edits)
    with pytest.raises(InputError, match="another moves activations"):
        [frame() for frame in animating.walked(renderer, [value, activation], 0, 3)]


@pytest.mark.parametrize("form", animations.forms())
@pytest.mark.parametrize("what", ["of", "walk"])
def test_an_animation_is_made_and_fetched(page, what, form):
    entries = {"of": state.move_to_json(MOVE), "state": {}} if what == "of" else {"walk": [state.to_json(FIRST), {}]}
    name = page("animate", frames=5, form=form, **entries)[0]["job"]
    assert _finished(page, name) == {"id": 1, "job": name, "done": 5, "total": 5, "state": "done"}
    answer, data = page("fetch", job=name)
    assert answer["mime"] == animating.MIME[form]
    assert (page.explorer.origins.workdir / "animations" / answer["filename"]).read_bytes() == data
    if form != "mp4":
        assert Image.open(io.BytesIO(data)).n_frames == 8


def test_mp4_without_ffmpeg_is_refused_at_once(page, monkeypatch):
    monkeypatch.setenv("PATH", "")
    given = {"state": {}, "of": {"group": "components", "number": 1}}
    answer = page.ask("animate", form="mp4", **given)[0]
    assert answer["error"] == "animate: mp4 needs ffmpeg, which is not installed; webp, gif do not"
    assert page("about")[0]["animations"] == ["webp", "gif"]


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ({"frames": 1}, "frames: must be a whole number from 2 to 480"),
        ({"form": "avi"}, "form: must be one of"),
        ({"of": {"group": "components", "number": 9}}, "components 9: there is none"),
        ({"of": 3}, "edit: must be a dictionary"),
    ],
)
def test_a_wrong_animation_is_refused_at_once(page, entries, told):
    given = {"state": {}, "of": {"group": "components", "number": 1}, **entries}
    assert told in page.ask("animate", **given)[0]["error"]


def test_a_failure_while_frames_are_made_is_told(page):
    name = page("animate", state={"starts": [{"picture": "me"}]}, of={"group": "components", "number": 1})[0]["job"]
    status = _finished(page, name)
    assert status["state"] == "failed" and "picture me: there is none" in status["error"]
    assert "has made nothing" in page.ask("fetch", job=name)[0]["error"]


def test_too_many_pixels_are_refused(page, monkeypatch):
    monkeypatch.setattr(animating, "MAX_PIXELS", 32 * 32 * 10)
    answer, _ = page.ask("animate", state={}, of={"group": "components", "number": 1}, frames=11)
    assert "at most 10 frames of 32 x 32 pixels" in answer["error"]
