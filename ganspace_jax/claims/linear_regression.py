"""Weakness: directions in z come from a linear regression, but the network is not
linear.

r2 is the share of a component's variance in its layer that is linear in z. The mean
over the first components is weighted by their variances. A local basis has the
directions of w that z moves most at one point. The angle between the bases of two
points tells how far one global basis can hold: 0 degrees for a linear network.
"""

import numpy as np

from ganspace_jax.claims.findings import Figure, Finding, Table, Verdict
from ganspace_jax.claims.subjects import Subject, Subjects
from ganspace_jax.methods import decomposition, direction_spec, local_basis
from ganspace_jax.methods.decomposition import Decomposition
from ganspace_jax.methods.direction_spec import DirectionSpec
from ganspace_jax.run import Run
from ganspace_jax.statistics import bootstrap

QUESTION = "Is the linear regression from activations to z good enough?"
LAYERS = ("gen_z", "layers.0", "layers.3", "layers.5")
_LABEL = "cone"
_NUM_COMPONENTS = 10
_NUM_SAMPLES = 5_000  # r2 of noise is about 128 / 5,000
_GOOD = 0.7  # of r2
_BASES = (1, 5, 20)  # directions


def find(subjects: Subjects, *, num_images: int = 256, seed: int = 0, run: Run = Run()) -> Finding:
    """Returns the answer for four layers of biggan-deep-scenes, and for w of
    stylegan2-scenes.

    Args:
        subjects: the generators.
        num_images: four times the number of points; few samples would raise r2, so
            their number is fixed.
        seed: seed of the samples.
        run: progress and stopping.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    figures, rows = [], []
    for layer in LAYERS:
        spec = Decomposition(layer, label=_LABEL, num_samples=_NUM_SAMPLES, num_components=_NUM_COMPONENTS, seed=seed)
        found = decomposition.decompose(subjects.biggan.generator, spec, run)
        r2, weights = found.r2.astype(np.float64), found.variance_ratio.astype(np.float64)
        figures.append(_weighted(f"mean r2 in {layer}, weighted by variance", r2, weights, seed))
        rows.append([layer, *(f"{one:.2f}" for one in r2)])
    good = [layer for layer, one in zip(LAYERS, figures, strict=True) if one.value >= _GOOD]
    verdict: Verdict = "yes" if len(good) == len(LAYERS) else "partly" if good else "no"
    answer = (
        f"Of {', '.join(LAYERS)}, it explains at least {_GOOD:.0%} of the first components' variance in "
        f"{', '.join(good) or 'none'}. In later layers a component bends with z, and one straight line cannot follow it. r2 "
        "says so before anybody looks at a picture."
    )
    table = Table("r2 of each component", ["layer", *(f"v{k}" for k in range(_NUM_COMPONENTS))], rows)
    return Finding(
        QUESTION, verdict, answer, [*figures, *_angles(subjects.stylegan2, num_images // 4, seed, run)], [table]
    )


def _angles(subject: Subject, num_points: int, seed: int, run: Run) -> list[Figure]:
    """Returns the mean angles between the local bases of two points."""
    count = max(direction_spec.FEWEST_IMAGES, num_points)
    spec = DirectionSpec(method="local_basis", num_components=max(_BASES), num_images=count, seed=seed)
    bases = local_basis.measure(subject.generator, direction_spec.resolve(spec, subject.generator), run)
    figures = []
    for size in _BASES:
        angles = local_basis.angles_between_points(bases, size)
        pairs = angles[np.triu_indices(len(angles), 1)]
        figures.append(
            Figure(f"{subject.name}: degrees between local bases of w, {size} directions", float(pairs.mean()))
        )
    return figures


def _weighted(name: str, r2: np.ndarray, weights: np.ndarray, seed: int) -> Figure:
    """Returns the weighted mean, with an interval over components."""

    def figure(pairs: np.ndarray) -> float:
        return float(np.average(pairs[:, 0], weights=pairs[:, 1]))

    pairs = np.stack([r2, weights], axis=1)
    low, high = bootstrap.percentile_interval(figure, [pairs], num_resamples=500, seed=seed)
    return Figure(name, figure(pairs), float(low), float(high))
