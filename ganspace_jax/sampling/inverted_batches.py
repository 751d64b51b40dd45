"""Inverts pictures batch by batch, and saves finished batches, so that the same call
continues a run that was stopped.
"""

import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np

from ganspace_jax.files import checksums, resume
from ganspace_jax.generators import base, zoo
from ganspace_jax.generators.base import Generator
from ganspace_jax.run import Interrupted, Progress, Run
from ganspace_jax.sampling import devices, encoder, inversion, labels, latent_descent
from ganspace_jax.sampling.encoder import Encoder
from ganspace_jax.sampling.inversion import Images, Inversion, Inverted
from ganspace_jax.sampling.inversion_losses import Features
from ganspace_jax.shapes import Float


def invert(
    generator: Generator,
    images: Images,
    spec: Inversion = Inversion(),
    run: Run = Run(),
    *,
    label: Any = None,
    start: Encoder | None = None,
    features: Features | None = None,
) -> tuple[Inverted, Float[np.ndarray, "n"]]:
    """Returns what `inversion.invert` finds, and the seconds of each picture: those of
    its batch, divided by the batch's rows.

    The starts of all pictures are saved first, and then each finished batch. All
    batches have one size, so that the programs are compiled once.

    Args:
        generator: the generator.
        images: pictures in [-1, 1], in the shape of the generator's images.
        spec: how they are inverted.
        run: batch size, progress, stopping, and the directory of the state.
        label: class of the pictures, as in `inversion.invert`; None: it is found.
        start: encoder that finds the latents before the first step; None: see
            `spec.start`.
        features: function of images that returns feature maps, for the loss "features".

    Raises:
        InputError: if an argument does not fit the generator, or if the state is of
            another run.
        Interrupted: if run.should_stop returned True. Finished batches are saved.
    """
    spec, count = inversion.resolve(spec, generator), len(images)
    record = resume.of(
        dataclasses.replace(run, save_every=0.0, should_stop=lambda: False)
    )  # the steps stop, not saving
    record.begin_run(_about(generator, images, spec, run, label, start))
    encode = None if start is None else functools.partial(encoder.encode, start)
    inner = dataclasses.replace(run, state=None, report=_report(run, 0, 0, count))
    with _stopped(run, 0, count):
        begin = functools.partial(inversion.begin, generator, images, spec, inner)
        begun = _saved(
            record,
            _starts_like(generator, count),
            lambda: _present(zip(("start", "label"), begin(label=label, start=encode, features=features), strict=True)),
        )
    parts, size, own_spec = [], _batch_size(generator, count, run), dataclasses.replace(spec, num_starts=1)
    for first in range(0, count, size):
        rows = np.minimum(np.arange(first, first + size), count - 1)  # the last row again fills the batch
        inner = dataclasses.replace(inner, report=_report(run, first, min(size, count - first), count))
        own = {"features": features, **{name: array[rows] for name, array in begun.items()}}
        batch = functools.partial(_invert_batch, generator, np.asarray(images)[rows], own_spec, inner, own)
        with _stopped(run, first, count):
            parts.append(_saved(record, _like(generator, size), batch))
    found = {name: np.concatenate([part[name] for part in parts])[:count] for name in parts[0]}
    seconds = found.pop("seconds")
    return Inverted(**{"label": None, **found}), seconds


def _batch_size(generator: Generator, count: int, run: Run) -> int:
    """Returns the rows of each batch. The batches are as equal as possible."""
    most = run.batch_size or latent_descent.most_rows(generator, devices.own_devices())
    return math.ceil(count / math.ceil(count / most))


def _saved(record: resume.Resume, like: dict[str, np.ndarray], compute: Callable[[], Any]) -> dict[str, np.ndarray]:
    """Returns arrays that were saved before, or computes and saves them."""
    arrays = record.begin_sweep(like)
    if arrays is None:
        arrays = compute()
        record.finish_sweep(arrays)
        record.keep(0, {"nothing": np.zeros(1, np.float32)})  # a record saves results with the next state
    return {name: np.asarray(array) for name, array in arrays.items()}


def _invert_batch(
    generator: Generator, images: Images, spec: Inversion, run: Run, settings: dict[str, Any]
) -> dict[str, np.ndarray]:
    began = time.monotonic()
    found = inversion.invert(generator, images, spec, run, **settings)
    seconds = np.full(len(images), (time.monotonic() - began) / len(images))
    return _present([*found._asdict().items(), ("seconds", seconds)])


def _present(arrays: Iterable[tuple[str, Any]]) -> dict[str, np.ndarray]:
    """Returns the arrays that are not None, in float32."""
    return {name: np.asarray(array, np.float32) for name, array in arrays if array is not None}


def _starts_like(generator: Generator, count: int) -> dict[str, np.ndarray]:
    return _zeros(generator, count, start=generator.latent_shape)


def _like(generator: Generator, count: int) -> dict[str, np.ndarray]:
    shapes = {"latents": generator.latent_shape, "images": base.image_shape(generator)}
    return _zeros(generator, count, **shapes, psnr=(), distance=(), seconds=())


def _zeros(generator: Generator, count: int, **shapes: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Returns arrays of zeros in the shapes of one picture's results and label."""
    if labels.act_on_images(generator):
        shapes["label"] = (generator.num_classes,)
    return {name: np.zeros((count, *shape), np.float32) for name, shape in shapes.items()}


def _report(run: Run, first: int, size: int, total: int) -> Callable[[Progress], None]:
    """Returns a function that reports the steps of a batch as pictures of the run."""

    def report(progress: Progress) -> None:
        done = round(first + size * progress.done / progress.total)
        run.report(Progress(done, total, "picture", progress.note))

    return report


@contextlib.contextmanager
def _stopped(run: Run, first: int, total: int) -> Iterator[None]:
    """Words the message of a stop after `first` finished pictures."""
    try:
        yield
    except Interrupted:
        if not first or run.state is None:
            raise Interrupted("stopped; this run wrote no results") from None
        kept = f"{first} of {total} pictures are saved in {run.state}"
        raise Interrupted(f"stopped; {kept}; the same command continues from there") from None


def _about(
    generator: Generator, images: Images, spec: Inversion, run: Run, label: Any, start: Encoder | None
) -> dict[str, Any]:
    """Returns everything on which the bits of the result depend."""
    arrays = None if start is None else checksums.named_arrays(start.params)
    return {
        "fingerprint": zoo.fingerprint(generator),
        "images": f"{len(images)} pictures {checksums.of_array(images)[:12]}",
        "encoder": None if arrays is None else checksums.of_arrays(arrays).tobytes().hex()[:12],
        "label": label,
        "batch_size": run.batch_size,
        "compute_dtype": getattr(generator.config, "compute_dtype", None),
        "num_devices": jax.local_device_count(),
        **dataclasses.asdict(spec),
    }
