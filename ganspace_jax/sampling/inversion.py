"""Inversion: the latents whose image is a given picture.

The latents start from those of the nearest of many random images, or from those that an
encoder finds. Adam then moves them in two stages: first all layers together, then each
layer on its own. A Mahalanobis penalty keeps them near the generator's own latents, so
that edits act on them as on samples.
"""

import dataclasses
import math
from typing import Any, Literal, NamedTuple

import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, synthesis
from ganspace_jax.generators.base import Generator
from ganspace_jax.run import Run
from ganspace_jax.sampling import (
    class_search,
    devices,
    image_batches,
    inversion_losses,
    labels,
    latent_descent,
    latent_prior,
    latents,
    nearest_samples,
    start_choice,
)
from ganspace_jax.sampling import inversion_starts as starts
from ganspace_jax.sampling.inversion_losses import Features, psnr
from ganspace_jax.sampling.inversion_starts import Start, Weights
from ganspace_jax.sampling.latent_descent import Problem, Stage, descend
from ganspace_jax.sampling.latent_files import Inputs
from ganspace_jax.sampling.latent_prior import LatentPrior
from ganspace_jax.shapes import Array, Float

MAX_STEPS = 100_000
MAX_SAMPLES = 10_000_000
MAX_STARTS = 500  # no more than the fewest random images

Images = Float[Array | np.ndarray, "n h w c"]


@dataclasses.dataclass(frozen=True)
class Inversion:
    """How a picture is inverted. It checks itself.

    Steps and rates were chosen on scenes that no report uses, from five settings of 80
    steps. With few steps together, latents stay nearer to the generator's own. With a
    rate of 0.1 instead of 0.05, the poorest tenth of the pictures gains half a decibel.

    Attributes:
        latent_space: "w" for one latent, "w+" for one per layer, or "z" for one per
            layer without a mapping network; None: "w+" or "z".
        start: latents before the first step: "nearest" for those of the nearest random
            image, or "mean".
        loss: error of an image: "pixels", "blurred" pixels, or pixels and "features".
        num_steps_shared: number of steps in which all layers move together.
        num_steps: number of steps after them, in which each layer moves on its own.
        rate_shared: largest learning rate of the first steps.
        rate: largest learning rate of the steps after them.
        penalty: weight of the squared Mahalanobis distance, relative to the mean
            squared error; None: 1e-4 with a mapping network, else 1e-3.
        num_nearest: number of random images; None: 10,000 up to 64 pixels, then fewer.
        num_starts: number of equal parts of the random images. The nearest image of
            each is a start, and the start that leads nearest is chosen.
        seed: seed of the random images.
    """

    latent_space: Literal["w", "w+", "z"] | None = None
    start: Literal["nearest", "mean"] = "nearest"
    loss: Literal["pixels", "blurred", "features"] = "pixels"
    num_steps_shared: int = 10
    num_steps: int = 70
    rate_shared: float = 0.1
    rate: float = 0.1
    penalty: float | None = None
    num_nearest: int | None = None
    num_starts: int = 1
    seed: int = 0

    def __post_init__(self):
        """Checks the values that need no generator. Raises InputError."""
        choices = {
            "latent_space": ("w", "w+", "z", None),
            "start": ("nearest", "mean"),
            "loss": inversion_losses.LOSSES,
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                listed = ", ".join(filter(None, known))
                raise InputError(f"--{name}={getattr(self, name)}: there are: {listed}")
        for name in ("num_steps_shared", "num_steps"):
            if not 0 <= getattr(self, name) <= MAX_STEPS:
                raise InputError(f"--{name}={getattr(self, name)}: must be from 0 to {MAX_STEPS:,}")
        for name in ("rate_shared", "rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(f"--{name}={getattr(self, name)}: must be a positive number")
        if self.penalty is not None and not 0 <= self.penalty < math.inf:
            raise InputError(f"--penalty={self.penalty}: must be a number, at least 0")
        if self.num_nearest is not None and not 1 <= self.num_nearest <= MAX_SAMPLES:
            raise InputError(f"--num_nearest={self.num_nearest}: must be from 1 to {MAX_SAMPLES:,}")
        if not 1 <= self.num_starts <= min(MAX_STARTS, self.num_nearest or MAX_STARTS):
            raise InputError(
                f"--num_starts={self.num_starts}: must be from 1 to {MAX_STARTS:,}, and at most --num_nearest"
            )
        if self.num_starts > 1 and self.start != "nearest":
            raise InputError(
                f"--num_starts={self.num_starts}: starts are random images; leave out --start={self.start}"
            )
        if not 0 <= self.seed < synthesis.NUM_SEEDS:
            raise InputError(f"--seed={self.seed}: must be from 0 to {synthesis.NUM_SEEDS - 1}")


class Inverted(NamedTuple):
    """Latents of pictures, and how near their images come.

    Attributes:
        latents: per-layer latents.
        images: images of the latents, not clipped.
        psnr: peak signal-to-noise ratio of each clipped image against its picture, in
            decibels.
        distance: Mahalanobis distance of each picture's mean latent from the
            generator's own latents, in standard deviations; a sample's is about 1.
        label: class weights; None if the class has no effect on the image of a latent.
    """

    latents: Float[np.ndarray, "n layers d"]
    images: Float[np.ndarray, "n h w c"]
    psnr: Float[np.ndarray, "n"]
    distance: Float[np.ndarray, "n"]
    label: Float[np.ndarray, "n classes"] | None


def resolve(spec: Inversion, generator: Generator) -> Inversion:
    """Returns the spec with the latent space, the penalty and the number of random
    images filled for this generator.

    Raises:
        InputError: if the generator does not have the latent space.
    """
    spaces = ("w+", "w") if generator.has_mapping else ("z",)
    space = spaces[0] if spec.latent_space is None else spec.latent_space
    if space not in spaces:
        with_or_without = "a w" if generator.has_mapping else "no w"
        raise InputError(
            f"--latent_space={space}: this generator has {with_or_without}; must be {' or '.join(sorted(spaces))}"
        )
    penalty = (1e-4 if generator.has_mapping else 1e-3) if spec.penalty is None else spec.penalty
    number = spec.num_nearest or nearest_samples.default_number(generator.resolution)
    return dataclasses.replace(spec, latent_space=space, penalty=penalty, num_nearest=number)


def invert(
    generator: Generator,
    images: Images,
    spec: Inversion = Inversion(),
    run: Run = Run(),
    *,
    label: Any = None,
    start: Start = None,
    features: Features | None = None,
) -> Inverted:
    """Returns the latents whose images are nearest to pictures.

    The result of a picture does not depend on the other pictures.

    Args:
        generator: the generator.
        images: pictures in [-1, 1], in the shape of the generator's images.
        spec: how they are inverted.
        run: batch size, progress and stopping; it changes the result by rounding only.
        label: class index, class name, a list of them, or class weights [n, classes];
            None: the class is found.
        start: latents before the first step, or an encoder: a function of images that
            returns latents, and class weights or None. None: see `spec.start`.
        features: function of images that returns feature maps, for the loss "features".

    Raises:
        InputError: if an argument does not fit the generator.
        Interrupted: if run.should_stop returned True. Nothing is written.
    """
    spec, pictures = resolve(spec, generator), _check(generator, images, spec, features)
    problem, prior = _problem(generator, spec, features)
    given, weights = _begin(problem, prior, pictures, spec, run, label, start)
    stages = (
        Stage(spec.num_steps_shared, spec.rate_shared, not problem.chunked),
        Stage(spec.num_steps, spec.rate, spec.latent_space == "w"),
    )
    rows = latent_descent.batch_rows(problem, len(pictures), run, devices.own_devices())
    run = dataclasses.replace(run, batch_size=rows)
    found, _ = descend(problem, given, weights, pictures, stages, run)
    inputs = Inputs(found, None, weights, [])
    made = [batch["image"] for batch in image_batches.generate(generator, inputs, run=Run(rows))]
    made = np.concatenate(made)
    return Inverted(found, made, psnr(made, pictures), distance(generator, prior, found), weights)


def begin(
    generator: Generator,
    images: Images,
    spec: Inversion = Inversion(),
    run: Run = Run(),
    *,
    label: Any = None,
    start: Start = None,
    features: Features | None = None,
) -> tuple[Float[np.ndarray, "n layers d"], Weights]:
    """Returns the latents before the first step, and the class weights: the `start` and
    the `label` with which `invert` finds what it finds without them.

    Args and exceptions are those of `invert`.
    """
    spec, pictures = resolve(spec, generator), _check(generator, images, spec, features)
    return _begin(*_problem(generator, spec, features), pictures, spec, run, label, start)


def _begin(
    problem: Problem, prior: LatentPrior, pictures: Images, spec: Inversion, run: Run, label: Any, start: Start
) -> tuple[Float[np.ndarray, "n layers d"], Weights]:
    generator, sampling = problem.generator, starts.Sampling(spec.num_nearest or 0, spec.num_starts, spec.seed)
    if start is not None and spec.num_starts > 1:
        raise InputError(
            f"--num_starts={spec.num_starts}: starts are random images; leave it out, or use --encoder=none"
        )
    given, weights = starts.given(generator, pictures, start, label, run)
    if weights is None and labels.act_on_images(generator):
        weights = class_search.find(problem, pictures, sampling, run)
    if given is None and spec.start == "nearest":
        nearest = starts.nearest(generator, pictures, weights, sampling, run)
        given = start_choice.choose(problem, pictures, nearest, weights, run)
    if given is None:
        given = np.broadcast_to(prior.mean, (len(pictures), *generator.latent_shape))
    if spec.latent_space == "w":
        given = np.repeat(given.mean(1, keepdims=True), given.shape[1], 1)
    return given, weights


def estimate_prior(generator: Generator, *, num_samples: int = 10_000, seed: int = 0) -> LatentPrior:
    """Returns the distribution of the generator's latents of one layer. If the layers
    hold chunks of one z, the distribution is that of the whole z.
    """
    if latent_prior.is_chunked(generator):
        return latent_prior.of_z(generator, math.prod(generator.latent_shape))
    return latent_prior.estimate(generator, num_samples=num_samples, seed=seed)


def distance(
    generator: Generator, prior: LatentPrior, found: Float[np.ndarray, "n layers d"]
) -> Float[np.ndarray, "n"]:
    """Returns the Mahalanobis distance of latents, in standard deviations, from
    `estimate_prior`.
    """
    whole = found.reshape(len(found), 1, -1) if latent_prior.is_chunked(generator) else found
    return np.asarray(latent_prior.distance(prior, whole))


def _problem(generator: Generator, spec: Inversion, features: Features | None) -> tuple[Problem, LatentPrior]:
    prior = estimate_prior(generator, seed=spec.seed)
    penalty = inversion_losses.penalty(prior, spec.penalty or 0.0)
    bound = latents.CUT if generator.prior == "truncated_normal" else math.inf
    return Problem(generator, spec.loss, features, penalty, bound, latent_prior.is_chunked(generator)), prior


def _check(generator: Generator, images: Images, spec: Inversion, features: Features | None) -> Images:
    """Returns the pictures in float32. Raises InputError if they do not fit."""
    pictures, shape = np.asarray(images, np.float32), base.image_shape(generator)
    if pictures.ndim != 4 or pictures.shape[1:] != shape or not len(pictures):
        raise InputError(f"images: have shape {list(pictures.shape)}; this generator needs [n, {str(shape)[1:-1]}]")
    if not np.isfinite(pictures).all():
        raise InputError("images: contain NaN or infinity")
    if (spec.loss == inversion_losses.FEATURES) != (features is not None):
        found = "needs a function of features" if features is None else "has no use for features"
        raise InputError(f"--loss={spec.loss}: {found}")
    return pictures
