"""The page in Chromium, as a person uses it. One browser and one server serve all
tests.
"""

import dataclasses
import pathlib
import shutil
import threading

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ganspace_jax.directions import components as components_file
from ganspace_jax.directions import foreign_files
from ganspace_jax.directions.edited_images import Start
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.files import picture_files
from ganspace_jax.statistics.monotone_curves import Curve

pytest.importorskip("uvicorn", reason="the packages of requirements-explore.txt are not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

from experiments.explorer import server, sources, state  # noqa: E402 - after the packages that they need
from tests.experiments.explorer.conftest import open_explorer  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

SETTLED = """() => {
    const { busy, moving } = document.querySelector('.stage')?.dataset ?? {};
    return busy === 'false' && moving === 'false' && !document.querySelector('figure.empty');
}"""
PIXELS = """which => {
    const canvas = document.querySelectorAll('.pictures canvas')[which];
    return [canvas.width, ...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data];
}"""
WIDGET = """async () => {
    const [explorer, { httpModel }] = await Promise.all(
        ['explorer.js', 'http_model.js'].map(name => import(new URL(name, document.baseURI))));
    const el = document.body.appendChild(document.createElement('div'));
    await explorer.default.render({ model: httpModel(new URL('api/message', document.baseURI)), el });
    window.seen = [];
    document.addEventListener('keydown', event => window.seen.push(event.key));
}"""
MOVE = """([number, values]) => {
    const bar = document.querySelector(`[data-number='${number}'] input[type=range]`);
    for (const value of values) {
        bar.value = value;
        bar.dispatchEvent(new Event('input', { bubbles: true }));
    }
}"""


@pytest.fixture(scope="module")
def explorer(workdir, components_path, tmp_path_factory):
    """An explorer with one named direction, whose latents of a picture are its mean."""
    light = NamedDirection("light", (0, 6), np.ones(64), Curve(np.array([-50.0, 50.0]), np.array([0.0, 1.0])), "turns")
    path = tmp_path_factory.mktemp("named") / "light.npz"
    foreign = sources.only(foreign_files.load_components(components_path), [1])
    components_file.save(path, dataclasses.replace(foreign, named=(light,)))
    opened = open_explorer(workdir, [components_path, path])

    def invert(file, report):
        picture, done = picture_files.read_one(file, (32, 32, 3))
        for step in range(3):
            report(step + 1, 3)
        return Start("", jnp.full(opened.renderer.generator.latent_shape, float(picture.mean()))), done

    opened.uploads.invert = invert
    yield opened
    opened.stop()


@pytest.fixture(scope="module")
def address(explorer):
    with server.bound("127.0.0.1", 0) as bound:
        running = server.server(server.application(explorer))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [bound]})
        thread.start()
        yield server.link(bound, "127.0.0.1")
        running.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def tab(browser, address):
    """A function that opens a tab; nothing in it may fail or leave this machine."""
    context, faults, requests = browser.new_context(viewport={"width": 1280, "height": 800}), [], []

    def opened(fragment="", **size):
        page = context.new_page()
        page.set_default_timeout(15_000)
        if size:
            page.set_viewport_size(size)
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.goto(address + fragment)
        return settled(page)

    yield opened
    context.close()
    assert not faults
    assert requests and all(url.startswith((address, "blob:", "data:")) for url in requests), requests


def settled(page):
    page.wait_for_function(SETTLED)
    return page


def pixels(page, which=0):
    """Returns the picture on the screen [h, w, 3]."""
    width, *values = page.evaluate(PIXELS, which)
    return np.array(values, np.uint8).reshape(-1, width, 4)[..., :3]


def expected(explorer, *edits, which=0, **settings):
    moves = tuple(state.Move(*edit) for edit in edits)
    return explorer.renderer.pixels(state.State(edits=moves, **settings), which)


def slider(page, number, kind="range"):
    return page.locator(f"[data-number='{number}'] input[type={kind}]").first


def move(page, number, *sigmas):
    page.evaluate(MOVE, [number, list(sigmas)])
    return settled(page)


def test_page_comes_up_with_the_picture_and_all_sliders(tab, explorer):
    page = tab()
    np.testing.assert_array_equal(pixels(page), expected(explorer))
    assert page.locator(".row").count() == 4
    size = page.locator("canvas").first.evaluate("one => [getComputedStyle(one).imageRendering, one.clientWidth % 32]")
    assert size == ["pixelated", 0]
    assert "r² 0.20 low" in page.locator("[data-number='2'] .facts").inner_text()
    assert "r² unknown" in page.locator("[data-number='3'] .facts").inner_text()
    assert page.locator(".made").inner_text().startswith("32 × 32 · rendered in")
    assert "nan" not in page.locator("body").inner_text().lower()


def test_slider_changes_the_picture_and_double_click_takes_it_to_zero(tab, explorer):
    page = tab()
    box = slider(page, 0).bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2, steps=8)
    page.mouse.up()
    sigma = float(slider(settled(page), 0, "number").input_value())
    assert 2.0 < sigma < 3.0
    np.testing.assert_array_equal(pixels(page), expected(explorer, ("components", 0, None, sigma)))
    assert np.any(pixels(page) != expected(explorer))
    slider(page, 0).dblclick()
    assert slider(settled(page), 0).input_value() == "0"
    np.testing.assert_array_equal(pixels(page), expected(explorer))


def test_layers_for_all_and_for_one_slider(tab, explorer):
    page = tab("#edits=components:0:2.5,components:1:-2")
    page.get_by_role("slider", name="Layers of all sliders, last").press("Home")
    settled(page)
    both = (("components", 0, (0, 1), 2.5), ("components", 1, (0, 1), -2.0))
    np.testing.assert_array_equal(pixels(page), expected(explorer, *both))
    page.locator("[data-number='1'] .name").click()
    page.get_by_role("slider", name="Layers of v1, last").press("ArrowRight")
    np.testing.assert_array_equal(pixels(settled(page)), expected(explorer, both[0], ("components", 1, (0, 2), -2.0)))
    assert page.url.endswith("layers=0&edits=components:0:2.5,components:1:-2:0-1")
    page.get_by_role("button", name="As for all").last.click()
    np.testing.assert_array_equal(pixels(settled(page)), expected(explorer, *both))


def test_several_pictures_of_seeds_and_the_mean_latent(tab, explorer):
    page = tab()
    page.get_by_label("Seed of picture 1").fill("7")
    page.get_by_label("Add a picture").select_option("seed")
    page.get_by_label("Add a picture").select_option("mean")
    starts = (state.Origin(7), state.Origin(8), state.Origin())
    for which in range(3):
        np.testing.assert_array_equal(pixels(settled(page), which), expected(explorer, starts=starts, which=which))
    page.get_by_role("button", name="Remove seed 8").click()
    np.testing.assert_array_equal(pixels(settled(page), 1), expected(explorer, starts=(state.Origin(),)))
    page.get_by_role("button", name="Random", exact=True).click()
    assert page.get_by_label("Seed of picture 1").input_value() != "7"


def test_truncation_cutoff_and_centred(tab, explorer):
    page = tab("#edits=components:1:2")
    page.get_by_label("Truncation, number").fill("0.5")
    page.get_by_label("Cutoff").fill("4")
    page.get_by_label("Centred").check()
    settings = {"psi": 0.5, "cutoff": 4, "centred": True}
    np.testing.assert_array_equal(pixels(settled(page)), expected(explorer, ("components", 1, None, 2.0), **settings))
    assert page.url.endswith("#psi=0.5&cutoff=4&centred=1&edits=components:1:2")


def test_kept_things_stay_over_a_reload_which_restores_the_page(tab, explorer, workdir):
    page = tab()
    move(page, 2, 1.5)
    page.locator("[data-number='2'] .name").click()
    page.locator("[data-number='2']").get_by_label("Name").fill("taller")
    page.locator("[data-number='2']").get_by_label("Note").fill("from the side")
    page.locator("[data-number='2']").get_by_role("button", name="Keep").click()
    page.get_by_role("tab", name="Kept 1").click()
    assert (workdir / "kept" / "taller.json").is_file()
    before = pixels(page)
    page.reload()
    np.testing.assert_array_equal(pixels(settled(page)), before)
    page.get_by_role("button", name="Reset all").click()
    page.get_by_role("tab", name="Kept 1").click()
    assert "v2 +1.5" in page.locator(".kept").inner_text() and "from the side" in page.locator(".kept").inner_text()
    page.get_by_role("button", name="Show taller").click()
    np.testing.assert_array_equal(pixels(settled(page)), before)
    page.get_by_role("button", name="Forget", exact=True).click()
    page.get_by_role("button", name="Forget for good?").click()
    page.get_by_role("tab", name="Kept", exact=True).wait_for()
    assert not explorer.shelf.list()


def test_exports_and_pictures_are_written_and_downloaded(tab, workdir):
    page = tab("#edits=components:1:2:0-3")
    page.get_by_role("tab", name="Save").click()
    page.get_by_role("button", name="text for --edit").click()
    page.get_by_label("Exported text").wait_for()
    assert '--edit="E(v1, 0-3)=2"' in page.get_by_label("Exported text").input_value()
    for name in ("pkl, for", "Save the pictures", "Save its strip", "Animate"):
        if name == "Animate":
            page.get_by_label("Frames").fill("3")
        with page.expect_download() as download:
            page.get_by_role("button", name=name).last.click()
        made = [path for path in workdir.rglob(download.value.suggested_filename) if path.is_file()]
        assert pathlib.Path(download.value.path()).read_bytes() in [path.read_bytes() for path in made]


def test_burst_makes_one_picture_at_a_time_and_ends_with_the_last(tab, explorer, monkeypatch):
    page, gate, made, picture = tab(), threading.Event(), [], explorer.renderer.picture

    def slow(wanted, which=0, *, moving=False):
        made.append(wanted.edits[0].sigma)
        assert gate.wait(10)
        return picture(wanted, which, moving=moving)

    monkeypatch.setattr(explorer.renderer, "picture", slow)
    page.evaluate(MOVE, [0, [step / 20 for step in range(1, 61)]])
    gate.set()
    settled(page)
    assert made[0] == 0.1 and made[-1] == 3.0 and len(made) <= 3
    np.testing.assert_array_equal(pixels(page), expected(explorer, ("components", 0, None, 3.0)))


def test_tabs_do_not_disturb_one_another(tab, explorer):
    first, second = tab(), tab("#starts=5")
    move(first, 0, 2.0)
    move(second, 1, -1.0)
    first.reload()
    np.testing.assert_array_equal(pixels(settled(first)), expected(explorer, ("components", 0, None, 2.0)))
    starts = (state.Origin(5),)
    np.testing.assert_array_equal(pixels(second), expected(explorer, ("components", 1, None, -1.0), starts=starts))


def test_everything_is_reached_by_keyboard(tab, explorer):
    page = tab()
    slider(page, 0).focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    assert slider(settled(page), 0).input_value() == "0.1"
    page.keyboard.press("End")
    settled(page)
    page.keyboard.press("0")
    assert slider(settled(page), 0).input_value() == "0"
    page.keyboard.press("Control+z")
    assert slider(settled(page), 0).input_value() == "3"
    np.testing.assert_array_equal(pixels(page), expected(explorer, ("components", 0, None, 3.0)))
    page.keyboard.press("Control+Shift+Z")
    assert slider(settled(page), 0).input_value() == "0"
    page.keyboard.press("/")
    page.keyboard.type("v3")
    assert page.locator(".row").count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, select, textarea')].filter(node => !node.hidden && "
        "!node.textContent.trim() && !node.ariaLabel && !node.labels?.length).map(node => node.outerHTML)"
    )
    assert not unnamed


def test_keys_in_a_notebook_stay_in_the_widget(tab):
    """A notebook moves its own focus with the arrows, and cuts cells with X."""
    page = tab()
    page.evaluate(WIDGET)
    own, widget = (slider(page.locator(".explorer").nth(k), 0) for k in range(2))
    for bar, keys in ((widget, []), (own, ["ArrowRight"])):
        bar.focus()
        page.keyboard.press("ArrowRight")
        assert bar.input_value() == "0.1"
        assert page.evaluate("window.seen") == keys
    widget.focus()
    page.keyboard.press("x")
    assert (widget.input_value(), own.input_value()) == ("0", "0.1")
    settled(page)


def test_rows_of_pictures_open_their_slider(tab):
    page = tab()
    page.get_by_role("button", name="Pictures").click()
    page.wait_for_function("() => [...document.querySelectorAll('.strip canvas')].every(canvas => canvas.height > 1)")
    assert page.locator(".strip canvas").count() == 4
    shown = "() => document.querySelector('.strip canvas').toDataURL()"
    before = page.evaluate(shown)
    page.evaluate("location.hash = '#layers=7'")
    page.wait_for_function(f"before => ({shown})() !== before", arg=before)
    page.get_by_role("button", name="Open v2").click()
    assert page.locator("[data-number='2'] .details").is_visible()
    assert page.evaluate("document.activeElement.ariaLabel") == "v2"


def test_a_value_is_set_and_repeated_by_the_text_of_the_edit(tab, explorer):
    page = tab()
    page.get_by_role("tab", name="Named 1").click()
    bar = page.get_by_role("slider", name="Value of light", exact=True)
    bar.focus()
    page.keyboard.press("End")
    np.testing.assert_array_equal(pixels(settled(page)), expected(explorer, ("named", 0, (0, 6), 0.0, 1.0)))
    assert page.url.endswith("edits=named:0:=1:0-5") and "light (0-5) := 1" in page.locator(".moved-list").inner_text()
    page.get_by_label("Value of light, number").fill("0.25")
    shown = pixels(settled(page))
    np.testing.assert_array_equal(shown, expected(explorer, ("named", 0, (0, 6), 0.0, 0.25)))
    page.reload()
    np.testing.assert_array_equal(pixels(settled(page)), shown)
    page.get_by_role("tab", name="Save").click()
    page.get_by_role("button", name="text for --edit").click()
    page.get_by_label("Exported text").wait_for()
    assert '--edit="E(light, 0-5):=0.25"' in page.get_by_label("Exported text").input_value()
    page.get_by_role("tab", name="Named 1").click()
    bar.dblclick()
    np.testing.assert_array_equal(pixels(settled(page)), expected(explorer))
    assert page.get_by_label("Value of light, number").input_value() == ""


def test_an_uploaded_picture_is_shown_beside_seeds(tab, explorer, tmp_path):
    page, path = tab(), tmp_path / "my face.png"
    Image.new("RGB", (40, 50), (200, 90, 30)).save(path)
    page.get_by_label("Upload a picture").set_input_files(path)
    page.get_by_text("cropped to the middle 40 x 40").wait_for()
    starts = (state.Origin(1), state.Origin(picture="my_face"))
    for which in (0, 1):
        np.testing.assert_array_equal(pixels(settled(page), which), expected(explorer, starts=starts, which=which))
    assert page.locator(".start-name").inner_text() == "my_face" and page.url.endswith("#starts=1,picture:my_face")
    assert not page.get_by_label("Pictures that are sought").locator("li").count()
    path.write_text("no picture")
    page.get_by_label("Upload a picture").set_input_files(path)
    page.get_by_role("alert").wait_for()
    assert "is no picture" in page.get_by_role("alert").inner_text()


@pytest.mark.parametrize("width", [320, 400])
def test_narrow_window_shows_all_without_scrolling_sideways(tab, width):
    page = tab("#starts=1,2,3&edits=components:0:2,components:1:-1:0-3", width=width, height=640)
    for name in ("Kept", "Save", "Components"):
        page.get_by_role("tab", name=name).click()
        assert page.evaluate("document.documentElement.scrollWidth") == width
    slider(page, 3).scroll_into_view_if_needed()
    assert page.locator(".pictures").bounding_box()["y"] >= 0  # the pictures stay in sight
    move(page, 3, 1.0)


def test_error_is_one_line_and_the_page_goes_on(tab, explorer):
    page = tab()
    page.evaluate("location.hash = '#starts=picture:nobody'")
    page.get_by_role("alert").wait_for()
    assert "nobody" in page.get_by_role("alert").inner_text()
    assert page.locator("figure.failed").count() == 1
    page.evaluate("location.hash = '#starts=3'")
    page.wait_for_function("() => document.querySelector('.start-name') === null")
    np.testing.assert_array_equal(pixels(settled(page)), expected(explorer, starts=(state.Origin(3),)))
    assert page.get_by_role("alert").count() == page.locator("figure.failed").count() == 0
