"""Own pictures that a page sends: they are inverted and become starts."""

import pathlib
import re
import threading
from collections.abc import Callable

from experiments.explorer import state, writing
from experiments.explorer.inverting import Invert
from experiments.explorer.jobs import Job, Result
from experiments.explorer.rendering import Renderer
from experiments.explorer.turns import Turns
from ganspace_jax.errors import InputError

MAX_UPLOADS = 50
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}")


class Uploads:
    """The pictures that pages have sent. Several threads may use it.

    Attributes:
        folder: folder of the files.
        invert: function of inverting.py that returns the latents of the picture in a
            file; None if pictures cannot be inverted.
    """

    def __init__(self, renderer: Renderer, folder: pathlib.Path, turns: Turns, invert: Invert | None = None):
        self.folder, self.invert = folder, invert
        self._renderer, self._turns = renderer, turns
        self._count = 0
        self._lock = threading.Lock()

    def accept(self, name: str, data: bytes) -> Callable[[Job], Result]:
        """Writes a picture into the folder, and returns the work that inverts it.

        Raises:
            InputError: if there are too many pictures, if the picture is empty, or if
                pictures cannot be inverted.
        """
        if self.invert is None:
            raise InputError("upload: own pictures are not inverted here")
        if not data:
            raise InputError(f"upload {name}: is empty")
        suffix = pathlib.PurePosixPath(name).suffix
        with self._lock:
            if self._count >= MAX_UPLOADS:
                raise InputError(f"upload: there are {MAX_UPLOADS} pictures already; start the explorer anew for more")
            self._count += 1
            suffix = suffix.lower() if _SUFFIX.fullmatch(suffix) else ""
            path = writing.unused_path(self.folder, pathlib.PurePosixPath(name).stem, (suffix,))
            path = path.with_name(path.name + suffix)
            writing.write_file(path, data)
        return lambda job: self._work(path, job)

    def _work(self, path: pathlib.Path, job: Job) -> Result:
        """Inverts a picture, and adds it to the starts. A picture that fails leaves no
        file.
        """
        assert self.invert is not None

        def report(done: int, total: int) -> None:
            job.report(done, total)
            with self._turns.later():  # pictures that a person waits for come first
                pass

        try:
            start, told = self.invert(path, report)
        except BaseException as error:
            path.unlink(missing_ok=True)
            with self._lock:
                self._count -= 1
            if isinstance(error, InputError):  # the page did not choose the folder
                raise InputError(str(error).replace(str(path), path.name)) from None
            raise
        with self._lock:
            name = writing.unique(path.stem[: state.MAX_NAME - 5], {one.lower() for one in self._renderer.own}, " ")
            self._renderer.add_own(name, start._replace(name=name))
        return Result(f"{name}.txt", "text/plain", told.encode(), {"picture": name, "told": told})
