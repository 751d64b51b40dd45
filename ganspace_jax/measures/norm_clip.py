"""What clipping the norm of a latent does while latents follow a shift.

A normal latent of d numbers has a norm near sqrt(d). Plumerault et al. 2020, section
3.2, clip to it after each step. Distances are norms in standard deviations of the
prior, divided by sqrt(d), so that a sample's is near 1.
"""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ganspace_jax.generators.base import Generator
from ganspace_jax.measures.answers import Answer
from ganspace_jax.methods import trajectories
from ganspace_jax.methods.trajectories import Trajectories, TrajectorySearch
from ganspace_jax.run import Run
from ganspace_jax.sampling import latents
from ganspace_jax.shapes import Float
from ganspace_jax.statistics import bootstrap
from ganspace_jax.statistics.bootstrap import Figure

_LARGE = 95  # percentile of the distances

Reader = Callable[[Trajectories], Float[np.ndarray, "n"]]


class Way(NamedTuple):
    """One way to keep latents near the prior.

    Attributes:
        name: name of the way.
        clip: whether the norm is clipped.
        penalty: weight of the squared Mahalanobis distance.
    """

    name: str
    clip: bool
    penalty: float


WAYS = (Way("clip", True, 0.0), Way("none", False, 0.0), Way("penalty 0.001", False, 1e-3))


def measure(generator: Generator, spec: TrajectorySearch, read: Reader, run: Run = Run()) -> list[Answer]:
    """Returns one row per latent space and way: distances and PSNR at the largest shift
    of both signs, and the error of the position.

    Args:
        generator: the generator.
        spec: transformation, number of images and steps.
        read: function of trajectories that returns the error of the
            position at the largest shifts, pixels; NaN if an image does not show it.
        run: batch size and progress.
    """
    rows = []
    for space in ("z", "w") if generator.has_mapping else ("z",):
        for way in WAYS:
            own = dataclasses.replace(spec, latent_space=space, clip=way.clip, penalty=way.penalty)
            found = trajectories.follow(generator, own, run)
            case = {"space": space, "kept near the prior by": way.name}
            rows.append(Answer(case, _figures(generator, found, read(found))))
    return rows


def _figures(generator: Generator, found: Trajectories, missed: Float[np.ndarray, "n"]) -> dict[str, Figure]:
    ends = [0, -1]
    middle = int(np.flatnonzero(found.amounts == 0.0)[0])
    away, psnr = found.distances[:, ends], found.psnr[:, ends]
    figures = {
        "distance at the start": bootstrap.figure(np.mean, found.distances[:, middle]),
        "distance at the ends": bootstrap.figure(np.mean, away),
        "95th percentile": bootstrap.figure(lambda rows: np.percentile(rows, _LARGE), away),
        "largest": bootstrap.figure(np.max, away),
        "median PSNR (dB)": bootstrap.figure(np.median, psnr),
        "10th percentile (dB)": bootstrap.figure(lambda rows: np.percentile(rows, 10), psnr),
        "median error of the position (px)": bootstrap.figure(np.median, missed[np.isfinite(missed)]),
    }
    if generator.prior == "truncated_normal":
        beyond = np.abs(found.latents[:, ends]) > latents.CUT
        figures["share of z beyond the prior's cut"] = bootstrap.figure(np.mean, beyond.mean((1, 2)))
    return figures
