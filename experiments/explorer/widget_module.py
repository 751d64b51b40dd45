"""Joins the page's ES modules into one, which is the notebook's widget.

anywidget loads one module. The modules of the page have only imports of one another, at
their beginning, and no two of them define the same name. So their sources follow one
another, each after those that it imports.
"""

import pathlib
import re

from ganspace_jax.errors import InputError

PAGE = pathlib.Path(__file__).with_name("page")
STYLES = "explorer.css"
_ENTRY = "explorer.js"
_IMPORT = re.compile(r'^import (?P<names>[^;]*?) from "\./(?P<file>[\w.]+)";\n', re.MULTILINE)
_ALL_NAMES = re.compile(r"\* as (\w+)")
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)
_EXPORTED = re.compile(r"^export (?:async )?(?:function|const|class) (\w+)", re.MULTILINE)


def joined(folder: pathlib.Path = PAGE, entry: str = _ENTRY) -> str:
    """Returns the source of one module that does what `entry` and its imports do.

    Raises:
        InputError: if a module imports itself through others, or renames an import.
    """
    sources: dict[str, str] = {}
    _add(folder, entry, sources, ())
    return "".join(sources.values())


def _add(folder: pathlib.Path, name: str, sources: dict[str, str], importing: tuple[str, ...]) -> None:
    """Adds the source of a module after the sources of the modules that it imports."""
    if name in sources:
        return
    if name in importing:
        raise InputError(f"{name}: imports itself through {', '.join(importing)}")
    source = (folder / name).read_text(encoding="utf-8")
    for match in _IMPORT.finditer(source):
        _add(folder, match["file"], sources, (*importing, name))
        if " as " in match["names"]:
            space = _space(folder, name, match["names"], match["file"])
            if space not in sources[match["file"]]:
                sources[match["file"]] += space
    body = _EXPORT.sub("", _IMPORT.sub("", source))
    sources[name] = f"// {name}\n{body}\n"


def _space(folder: pathlib.Path, name: str, names: str, file: str) -> str:
    """Returns an object that stands for all that a module exports."""
    match = _ALL_NAMES.fullmatch(names.strip())
    if match is None:
        raise InputError(f"{name}: renames what it imports from {file}; import it under its own name")
    exported = _EXPORTED.findall((folder / file).read_text(encoding="utf-8"))
    return f"const {match[1]} = {{ {', '.join(exported)} }};\n"
