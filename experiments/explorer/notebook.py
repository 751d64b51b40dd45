"""The explorer as a widget of a notebook, through anywidget.

    pip install .[notebook]

The widget has the same modules and the same answers as the page of experiments.explore.
Its messages go through the notebook's kernel, so it needs no port and no link.
"""

import os
import pathlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anywidget

from experiments.explorer import keeping, sources, widget_module
from experiments.explorer.explorer import Explorer
from experiments.explorer.exporting import Origins
from experiments.explorer.keeping import Shelf
from experiments.explorer.rendering import Renderer
from ganspace_jax.directions import foreign_files
from ganspace_jax.errors import InputError
from ganspace_jax.generators import zoo

Path = str | os.PathLike[str]


class Sliders(anywidget.AnyWidget):
    """Widget that shows an explorer.

    Pictures, strips and other messages have a thread each. So cells can run while they
    are made, and a long strip holds up no picture.

    Attributes:
        explorer: the explorer that answers.
    """

    _esm = widget_module.joined()
    _css = (widget_module.PAGE / widget_module.STYLES).read_text(encoding="utf-8")

    def __init__(self, explorer: Explorer):
        super().__init__()
        self.explorer = explorer
        strips, self._others = ThreadPoolExecutor(1, "strips"), ThreadPoolExecutor(1, "messages")
        self._threads = {"picture": ThreadPoolExecutor(1, "pictures"), "strip": strips, "save": strips}
        self.on_msg(self._receive)

    def _receive(self, _: Any, content: Any, buffers: Sequence[Any]) -> None:
        """Starts the answer to a message of the module."""
        if isinstance(content, dict):
            payload = bytes(buffers[0]) if buffers else b""
            self._threads.get(str(content.get("kind")), self._others).submit(self._answer, content, payload)

    def _answer(self, content: dict[str, Any], payload: bytes) -> None:
        answer, data = self.explorer.handle(content, payload, lambda: self.comm is None)
        if self.comm is not None:
            self.send(answer, [data] if data else [])

    def close(self) -> None:
        """Ends the widget and its long work."""
        super().close()
        if hasattr(self, "explorer"):  # ipywidgets closes a widget whose start failed, too
            self.explorer.stop()


def sliders(name: str, *files: Path, workdir: Path = "runs/notebook") -> Sliders:
    """Returns the widget of a generator and of the directions in files.

    Args:
        name: zoo name, or checkpoint directory.
        files: files of directions. The first one's sliders come first. The others may
            be named directions, boundaries, or edits of the original's viewer (.pkl).
        workdir: directory of all that is kept, saved or exported.

    Raises:
        InputError: if there is no such generator or file, or a file does not fit.
    """
    if not files:
        raise InputError("sliders: need a file of directions, such as gs.save_components writes")
    generator, folder = zoo.load(name), pathlib.Path(workdir)
    loaded = [(str(path), foreign_files.load_components(path)) for path in files]
    kept, sentences = keeping.read_folder(folder / "kept")
    found = keeping.with_unknown(kept, sources.all_sources(loaded, name, generator), generator)
    placed, unplaced = keeping.placed_all(kept, found)
    for sentence in (*sentences, *unplaced):
        print(f"note: {folder / 'kept'}: {sentence}")
    origins = Origins(name, str(files[0]), None, folder)
    explorer = Explorer(Renderer(generator, found, {}), origins, Shelf(folder / "kept", placed))
    explorer.compile()
    return Sliders(explorer)
