"""Kept directions and states: written at once, there after a restart, never outside
their folder.
"""

import dataclasses
import json
import os

import numpy as np
import pytest

from experiments.explorer import keeping, sources
from experiments.explorer.keeping import Shelf
from ganspace_jax.directions import components as components_file
from ganspace_jax.directions import foreign_files
from ganspace_jax.errors import InputError
from ganspace_jax.sampling.layers import LayerSpec
from tests.experiments.explorer.conftest import Page, open_explorer

MOVE = {"group": "components", "number": 2, "layers": [1, 4], "sigma": -1.5}
STATE = {"edits": [MOVE, {"group": "random", "number": 1, "layers": None, "sigma": 2.0}], "psi": 0.6}


@pytest.fixture
def open_page(tmp_path, components_path):
    """A function that starts an explorer anew in one work directory."""
    return lambda *paths: Page(open_explorer(tmp_path, paths or [components_path]))


def _picture(page, state):
    return page("picture", state=state)[1]


def test_a_direction_is_kept_at_once_and_over_a_restart(open_page, tmp_path):
    page = open_page()
    answer, _ = page("keep", direction={"name": "light", "note": "left\nto\x1b right ", **MOVE})
    entry = {"name": "light", "note": "left\nto\\x1b right", "direction": MOVE, "state": None}
    assert answer["name"] == "light" and answer["kept"] == [entry]
    assert json.loads((tmp_path / "kept" / "light.json").read_text()) == entry
    again = open_page()
    assert again("kept")[0]["kept"] == [entry] and again("about")[0]["kept"] == [entry]
    assert len(foreign_files.load_components(tmp_path / "kept" / "light.npz")) == 1


def test_a_state_is_kept_and_shows_the_same_picture_after_a_restart(open_page):
    page = open_page()
    page("keep", state=STATE, name="evening")
    (entry,) = open_page()("kept")[0]["kept"]
    assert entry["name"] == "evening" and entry["direction"] is None
    assert _picture(page, entry["state"]) == _picture(page, STATE)


def test_kept_directions_outlive_their_file(open_page, tmp_path, components_path):
    """With another file, the kept directions become a group of their own."""
    page = open_page()
    page("keep", state=STATE, name="evening")
    page("keep", direction={"name": "light", **MOVE})
    shown = _picture(page, STATE)
    loaded = components_file.load(components_path)
    flipped = dataclasses.replace(loaded, latent_components=loaded.latent_components[::-1].copy())
    components_file.save(tmp_path / "other.npz", flipped)
    other = open_page(tmp_path / "other.npz")
    by_name = {entry["name"]: entry for entry in other("kept")[0]["kept"]}
    assert by_name["light"]["direction"]["group"] == "kept"
    assert [move["group"] for move in by_name["evening"]["state"]["edits"]] == ["kept", "random"]
    assert _picture(other, by_name["evening"]["state"]) == shown
    (group,) = [group for group in other("about")[0]["groups"] if group["key"] == "kept"]
    assert len(group["sliders"]) == 1


@pytest.mark.parametrize(
    "name", ["../../escape", "/etc/passwd", "a/b", "..", ".", "", "x" * 80, "con\x00", "Größe ☃", "-rf", "light.json"]
)
def test_names_stay_in_their_folder(open_page, tmp_path, name):
    page = open_page()
    page("keep", direction={"name": name, **MOVE})
    page("keep", direction={"name": name, **MOVE})
    made = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(made) == 4 and {path.parent for path in made} == {tmp_path / "kept"}
    names = [entry["name"] for entry in page("kept")[0]["kept"]]
    assert len(set(names)) == 2
    for one in names:
        page("forget", name=one)
    assert not list((tmp_path / "kept").iterdir()) and page("kept")[0]["kept"] == []


def test_names_differ_whatever_their_case(open_page, tmp_path):
    page = open_page()
    for name in ("Light", "light", "LIGHT"):
        page("keep", direction={"name": name, **MOVE})
    assert [entry["name"] for entry in page("kept")[0]["kept"]] == ["Light", "light 2", "LIGHT 3"]
    assert len({path.name.lower() for path in (tmp_path / "kept").iterdir()}) == 6


def test_what_is_not_kept_cannot_be_forgotten_or_exported(open_page, tmp_path):
    page = open_page()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "notes.txt").write_text("mine")
    for name in ("notes", "../kept/notes.txt", "light"):
        assert "none has this name" in page.ask("forget", name=name)[0]["error"]
        assert "none has this name" in page.ask("export", kept=name, form="edit")[0]["error"]
    assert (tmp_path / "kept" / "notes.txt").read_text() == "mine"


def test_a_kept_direction_is_exported(open_page):
    page = open_page()
    page("keep", direction={"name": "light", **MOVE})
    answer, data = page("export", kept="light", form="pkl")
    assert answer["filename"] == "light.pkl" and data.startswith(b"\x80\x03")
    assert '--edit="E(v2, 1-3)=-1.5"' in page("export", kept="light", form="edit")[0]["text"]


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"name": "a"}', b"\xff" * 100, b'{"direction": {"group": "components", "number": 1}, "x": 1}'],
)
def test_damaged_files_are_left_out_with_a_sentence(open_page, tmp_path, damage):
    page = open_page()
    page("keep", direction={"name": "a", **MOVE})
    page("keep", direction={"name": "b", **MOVE})
    (tmp_path / "kept" / "a.json").write_bytes(damage)
    kept, sentences = keeping.read_folder(tmp_path / "kept")
    assert [one.name for one in kept] == ["b"]
    assert len(sentences) == 1 and sentences[0].startswith("a.json: is left out") and sentences[0].isprintable()


def test_a_missing_or_foreign_components_file_is_told(open_page, tmp_path, components_path):
    page = open_page()
    page("keep", direction={"name": "a", **MOVE})
    (tmp_path / "kept" / "a.npz").unlink()
    assert "is left out" in keeping.read_folder(tmp_path / "kept")[1][0]
    (tmp_path / "kept" / "a.npz").write_bytes(components_path.read_bytes())
    assert "has 1 edits, but a.npz has 4 directions" in keeping.read_folder(tmp_path / "kept")[1][0]


def test_directions_of_another_generator_are_told(open_page, tmp_path):
    page = open_page()
    page("keep", direction={"name": "a", **MOVE})
    kept, _ = keeping.read_folder(tmp_path / "kept")
    narrow = dataclasses.replace(kept[0].rows, latent_components=np.ones((1, 7), np.float32), latent_mean=None)
    foreign, sliders = dataclasses.replace(kept[0], rows=narrow), page.explorer.renderer.directions
    with pytest.raises(InputError, match="a: its directions do not fit this generator"):
        keeping.placed(foreign, sliders)
    found, sentences = keeping.placed_all([foreign, kept[0]], sliders)
    assert found == [keeping.placed(kept[0], sliders)] and sentences == ["a: its directions do not fit this generator"]


def test_directions_of_another_generator_do_not_stop_the_start(open_page, tmp_path, components_path):
    """Beside them, the directions of this generator are shown."""
    page = open_page()
    page("keep", direction={"name": "a", **MOVE})
    kept, _ = keeping.read_folder(tmp_path / "kept")
    (one,) = kept
    narrow, activation = np.ones((1, 7), np.float32), np.ones((1, 4, 4, 3), np.float32)
    others = [
        dataclasses.replace(one.rows, latent_components=narrow, latent_mean=None),
        dataclasses.replace(one.rows, spec=LayerSpec("z", "z")),
        dataclasses.replace(
            one.rows, latent_components=-one.rows.latent_components, activation_components=activation,
            activation_mean=None, spec=LayerSpec("b4.image", "w"),
        ),
    ]  # fmt: skip
    rows = [dataclasses.replace(one, rows=other) for other in others]
    main = sources.main_source(components_file.load(components_path), "main")
    parts = [main, sources.random_source(main.components)]
    found = keeping.with_unknown(rows, parts, page.explorer.renderer.generator)
    assert [(group.key, len(group.sliders)) for group in found.groups] == [
        ("components", 4),
        ("kept", 1),
        ("random", 4),
    ]
    assert keeping.placed(rows[2], found).direction.group == "kept"


def test_a_refused_file_changes_nothing(open_page, tmp_path, monkeypatch):
    page = open_page()
    page("keep", direction={"name": "a", **MOVE})
    before = {path.name: path.read_bytes() for path in (tmp_path / "kept").iterdir()}

    def refuse(*paths):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    answer, _ = page.ask("keep", direction={"name": "b", **MOVE})
    assert "cannot be written: No space left on device" in answer["error"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "kept").iterdir()} == before
    assert [entry["name"] for entry in page("kept")[0]["kept"]] == ["a"]


def test_a_shelf_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "MAX_KEPT", 1)
    shelf = Shelf(tmp_path)
    one = keeping.read_entries({"name": "a", "state": {}})
    shelf.keep(one)
    with pytest.raises(InputError, match="there are 1 already"):
        shelf.keep(one)
