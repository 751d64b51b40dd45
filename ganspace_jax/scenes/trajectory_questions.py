"""The open questions about trajectories, asked of a generator of scenes.

Each function prepares the samples of one question and returns the rows that a measure
makes of them. The probe reads positions, and the renderer draws the true pictures.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ganspace_jax.generators.base import Generator
from ganspace_jax.measures import curve_knots, error_gradients, norm_clip, start_values
from ganspace_jax.measures.answers import Answer
from ganspace_jax.measures.curve_knots import Coordinates
from ganspace_jax.methods import trajectories
from ganspace_jax.methods.image_transforms import LOW_PASS
from ganspace_jax.methods.trajectories import Trajectories, TrajectorySearch
from ganspace_jax.run import Run
from ganspace_jax.sampling import inversion, labels, latent_prior, random_samples, target_descent
from ganspace_jax.sampling.inversion import Inversion
from ganspace_jax.sampling.inversion_losses import Features
from ganspace_jax.sampling.target_descent import Descent
from ganspace_jax.scenes import curve_samples, frame_contents, motion_paths, moved_scenes
from ganspace_jax.scenes.factors import SHAPES
from ganspace_jax.scenes.frame_contents import Contents
from ganspace_jax.scenes.probe import Probe, scorer

DISPLACEMENTS = np.array([0.5, 1.0, 2.0, 4.0, 6.0, 8.0])  # pixels
SHIFTS = (4, 8)  # pixels, of the question about the frame
_STEPS, _RATE = 25, 0.05  # of Adam, per target
_PENALTY = 1e-3  # keeps latents near the prior; in w, clipping costs precision
_TRANSFORMATION = "horizontal"


class Subject(NamedTuple):
    """What a question is asked of.

    Attributes:
        generator: generator of scenes.
        probe: reader of scenes.
        encode: encoder that starts inversions, or None.
        features: function of images that returns feature maps, or None.
        count: number of images.
        num_samples: number of random samples to which curves are fitted.
        seed: seed of the images.
    """

    generator: Generator
    probe: Probe
    encode: Callable[[Any], Any] | None
    features: Features | None
    count: int
    num_samples: int
    seed: int


def start(subject: Subject, run: Run = Run(), budgets: tuple[int, ...] = start_values.BUDGETS) -> list[Answer]:
    """Returns how the start of a search changes what it finds at 8 pixels.

    Each image shifts towards the side that keeps its object in the frame.

    Args:
        subject: what is asked.
        run: not used, because a search takes seconds.
        budgets: numbers of steps in all.
    """
    generator = subject.generator
    samples = random_samples.draw(generator, 0, 2 * subject.count, seed=subject.seed)
    own, random = samples.latent[: subject.count], samples.latent[subject.count :]
    weights = None if samples.weights is None else samples.weights[: subject.count]

    def read(images: np.ndarray) -> np.ndarray:
        return motion_paths.positions(subject.probe, images)

    at = read(target_descent.synthesize(generator, generator.latent_space, own, weights))
    amounts = DISPLACEMENTS[DISPLACEMENTS >= 2.0]
    search = start_values.Search(_descent(generator), own, random, weights, np.where(at > 0, -1.0, 1.0), amounts, read)
    return start_values.measure(search, budgets)


def clip(subject: Subject, run: Run = Run()) -> list[Answer]:
    """Returns what clipping the norm changes along trajectories."""
    generator = subject.generator

    def missed(found: Trajectories) -> np.ndarray:
        """Returns the error of the position, towards the middle of the frame alone."""
        columns = (0, len(found.amounts) // 2, -1)
        made = [
            target_descent.synthesize(generator, found.latent_space, found.latents[:, k], found.weights)
            for k in columns
        ]
        left, own, right = (motion_paths.positions(subject.probe, images) for images in made)
        moved, asked = np.where(own > 0, left - own, right - own), np.where(own > 0, -1.0, 1.0) * found.amounts[-1]
        return np.abs(moved - asked)

    return norm_clip.measure(generator, _spec(subject), missed, run)


def knots(subject: Subject, run: Run = Run()) -> list[Answer]:
    """Returns the precision of curves for read-outs of factors, and for trajectories.

    One half of the trajectories is held out.
    """
    generator = subject.generator
    rows = curve_samples.measure(generator, scorer(subject.probe), subject.num_samples, seed=subject.seed, run=run)
    found = trajectories.follow(generator, _spec(subject), run)
    half = len(found.latents) // 2
    read = trajectories.fit(_rows(found, slice(half))).read
    both = [_pairs(_rows(found, some), read) for some in (slice(half), slice(half, None))]
    return [*rows, curve_knots.measure("horizontal shift, trajectories", *both)]


def recursion(subject: Subject, run: Run = Run()) -> list[Answer]:
    """Returns how far the gradient of each error points along the true path, against
    the displacement.
    """
    generator, count, seed = subject.generator, subject.count, subject.seed
    side = generator.resolution
    found = trajectories.follow(generator, _spec(subject), run)
    paths = [
        motion_paths.of_sprites(count, DISPLACEMENTS, side, seed=seed),
        motion_paths.of_scenes(count, DISPLACEMENTS, side, seed=seed),
        *motion_paths.of_generator(generator, subject.probe, count, DISPLACEMENTS, seed=seed),
        _inverted_scenes(subject, run),
        motion_paths.of_trajectories(generator, found, DISPLACEMENTS),
    ]
    return error_gradients.measure(paths, error_gradients.errors(subject.features), list(DISPLACEMENTS), generator)


def frame(subject: Subject, run: Run = Run()) -> list[Contents]:
    """Returns what each way of moving a picture shows beyond its frame, for objects
    that the frame shows whole, and for objects that it cuts.
    """
    return [
        frame_contents.measure(
            subject.generator, subject.probe, subject.encode, subject.count, SHIFTS, is_cut, seed=subject.seed, run=run
        )
        for is_cut in (False, True)
    ]


def _inverted_scenes(subject: Subject, run: Run) -> error_gradients.Path:
    generator = subject.generator
    factors, side = moved_scenes.draw(subject.count, float(DISPLACEMENTS[-1]), generator.resolution, seed=subject.seed)
    ends = np.array([0.0, *DISPLACEMENTS])[:, None] * side
    images = moved_scenes.render_moved(factors, ends, generator.resolution)
    label = [SHAPES[int(one)] for one in factors.shape] if labels.act_on_images(generator) else None
    found = inversion.invert(generator, images[0], Inversion(), run, label=label, start=subject.encode)
    shared = found.latents.reshape(len(images[0]), -1)
    if not latent_prior.is_chunked(generator):
        shared = found.latents.mean(1)
    return motion_paths.of_inverted_scenes(_descent(generator), shared, found.label, images)


def _descent(generator: Generator) -> Descent:
    prior = inversion.estimate_prior(generator)
    return Descent(generator, generator.latent_space, prior, LOW_PASS, 0.0, _STEPS, _RATE)


def _spec(subject: Subject) -> TrajectorySearch:
    return TrajectorySearch(
        _TRANSFORMATION, clip=False, penalty=_PENALTY, num_steps=_STEPS, rate=_RATE, num_images=subject.count,
        seed=subject.seed,
    )  # fmt: skip


def _rows(found: Trajectories, some: slice) -> Trajectories:
    """Returns the trajectories of some images."""
    weights = None if found.weights is None else found.weights[some]
    return found._replace(
        latents=found.latents[some], psnr=found.psnr[some], distances=found.distances[some], weights=weights
    )


def _pairs(found: Trajectories, read: np.ndarray) -> Coordinates:
    """Returns the coordinates before and after each shift, with the shift as value."""
    x, moved = (found.latents - found.prior.mean) @ read, found.amounts != 0.0
    before = np.broadcast_to(x[:, ~moved], x[:, moved].shape)
    return Coordinates(x[:, moved], np.broadcast_to(found.amounts[moved], before.shape).copy(), before.copy())
