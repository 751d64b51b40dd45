"""Finds the latents of a picture that a page sends, as experiments.invert does."""

import pathlib
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from ganspace_jax.directions.edited_images import Start
from ganspace_jax.files import picture_files
from ganspace_jax.generators import base
from ganspace_jax.generators.base import Generator
from ganspace_jax.run import Run
from ganspace_jax.sampling import inversion
from ganspace_jax.sampling.inversion import Inversion

Report = Callable[[int, int], object]
Invert = Callable[[pathlib.Path, Report], tuple[Start, str]]

MAX_PIXELS = 50_000_000  # of an uploaded picture
_DEFAULT = Inversion()


def inverter(generator: Generator, start: Any = None, label: Any = None, spec: Inversion = _DEFAULT) -> Invert:
    """Returns a function from a picture's file to its latents, and a sentence about
    them. Its second argument receives the finished and all steps.

    Args:
        generator: the generator.
        start: an encoder, as inversion.invert takes it; None: the nearest random image.
        label: class of all pictures; None: the class is found.
        spec: how pictures are inverted.
    """

    def invert(path: pathlib.Path, report: Report) -> tuple[Start, str]:
        picture, done = picture_files.read_one(path, base.image_shape(generator), MAX_PIXELS)
        run = Run(batch_size=1, report=lambda progress: report(progress.done, progress.total))
        found = inversion.invert(generator, picture[None], spec, run, label=label, start=start)
        weights = None if found.label is None else jnp.asarray(found.label[0])
        told = f"{done}; found with a PSNR of {found.psnr[0]:.1f} dB"
        return Start(path.stem, jnp.asarray(found.latents[0]), None, weights), told

    return invert
