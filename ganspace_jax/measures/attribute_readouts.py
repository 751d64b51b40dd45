"""Read-outs: what a linear function of the latent tells about the scores of an image.

Random images are scored batch by batch. The moments of latents and scores give the
boundaries (methods/boundaries). A second pass draws the same latents again, and fits
the monotone curve from each read-out's coordinate to the score. The last fifth of the
samples is held out: R2 and accuracy are those of the held-out samples.
"""

from typing import NamedTuple

import numpy as np

from ganspace_jax.generators.base import Generator
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.methods import boundaries
from ganspace_jax.methods.boundaries import Boundary
from ganspace_jax.run import Run
from ganspace_jax.sampling import latent_prior, random_samples, scored_images
from ganspace_jax.sampling.labels import Label
from ganspace_jax.sampling.latent_prior import LatentPrior
from ganspace_jax.shapes import Float
from ganspace_jax.statistics import moments, monotone_curves
from ganspace_jax.statistics.moments import Float64Moments
from ganspace_jax.statistics.monotone_curves import Curve

HELD_OUT = 0.2  # share of the samples
_FEWEST = 20  # samples that show a score; with fewer there is no boundary


class Readout(NamedTuple):
    """Read-out of one score.

    Attributes:
        boundary: linear prediction of the score's codes.
        r2: share of the codes' variance that the boundary predicts.
        curve: curve from <normal, latent - mean> to the score; None for a circular
            score.
        curve_r2: share of the score's variance that the curve predicts; NaN without a
            curve.
        accuracy: share of samples that the boundary puts on the right side of the
            median, or of a yes/no score; NaN for a circular score.
    """

    boundary: Boundary
    r2: float
    curve: Curve | None
    curve_r2: float
    accuracy: float


class Labelled(NamedTuple):
    """What scored samples tell.

    Attributes:
        prior: mean and covariance of the latent that edits move.
        readouts: read-out of each score; None if too few images show the score.
        values: scores of the samples.
    """

    prior: LatentPrior
    readouts: list[Readout | None]
    values: Float[np.ndarray, "n f"]

    def boundaries(self) -> list[Boundary]:
        """Returns the boundaries of the scores that have one."""
        return [one.boundary for one in self.readouts if one is not None]

    def readouts_by_column(self) -> list[Boundary | None]:
        """Returns the boundary of each score; None if there is none."""
        return [None if one is None else one.boundary for one in self.readouts]


class _Moments(NamedTuple):
    fitted: Float64Moments
    held_out: Float64Moments


def measure(
    generator: Generator, scorer: Scorer, count: int, *, seed: int, label: Label = None, run: Run = Run()
) -> Labelled:
    """Returns the read-outs of all scores.

    Args:
        generator: the generator.
        scorer: reader of the images.
        count: number of samples.
        seed: seed of the samples.
        label: class of the samples; None: all classes.
        run: batch size, progress and stopping.

    Raises:
        InputError: if an image is not finite.
        Interrupted: if run.should_stop returned True.
    """
    split, done = count - int(HELD_OUT * count), 0
    sums = [_Moments(*[boundaries.init(generator.latent_size, _num_codes(period))] * 2) for period in scorer.periods]
    latent, parts = boundaries.init(generator.latent_size, 0), []
    for samples, values in scored_images.read_in_chunks(generator, scorer.read, count, seed=seed, label=label, run=run):
        own, is_fitted = samples.latent.astype(np.float64), np.arange(done, done + len(values)) < split
        latent = boundaries.update(latent, own, np.empty((len(own), 0)))
        for f, period in enumerate(scorer.periods):
            codes = boundaries.encode(values[:, f], period)
            sums[f] = _Moments(
                boundaries.update(sums[f].fitted, own[is_fitted], codes[is_fitted]),
                boundaries.update(sums[f].held_out, own[~is_fitted], codes[~is_fitted]),
            )
        parts.append(values)
        done += len(values)
    values, prior = np.concatenate(parts), _prior(generator, latent)
    fitted = [_fit(one, period) for one, period in zip(sums, scorer.periods, strict=True)]
    coordinates = _coordinates(generator, fitted, prior, count, seed, label)
    readouts = [
        None if boundary is None else _readout(boundary, sums[f].held_out, coordinates[:, f], values[:, f], split)
        for f, boundary in enumerate(fitted)
    ]
    return Labelled(prior, readouts, values)


def _num_codes(period: float | None) -> int:
    return 1 if period is None else 2


def _prior(generator: Generator, state: Float64Moments) -> LatentPrior:
    """Returns the distribution of w from its moments, or the known one of z."""
    if generator.has_mapping:
        return latent_prior.of_covariance(state.mean, moments.covariance(state))
    return latent_prior.of_z(generator, generator.latent_size)


def _fit(sums: _Moments, period: float | None) -> Boundary | None:
    is_known = min(float(sums.fitted.count), 4 * float(sums.held_out.count)) >= _FEWEST
    return boundaries.fit(sums.fitted, _num_codes(period)) if is_known else None


def _coordinates(
    generator: Generator, fitted: list[Boundary | None], prior: LatentPrior, count: int, seed: int, label: Label
) -> Float[np.ndarray, "n f"]:
    """Returns <normal, latent - mean> of the first code of each score, for the same
    samples again.
    """
    empty = np.zeros(len(prior.mean))
    rows = np.stack([empty if one is None else one.normal[0] for one in fitted])
    chunks = random_samples.draw_in_chunks(generator, 0, count, seed=seed, label=label)
    return np.concatenate([(samples.latent - prior.mean) @ rows.T for samples in chunks])


def _readout(
    boundary: Boundary, held_out: Float64Moments, x: Float[np.ndarray, "n"], y: Float[np.ndarray, "n"], split: int
) -> Readout:
    r2 = boundaries.r2(boundary, held_out)
    if len(boundary.normal) > 1:
        return Readout(boundary, r2, None, np.nan, np.nan)
    is_fitted = np.arange(len(y)) < split
    seen = np.isfinite(y)
    first, last = seen & is_fitted, seen & ~is_fitted
    curve = monotone_curves.fit(x[first], y[first], monotone_curves.even_knots(x[first]))
    missed = np.mean(np.square(monotone_curves.evaluate(curve, x[last]) - y[last]))
    spread = np.var(y[last])
    is_yes_no = len(np.unique(y[first])) == 2
    threshold = y[first].mean() if is_yes_no else np.median(y[first])
    middle = 0.5 * (x[first][y[first] > threshold].mean() + x[first][y[first] <= threshold].mean())
    side = middle if is_yes_no else np.median(x[first])
    accuracy = float(np.mean((x[last] > side) == (y[last] > threshold)))
    return Readout(boundary, r2, curve, float(1 - missed / spread) if spread > 0 else np.nan, accuracy)
