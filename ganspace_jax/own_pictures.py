"""The pictures of --images, as commands read and invert them.

A note is printed for each kind of picture. A bad picture is named on standard error,
and the other pictures are finished.
"""

import functools
import sys
from typing import Any

from absl import flags

from ganspace_jax import command_line
from ganspace_jax.errors import InputError
from ganspace_jax.files import picture_files
from ganspace_jax.files.picture_files import Pictures
from ganspace_jax.generators import base, zoo
from ganspace_jax.generators.base import Generator
from ganspace_jax.run import Run
from ganspace_jax.sampling import encoder, inversion_losses, inverted_batches
from ganspace_jax.sampling.latent_files import Inputs
from ganspace_jax.scenes.training import discriminator

FLAGS = flags.FLAGS
NO_ENCODER = "none"


def read(generator: Generator) -> Pictures:
    """Returns the pictures of --images in the shape of the generator's images.

    Raises:
        InputError: no picture can be read.
    """
    found = picture_files.find(FLAGS.images)
    pictures = picture_files.read(found.paths, base.image_shape(generator))
    for note in pictures.notes:
        print(note)
    if found.num_passed_over:
        print(f"passed over: {found.num_passed_over} hidden files, folders or files of other kinds")
    if not pictures.names:
        raise InputError(f"--images: no picture can be read; {pictures.problems[0]}")
    for problem in pictures.problems:
        print(f"skipped: {problem}", file=sys.stderr)
    return pictures


def load_encoder(generator_name: str, generator: Generator) -> tuple[str, encoder.Encoder | None]:
    """Returns the directory and the encoder of --encoder, by default of encoder/ in the
    generator's directory; None without one.

    Raises:
        InputError: --encoder names no encoder of this generator.
    """
    if FLAGS.encoder == NO_ENCODER:
        return NO_ENCODER, None
    if FLAGS.encoder is not None:
        try:
            return FLAGS.encoder, encoder.load(FLAGS.encoder, generator)
        except InputError as error:
            raise InputError(f"--encoder={error}") from None
    directory = zoo.resolve(generator_name) / "encoder"
    if not directory.is_dir():
        return NO_ENCODER, None
    return str(directory), encoder.load(directory, generator)


def start(found: encoder.Encoder | None) -> Any:
    """Returns the start of an inversion: the encoder's function; None without one."""
    return None if found is None else functools.partial(encoder.encode, found)


def features(generator_name: str, loss: str) -> Any:
    """Returns the features of the loss "features": those of the discriminator in the
    generator's directory. Returns None for another loss.

    Raises:
        InputError: the generator has no discriminator there.
    """
    if loss != inversion_losses.FEATURES:
        return None
    directory = zoo.resolve(generator_name) / "discriminator"
    if not directory.is_dir():
        raise InputError(f"--loss={loss}: needs the generator's discriminator, but there is no {directory}")
    return discriminator.features(discriminator.load(directory))


def invert(generator_name: str, generator: Generator, label: Any = None) -> Inputs:
    """Returns the latents of the pictures of --images, by the default inversion.

    Prints how near the image of each picture comes.
    """
    pictures = read(generator)
    found_encoder = load_encoder(generator_name, generator)[1]
    with command_line.progress_bar("inverting") as report:
        settings = {"label": label, "start": found_encoder}
        found, _ = inverted_batches.invert(generator, pictures.images, run=Run(report=report), **settings)
    for name, psnr, distance in zip(pictures.names, found.psnr, found.distance, strict=True):
        print(f"{name}: found with a PSNR of {psnr:.1f} dB, {distance:.1f} standard deviations from the mean latent")
    return Inputs(found.latents, None, found.label, pictures.names)
