"""The direction of a wanted transformation, from trajectories and without labels.

Plumerault et al., "Controlling generative models with continuous factors of
variations", ICLR 2020, section 3. Adam finds the latent z_t of a transformed image
T_t(G(z_0)), for growing t of both signs. It starts from the latent of the amount
before. A direction u and a monotone piecewise-linear curve g then minimise

    sum over images and t of (g(<z_t, u>) - g(<z_0, u>) - t)^2

without the worst tenth of the pairs. The paper traverses along u. Here u and g read the
amount, and latents move along their mean displacement for a unit of t by default.
"""

import dataclasses
import itertools
import math
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from ganspace_jax.directions import latent_directions
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.directions.sources import Source
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, synthesis, zoo
from ganspace_jax.generators.base import Generator
from ganspace_jax.methods import image_transforms
from ganspace_jax.methods.image_transforms import LOW_PASS, Transform
from ganspace_jax.run import Progress, Run
from ganspace_jax.sampling import labels, latent_prior, latents, random_samples, scored_images, target_descent
from ganspace_jax.sampling.labels import Label
from ganspace_jax.sampling.latent_prior import LatentPrior
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.sampling.target_descent import Descent
from ganspace_jax.shapes import Float
from ganspace_jax.statistics import monotone_curves, monotone_directions
from ganspace_jax.statistics.monotone_curves import Curve

METHOD = "trajectories of a transformation"
_ROWS = 64  # latents that move together


@dataclasses.dataclass(frozen=True)
class TrajectorySearch:
    """What is found, and how latents follow a transformation. It is stored in the
    components file.

    Attributes:
        transformation: name of the transformation: horizontal, vertical, zoom, rotate,
            brightness or hue.
        latent_space: space of the trajectories, "z" or "w"; None: w if there is one.
        recursive: whether each latent starts from that of the amount before it;
            otherwise each starts from the image's own latent.
        loss: compared differences: "blurred" or "pixels".
        clip: whether latents stay within the norm sqrt(d), or within that of their
            start, as in the paper. In w that moves objects to wrong places.
        penalty: weight of the squared Mahalanobis distance, relative to the mean error.
        num_steps: number of steps of Adam for each amount.
        rate: learning rate.
        traverse: direction to move along: mean "displacement" of a unit of t, or the
            paper's "readout" u.
        num_knots: number of knots of the curve g.
        label: class name, class index, or "all"; None: all classes.
        num_images: number of images.
        num_samples: number of samples that give the covariance of w.
        seed: seed of the samples.
    """

    transformation: str = "horizontal"
    latent_space: Literal["w", "z"] | str | None = None
    recursive: bool = True
    loss: Literal["blurred", "pixels"] = "blurred"
    clip: bool = False
    penalty: float = 1e-3
    num_steps: int = 25
    rate: float = 0.05
    traverse: Literal["displacement", "readout"] = "displacement"
    num_knots: int = 9
    label: str | int | None = None
    num_images: int = 64
    num_samples: int = 10_000
    seed: int = 0

    def __post_init__(self):
        """Checks the values that need no generator. Raises InputError."""
        if self.latent_space not in ("w", "z", None):
            raise InputError(f"--latent_space={self.latent_space}: must be w or z")
        limits = {"num_steps": (1, 100_000), "num_knots": (2, 1000), "num_images": (2, 100_000)}
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                raise InputError(f"--{name}={getattr(self, name)}: must be from {least} to {most:,}")
        if not 0 < self.rate < math.inf:
            raise InputError(f"--rate={self.rate}: must be a positive number")
        if not 0 <= self.penalty < math.inf:
            raise InputError(f"--penalty={self.penalty}: must be a number, at least 0")
        if not 0 <= self.seed < synthesis.NUM_SEEDS - 1:
            raise InputError(f"--seed={self.seed}: must be from 0 to {synthesis.NUM_SEEDS - 2}")


class Trajectories(NamedTuple):
    """Latents that follow a transformation.

    Attributes:
        amounts: amounts t, ascending, with 0 in the middle.
        latents: latent of each image and amount.
        psnr: peak signal-to-noise ratio of each image against its target, over the
            pixels that the target defines, in decibels; NaN at t = 0.
        distances: distance of each latent from the mean, in standard deviations.
        weights: class weights of the images; None without classes.
        latent_space: "z" or "w".
        prior: distribution of the latent.
    """

    amounts: Float[np.ndarray, "t"]
    latents: Float[np.ndarray, "n t l"]
    psnr: Float[np.ndarray, "n t"]
    distances: Float[np.ndarray, "n t"]
    weights: Float[np.ndarray, "n classes"] | None
    latent_space: str
    prior: LatentPrior


class Direction(NamedTuple):
    """What trajectories tell.

    Attributes:
        read: vector u. <u, w - mean> has a standard deviation of 1 over random latents.
        curve: curve g from that coordinate to the amount.
        displacement: mean change of the latent for t = 1.
        error: square root of the mean squared error of the kept pairs, in units of t.
    """

    read: Float[np.ndarray, "l"]
    curve: Curve
    displacement: Float[np.ndarray, "l"]
    error: float


def find(
    generator: Generator, spec: TrajectorySearch, run: Run = Run(), *, name: str = ""
) -> tuple[Components, Trajectories, Direction]:
    """Finds the direction of a transformation from trajectories.

    Args:
        generator: the generator.
        spec: which transformation, and how latents follow it.
        run: batch size, progress and stopping.
        name: name of the generator in the components file.

    Returns:
        One named direction, the trajectories, and what was fitted to them.

    Raises:
        InputError: if there is no such transformation, class or latent space, or if the
            images have no hue.
        Interrupted: if run.should_stop returned True.
    """
    followed = follow(generator, spec, run)
    fitted = fit(followed, spec.num_knots)
    return _components(generator, spec, followed, fitted, name), followed, fitted


def follow(generator: Generator, spec: TrajectorySearch, run: Run = Run()) -> Trajectories:
    """Returns the latents that follow a transformation; see `find`."""
    transform = image_transforms.for_images(spec.transformation, base.image_shape(generator))
    label, space = _label(generator, spec), _space(generator, spec)
    at = random_samples.draw(generator, 0, spec.num_images, seed=spec.seed + 1, label=label)
    descent = Descent(
        generator, space, _prior(generator, spec, space), LOW_PASS if spec.loss == "blurred" else 0.0, spec.penalty,
        spec.num_steps, spec.rate,
    )  # fmt: skip
    starts = at.latent if space == generator.latent_space else _z(generator, spec)
    rows = max(1, (run.batch_size or _ROWS) // 2)
    growing = image_transforms.amounts(transform)
    done, total = itertools.count(1), math.ceil(len(starts) / rows) * len(growing) * spec.num_steps

    def on_step() -> None:
        run.report(Progress(next(done), total, "step"))
        scored_images.check_stop(run)

    parts = []
    for some, count in scored_images.batches(len(starts), rows):
        weights = None if at.weights is None else at.weights[some]
        followed = _follow_batch(descent, transform, spec, starts[some], weights, on_step)
        parts.append([x[:count] for x in followed])
    found, psnr = (np.concatenate(part) for part in zip(*parts, strict=True))
    flat = target_descent.distances(descent.prior, found.reshape(-1, found.shape[-1]))
    both = np.concatenate([-growing[::-1], [0.0], growing])
    return Trajectories(both, found, psnr, flat.reshape(psnr.shape), at.weights, space, descent.prior)


def _follow_batch(
    descent: Descent, transform: Transform, spec: TrajectorySearch, starts: np.ndarray, weights: np.ndarray | None,
    on_step: target_descent.OnStep,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Returns latents [n, t, l] and PSNR [n, t]; both signs of t move together."""
    count, own = len(starts), target_descent.synthesize(descent.generator, descent.latent_space, starts, weights)
    label = None if weights is None else np.concatenate([weights, weights])
    first = np.concatenate([starts, starts])
    bounds = (
        np.maximum(1.0, target_descent.distances(descent.prior, first)) if spec.clip else np.full(len(first), np.inf)
    )
    latents, middle = [starts], first
    psnr = [np.full(count, np.nan)]
    for amount in image_transforms.amounts(transform):
        signed = [_target(transform, own, sign * amount) for sign in (-1, 1)]
        targets, mask = (np.concatenate(part) for part in zip(*signed, strict=True))
        moved = target_descent.descend(descent, middle, label, targets, mask, bounds, on_step)
        error = _psnr(target_descent.synthesize(descent.generator, descent.latent_space, moved, label), targets, mask)
        latents = [moved[:count], *latents, moved[count:]]
        psnr = [error[:count], *psnr, error[count:]]
        middle = moved if spec.recursive else first
    return np.stack(latents, axis=1), np.stack(psnr, axis=1)


def _target(transform: Transform, images: np.ndarray, amount: float) -> tuple[np.ndarray, np.ndarray]:
    moved, mask = transform.apply(images, amount)
    return np.asarray(moved), np.broadcast_to(mask, (len(images), *mask.shape[1:]))


def _psnr(images: np.ndarray, targets: np.ndarray, mask: np.ndarray) -> Float[np.ndarray, "n"]:
    clipped = np.clip(images, -1.0, 1.0).astype(np.float64)
    square = np.sum(np.square(mask * (clipped - np.clip(targets, -1.0, 1.0))), axis=(1, 2, 3))
    defined = mask.sum((1, 2, 3)) * images.shape[-1]
    error = np.where(defined > 0, square / np.maximum(defined, 1), np.nan)
    return 10.0 * np.log10(4.0 / np.maximum(error, 1e-10))


def slopes(followed: Trajectories) -> Float[np.ndarray, "n l"]:
    """Returns the regression of z_t - z_0 on t of each image: its change for t = 1."""
    away = followed.latents - followed.latents[:, followed.amounts == 0.0]
    return np.einsum("t,ntl->nl", followed.amounts, away) / np.sum(np.square(followed.amounts))


def fit(followed: Trajectories, num_knots: int = monotone_curves.NUM_KNOTS) -> Direction:
    """Returns the direction u, the curve g and the mean displacement.

    The fit of u and g measures latents in standard deviations of the latent.

    Args:
        followed: the trajectories.
        num_knots: number of knots of g over +-3 standard deviations.
    """
    amounts, prior = followed.amounts, followed.prior
    unwhiten = np.linalg.cholesky(prior.covariance)
    whitened = np.linalg.solve(unwhiten, (followed.latents - prior.mean)[..., None])[..., 0]
    is_moved = amounts != 0.0
    after = whitened[:, is_moved].reshape(-1, len(prior.mean))
    before = np.repeat(whitened[:, amounts == 0.0][:, 0], is_moved.sum(), axis=0)
    found = monotone_directions.fit(before, after, np.tile(amounts[is_moved], len(whitened)), num_knots)
    return Direction(np.linalg.solve(unwhiten.T, found.unit), found.curve, slopes(followed).mean(0), found.error)


def images(generator: Generator, followed: Trajectories, number: int) -> Float[np.ndarray, "t h w c"]:
    """Returns the images of one trajectory, by its number."""
    latents = followed.latents[number]
    weights = None if followed.weights is None else np.repeat(followed.weights[number : number + 1], len(latents), 0)
    return target_descent.synthesize(generator, followed.latent_space, latents, weights)


def _components(
    generator: Generator, spec: TrajectorySearch, followed: Trajectories, fitted: Direction, name: str
) -> Components:
    prior = followed.prior
    move = fitted.displacement if spec.traverse == "displacement" else fitted.read
    move = move / np.linalg.norm(move)
    named = NamedDirection(spec.transformation, read=fitted.read, curve=fitted.curve,
                           unit=image_transforms.TRANSFORMS[spec.transformation].unit)  # fmt: skip
    source = Source(name, zoo.fingerprint(generator), METHOD, dataclasses.asdict(spec), num_samples=spec.num_images,
                    compute_dtype=getattr(generator.config, "compute_dtype", "float32"))  # fmt: skip
    space = _space(generator, spec)
    return latent_directions.of_directions(
        move[None], np.sqrt([move @ prior.covariance @ move]), prior.mean,
        spec=LayerSpec(space, space, _label(generator, spec)), source=source, named=[named],
    )  # fmt: skip


def _label(generator: Generator, spec: TrajectorySearch) -> Label:
    return labels.resolve("all" if spec.label is None and generator.num_classes else spec.label, generator)


def _space(generator: Generator, spec: TrajectorySearch) -> str:
    if spec.latent_space == "w" and not generator.has_mapping:
        raise InputError("--latent_space=w: this generator has no w, only z")
    return spec.latent_space or generator.latent_space


def _prior(generator: Generator, spec: TrajectorySearch, space: str) -> LatentPrior:
    if space == "z":
        return latent_prior.of_z(generator, generator.z_dim)
    return latent_prior.estimate(generator, num_samples=spec.num_samples, seed=spec.seed, label=_label(generator, spec))


def _z(generator: Generator, spec: TrajectorySearch) -> Float[np.ndarray, "n z"]:
    """Returns z of the same samples."""
    key = synthesis.seeded_key(spec.seed + 1)
    return np.asarray(latents.sample(key, jnp.arange(spec.num_images), generator.z_dim, generator.prior))
