"""The scorers by name, for --scorer.

- probe: reads the factors of the procedural scenes.
- statistics: reads brightness, colours, sharpness and place from the pixels.
- FILE.onnx: a network, such as a classifier. Settings follow after commas, such as
  faces.onnx,range=imagenet,names=smile+age; measures/onnx_scorer describes them.
- MODULE:FUNCTION or FILE.py:FUNCTION: a Python function of the user. It maps images
  [n, h, w, c] in [-1, 1], NumPy's float32, to an array or to a dict of arrays by name.
  Each array has shape [n] or [n, values]. Its attributes `periods`, a dict, and
  `categories`, a list of names, are optional; measures/scorers describes them.

The probe has fixed standard deviations. All other scorers measure in the standard
deviations over reference images.
"""

import importlib
import importlib.util
import os
import pathlib
import re
import sys
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import numpy as np

from ganspace_jax.directions.components import Components
from ganspace_jax.errors import InputError, first_line, nearest
from ganspace_jax.generators import synthesis, zoo
from ganspace_jax.generators.base import Generator
from ganspace_jax.measures import effects, onnx_scorer, picture_statistics, scorers
from ganspace_jax.measures.scorers import Images, Scorer
from ganspace_jax.sampling.labels import Label
from ganspace_jax.scenes import probe

NAMES = ("probe", "statistics")
_ONNX = re.compile(r"(.+?\.onnx)((?:,.*)?)", re.IGNORECASE)
_MOST_LEFT_OUT = 5  # names in a note


def load(
    name: str, reference: Callable[[], Images], *, generator_name: str = "", probe_directory: str | None = None
) -> Scorer:
    """Returns a scorer by name. What it reads or leaves out is printed.

    Args:
        name: name of the scorer; see the module's docstring.
        reference: function that returns the reference images. It is not called for the
            probe.
        generator_name: name of the images' generator. The probe is for scenes, so a
            note is printed if the generator is not in the zoo.
        probe_directory: checkpoint directory of the probe; by default the shipped one.

    Raises:
        InputError: there is no such scorer, or it cannot read the images.
    """
    subject = f"--scorer={name}"
    if probe_directory is not None and name != "probe":
        raise InputError(f"--probe={probe_directory}: is not used by {subject}; leave one of them out")
    if name == "probe":
        if generator_name and generator_name not in zoo.ZOO:
            print("note: --scorer=probe: reads scenes only; --scorer=statistics reads images of any generator")
        return _probe_scorer(probe_directory)
    if name == "statistics":
        found = picture_statistics.scorer(reference())
    elif matched := _ONNX.fullmatch(name):
        path, settings = matched.groups()
        network = onnx_scorer.load(path, onnx_scorer.parse_settings(settings, f"--scorer={path}"), subject=subject)
        print(f"note: --scorer={path}: {onnx_scorer.describe(network)}")
        found = onnx_scorer.scorer(network, reference())
    elif ":" in name:
        found = _function_scorer(name, reference(), subject)
    else:
        raise InputError(
            f"{subject}: no such scorer; {nearest(name, NAMES)}must be {', '.join(NAMES)}, FILE.onnx or MODULE:FUNCTION"
        )
    if found.left_out:
        names = ", ".join(found.left_out[:_MOST_LEFT_OUT])
        more = f" and {len(found.left_out) - _MOST_LEFT_OUT} more" if len(found.left_out) > _MOST_LEFT_OUT else ""
        print(f"note: {subject}: leaves out {names}{more}, because the images do not show or do not vary it")
    return found


def reference_images(
    generator: Generator, components: Components, *, num_samples: int, seed: int, label: Label = None
) -> Images:
    """Returns the random images from which `effects.measure` starts, before a step."""
    label = components.spec.label if label is None else label
    start, weights = effects.random_start(generator, num_samples=num_samples, label=label, seed=seed)
    images = np.asarray(synthesis.synthesize(generator, jnp.asarray(start), label=weights), np.float32)
    synthesis.check_finite(images, "reference images")
    return images


def _probe_scorer(directory: str | None) -> Scorer:
    scorer = probe.scorer(probe.load(directory or probe.SHIPPED))

    def read(images: Images) -> scorers.Values:
        try:
            return scorer.read(images)
        except InputError as error:
            raise InputError(f"--scorer=probe: {error}; --scorer=statistics reads images of any size") from None

    return scorer._replace(read=read)


def _function_scorer(name: str, images: Images, subject: str) -> Scorer:
    function = _imported(name, subject)

    def read(some: Images) -> Any:
        try:
            return function(np.asarray(some, np.float32))
        except Exception as error:
            raise InputError(f"{subject}: {type(error).__name__}: {first_line(error)}{_line(error)}") from None

    settings = {"periods": getattr(function, "periods", {}), "categories": getattr(function, "categories", ())}
    return scorers.fit(read, images, **settings, subject=subject)


def _imported(name: str, subject: str) -> Callable[[np.ndarray], Any]:
    """Imports a function of the user, from the working directory or Python's path."""
    place, _, attribute = name.rpartition(":")
    try:
        module = _module(place)
    except (Exception, SystemExit) as error:
        raise InputError(
            f"{subject}: cannot import {place}: {type(error).__name__}: {first_line(error)}{_line(error)}"
        ) from None
    function = getattr(module, attribute, None)
    if not callable(function):
        known = [one for one in dir(module) if not one.startswith("_") and callable(getattr(module, one))]
        raise InputError(f"{subject}: {place} has no function {attribute!r}; {nearest(attribute, known)}".rstrip("; "))
    return function


def _module(place: str) -> ModuleType:
    if not place.endswith(".py"):
        if os.getcwd() not in sys.path:  # an installed command does not have it
            sys.path.insert(0, os.getcwd())
        return importlib.import_module(place)
    spec = importlib.util.spec_from_file_location(pathlib.Path(place).stem, place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _line(error: BaseException) -> str:
    """Returns the last line of the user's code that led to the error."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and not re.search(r"<frozen|importlib|site-packages", frame.filename)
    ]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
