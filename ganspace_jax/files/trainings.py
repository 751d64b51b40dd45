"""The work directory of a training: which run it belongs to, and its metrics.

    run.flags              the flags, which repeat the run
    state/training.json    the flags on which the result depends; others are refused
    metrics.jsonl          one line of figures for every so many images

Nothing is written before the state directory is known to belong to the run.
"""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from ganspace_jax.errors import InputError, first_line
from ganspace_jax.files import disk_errors, outputs, run_identities

_KEPT = "states that were saved before are intact"
_FLAGS, _METRICS = "run.flags", "metrics.jsonl"


def check(workdir: pathlib.Path, about: Mapping[str, Any]) -> None:
    """Checks that a run may write to the work directory. Writes nothing.

    Args:
        workdir: work directory, which the caller has claimed.
        about: flags on which the result depends, as JSON values.

    Raises:
        InputError: The directory holds the states of a training with other flags, or a
            directory has the name of a file.
    """
    path = _identity(workdir)
    outputs.check_files(workdir, [_FLAGS, _METRICS, str(path.relative_to(workdir))])
    try:
        saved = run_identities.read(path)
    except run_identities.DamagedError as error:
        raise InputError(f"{path}: damaged: {error}; remove it to continue without a check of the flags") from None
    has_states = any(one.name.isdecimal() for one in path.parent.glob("*"))
    if saved is not None and has_states:
        run_identities.check(path.parent, saved, json.loads(json.dumps(about)), "--{}".format)


def begin(workdir: pathlib.Path, about: Mapping[str, Any], flagfile: str) -> None:
    """Writes the flags of a run that `check` has allowed.

    Raises:
        InputError: The directory cannot be written, for example on a full disk.
    """

    def write() -> None:
        path = _identity(workdir)
        path.parent.mkdir(parents=True, exist_ok=True)
        run_identities.write(path, about)
        (workdir / _FLAGS).write_text(flagfile)

    disk_errors.refused(f"--workdir={workdir}", write, _KEPT)


def _identity(workdir: pathlib.Path) -> pathlib.Path:
    return workdir / "state" / "training.json"


def append_metrics(workdir: pathlib.Path, num_images: int, figures: Mapping[str, Any]) -> None:
    """Appends one line of rounded figures, which are numbers or arrays of one number.

    Raises:
        InputError: The file cannot be written, for example on a full disk.
    """
    rounded = {name: round(float(value), 5) for name, value in figures.items()}

    def write() -> None:
        with open(workdir / _METRICS, "a") as file:
            file.write(json.dumps({"images": num_images, **rounded}) + "\n")

    disk_errors.refused(str(workdir / _METRICS), write, _KEPT)


def forget_metrics_after(workdir: pathlib.Path, num_images: int) -> None:
    """Removes metrics later than the resumed state, and an incomplete last line.

    A killed run can leave both.

    Raises:
        InputError: A line is damaged.
    """
    path = workdir / _METRICS
    if not path.exists():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [
        line
        for number, line in enumerate(lines, start=1)
        if line.endswith(b"\n") and _images(path, number, line) <= num_images
    ]
    if kept != lines:
        scratch = path.with_name(f".{path.name}.writing")
        disk_errors.refused(str(path), lambda: scratch.write_bytes(b"".join(kept)), _KEPT)
        os.replace(scratch, path)


def _images(path: pathlib.Path, number: int, line: bytes) -> int:
    """Returns the number of images of a line; raises InputError."""
    try:
        images = json.loads(line)["images"]
        if type(images) is not int:
            raise ValueError(f"images is {images!r}")
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise InputError(f"{path}: line {number} is damaged: {first_line(error)}; remove that line") from None
    return images
