"""Claim: the effect of an edit depends on attributes of the image that is edited.

A component moves its strongest factor that is not circular by e. Two shares describe
how e differs between images:

    varying = 1 - (mean of e)^2 / (mean of e^2),
    by shape = variance of e between the source's shapes / variance of e.

The second is corrected for chance (omega squared; Hays 1963): it is 0 on average if the
shape does not matter.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ganspace_jax.claims import best_directions, steps
from ganspace_jax.claims.findings import Figure, Finding, Table, Verdict, text
from ganspace_jax.claims.subjects import Subject, Subjects
from ganspace_jax.measures import scorers
from ganspace_jax.run import Run
from ganspace_jax.sampling import scored_images
from ganspace_jax.shapes import Float, Int
from ganspace_jax.statistics import bootstrap

QUESTION = "Does the effect of an edit depend on the image that is edited?"
_NUM_COMPONENTS = 10
_NUM_RESAMPLES = 500
_CLEAR = 0.05  # share that counts


class Dependence(NamedTuple):
    """How the effect of one component differs between images.

    Attributes:
        component: number of the component.
        factor: name of the factor that it moves most.
        varying: share of the squared effect that is not the mean effect.
        by_shape: share of the effect's variance between the shapes of the sources.
    """

    component: int
    factor: str
    varying: Figure
    by_shape: Figure


def find(subjects: Subjects, *, num_images: int = 256, seed: int = 0, run: Run = Run()) -> Finding:
    """Returns the answer for both generators.

    Args:
        subjects: the generators.
        num_images: number of images that are edited.
        seed: seed of the images.
        run: progress and stopping.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    figures: list[Figure] = []
    tables = []
    clear = []
    for subject in subjects:
        rows = measure(subject, num_images=num_images, seed=seed, run=run)
        clear.append(sum(one.by_shape.low > 0 and one.by_shape.value >= _CLEAR for one in rows))
        for name, own in (("varying share", "varying"), ("share by shape", "by_shape")):
            median = sorted((getattr(one, own) for one in rows), key=lambda figure: figure.value)[len(rows) // 2]
            figures.append(median._replace(name=f"{subject.name}: {name}, the median of {len(rows)} components"))
        cells = [[f"v{one.component}", one.factor, text(one.varying), text(one.by_shape)] for one in rows]
        header = ["component", "factor it moves most", "varying share", "share by shape"]
        tables.append(Table(f"{subject.name}: how far the effect differs between images", header, cells))
    total = _NUM_COMPONENTS * len(subjects)
    verdict: Verdict = "yes" if sum(clear) > total / 2 else "partly" if sum(clear) else "no"
    answer = (
        f"For {sum(clear)} of {total} components, the shape of the source explains at least {_CLEAR:.0%} of how the effect "
        "differs between images. The varying share counts every reason for a difference, the shape included."
    )
    return Finding(QUESTION, verdict, answer, figures, tables)


def measure(subject: Subject, *, num_images: int, seed: int, run: Run = Run()) -> list[Dependence]:
    """Returns how the effects of the first components differ between images."""
    scorer, at = subject.scorer, steps.draw(subject, num_images, seed)
    made = np.concatenate(list(scored_images.images(subject.generator, at.layers, at.weights, run)))
    shape = scorer.read(made)[:, scorer.names.index("shape")].astype(int)
    kept = best_directions.factor_columns(scorer)
    rows = []
    both = steps.both_ways(subject, subject.components, at, count=_NUM_COMPONENTS, run=run)
    for component, sides in enumerate(both):
        own = scorers.changes(scorer, *map(scorer.read, sides))[:, kept]
        column = int(np.nanmean(np.square(own), axis=0).argmax())
        seen = np.isfinite(own[:, column])
        effect, source = own[seen, column], shape[seen]
        rows.append(
            Dependence(
                component,
                scorer.names[kept[column]],
                _figure(lambda rows: varying(rows[:, 0]), effect, source, seed),
                _figure(lambda rows: by_group(rows[:, 0], rows[:, 1].astype(int)), effect, source, seed),
            )
        )
    return rows


def varying(effect: Float[np.ndarray, "n"]) -> float:
    """Returns 1 - (mean effect)^2 / (mean squared effect); 0 if nothing moves."""
    square = float(np.mean(np.square(effect)))
    return 1 - float(effect.mean()) ** 2 / square if square > 0 else 0.0


def by_group(effect: Float[np.ndarray, "n"], group: Int[np.ndarray, "n"]) -> float:
    """Returns omega squared, the share of the variance between groups.

    There are n effects in k groups. B is the sum of squares between the groups, and W
    within them:

        (B - (k - 1) m) / (B + W + m),  m = W / (n - k).
    """
    names = np.unique(group)
    within = sum(float(np.square(effect[group == one] - effect[group == one].mean()).sum()) for one in names)
    total = float(np.square(effect - effect.mean()).sum())
    mean_within = within / max(len(effect) - len(names), 1)
    return (total - within - (len(names) - 1) * mean_within) / max(total + mean_within, 1e-12)


def _figure(statistic: Callable[[np.ndarray], float], effect: np.ndarray, source: np.ndarray, seed: int) -> Figure:
    rows = np.stack([effect, source.astype(np.float64)], axis=1)
    low, high = bootstrap.percentile_interval(statistic, [rows], num_resamples=_NUM_RESAMPLES, seed=seed)
    return Figure("", statistic(rows), float(low), float(high))
