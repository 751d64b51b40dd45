"""Where the search for the latent of a shifted image starts: in the image's own latent
or in a random one, and with targets between or without.

All searches of one row take the same number of steps of Adam in all. The recursion
spends them evenly on targets between (Plumerault et al. 2020, section 3.2).
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ganspace_jax.measures.answers import Answer
from ganspace_jax.methods import image_transforms
from ganspace_jax.sampling import target_descent
from ganspace_jax.sampling.target_descent import Descent
from ganspace_jax.shapes import Float
from ganspace_jax.statistics import bootstrap
from ganspace_jax.statistics.bootstrap import Figure

BUDGETS = (20, 40, 100)  # steps in all
REACHED = 28.0  # dB
_LOW = 10  # percentile that is reported beside the median
_SCALE = 1e3  # of the loss in the table

Reader = Callable[[Float[np.ndarray, "n h w c"]], Float[np.ndarray, "n"]]


class Search(NamedTuple):
    """Images that are shifted, and the latents from which the searches start.

    Attributes:
        descent: how latents move.
        own: the images' own latents.
        random: latents of other images.
        weights: class weights; None without classes.
        side: side to which each image is shifted: +1 to the right, -1 to the left.
        amounts: shifts of the targets, pixels; the last one is wanted, and the others
            lie between.
        read: function of images that returns the position, pixels.
    """

    descent: Descent
    own: Float[np.ndarray, "n l"]
    random: Float[np.ndarray, "n l"]
    weights: Float[np.ndarray, "n classes"] | None
    side: Float[np.ndarray, "n"]
    amounts: Float[np.ndarray, "t"]
    read: Reader


class Found(NamedTuple):
    """What one search found, per image.

    Attributes:
        loss: squared error of the blurred image within the mask.
        psnr: PSNR within the mask, decibels.
        missed: error of the position, pixels.
    """

    loss: Float[np.ndarray, "n"]
    psnr: Float[np.ndarray, "n"]
    missed: Float[np.ndarray, "n"]


def measure(search: Search, budgets: tuple[int, ...] = BUDGETS) -> list[Answer]:
    """Returns one row per way to search and number of steps."""
    rows = []
    for start, latents in (("own", search.own), ("random", search.random)):
        for way, amounts in (("recursion", search.amounts), ("direct", search.amounts[-1:])):
            each = [_find(search, latents, amounts, budget) for budget in budgets]
            reached = np.array([one.psnr >= REACHED for one in each])
            steps = np.where(reached.any(0), np.array(budgets)[reached.argmax(0)], 2 * budgets[-1])
            for budget, one in zip(budgets, each, strict=True):
                case = {"start": start, "targets": way, "steps": str(budget)}
                title = f"median steps to {REACHED:g} dB ({2 * budgets[-1]}: more than {budgets[-1]})"
                rows.append(Answer(case, {**_figures(one), title: bootstrap.figure(np.median, steps)}))
    return rows


def _figures(found: Found) -> dict[str, Figure]:
    return {
        "loss x 1000": bootstrap.figure(np.mean, _SCALE * found.loss),
        "median PSNR (dB)": bootstrap.figure(np.median, found.psnr),
        "10th percentile (dB)": bootstrap.figure(functools.partial(np.percentile, q=_LOW), found.psnr),
        "median error of the position (px)": bootstrap.figure(np.median, found.missed),
        f"share above {REACHED:g} dB": bootstrap.figure(np.mean, found.psnr >= REACHED),
    }


def _find(search: Search, latents: np.ndarray, amounts: np.ndarray, budget: int) -> Found:
    own = _images(search, search.own)
    descent = search.descent._replace(num_steps=budget // len(amounts))
    bounds = np.full(len(latents), np.inf)
    targets, mask = own, np.ones_like(own[..., :1])
    for amount in amounts:
        targets, mask = shifted(own, float(amount), search.side)
        latents = target_descent.descend(descent, latents, search.weights, targets, mask, bounds)
    images = _images(search, latents)
    difference = mask * (images - targets)
    blurred = np.asarray(image_transforms.low_pass(difference, jnp.asarray(mask)))
    square = np.square(mask * (np.clip(images, -1, 1) - np.clip(targets, -1, 1))).sum((1, 2, 3))
    error = square / (mask.sum((1, 2, 3)) * images.shape[-1])
    missed = np.abs(search.read(images) - search.read(own) - amounts[-1] * search.side)
    return Found(np.square(blurred).mean((1, 2, 3)), 10 * np.log10(4.0 / np.maximum(error, 1e-10)), missed)


def _images(search: Search, latents: np.ndarray) -> np.ndarray:
    descent = search.descent
    return target_descent.synthesize(descent.generator, descent.latent_space, latents, search.weights)


def shifted(
    images: Float[np.ndarray, "n h w c"], amount: float, side: Float[np.ndarray, "n"]
) -> tuple[Float[np.ndarray, "n h w c"], Float[np.ndarray, "n h w 1"]]:
    """Returns images shifted by an amount to their sides, and the masks of the pixels
    that the shifts define.

    Args:
        images: images.
        amount: length of the shift, pixels.
        side: +1 for a shift to the right, -1 to the left.
    """
    is_right = (side > 0)[:, None, None, None]
    (right, on_right), (left, on_left) = (image_transforms.horizontal(images, sign * amount) for sign in (1.0, -1.0))
    mask = np.where(is_right, on_right, on_left)
    return np.where(is_right, right, left), mask
