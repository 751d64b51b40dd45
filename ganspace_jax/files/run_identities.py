"""The file beside the states of a run that tells which run they belong to.

It is JSON: everything on which the bits of the result depend, and a checksum. Files of
earlier versions have no checksum.
"""

import json
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from ganspace_jax.errors import InputError, first_line
from ganspace_jax.files import checksums

_CHECKSUM = "checksum"
MARK = "fingerprint"  # an entry of every file of a decomposition, also of earlier versions

About = dict[str, Any]


class DamagedError(ValueError):
    """The file is damaged; the message is the reason."""


def read(path: pathlib.Path) -> About | None:
    """Returns the content of the file without its checksum, or None if there is no
    file.

    Raises:
        DamagedError: The file is no JSON object, or differs from its checksum.
    """
    try:
        about = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedError(first_line(error)) from None
    if not isinstance(about, dict):
        raise DamagedError("no JSON object")
    saved = about.pop(_CHECKSUM, None)
    if saved is not None and saved != checksums.of_json(about):
        raise DamagedError("differs from its checksum")
    return about


def write(path: pathlib.Path, about: Mapping[str, Any]) -> None:
    """Writes the file in one step; raises OSError."""
    scratch = path.with_name(f".{path.name}.writing")
    scratch.write_text(json.dumps({**about, _CHECKSUM: checksums.of_json(about)}, indent=2) + "\n")
    os.replace(scratch, path)


def check(directory: pathlib.Path, saved: About, own: About, in_words: Callable[[str], str]) -> None:
    """Raises InputError if the states belong to another run.

    Args:
        directory: state directory, for the message.
        saved: content of the file.
        own: what the file of this run would contain.
        in_words: function that returns the name of an entry for the message.
    """
    for name in dict.fromkeys([*own, *saved]):  # causes come before their consequences, such as the batch size
        if own.get(name) != saved.get(name):
            raise InputError(
                f"{directory}: holds an unfinished run with {saved.get(name)} for {in_words(name)}, this run has "
                f"{own.get(name)}; repeat its flags, name another work directory, or remove that directory"
            )
