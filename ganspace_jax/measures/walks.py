"""Walks of images along paths and along straight lines: how far a value goes, and what
else changes.
"""

import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ganspace_jax.measures import scorers
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.shapes import Array, Float
from ganspace_jax.statistics import bootstrap

NUM_LINEAR = 13  # images along a straight line
LINEAR_REACH = 3.0  # standard deviations of the latent, to either side
_NUM_RESAMPLES = 500

Latents = Float[Array | np.ndarray, "n layers d"]
Rounds = Float[np.ndarray, "s n layers d"]
Reader = Callable[[Latents], Float[np.ndarray, "n f"]]


class Walk(NamedTuple):
    """What the images of a path, or of a straight line, show.

    Attributes:
        gone: change of the value since the start, in standard deviations. A circular
            value counts on beyond a period.
        others: sum of the squared changes of all other values since the start.
        flips: whether a category differs from that of the start.
    """

    gone: Float[np.ndarray, "s n"]
    others: Float[np.ndarray, "s n"]
    flips: Float[np.ndarray, "s n"]


class Arrival(NamedTuple):
    """How many images reach a change of a value, and what else has changed there.

    Attributes:
        arrived: share of the images that reach it.
        purity: wanted squared change, over the sum of all squared changes, among them.
        others: root mean square change of all other values together, among them.
        flips: share of images whose category differs, among them.
        low: lower bounds of the four figures, 95 % over images.
        high: upper bounds of the four figures.
    """

    arrived: float
    purity: float
    others: float
    flips: float
    low: tuple[float, ...]
    high: tuple[float, ...]


def walk(read: Reader, scorer: Scorer, column: int, rounds: Rounds) -> Walk:
    """Returns what the images along paths show.

    Args:
        read: function of per-layer latents that returns the scorer's values of their
            images.
        scorer: names, scales and periods of the values.
        column: column of the wanted value.
        rounds: latents at the start and after each step.
    """
    values = np.stack([read(one) for one in rounds])
    steps = np.stack([scorers.changes(scorer, *pair)[:, column] for pair in itertools.pairwise(values)])
    gone = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(np.nan_to_num(steps), axis=0)])
    whole = np.nan_to_num(np.stack([scorers.changes(scorer, values[0], one) for one in values]))
    is_category = np.isin(scorer.names, scorer.categories)
    is_other = ~is_category & (np.arange(len(is_category)) != column)
    flips = whole[..., is_category].max(-1) if is_category.any() else np.zeros(gone.shape)
    return Walk(gone, np.square(whole[..., is_other]).sum(-1), flips)


def straight_line(
    read: Reader, scorer: Scorer, column: int, latents: Latents,
    step: Float[np.ndarray, "layers d"],
) -> Walk:  # fmt: skip
    """Returns what the images along a direction show, up to three standard deviations
    to that side on which the image's value rises further.

    Args:
        read: function of per-layer latents that returns the scorer's values of their
            images.
        scorer: names, scales and periods of the values.
        column: column of the wanted value.
        latents: per-layer latents of the images.
        step: step of one standard deviation, in each layer.
    """
    shares = np.linspace(0.0, LINEAR_REACH, NUM_LINEAR)[:, None, None, None]
    start = np.asarray(latents, np.float32)
    sides = [walk(read, scorer, column, (start + side * shares * step).astype(np.float32)) for side in (1, -1)]
    first = sides[0].gone.max(0) >= sides[1].gone.max(0)
    return Walk(*(np.where(first, one, other) for one, other in zip(*sides, strict=True)))


def arrival(walked: Walk, distance: float, *, seed: int = 0) -> Arrival:
    """Returns how images reach a change of the value, in standard deviations.

    Args:
        walked: walk of every image.
        distance: the change.
        seed: seed of the bootstrap.
    """
    near = walked.gone >= distance - scorers.ARRIVED
    first, image = near.argmax(0), np.arange(near.shape[1])
    rows = np.stack([near.any(0), walked.others[first, image], walked.flips[first, image]], axis=1).astype(np.float64)

    def figures(rows: np.ndarray) -> np.ndarray:
        there = rows[rows[:, 0] > 0]
        others = there[:, 1].mean() if len(there) else math.nan
        flips = there[:, 2].mean() if len(there) else math.nan
        return np.array([rows[:, 0].mean(), distance**2 / (distance**2 + others), math.sqrt(others), flips])

    low, high = bootstrap.percentile_interval(figures, [rows], num_resamples=_NUM_RESAMPLES, seed=seed)
    return Arrival(*map(float, figures(rows)), low=tuple(map(float, low)), high=tuple(map(float, high)))
