"""How far the gradient of an error points along the true path.

An image x(t) moves along a path, and its target is x(d). Descent on the error
E = |phi(x) - phi(target)|^2 follows -grad E. The cosine of -grad E with the path's
tangent is 1 if descent follows the path, and 0 if descent leaves it at a right angle
(Plumerault et al. 2020, section 3.1).

In image space the error may also be asked how much of it the path explains: the cosine
of phi(target) - phi(x) with the change of phi along the path.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from ganspace_jax.generators import base
from ganspace_jax.generators.base import Generator
from ganspace_jax.measures.answers import Answer
from ganspace_jax.sampling import inversion_losses, latent_prior
from ganspace_jax.sampling.inversion_losses import Features
from ganspace_jax.shapes import Array, Float
from ganspace_jax.statistics import bootstrap

IMAGE, SEEN, LATENT = "image", "of the error", "latent"
BLURS = (1.0, 2.0, 4.0)  # pixels
_LEAST_VARIANCE = 1e-6  # for a map that is constant

Images = Float[Array | np.ndarray, "n h w c"]
Errors = Mapping[str, Any]  # name -> Partial: images -> arrays that the error compares


class Path(NamedTuple):
    """True paths of n points, in image space or in latent space.

    Attributes:
        name: name of the moving things.
        space: IMAGE or LATENT.
        points: start of each path: images, or per-layer latents.
        weights: class weights of latents; None without classes, and in image space.
        targets: image of each path at each displacement.
        steps: direction of the true path from the start, for each displacement.
    """

    name: str
    space: str
    points: Float[np.ndarray, "n ..."]
    weights: Float[np.ndarray, "n classes"] | None
    targets: Float[np.ndarray, "t n h w c"]
    steps: Float[np.ndarray, "t n ..."]


def errors(features: Features | None) -> dict[str, Any]:
    """Returns what each error compares, by its name: pixels, blurred pixels, and the
    feature maps if there are some.
    """
    blurred = {f"blurred {sigma:g} px": Partial(functools.partial(_blur, sigma)) for sigma in BLURS}
    maps = {} if features is None else {"features": features}
    return {"pixels": Partial(_pixels), **blurred, **maps}


def cosines(
    path: Path, describe: Callable[[Any], Sequence[Array]], generator: Generator | None = None
) -> Float[np.ndarray, "t n"]:
    """Returns the cosine of -grad E with the true path, for each displacement and
    image.

    In latent space the gradient belongs to the latent that all layers share. If the
    layers hold chunks of one z, it belongs to the whole z.

    Args:
        path: the paths.
        describe: Partial of images that returns the arrays that E compares.
        generator: generator of the images of latents; None in image space.
    """
    definition, params = (None, None) if generator is None else generator
    found = []
    for target, step in zip(path.targets, path.steps, strict=True):
        gradient = _gradient(definition, params, describe, path.points, path.weights, target)
        rows = [np.asarray(x, np.float64) for x in (gradient, step)]
        if generator is not None and not latent_prior.is_chunked(generator):
            rows = [x.mean(1) for x in rows]
        found.append(-cosine(*(x.reshape(len(x), -1) for x in rows)))
    return np.stack(found)


def seen_cosines(path: Path, describe: Callable[[Any], Sequence[Array]]) -> Float[np.ndarray, "t n"]:
    """Returns the cosine of phi(target) - phi(x) with the change of phi along the true
    path in image space, for each displacement and image.
    """
    pairs = [_seen(describe, path.points, target, step) for target, step in zip(path.targets, path.steps, strict=True)]
    return np.stack([cosine(*(np.asarray(x, np.float64) for x in pair)) for pair in pairs])


def cosine(a: Float[np.ndarray, "n p"], b: Float[np.ndarray, "n p"]) -> Float[np.ndarray, "n"]:
    """Returns the cosine between rows; 0 if one of them is 0."""
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.sum(a * b, axis=1) / np.where(lengths > 0, lengths, 1.0)


def measure(
    paths: Sequence[Path], compared: Errors, displacements: Sequence[float], generator: Generator
) -> list[Answer]:
    """Returns the mean cosine of each path, error and displacement, with its interval.

    Args:
        paths: the paths.
        compared: the errors, from `errors`.
        displacements: displacements of the targets, pixels.
        generator: generator of the paths in latent space.
    """
    rows = []
    for path in paths:
        for name, describe in compared.items():
            if path.space == LATENT:
                ways = {LATENT: cosines(path, describe, generator)}
            else:
                ways = {IMAGE: cosines(path, describe), SEEN: seen_cosines(path, describe)}
            for space, each in ways.items():
                figures = {
                    f"{d:g} px": bootstrap.figure(np.mean, one) for d, one in zip(displacements, each, strict=True)
                }
                rows.append(Answer({"path": path.name, "space": space, "error": name}, figures))
    return rows


@functools.partial(jax.jit, static_argnames=("definition",))
def _gradient(definition, params, describe, points, weights, target):
    """Returns the gradient of E with respect to images, or to latents if there is a
    definition.
    """

    def error(points):
        images = points if definition is None else base.merge(definition, params)(points, label=weights)[0]
        pairs = zip(describe(images), describe(target), strict=True)
        return sum(_relative(own, wanted).sum() for own, wanted in pairs)

    return jax.grad(error)(points)


@jax.jit
def _seen(describe, points, target, step):
    own, change = jax.jvp(describe, (jnp.asarray(points),), (jnp.asarray(step),))
    wanted = describe(target)
    scales = [jnp.sqrt(_variance(one)) for one in wanted]

    def flat(maps):
        rows = [
            (x / scale.reshape(-1, *[1] * (x.ndim - 1)) / x[0].size ** 0.5).reshape(len(x), -1)
            for x, scale in zip(maps, scales, strict=True)
        ]
        return jnp.concatenate(rows, axis=1)

    return flat([b - a for a, b in zip(own, wanted, strict=True)]), flat(change)


def _relative(own: Array, wanted: Array) -> Float[Array, "n"]:
    """Returns the squared error of each image's map, relative to the variance of the
    target's map, so that all maps count alike.
    """
    return jnp.square(own - wanted).mean(range(1, own.ndim)) / _variance(wanted)


def _variance(maps: Array) -> Float[Array, "n"]:
    return jnp.maximum(jnp.var(maps, range(1, maps.ndim)), _LEAST_VARIANCE)


def _pixels(images: Array) -> tuple[Array]:
    return (images,)


def _blur(sigma: float, images: Array) -> tuple[Array]:
    return (inversion_losses.blur(images, sigma),)
