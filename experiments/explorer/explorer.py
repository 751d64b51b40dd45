"""The explorer: what it holds, and its answers to a page's messages.

One function answers all messages, whether they come over HTTP or from a notebook. The
state of the page comes with each message.
"""

import dataclasses
import math
import pathlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from experiments.explorer import (
    about,
    animating,
    encoding,
    exporting,
    keeping,
    messages,
    state,
    turns,
    writing,
)
from experiments.explorer.exporting import Origins
from experiments.explorer.inverting import Invert
from experiments.explorer.jobs import Job, Jobs, Result
from experiments.explorer.keeping import Shelf
from experiments.explorer.messages import MessageError
from experiments.explorer.rendering import Renderer
from experiments.explorer.request import Gone, Request
from experiments.explorer.state import Move, State
from experiments.explorer.turns import Turns
from experiments.explorer.uploading import Uploads
from ganspace_jax import errors
from ganspace_jax.errors import InputError
from ganspace_jax.files import animations, pictures

_MAX_STRIP = 400  # images
_CELL = 64  # pixels of an image in a strip
_SMALLEST = 128  # pixels, to which saved small pictures are enlarged

Answer = tuple[dict[str, Any], bytes]


class Explorer:
    """Answers the messages of pages. Several threads may call it.

    Attributes:
        renderer: makes the pictures.
        origins: names of the generator, the files and the work directory.
        shelf: what is kept.
        jobs: the long work.
        uploads: own pictures that pages have sent.
    """

    def __init__(self, renderer: Renderer, origins: Origins, shelf: Shelf, invert: Invert | None = None):
        self.renderer, self.origins, self.shelf, self.jobs = renderer, origins, shelf, Jobs()
        self._turns = Turns()
        self.uploads = Uploads(renderer, origins.workdir / "uploads", self._turns, invert)
        self._files = threading.Lock()
        self._answers: dict[str, Callable[[Request], Answer]] = {
            "about": self._about,
            "picture": self._picture,
            "strip": self._strip,
            "keep": self._keep,
            "kept": self._kept,
            "forget": self._forget,
            "export": self._export,
            "save": self._save,
            "animate": self._animate,
            "job": self._job,
            "cancel": self._cancel,
            "fetch": self._fetch,
            "upload": self._upload,
        }

    def handle(
        self, content: dict[str, Any], payload: bytes = b"", is_gone: Callable[[], bool] = lambda: False
    ) -> Answer:
        """Returns the answer to a message and its payload. Every error becomes the
        entry "error" of the answer, in one line; "bad" tells that no page of this
        program sends such a message.
        """
        number = messages.id_of(content)
        try:
            kind = messages.choice(content.get("kind"), "kind", tuple(self._answers))
            answer, data = self._answers[kind](Request(content, payload, is_gone))
            return {"id": number, **answer}, data
        except MessageError as error:
            return {"id": number, "error": str(error), "bad": True}, b""
        except InputError as error:
            return {"id": number, "error": str(error)}, b""
        except Gone:
            return {"id": number, "error": "dropped: a newer one is waited for, or the page is gone"}, b""
        except Exception as error:  # the page shows one line, and the program goes on
            line = f"{type(error).__name__}: {errors.first_line(error)}"
            return {"id": number, "error": line, "fault": True}, b""

    def compile(self) -> None:
        """Compiles all programs that the controls need."""
        self.renderer.compile()

    def stop(self) -> None:
        """Ends the long work."""
        self.jobs.stop()

    @contextmanager
    def _turn(self, request: Request) -> Iterator[None]:
        """Holds the generator. Raises Gone if the page has stopped to wait by then."""
        with self._turns.first():
            if request.is_gone():
                raise Gone
            yield

    def _about(self, request: Request) -> Answer:
        return about.describe(self.renderer, self.origins, self.shelf, can_upload=self.can_upload), b""

    def _picture(self, request: Request) -> Answer:
        wanted, moving = request.state(), request.content.get("moving", False)
        which = messages.integer(request.content.get("which", 0), "which", 0, state.MAX_STARTS - 1)
        is_moving = messages.boolean(moving, "moving")
        with self._turn(request):
            before, began = turns.num_compilations(), time.perf_counter()
            image, is_full = self.renderer.picture(wanted, which, moving=is_moving)
            seconds, compiled = time.perf_counter() - began, turns.num_compilations() > before
        file = encoding.encode(pictures.to_uint8(image), moving=is_moving)
        return {
            "seconds": round(seconds, 4), "width": file.width, "height": file.height, "mime": file.mime,
            "compiled": compiled, "full": is_full,
        }, file.data  # fmt: skip

    def _strip(self, request: Request) -> Answer:
        wanted, group = request.state(), messages.text(request.entry("group"), "group")
        first = messages.integer(request.content.get("first", 0), "first", 0, 1_000_000)
        columns = messages.integer(request.content.get("columns", 5), "columns", 1, 15)
        count = messages.integer(request.entry("count"), "count", 1, _MAX_STRIP // columns)
        which = messages.integer(request.content.get("which", 0), "which", 0, state.MAX_STARTS - 1)
        layers = state.read_layers(request.content.get("layers"))
        last = min(first + count, len(self.renderer.directions.group(group).sliders))
        if first >= last:
            raise InputError(f"strip: {group} has no slider {first}")
        rows = [self._row(request, wanted, which, Move(group, k, layers), columns) for k in range(first, last)]
        pixels = np.concatenate(rows)
        file = encoding.encode(pixels)
        return {
            "rows": list(range(first, last)), "columns": columns,
            "width": file.width, "height": file.height, "mime": file.mime,
        }, file.data  # fmt: skip

    def _row(self, request: Request, wanted: State, which: int, move: Move, columns: int) -> np.ndarray:
        """Returns a picture of one slider's range in small images. Other pictures may
        come between two of them.
        """
        layers = self.renderer.directions.slider(move.group, move.number).layers or move.layers
        wanted, move = state.with_step(wanted, move), dataclasses.replace(move, layers=layers)
        frames = animating.swept(self.renderer, wanted, which, move, columns)
        cells = []
        for frame in frames:
            with self._turn(request):
                cells.append(encoding.resized(pictures.to_uint8(frame()), _CELL))
        return np.concatenate(cells, axis=1)

    def _keep(self, request: Request) -> Answer:
        content = request.content
        if "direction" in content:
            given = messages.entries(
                content["direction"], "direction", ("name", "note", "group", "number", "layers", "sigma", "value")
            )
            move = {name: value for name, value in given.items() if name not in ("name", "note")}
            kept = keeping.read_entries(
                {"name": given.get("name", ""), "note": given.get("note", ""), "direction": move}
            )
        else:
            names = ("name", "note", "state")
            kept = keeping.read_entries({name: content[name] for name in names if name in content})
        rows = [edit.index for edit in self.renderer.directions.edits(kept.moves, "latent")]
        if rows:
            kept = dataclasses.replace(kept, rows=self.renderer.directions.rows(rows))
        name = self.shelf.keep(kept)
        return {"name": name, "kept": self.shelf.list()}, b""

    def _kept(self, request: Request) -> Answer:
        return {"kept": self.shelf.list()}, b""

    def _forget(self, request: Request) -> Answer:
        self.shelf.forget(messages.text(request.entry("name"), "name"))
        return {"kept": self.shelf.list()}, b""

    def _export(self, request: Request) -> Answer:
        form = messages.choice(request.entry("form"), "form", exporting.FORMS)
        wanted, name = self._named_state(request)
        is_direction = "kept" in request.content and self.shelf.find(name).direction is not None
        with self._files:
            made = exporting.export(self.renderer, self.origins, wanted, form, name, is_direction=is_direction)
        text = {} if made.text is None else {"text": made.text}
        return {"filename": made.path.name, "path": str(made.path), **text}, made.data

    def _named_state(self, request: Request) -> tuple[State, str]:
        """Returns the state in a message, or the kept one that it names, and a name."""
        if "kept" not in request.content:
            name = messages.text(request.content.get("name", ""), "name", state.MAX_NAME)
            return request.state(), name
        kept = self.shelf.find(messages.text(request.content["kept"], "kept"))
        return kept.state or State(edits=kept.moves), kept.name

    def _save(self, request: Request) -> Answer:
        form = messages.choice(request.content.get("form", "png"), "form", ("png", "strip"))
        wanted, name = self._named_state(request)
        if form == "strip":
            images = self._strip_images(request, wanted)
        else:
            images = []
            for which in range(len(wanted.starts)):
                with self._turn(request):
                    images.append(self.renderer.image(wanted, which))
        pixels = pictures.grid(np.stack(images), len(images))
        scale = max(1, math.ceil(_SMALLEST / images[0].shape[1])) if form == "strip" else 1
        file = encoding.encode(pictures.enlarged(pixels, scale))
        path = self._write(name or "picture", ".png", file.data, "pictures")
        return {"filename": path.name, "mime": file.mime}, file.data

    def _strip_images(self, request: Request, wanted: State) -> list[np.ndarray]:
        """Returns the images of one slider's range, at full size."""
        move = state.read_move(request.entry("of"))
        columns = messages.integer(request.content.get("columns", 7), "columns", 2, 15)
        images = []
        for frame in animating.swept(self.renderer, state.with_step(wanted, move), 0, move, columns):
            with self._turn(request):
                images.append(frame())
        return images

    def _write(self, name: str, suffix: str, data: bytes, folder: str) -> pathlib.Path:
        """Writes a file of a new name into a folder of the work directory."""
        with self._files:
            path = writing.unused_path(self.origins.workdir / folder, name, (suffix,))
            target = path.with_name(path.name + suffix)
            writing.write_file(target, data)
        return target

    def _animate(self, request: Request) -> Answer:
        form = messages.choice(request.content.get("form", "gif"), "form", tuple(animating.MIME))
        if form not in animations.forms():
            raise InputError(
                f"animate: {form} needs ffmpeg, which is not installed; {', '.join(animations.forms())} do not"
            )
        count = messages.integer(request.content.get("frames", 48), "frames", 2, animating.MAX_FRAMES)
        which = messages.integer(request.content.get("which", 0), "which", 0, state.MAX_STARTS - 1)
        height, width = self.renderer.generator.image_size
        if count * height * width > animating.MAX_PIXELS:
            most = animating.MAX_PIXELS // (height * width)
            raise InputError(f"animate: at most {most} frames of {width} x {height} pixels")
        if "walk" in request.content:
            states = messages.items(request.content["walk"], "walk", 50, state.read)
            frames, name = animating.walked(self.renderer, states, which, count), "walk"
        else:
            wanted, move = request.state(), state.read_move(request.entry("of"))
            name = self.renderer.directions.slider(move.group, move.number).name
            frames = animating.swept(self.renderer, state.with_step(wanted, move), which, move, count)
        return {"job": self.jobs.start(lambda job: self._animation(job, frames, count, form, name))}, b""

    def _animation(self, job: Job, frames: Iterator[animating.Frame], count: int, form: str, name: str) -> Result:
        """Returns an animation. Pictures that a person waits for come first."""
        job.report(0, count)
        images = []
        for k, frame in enumerate(frames):
            with self._turns.later():
                images.append(pictures.to_uint8(frame()))
            job.report(k + 1, count)
        data = animating.encoded(images, form)
        path = self._write(name, f".{form}", data, "animations")
        return Result(path.name, animating.MIME[form], data)

    def _job(self, request: Request) -> Answer:
        return self.jobs.status(messages.text(request.entry("job"), "job", 40)), b""

    def _cancel(self, request: Request) -> Answer:
        name = messages.text(request.entry("job"), "job", 40)
        self.jobs.find(name).cancel()
        return self.jobs.status(name), b""

    def _fetch(self, request: Request) -> Answer:
        result = self.jobs.fetch(messages.text(request.entry("job"), "job", 40))
        return {"filename": result.filename, "mime": result.mime}, result.data

    @property
    def can_upload(self) -> bool:
        """Whether an own picture can be inverted here."""
        return self.uploads.invert is not None

    def _upload(self, request: Request) -> Answer:
        name = messages.text(request.entry("name"), "name", 255)
        return {"job": self.jobs.start(self.uploads.accept(name, request.payload))}, b""
