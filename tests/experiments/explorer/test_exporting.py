"""Exports: other commands read them, and experiments.edit repeats the pictures on the
screen, pixel for pixel.
"""

import io
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from experiments.explorer import state
from ganspace_jax.directions import edited_images, foreign_files
from ganspace_jax.directions.edits import Edit
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.files import pictures
from ganspace_jax.generators import base, stylegan2, zoo
from ganspace_jax.statistics.monotone_curves import Curve
from tests.commands import run
from tests.experiments.explorer.conftest import Page, make_components, open_explorer

_MARGIN = 6  # of files/pictures.labelled_rows
ONE = {"group": "components", "number": 1, "sigma": 2.123456789, "layers": [0, 5]}
TWO = [ONE, {"group": "components", "number": 3, "sigma": -1.5}]
TEN = [
    {
        "group": "components" if k % 2 else "random",
        "number": k % 4,
        "sigma": 0.3 * k - 1.2,
        "layers": [k % 4, 4 + k % 4],
    }
    for k in range(10)
]


def _pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def _on_screen(page, state):
    """Returns the pictures that the page shows, one below the other."""
    count = len(state.get("starts", [1]))
    return np.concatenate([_pixels(page("picture", state=state, which=k)[1]) for k in range(count)])


def _of_edit(page, state):
    """Returns the pictures that experiments.edit makes of the exported flags."""
    answer, data = page("export", state=state, form="flags")
    assert answer["text"].encode() == data
    flagfile = page.explorer.origins.folder / answer["filename"]
    assert flagfile.read_bytes() == data
    result = run("edit", f"--flagfile={flagfile}")
    assert result.returncode == 0, result.stderr
    (workdir,) = [line.partition("=")[2] for line in answer["text"].splitlines() if line.startswith("--workdir")]
    drawn = _pixels(pathlib.Path(workdir, "edit.png").read_bytes())
    height, width = page.explorer.renderer.generator.image_size
    scale = max(1, -(-64 // width))
    rows = drawn[-_MARGIN - scale * height * len(state.get("starts", [1])) : -_MARGIN]
    return rows[::scale, -_MARGIN - scale * width : -_MARGIN : scale]


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"edits": [ONE]},
        {"edits": TWO, "psi": 0.7, "cutoff": 3},
        {"edits": TEN, "psi": 1.3, "starts": [{"seed": 5}]},
        {"edits": TWO, "centred": True, "psi": 0.55},
        {"edits": TEN, "centred": True, "starts": [{"seed": 3}, {"seed": 4}]},
        {"edits": [ONE], "starts": [{"mean": True}, {"seed": 2}], "noise": "none"},
        {"centred": True, "noise": 5},
    ],
)
def test_the_flags_repeat_the_pictures(page, state):
    shown = _on_screen(page, state)
    assert shown.std() > 5
    np.testing.assert_array_equal(_of_edit(page, state), shown)


@pytest.fixture(scope="module")
def activation_page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("activation")
    path = make_components(folder / "b8.npz", layer="b8.conv0")
    explorer = open_explorer(folder / "workdir", [path])
    yield Page(explorer)
    explorer.stop()


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("mode", ["latent", "activation"])
def test_the_flags_repeat_moved_activations(activation_page, mode, centred):
    state = {"edits": TEN[1:3], "mode": mode, "centred": centred, "psi": 0.8}
    moved = _on_screen(activation_page, state)
    assert (moved != _on_screen(activation_page, {"psi": 0.8})).any()
    np.testing.assert_array_equal(_of_edit(activation_page, state), moved)


@pytest.fixture(scope="module")
def noise_page(tmp_path_factory):
    """A page of a small StyleGAN2 whose noise is strong."""
    folder = tmp_path_factory.mktemp("noise")
    config = stylegan2.Config(z_dim=6, w_dim=6, channels=(4, 4, 4), mapping_layers=2)
    made = base.split(stylegan2.StyleGAN2(config, key=jax.random.key(0)))

    def strengthen(path, x):
        return jnp.full_like(x, 0.5) if "noise_strength" in jax.tree_util.keystr(path) else x

    params = jax.tree_util.tree_map_with_path(strengthen, made.params)
    name = str(folder / "network")
    zoo.save(name, made._replace(params=params))
    return Page(open_explorer(folder / "workdir", [make_components(folder / "components.npz", name)], name))


@pytest.mark.parametrize("noise", ["const", "none", 0, 7])
def test_the_flags_repeat_noise(noise_page, noise):
    state = {"edits": [{**ONE, "layers": [0, 3]}], "noise": noise}
    shown = _on_screen(noise_page, state)
    assert noise == "const" or (shown != _on_screen(noise_page, {**state, "noise": "const"})).any()
    np.testing.assert_array_equal(_of_edit(noise_page, state), shown)


def test_named_directions_move_the_layers_on_the_page(tmp_path):
    """The page's layers hold, whatever range the file gives a direction."""
    ranges, read = zip("abcd", [(0, 2), None, (3, 5), (1, 8)], strict=True), np.ones(64)
    curve = Curve(np.array([-99.0, 99.0]), np.array([-1.0, 1.0]))
    named = tuple(NamedDirection(name, layers, read, curve, "turns") for name, layers in ranges)
    page = Page(open_explorer(tmp_path, [make_components(tmp_path / "named.npz", named=named)]))
    sliders = page("about")[0]["groups"][0]["sliders"]
    assert [(one["name"], one["layers"]) for one in sliders] == [
        ("a", [0, 2]),
        ("b", None),
        ("c", [3, 5]),
        ("d", [1, 8]),
    ]
    state = {"edits": [{"group": "components", "number": 2, "sigma": 2.0}]}
    whole = _on_screen(page, state)
    np.testing.assert_array_equal(_of_edit(page, state), whole)
    state["edits"][0]["layers"] = sliders[2]["layers"]
    state["edits"].append({"group": "components", "number": 3, "layers": [0, 8], "value": 0.0625})
    assert (_on_screen(page, state) != whole).any() and sliders[3]["value"] == {"range": [-1.0, 1.0], "unit": "turns"}
    text = page("export", state=state, form="edit")[0]["text"].splitlines()
    assert text[:2] == ['--edit="E(c, 3-4)=2"', '--edit="E(d, 0-7):=0.0625"']
    file = page("export", state=state, form="components")[0]["path"]
    assert [one.name for one in foreign_files.load_components(file).named] == ["c", "d"]
    assert "a .pkl holds a step" in page.ask("export", state={"edits": state["edits"][1:]}, form="pkl")[0]["error"]
    np.testing.assert_array_equal(_of_edit(page, state), _on_screen(page, state))


@pytest.fixture(scope="module")
def class_page(tmp_path_factory):
    folder, name = tmp_path_factory.mktemp("classes"), "biggan-deep-scenes"
    path = make_components(folder / "gen_z.npz", name, layer="gen_z", label=2)
    explorer = open_explorer(folder / "workdir", [path], name)
    yield Page(explorer)
    explorer.stop()


@pytest.mark.parametrize(
    "state",
    [
        {"edits": [ONE], "psi": 0.5},
        {"edits": TEN, "label": 4, "psi": 0.9, "starts": [{"seed": 8}, {"mean": True}]},
        {"edits": TWO, "label": 0, "centred": True},
    ],
)
def test_the_flags_repeat_pictures_of_a_class(class_page, state):
    state = {**state, "edits": [{**one, "layers": None} for one in state["edits"]]}
    np.testing.assert_array_equal(_of_edit(class_page, state), _on_screen(class_page, state))


def test_the_class_of_the_components_is_the_first_one_shown(class_page):
    np.testing.assert_array_equal(_on_screen(class_page, {}), _on_screen(class_page, {"label": 2}))
    assert (_on_screen(class_page, {}) != _on_screen(class_page, {"label": 3})).any()


def test_directions_of_one_file_are_named_in_that_file(page, components_path):
    answer, _ = page("export", state={"edits": TWO}, form="edit")
    assert answer["text"].splitlines() == [
        '--edit="E(v1, 0-4)=2.123456789"', '--edit="E(v3, all)=-1.5"', f"--components={components_path}",
    ]  # fmt: skip


def test_a_components_file_holds_exactly_the_directions_of_the_edits(page):
    answer, data = page("export", state={"edits": TEN[:3]}, form="components", name="../Größe 1")
    path = page.explorer.origins.folder / answer["filename"]
    assert path.parent == page.explorer.origins.folder and path.read_bytes() == data
    loaded, renderer = foreign_files.load_components(path), page.explorer.renderer
    rows = [edit.component for edit in renderer.edits(state.read({"edits": TEN[:3]}))]
    np.testing.assert_array_equal(loaded.latent_components, renderer.directions.components.latent_components[rows])
    np.testing.assert_array_equal(loaded.latent_mean, renderer.directions.components.latent_mean)


def test_an_exported_pkl_moves_the_same_picture(page):
    answer, data = page("export", state={"edits": [ONE]}, form="pkl", name="light")
    path = page.explorer.origins.folder / answer["filename"]
    exported = foreign_files.load_edit(path)
    assert path.read_bytes() == data and exported["name"] == "light"
    generator = page.explorer.renderer.generator
    found, view = edited_images.resolve(foreign_files.load_components(path), edited_images.View(), generator)
    start = edited_images.start_of_seed(generator, 1, view.synthesis)
    edit = foreign_files.edit_of(exported)
    assert edit == Edit(0, (0, 5), 2.123456789)
    image = edited_images.edited_images(generator, found, start, [[edit]], view)[0]
    np.testing.assert_array_equal(pictures.to_uint8(jnp.asarray(image)), _on_screen(page, {"edits": [ONE]}))


@pytest.mark.parametrize(
    ("state", "form", "told"),
    [
        ({"edits": TWO}, "pkl", "a .pkl holds one edit; the state has 2"),
        ({}, "pkl", "the state moves no slider"),
        ({}, "edit", "the state moves no slider"),
        ({"edits": [{**ONE, "layers": [0, 9]}]}, "flags", "layers must be within 0-7"),
        ({"edits": [{**ONE, "number": 99}]}, "flags", "components 99: there is none; they go from 0 to 3"),
        ({"edits": [{**ONE, "group": "componets"}]}, "flags", "did you mean 'components'"),
    ],
)
def test_what_cannot_be_exported_is_told_in_one_line(page, state, form, told):
    before = sorted(page.explorer.origins.folder.glob("*")) if page.explorer.origins.folder.exists() else []
    answer, data = page.ask("export", state=state, form=form)
    assert told in answer["error"] and not data
    assert sorted(page.explorer.origins.folder.glob("*")) == before
