"""Answers to messages: every message has one, and nothing is lost by a bad one."""

import io
import json
import threading

import numpy as np
import pytest
from PIL import Image

from experiments.explorer import messages
from experiments.explorer.messages import MessageError

EDIT = {"group": "components", "number": 1, "layers": [0, 4], "sigma": 2.0}
GOOD = {
    "about": {},
    "picture": {"state": {"edits": [EDIT]}, "which": 0, "moving": False},
    "strip": {"state": {}, "group": "components", "first": 1, "count": 2, "columns": 3},
    "keep": {"direction": {"name": "light", "note": "", **EDIT}},
    "kept": {},
    "forget": {"name": "light"},
    "export": {"state": {"edits": [EDIT]}, "form": "flags"},
    "save": {"state": {"edits": [EDIT]}, "form": "png"},
    "animate": {"state": {}, "of": EDIT, "frames": 2, "form": "gif"},
    "job": {"job": "0"},
    "cancel": {"job": "0"},
    "fetch": {"job": "0"},
    "upload": {"name": "me"},
}


def _pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def test_about_describes_generator_sliders_and_limits(page):
    about, _ = page("about")
    assert about["generator"] == {
        "name": "stylegan2-scenes", "family": "stylegan2", "height": 32, "width": 32, "channels": 3, "num_layers": 8,
        "classes": [], "default_label": None, "has_mean": True, "has_truncation": True, "has_cutoff": True,
        "has_noise": False, "min_psi": -2.0, "max_psi": 2.0,
    }  # fmt: skip
    assert [(group["key"], len(group["sliders"])) for group in about["groups"]] == [("components", 4), ("random", 4)]
    assert [slider["low_r2"] for slider in about["groups"][0]["sliders"]] == [False, False, True, False]
    assert about["modes"] == ["latent"] and "layer w" in about["why_latent_only"]
    assert about["workdir"] == page.explorer.origins.workdir.name


def test_a_picture_tells_its_size_and_its_time(page):
    answer, data = page("picture", state={"edits": [EDIT]})
    assert (answer["id"], answer["width"], answer["height"], answer["mime"]) == (1, 32, 32, "image/png")
    assert answer["full"] is True and 0 <= answer["seconds"] < 60
    np.testing.assert_array_equal(_pixels(page("picture", state={"edits": [EDIT]}, moving=True)[1]), _pixels(data))


def test_a_strip_has_one_row_per_slider(page):
    answer, data = page("strip", state={}, group="components", first=2, count=9, columns=3)
    assert answer["rows"] == [2, 3] and (answer["width"], answer["height"]) == (96, 64)
    strip = _pixels(data)
    for row in (0, 1):
        for column, sigma in enumerate((-3, 0, 3)):
            move = {"group": "components", "number": 2 + row, "sigma": sigma}
            cell = strip[32 * row : 32 * (row + 1), 32 * column : 32 * (column + 1)]
            np.testing.assert_array_equal(cell, _pixels(page("picture", state={"edits": [move]})[1]))


def test_saved_pictures_lie_side_by_side_in_the_workdir(page):
    state = {"starts": [{"seed": 1}, {"mean": True}], "edits": [EDIT]}
    answer, data = page("save", state=state, name="two")
    assert (page.explorer.origins.workdir / "pictures" / answer["filename"]).read_bytes() == data
    shown = [_pixels(page("picture", state=state, which=k)[1]) for k in (0, 1)]
    np.testing.assert_array_equal(_pixels(data), np.concatenate(shown, axis=1))
    again, _ = page("save", state=state, name="two")
    assert again["filename"] == "two_2.png"
    strip, data = page("save", state=state, form="strip", of=EDIT, columns=3)
    assert _pixels(data).shape == (128, 3 * 128, 3) and strip["mime"] == "image/png"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, "kind: must be one of about"),
        ({"kind": "pictur"}, "did you mean 'picture'"),
        ({"kind": ["picture"]}, "kind: must be one of"),
        ({"kind": "picture"}, "picture: has no state"),
        ({"kind": "picture", "state": {}, "which": 9}, "which: must be a whole number from 0 to 8"),
        ({"kind": "picture", "state": {}, "moving": 1}, "moving: must be true or false"),
        ({"kind": "strip", "state": {}, "group": "components", "count": 1000}, "count: must be a whole number"),
        ({"kind": "keep", "name": "x"}, "kept: must have one of direction and state"),
        ({"kind": "export", "state": {}, "form": "exe"}, "form: must be one of pkl"),
        ({"kind": "job", "job": 3}, "job: must be a text"),
    ],
)
def test_a_bad_message_is_told_in_one_line(page, content, told):
    answer, data = page.explorer.handle({"id": 5, **content})
    assert answer["id"] == 5 and answer["bad"] is True and told in answer["error"] and not data
    assert answer["error"].isprintable()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"kind": "picture", "state": {}, "which": 1}, "which=1: the state has 1 starts"),
        ({"kind": "picture", "state": {"label": 2}}, "this generator has no classes"),
        ({"kind": "picture", "state": {"mode": "activation"}}, "mode activation: --components: are of layer w"),
        ({"kind": "strip", "state": {}, "group": "random", "first": 4, "count": 1}, "random has no slider 4"),
        ({"kind": "strip", "state": {}, "group": "x", "count": 1}, "group x: must be one of components, random"),
        ({"kind": "upload", "name": "me"}, "upload:"),
        ({"kind": "fetch", "job": "abc"}, "job abc: there is none"),
    ],
)
def test_a_mistake_is_told_in_one_line(page, content, told):
    answer, data = page.explorer.handle(content)
    assert told in answer["error"] and "bad" not in answer and "fault" not in answer and not data


def test_a_surprise_is_one_line(page, monkeypatch):
    monkeypatch.setattr(page.explorer.shelf, "list", lambda: 1 / 0)
    answer, _ = page.explorer.handle({"id": 2, "kind": "kept"})
    assert answer == {"id": 2, "error": "ZeroDivisionError: division by zero", "fault": True}


def test_a_picture_for_nobody_is_not_made(page, monkeypatch):
    monkeypatch.setattr(page.explorer.renderer, "picture", lambda *args, **kwargs: 1 / 0)
    answer, _ = page.explorer.handle({"id": 1, "kind": "picture", "state": {}}, b"", lambda: True)
    assert answer["error"].startswith("dropped")


def test_random_messages_are_answered_in_one_line_and_lose_nothing(page):
    """Entries of good messages are replaced by values of every kind."""
    page("keep", direction={"name": "stays", **EDIT})
    root = page.explorer.origins.workdir.parent
    random, before = np.random.default_rng(5), set(root.iterdir())
    values = [
        None,
        True,
        -1,
        0,
        3,
        10**30,
        1e308,
        -0.0,
        "",
        "x",
        "../../x",
        "\ud800",
        "x" * 3000,
        [],
        {},
        [{}],
        {"a": 1},
    ]
    for _ in range(600):
        kind = str(random.choice([kind for kind in GOOD if kind != "animate"]))
        content = json.loads(json.dumps({"id": 1, "kind": kind, **GOOD[kind]}))
        holders = [content, *(value for value in content.values() if isinstance(value, dict))]
        for _ in range(random.integers(1, 3)):
            holder = holders[random.integers(len(holders))]
            keys = [*holder, "other"]
            key = keys[random.integers(len(keys))]
            holder[key] = values[random.integers(len(values))]
        try:
            read, payload = messages.read(messages.write(content))
        except MessageError:
            continue
        answer, _ = page.explorer.handle(read, payload)
        assert messages.write(answer).count(b"\n") == 1
        assert "fault" not in answer, (content, answer)
        assert answer.get("error", "x").isprintable()
    assert "stays" in [entry["name"] for entry in page("kept")[0]["kept"]]
    assert set(root.iterdir()) == before


def test_pages_do_not_disturb_one_another(page):
    """Several threads ask for different states at once; each gets its own picture."""
    states = [{"starts": [{"seed": seed}], "edits": [EDIT] * (seed % 2), "psi": 1 - seed / 10} for seed in range(6)]
    alone = [page("picture", state=state)[1] for state in states]
    wrong = []

    def ask(k):
        for _ in range(5):
            if page("picture", state=states[k])[1] != alone[k]:
                wrong.append(k)

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong and len(set(alone)) == 6
