"""Moves damaged parts of a saved state out of the program's way, and deletes none."""

import os
import pathlib

from ganspace_jax.errors import InputError


def move(part: pathlib.Path, root: pathlib.Path) -> pathlib.Path:
    """Moves a part of `root` into a directory beside `root`, and returns its new path.

    Example: state/running-0/40 becomes state.damaged/running-0-40, or
    state.damaged/running-0-40-2 if that exists.

    Raises:
        InputError: The part cannot be moved.
    """
    return _rename(part, root.with_name(f"{root.name}.damaged") / "-".join(part.relative_to(root).parts))


def move_file(path: pathlib.Path) -> pathlib.Path:
    """Renames a file to NAME.damaged, or NAME.damaged-2 if that exists, and returns the
    new path.

    Raises:
        InputError: The file cannot be moved.
    """
    return _rename(path, path.with_name(f"{path.name}.damaged"))


def _rename(path: pathlib.Path, wanted: pathlib.Path) -> pathlib.Path:
    target, number = wanted, 1
    try:
        target.parent.mkdir(exist_ok=True)
        while os.path.lexists(target):
            number += 1
            target = wanted.with_name(f"{wanted.name}-{number}")
        path.rename(target)
    except OSError as error:
        raise InputError(f"{path}: is damaged, and cannot be moved to {wanted.parent}: {error.strerror}") from None
    return target
