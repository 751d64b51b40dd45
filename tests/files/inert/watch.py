"""Watches what a reader does: imports, calls of the system, and files."""

import contextlib
import encodings.cp437
import encodings.unicode_escape  # noqa: F401 - two codecs of archives and messages, before the watch
import sys

_EVENTS = (
    "import", "exec", "compile", "open", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.remove", "os.rename",
    "os.mkdir", "os.listdir", "os.putenv", "shutil.", "subprocess.Popen", "socket.", "pickle.find_class", "ctypes.",
    "code.__new__", "urllib.Request", "object.__setattr__", "builtins.input", "tempfile.",
)  # fmt: skip
_seen: list[tuple] | None = None


def _record(event, arguments):
    if _seen is not None and event.startswith(_EVENTS):
        _seen.append((event, str(arguments[0]) if arguments else ""))


sys.addaudithook(_record)  # hooks cannot be removed, so this one does nothing outside `nothing_happens`


@contextlib.contextmanager
def nothing_happens(path):
    """Fails if the block does anything but open the file at `path`."""
    global _seen
    modules, _seen = set(sys.modules), []
    try:
        yield
    finally:
        seen, _seen = _seen, None
    assert [one for one in seen if one != ("open", str(path))] == []
    assert set(sys.modules) == modules
