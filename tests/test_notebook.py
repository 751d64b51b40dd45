"""The notebook: it runs from top to end, and its widget answers as the page does."""

import json
import pathlib
import threading

import pytest

nbformat = pytest.importorskip("nbformat", reason="the packages of requirements-dev.txt are not installed")
nbclient = pytest.importorskip("nbclient", reason="the packages of requirements-dev.txt are not installed")
pytest.importorskip("anywidget", reason="the packages of requirements-notebook.txt are not installed")

from experiments.explorer import notebook, widget_module  # noqa: E402 - after the packages that it needs
from ganspace_jax.errors import InputError  # noqa: E402
from tests.experiments.explorer.conftest import make_components  # noqa: E402

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOK = ROOT / "notebooks" / "ganspace.ipynb"
QUICK = ("100_000", "2_000")


def test_the_repository_has_no_outputs_of_the_notebook():
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code and all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert all(set(cell["metadata"]) <= {"tags"} for cell in cells)


def test_the_notebook_runs_from_top_to_end(tmp_path, monkeypatch):
    """A kernel of its own runs it, in a directory outside the repository."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    content = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(content)
    (settings,) = [cell for cell in content.cells if "parameters" in cell.metadata.get("tags", ())]
    assert QUICK[0] in settings.source
    settings.source = settings.source.replace(*QUICK)
    done = nbclient.NotebookClient(content, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    shown = done.cells[-1].outputs[-1].data
    assert "application/vnd.jupyter.widget-view+json" in shown
    made = {path.name for path in (tmp_path / "runs" / "notebook").iterdir()}
    assert made == {"components.npz", "edited.png", "images.png"}
    assert not [out for cell in done.cells for out in cell.get("outputs", ()) if out.get("name") == "stderr"]


@pytest.fixture(scope="module")
def widget(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    made = notebook.sliders("stylegan2-scenes", make_components(folder / "components.npz"), workdir=folder)
    yield made
    made.close()


@pytest.fixture
def ask(widget, monkeypatch):
    """A function that sends a message as the widget's module does."""
    answers, arrived = {}, threading.Event()

    def send(content, buffers=()):
        answers[content["id"]] = content, buffers
        arrived.set()

    def ask(kind, *payload, **entries):
        arrived.clear()
        number = len(answers) + 1
        message = {"id": number, "kind": kind, **entries}
        widget._handle_custom_msg(json.loads(json.dumps(message)), [memoryview(one) for one in payload])
        assert arrived.wait(30)
        return answers[number]

    monkeypatch.setattr(widget, "send", send)
    return ask


def test_the_widget_answers_as_the_page_does(widget, ask):
    about, nothing = ask("about")
    assert about["generator"]["name"] == "stylegan2-scenes" and nothing == []
    state = {"starts": [{"seed": 3}], "edits": [{"group": "components", "number": 0, "sigma": 2}]}
    picture, buffers = ask("picture", state=state, which=0)
    expected, data = widget.explorer.handle({"id": 1, "kind": "picture", "state": state, "which": 0})
    assert [bytes(one) for one in buffers] == [data] and data.startswith(b"\x89PNG")
    assert set(picture) == set(expected) and (picture["width"], picture["id"]) == (32, 2)


def test_a_mistake_is_answered_and_a_foreign_message_is_not(widget, ask):
    assert ask("picture", state={"starts": [{"picture": "me"}]})[0]["error"].startswith("picture me: there is none")
    widget._handle_custom_msg("hello", [])
    assert "kind: must be one of" in ask("none")[0]["error"]


def test_the_widget_is_one_module_with_its_styles(widget):
    assert widget._esm == widget_module.joined() and "export default" in widget._esm
    assert ".explorer" in widget._css


def test_sliders_need_directions():
    with pytest.raises(InputError, match="need a file of directions"):
        notebook.sliders("stylegan2-scenes")
