"""The direction of a wanted transformation, in closed form from tangents, without
labels.

J is the Jacobian of an image with respect to its latent w, and tau the tangent of the
transformation at t = 0. The latent's move is a damped least squares solution:

    dw = (J^T J + l S^-1)^-1 J^T tau,    l = damping x tr(E[J^T J] S) / d.

S is the covariance of the latent, d its size. The rows of J and tau are 0 outside the
transformation's mask, and blurred. The direction is p, the mean of dw over images. It
reads a latent by S^-1 p, whose coordinate is in units of t.

The method judges itself. Where the images' moves point into different directions, no
single direction makes the transformation.
"""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from ganspace_jax.directions import latent_directions
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.directions.sources import Source
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, synthesis, zoo
from ganspace_jax.generators.base import Generator
from ganspace_jax.methods import image_transforms
from ganspace_jax.run import Run
from ganspace_jax.sampling import image_tangents, labels, latent_prior, random_samples
from ganspace_jax.sampling.latent_prior import LatentPrior
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.shapes import Float
from ganspace_jax.statistics import bootstrap
from ganspace_jax.statistics.bootstrap import Figure
from ganspace_jax.statistics.monotone_curves import REACH, Curve

METHOD = "tangents of a transformation"
LEAST_AGREEMENT = 0.7  # below it, no single direction makes the transformation
_MOST_IMAGES = 100_000


@dataclasses.dataclass(frozen=True)
class TangentSearch:
    """What is found, and from how many images. It is stored in the components file.

    Attributes:
        transformation: name of the transformation: horizontal, vertical, zoom, rotate,
            brightness or hue.
        damping: weight of the term that keeps the move among the generator's own
            latents.
        label: class name, class index, or "all"; None: all classes.
        num_images: number of images.
        num_samples: number of samples that give the covariance of w.
        seed: seed of the samples.
    """

    transformation: str = "horizontal"
    damping: float = 1.0
    label: str | int | None = None
    num_images: int = 64
    num_samples: int = 10_000
    seed: int = 0

    def __post_init__(self):
        """Checks the values that need no generator. Raises InputError."""
        if not 0 < self.damping < np.inf:
            raise InputError(f"--damping={self.damping}: must be a positive number")
        if not 2 <= self.num_images <= _MOST_IMAGES:
            raise InputError(f"--num_images={self.num_images}: must be from 2 to {_MOST_IMAGES:,}")
        if not 0 <= self.seed < synthesis.NUM_SEEDS - 1:
            raise InputError(f"--seed={self.seed}: must be from 0 to {synthesis.NUM_SEEDS - 2}")


class Tangents(NamedTuple):
    """The moves of all images.

    Attributes:
        moves: change dw of each image's latent for t = 1.
        squares: squared length of each tangent.
        missed: squared length of the part of each tangent that the move misses.
        prior: distribution of the latent.
    """

    moves: Float[np.ndarray, "n l"]
    squares: Float[np.ndarray, "n"]
    missed: Float[np.ndarray, "n"]
    prior: LatentPrior


def find(generator: Generator, spec: TangentSearch, run: Run = Run(), *, name: str = "") -> tuple[Components, Tangents]:
    """Finds the direction of a transformation.

    Args:
        generator: the generator.
        spec: which transformation, and from how many images.
        run: batch size, progress and stopping.
        name: name of the generator in the components file.

    Returns:
        One named direction, and the moves from which it is the mean.

    Raises:
        InputError: if there is no such transformation or class, or if the images have
            no hue.
        Interrupted: if run.should_stop returned True.
    """
    transform = image_transforms.for_images(spec.transformation, base.image_shape(generator))
    label = labels.resolve("all" if spec.label is None and generator.num_classes else spec.label, generator)
    at = random_samples.draw(generator, 0, spec.num_images, seed=spec.seed + 1, label=label)
    equations = image_tangents.measure(
        generator, functools.partial(image_transforms.tangent, transform), image_transforms.low_pass,
        at.layers, at.weights, run,
    )  # fmt: skip
    prior = _prior(generator, spec, label)
    weight = spec.damping * np.sum(equations.gram.mean(0) * prior.covariance) / len(prior.mean)
    moves = equations.solve(weight * prior.precision)
    tangents = Tangents(moves, equations.squares, equations.missed(moves), prior)
    return _components(generator, spec, tangents, transform.unit, label, name), tangents


def _prior(generator: Generator, spec: TangentSearch, label: labels.Label) -> LatentPrior:
    if not generator.has_mapping:
        return latent_prior.of_z(generator, generator.latent_size)
    return latent_prior.estimate(generator, num_samples=spec.num_samples, seed=spec.seed, label=label)


def read_out(tangents: Tangents) -> Float[np.ndarray, "l"]:
    """Returns the vector S^-1 p / (p^T S^-1 p), which reads a move along p in units of
    t.
    """
    move = tangents.moves.mean(0)
    weights = tangents.prior.precision @ move
    return weights / (move @ weights)


def agreement(moves: Float[np.ndarray, "n l"], precision: Float[np.ndarray, "l l"]) -> Float[np.ndarray, "n"]:
    """Returns the cosine of each image's move with the mean move of the other images,
    in standard deviations of the latent: <a, b> = a^T S^-1 b.

    Because each image is left out of the mean, unrelated moves have a mean cosine near
    0.
    """
    whitened = moves @ np.linalg.cholesky(precision)
    others = whitened.sum(0) - whitened
    lengths = np.linalg.norm(whitened, axis=1) * np.linalg.norm(others, axis=1)
    return np.einsum("nl,nl->n", whitened, others) / np.where(lengths > 0, lengths, 1.0)


def judge(tangents: Tangents) -> dict[str, Figure]:
    """Returns how far the images agree on one direction.

    - agreement: mean cosine of an image's move with the mean move of the others.
    - explained: share of the tangents' squared length that the moves make.
    """
    explained = np.stack([tangents.squares, tangents.missed], axis=1)
    return {
        "agreement": bootstrap.figure(np.mean, agreement(tangents.moves, tangents.prior.precision)),
        "explained": bootstrap.figure(lambda rows: 1.0 - rows[:, 1].sum() / rows[:, 0].sum(), explained),
    }


def similarity(moves: Float[np.ndarray, "n l"], pattern: Float[np.ndarray, "l"]) -> Figure:
    """Returns the cosine of the mean move with the pattern cov(w, y) of a score y, made
    positive.
    """

    def cosine(rows: np.ndarray) -> float:
        move = rows.mean(0)
        return float(abs(move @ pattern) / (np.linalg.norm(move) * np.linalg.norm(pattern)))

    return bootstrap.figure(cosine, moves)


def warning(name: str, figures: dict[str, Figure]) -> str:
    """Returns one sentence if the images do not agree on a direction, else ""."""
    value = figures["agreement"].value
    if value >= LEAST_AGREEMENT:
        return ""
    return (
        f"{name}: the images do not agree: agreement {value:.2f}, must be {LEAST_AGREEMENT} or more; "
        "no single direction makes this transformation"
    )


def _components(
    generator: Generator, spec: TangentSearch, tangents: Tangents, unit: str, label: labels.Label, name: str
) -> Components:
    move, prior = tangents.moves.mean(0), tangents.prior
    direction = move / np.linalg.norm(move)
    read = read_out(tangents)
    outer = REACH * float(np.sqrt(read @ prior.covariance @ read)) * np.array([-1.0, 1.0])
    named = NamedDirection(spec.transformation, read=read, curve=Curve(outer, outer), unit=unit)
    source = Source(name, zoo.fingerprint(generator), METHOD, dataclasses.asdict(spec), num_samples=spec.num_images,
                    compute_dtype=getattr(generator.config, "compute_dtype", "float32"))  # fmt: skip
    space = generator.latent_space
    return latent_directions.of_directions(
        direction[None], np.sqrt([direction @ prior.covariance @ direction]), prior.mean,
        spec=LayerSpec(space, space, label), source=source, named=[named],
    )  # fmt: skip
