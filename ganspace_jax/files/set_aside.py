"""Moves damaged parts of a state directory out of the program's way, and deletes
none.
"""

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
    directory = root.with_name(f"{root.name}.damaged")
    name = "-".join(part.relative_to(root).parts)
    try:
        directory.mkdir(exist_ok=True)
        target, number = directory / name, 1
        while os.path.lexists(target):
            number += 1
            target = directory / f"{name}-{number}"
        part.rename(target)
    except OSError as error:
        raise InputError(f"{part}: is damaged, and cannot be moved to {directory}: {error.strerror}") from None
    return target
