"""Names of files for pictures, from the names that the pictures had elsewhere."""

import collections
import pathlib
import re
from collections.abc import Sequence

_MAX_STEM = 50  # characters


def safe(name: str) -> str:
    """Returns the stem of a picture's path, with the characters that every file system
    allows.
    """
    stem = pathlib.PureWindowsPath(name).stem
    return re.sub(r"[^\w.-]+", "_", stem).strip("._")[:_MAX_STEM]


def unique(stems: Sequence[str]) -> list[str]:
    """Returns names that differ, also where a file system ignores their case; equal
    stems are numbered.
    """
    total, seen = collections.Counter(stem.lower() for stem in stems), collections.Counter[str]()
    names: dict[str, str] = {}
    for stem in stems:
        key = stem.lower()
        name = stem if total[key] == 1 else f"{stem}_{seen[key]:04d}"
        seen[key] += 1
        while name.lower() in names:
            name += "_"
        names[name.lower()] = name
    return list(names.values())
