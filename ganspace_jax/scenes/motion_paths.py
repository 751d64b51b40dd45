"""True paths of sprites, of scenes, and of a generator's images that move sideways.

Their displacements are known: sprites and scenes are drawn where they are wanted. Along
a straight line in latent space the probe reads them.
"""

from typing import NamedTuple

import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.generators.base import Generator
from ganspace_jax.measures import error_gradients
from ganspace_jax.measures.error_gradients import Path
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.methods import attributes, boundaries, image_transforms
from ganspace_jax.methods.trajectories import Trajectories
from ganspace_jax.sampling import random_samples, scored_images, target_descent
from ganspace_jax.sampling.target_descent import Descent
from ganspace_jax.scenes import moved_scenes, sprites
from ganspace_jax.scenes.probe import Probe, read_factors, scorer
from ganspace_jax.shapes import Float

_HALF = 0.5  # pixels; tangents are differences over twice as much
_NUM_LABELLED = 4096  # samples that give the direction of the position
_CONVERGED = 4  # times as many steps at the first picture as at the others
_LINE = np.linspace(-4.0, 4.0, 33)  # points of a straight line, in standard deviations of the latent


class Line(NamedTuple):
    """Straight lines in latent space, along which things move to the right.

    Attributes:
        step: step of one standard deviation of the latent, by layer.
        lengths: points of the line, in standard deviations from its middle.
        positions: position read at each point, pixels; it never falls along a line.
    """

    step: Float[np.ndarray, "layers d"]
    lengths: Float[np.ndarray, "p"]
    positions: Float[np.ndarray, "p n"]

    def reach(self, wanted: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
        """Returns the lengths at which images have these positions, or come nearest."""
        pairs = zip(wanted, self.positions.T, strict=True)
        return np.array([np.interp(goal, own, self.lengths) for goal, own in pairs])


def of_sprites(count: int, displacements: Float[np.ndarray, "t"], resolution: int, *, seed: int = 0) -> Path:
    """Returns paths of sprites in image space; displacements in pixels."""
    images = sprites.moved(count, _with_tangent(displacements), resolution=resolution, seed=seed)
    return _in_images("sprites", images)


def of_scenes(count: int, displacements: Float[np.ndarray, "t"], resolution: int, *, seed: int = 0) -> Path:
    """Returns paths of rendered scenes in image space; displacements in pixels."""
    factors, side = moved_scenes.draw(count, float(np.max(displacements)), resolution, seed=seed)
    ends = _with_tangent(displacements)[:, None] * side
    return _in_images("scenes", moved_scenes.render_moved(factors, ends, resolution))


def of_generator(
    generator: Generator, probe: Probe, count: int, displacements: Float[np.ndarray, "t"], *, seed: int = 0
) -> tuple[Path, Path]:
    """Returns straight paths in latent space, as paths in image space and in latent
    space.

    Images that the line does not move far enough are left out.

    Args:
        generator: generator of scenes.
        probe: reader of the positions.
        count: number of images before some are left out.
        displacements: displacements, pixels.
        seed: seed of the images.

    Raises:
        InputError: if no image moves far enough.
    """
    samples = random_samples.draw(generator, 0, count, seed=seed)
    line = trace(generator, probe, samples.layers, samples.weights)
    low, high = line.positions[0], line.positions[-1]
    farthest = float(np.max(displacements)) + 2 * _HALF
    kept = np.flatnonzero(high - low > farthest)
    if not len(kept):
        raise InputError(f"--generator: none of {count} images moves by {farthest:g} px along its direction")
    middle, side = 0.5 * (low + high), np.where(np.arange(count) % 2, 1.0, -1.0)
    lengths = [
        line.reach(middle + side * (d - 0.5 * np.max(displacements)))[kept] for d in _with_tangent(displacements)
    ]
    weights = None if samples.weights is None else samples.weights[kept]
    moved = [samples.layers[kept] + length[:, None, None] * line.step for length in lengths]
    made = np.stack([images(generator, one, weights) for one in moved])
    towards = side[kept, None, None] * np.broadcast_to(line.step, moved[0].shape)
    in_latents = Path(
        "generator", error_gradients.LATENT, moved[0].astype(np.float32), weights, made[3:],
        np.broadcast_to(towards, (len(displacements), *towards.shape)),
    )  # fmt: skip
    return _in_images("generator", made), in_latents


def of_inverted_scenes(
    descent: Descent, start: Float[np.ndarray, "n l"], weights: Float[np.ndarray, "n classes"] | None,
    targets: Float[np.ndarray, "t n h w c"],
) -> Path:  # fmt: skip
    """Returns the paths of latents that follow true pictures, in latent space.

    The latents move from one picture to the next, as the recursion does. They first
    converge at the first picture, where the paths start.

    Args:
        descent: how latents move.
        start: latents near those of the first pictures.
        weights: class weights; None without classes.
        targets: true pictures, before the motion and after each displacement.
    """
    mask, bounds = np.ones_like(targets[0][..., :1]), np.full(len(start), np.inf)
    latents = target_descent.descend(
        descent._replace(num_steps=_CONVERGED * descent.num_steps), start, weights, targets[0], mask, bounds
    )
    found = [latents]
    for target in targets[1:]:
        latents = target_descent.descend(descent, latents, weights, target, mask, bounds)
        found.append(latents)
    return _in_latents("scenes", descent.generator, np.stack(found), weights, targets[1:])


def of_trajectories(generator: Generator, found: Trajectories, displacements: Float[np.ndarray, "t"]) -> Path:
    """Returns the paths of latents that follow shifted images of their own, to the
    right, in latent space.

    Where a shift is undefined, the target repeats the image itself: there the error is
    0, as under a mask. A displacement shorter than the first of the trajectory has the
    chord to the first.
    """
    first = found.latents[:, found.amounts == 0.0][:, 0]
    own = target_descent.synthesize(generator, found.latent_space, first, found.weights)
    shortest = found.amounts[found.amounts > 0.0].min()
    chosen = [int(np.flatnonzero(found.amounts >= max(d, shortest))[0]) for d in displacements]
    targets = []
    for d in displacements:
        moved, mask = image_transforms.horizontal(own, float(d))
        targets.append(np.asarray(mask * moved + (1.0 - mask) * own))
    latents = np.stack([first, *(found.latents[:, k] for k in chosen)])
    return _in_latents("trajectories", generator, latents, found.weights, np.stack(targets))


def _in_latents(
    name: str, generator: Generator, latents: Float[np.ndarray, "t2 n l"], weights: np.ndarray | None,
    targets: Float[np.ndarray, "t n h w c"],
) -> Path:  # fmt: skip
    """Returns the path of latents at 0 and at all displacements, with chords as
    steps.
    """
    layers = np.stack([_by_layer(generator, one) for one in latents])
    return Path(name, error_gradients.LATENT, layers[0], weights, targets, layers[1:] - layers[0])


def _by_layer(generator: Generator, latents: Float[np.ndarray, "n l"]) -> Float[np.ndarray, "n layers d"]:
    return attributes.layer_rows(latents, (0, generator.latent_shape[0]), *generator.latent_shape)


def trace(
    generator: Generator,
    probe: Probe,
    layers: Float[np.ndarray, "n layers d"],
    weights: Float[np.ndarray, "n classes"] | None,
) -> Line:
    """Returns lines through latents along the direction of the position, with the
    positions that the probe reads.
    """
    step = direction(generator, scorer(probe))
    read = [positions(probe, images(generator, layers + np.float32(length) * step, weights)) for length in _LINE]
    return Line(step, _LINE, np.maximum.accumulate(np.stack(read)) + 1e-6 * np.arange(len(_LINE))[:, None])


def positions(probe: Probe, pictures: Float[np.ndarray, "n h w 3"]) -> Float[np.ndarray, "n"]:
    """Returns how far right of the middle the object is, as the probe reads it,
    pixels.
    """
    factors = read_factors(probe, pictures)
    return np.asarray(factors.horizontal * moved_scenes.pixels_per_unit(factors, pictures.shape[1]), np.float64)


def direction(generator: Generator, reader: Scorer, name: str = "horizontal") -> Float[np.ndarray, "layers d"]:
    """Returns the step of one standard deviation of the latent that raises a value:
    the covariance of the latent with it.
    """
    column, size = reader.names.index(name), generator.latent_size
    state = boundaries.init(size, 1)
    for samples, values in scored_images.read_in_chunks(generator, reader.read, _NUM_LABELLED, seed=1):
        state = boundaries.update(state, samples.latent, values[:, column : column + 1])
    pattern = boundaries.fit(state, 1).pattern
    covariance = np.asarray(state.scatter / state.count)[:size, :size]
    rows = attributes.in_deviations(pattern, covariance)
    return attributes.layer_rows(rows, (0, generator.latent_shape[0]), *generator.latent_shape)[0]


def _with_tangent(displacements: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t2"]:
    return np.concatenate([[0.0, -_HALF, _HALF], displacements])


def _in_images(name: str, images: Float[np.ndarray, "t n h w c"]) -> Path:
    """Returns the path of images at 0, on both sides of 0, and at all displacements."""
    tangent = (images[2] - images[1]) / (2 * _HALF)
    steps = np.broadcast_to(tangent, images[3:].shape)
    return Path(name, error_gradients.IMAGE, images[0], None, images[3:], steps)


def images(
    generator: Generator, layers: Float[np.ndarray, "n layers d"], weights: Float[np.ndarray, "n classes"] | None
) -> Float[np.ndarray, "n h w c"]:
    """Returns the images of latents and class weights."""
    return np.concatenate(list(scored_images.images(generator, np.asarray(layers, np.float32), weights)))
