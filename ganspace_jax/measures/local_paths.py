"""Paths that follow the local gradient of a value, image by image.

A hue or a rotation has no global linear direction: the way to the next hue differs from
image to image. A path takes small steps. J is the Jacobian of all scores at the image,
S the covariance of the latent, and e has the wanted changes of the scores. A step is

    u = S J^T (J S J^T + l I)^-1 e,

which minimises |J u - e|^2 + l u^T S^-1 u. For the wanted score, e is a part of what is
missing. For every other score, e takes back a part of its drift since the start.
"""

from typing import NamedTuple

import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.generators.base import Generator
from ganspace_jax.measures import scorers
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.methods import attributes
from ganspace_jax.run import Progress, Run
from ganspace_jax.sampling import score_jacobians
from ganspace_jax.sampling.latent_prior import LatentPrior
from ganspace_jax.shapes import Array, Float

NUM_STEPS = 32
PATIENCE = 8  # steps after which the weights of all other scores are halved, each time
LONGEST_STEP = 0.7  # standard deviations of the latent
MOST_WANTED = 0.35  # standard deviations of the wanted score, in one step
_MOST_TAKEN_BACK = 0.2  # standard deviations of another score, in one step
_TAKEN_BACK = 0.5  # share of another score's drift that a step takes back
OTHERS_WEIGHT = 0.4  # of another score's change, relative to the wanted one
DAMPING = 0.02  # l, relative to the mean of the diagonal of J S J^T
CATEGORY_WEIGHT = 1.0  # of a category's margin, relative to the wanted change
_MARGIN = 2.0  # mean margins; a larger margin of a category may shrink
_SMALL = 1e-9
_BATCH = 16  # images whose Jacobians are computed together

Latents = Float[Array | np.ndarray, "n layers d"]


class Path(NamedTuple):
    """A path of each image.

    Attributes:
        latents: latents at the start and after each step.
        gone: change of the value since the start, in its own unit. A circular value
            counts on beyond a period.
    """

    latents: Float[np.ndarray, "s n layers d"]
    gone: Float[np.ndarray, "s n"]


def follow(
    generator: Generator,
    scorer: Scorer,
    prior: LatentPrior,
    column: int,
    change: Float[np.ndarray, "n"],
    inputs: tuple[Latents, Float[Array | np.ndarray, "n classes"] | None],
    *,
    layers: tuple[int, int] | None = None,
    run: Run = Run(),
) -> Path:
    """Returns paths along which a value changes by a wanted amount, and others stay.

    Args:
        generator: the generator.
        scorer: reader of the images, which must have a derivative.
        prior: distribution of the generator's latent.
        column: column of the wanted value.
        change: wanted change of each image, in the value's own unit; NaN moves nothing.
        inputs: per-layer latents and class weights of the images; None without classes.
        layers: [start, stop) of the moved layers; None moves all layers.
        run: progress and stopping.

    Raises:
        InputError: if the scorer has no derivative.
        Interrupted: if run.should_stop returned True.
    """
    if scorer.differentiable is None:
        raise InputError(
            f"--edit={scorer.names[column]}: a path needs a --scorer with derivatives, such as probe or statistics"
        )
    latents, weights = np.asarray(inputs[0], np.float32), inputs[1]
    wanted = np.nan_to_num(change) / scorer.scales[column]
    silent = Run(batch_size=min(_BATCH, len(latents)), should_stop=run.should_stop)
    rounds, gone, read = [latents], [np.zeros(len(latents))], []
    for number in range(NUM_STEPS + 1):
        values, jacobians = score_jacobians.measure(generator, scorer.differentiable, rounds[-1], weights, silent)
        read.append(values.astype(np.float64))
        if number:
            gone.append(gone[-1] + np.nan_to_num(_changes(scorer, read[-2], read[-1])[:, column]))
        left = wanted - gone[-1]
        if number == NUM_STEPS or np.all(np.abs(left) < scorers.ARRIVED):
            break
        units = _units(scorer, read[0])
        goals = _goals(scorer, column, left, (read[0], read[-1]), units)
        weight = _weights(scorer, column, 0.5 ** (number // PATIENCE))
        moved = _step(jacobians / units[:, None, None], goals, weight, prior, layers or (0, latents.shape[1]))
        rounds.append((rounds[-1] + moved).astype(np.float32))
        run.report(Progress(number + 1, NUM_STEPS, "step", scorer.names[column]))
    return Path(np.stack(rounds), np.stack(gone) * scorer.scales[column])


def _units(scorer: Scorer, start: np.ndarray) -> Float[np.ndarray, "f"]:
    """Returns the standard deviation of each value. The unit of a category is the mean
    margin of the images.
    """
    margins = np.maximum(np.nanmean(np.abs(np.nan_to_num(start)), axis=0), _SMALL)
    return np.where(np.isin(scorer.names, scorer.categories), margins, scorer.scales)


def _weights(scorer: Scorer, column: int, share: float) -> Float[np.ndarray, "f"]:
    """Returns the weight of each score's change in a step."""
    weights = share * np.where(np.isin(scorer.names, scorer.categories), CATEGORY_WEIGHT, OTHERS_WEIGHT)
    weights[column] = 1.0
    return weights


def _changes(scorer: Scorer, before: np.ndarray, after: np.ndarray) -> Float[np.ndarray, "n f"]:
    """Returns the change of each value, in standard deviations, by the shorter way."""
    columns = [
        scorers.shorter_way(after[:, k] - before[:, k], period) / scale
        for k, (scale, period) in enumerate(zip(scorer.scales, scorer.periods, strict=True))
    ]
    return np.stack(columns, axis=1)


def _goals(
    scorer: Scorer, column: int, left: np.ndarray, read: tuple[np.ndarray, np.ndarray], units: np.ndarray
) -> Float[np.ndarray, "n f"]:
    """Returns the wanted change of each score in the next step, e.

    A category's margin shall not fall below that of the start, or below twice the mean
    margin if it was larger.

    Args:
        scorer: names, scales and periods of the values.
        column: column of the wanted value.
        left: change of the wanted value that is missing, in standard deviations.
        read: values at the start, and now.
        units: unit of each score.
    """
    start, now = read
    drift = _TAKEN_BACK * np.nan_to_num(_changes(scorer, start, now))
    goals = -np.clip(drift, -_MOST_TAKEN_BACK, _MOST_TAKEN_BACK)
    for k in np.flatnonzero(np.isin(scorer.names, scorer.categories)):
        lost = np.minimum(start[:, k] / units[k], _MARGIN) - now[:, k] / units[k]
        goals[:, k] = np.clip(_TAKEN_BACK * np.nan_to_num(lost), 0.0, 1.0)
    goals[:, column] = np.clip(left, -MOST_WANTED, MOST_WANTED)
    return goals


def _step(
    jacobians: Float[np.ndarray, "n f layers d"], goals: np.ndarray, weights: Float[np.ndarray, "f"], prior: LatentPrior,
    layers: tuple[int, int],
) -> Float[np.ndarray, "n layers d"]:  # fmt: skip
    """Returns the step u of each image, in each layer, of bounded length."""
    num_layers, width = jacobians.shape[2:]
    rows = np.nan_to_num(attributes.moved_latent(jacobians, layers, len(prior.mean))).astype(np.float64)
    rows *= weights[:, None]
    spread = rows @ prior.covariance
    gram = np.einsum("nfl,ngl->nfg", spread, rows)
    mean = np.trace(gram, axis1=1, axis2=2) / goals.shape[1]
    damped = gram + (DAMPING * mean + _SMALL)[:, None, None] * np.eye(goals.shape[1])
    u = np.einsum("nfl,nf->nl", spread, np.linalg.solve(damped, (goals * weights)[..., None])[..., 0])
    length = np.sqrt(np.maximum(np.einsum("ni,ij,nj->n", u, prior.precision, u), 0.0))
    u *= np.minimum(1.0, LONGEST_STEP / np.maximum(length, _SMALL))[:, None]
    layer = np.arange(num_layers)[:, None]
    inside = (layer >= layers[0]) & (layer < layers[1])
    return np.where(inside, u.reshape(len(u), -1, width), 0.0)
