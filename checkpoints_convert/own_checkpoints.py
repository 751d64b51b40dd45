"""Copies a checkpoint of this program: a directory to one file, or one file to a
directory.
"""

import os
import pathlib

from ganspace_jax.errors import InputError
from ganspace_jax.files import outputs, single_files
from ganspace_jax.generators import zoo


def is_own(source: str) -> bool:
    """Returns whether a source is a shipped generator or a checkpoint of this
    program.
    """
    path = pathlib.Path(source)
    if path.is_dir():
        return (path / "config.json").is_file() and (path / "arrays").is_dir()
    return single_files.is_checkpoint(path) if path.is_file() else source in zoo.ZOO and not os.path.lexists(source)


def copy(source: str, output: str) -> None:
    """Writes a checkpoint of this program in the other form.

    Raises:
        InputError: The source is damaged or has the output's form already. Or the
            output exists, and is no copy of the source.
    """
    place = pathlib.Path(output)
    is_file = single_files.is_name(output)
    if not is_file and not pathlib.Path(source).is_file():
        raise InputError(
            f"--source={source}: is a checkpoint of this program already; give it as --generator={source}, "
            f"or give --output=NAME{single_files.SUFFIX} for one file"
        )
    generator = zoo.load(source)
    if place.exists() and (is_file or not place.is_dir() or any(place.iterdir())):
        _refuse_others(output, zoo.fingerprint(generator))
    if is_file:
        check_file(output)
        zoo.save_file(output, generator)
        return
    with outputs.replacement(output, "--output=") as made:
        zoo.save(made, generator)


def check_file(output: str) -> None:
    """Raises InputError if a file cannot be written, before the work."""
    target = pathlib.Path(output)
    if target.is_dir():
        raise InputError(f"--output={output}: is a directory; name a file")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--output={output}: cannot be written: {error.strerror}; name another file") from None


def _refuse_others(output: str, fingerprint: str) -> None:
    """Raises InputError if the output is not the same generator already."""
    try:
        is_same = zoo.fingerprint(zoo.load(output)) == fingerprint
    except InputError:
        is_same = False
    if not is_same:
        raise InputError(f"--output={output}: exists and is another generator or none; name another, or remove it")
