"""Claim: components of one class act on all classes, large geometric ones most.

The components of one class move random images of every class. Transfer is the
correlation of a component's mean effects on all factors between the source class and
another class.
"""

import numpy as np

from ganspace_jax.claims import best_directions
from ganspace_jax.claims.findings import Figure, Finding, Table, Verdict
from ganspace_jax.claims.subjects import Subjects
from ganspace_jax.measures import class_transfer, effects
from ganspace_jax.measures.class_transfer import Transfer
from ganspace_jax.methods import decomposition
from ganspace_jax.methods.decomposition import Decomposition
from ganspace_jax.run import Run
from ganspace_jax.shapes import Float

QUESTION = "Do BigGAN's components transfer between classes, large geometric ones most?"
SOURCE = "cone"
LAYER = "layers.3"
GEOMETRY = ("size", "horizontal", "depth", "camera_height")
_NUM_COMPONENTS = 8
_CLEAR = 0.8  # correlation that counts as transfer


def find(subjects: Subjects, *, num_images: int = 256, seed: int = 0, run: Run = Run()) -> Finding:
    """Returns the answer, from the components of cones in a middle layer.

    Args:
        subjects: the generators.
        num_images: twice the number of images of each class.
        seed: seed of the images.
        run: progress and stopping.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    generator, scorer = subjects.biggan.generator, subjects.biggan.scorer
    spec = Decomposition(LAYER, label=SOURCE, num_samples=5_000, num_components=_NUM_COMPONENTS, seed=seed)
    components = decomposition.decompose(generator, spec, run)
    counted = np.flatnonzero(~np.isin(scorer.names, scorer.categories))

    def measure(label: int, seed: int) -> Float[np.ndarray, "c n f"]:
        return effects.measure(generator, components, scorer, num_samples=num_images // 2, label=label, seed=seed)

    source = generator.class_names.index(SOURCE)
    own = measure(source, seed + 1)
    others = [label for label in range(generator.num_classes) if label != source]
    found = [
        class_transfer.between(own[..., counted], measure(label, seed + 2)[..., counted], seed=seed) for label in others
    ]
    moved = [scorer.names[column] for column in _strongest(own, best_directions.factor_columns(scorer))]
    lowest = [min(range(len(found)), key=lambda k, c=c: found[k].correlation[c]) for c in range(len(components))]
    figures = [_figure(f"v{c}, {moved[c]}", found[lowest[c]], c) for c in range(len(components))]
    verdict, answer = _answer(figures, moved)
    names = [generator.class_names[label] for label in others]
    rows = [
        [f"v{c}", moved[c], *(f"{one.correlation[c]:.2f} ({one.low[c]:.2f} to {one.high[c]:.2f})" for one in found)]
        for c in range(len(components))
    ]
    title = f"Correlation of the effects on {SOURCE}s and on another class, components of {LAYER}"
    return Finding(QUESTION, verdict, answer, figures, [Table(title, ["component", "moves most", *names], rows)])


def _strongest(changes: Float[np.ndarray, "c n f"], columns: list[int]) -> list[int]:
    """Returns the column of the factor that each component moves most."""
    size = np.square(np.nan_to_num(changes)).mean(1)
    return [max(columns, key=lambda column: size[component, column]) for component in range(len(changes))]


def _figure(name: str, one: Transfer, component: int) -> Figure:
    bounds = (one.correlation[component], one.low[component], one.high[component])
    return Figure(f"lowest correlation in any class: {name}", *map(float, bounds))


def _answer(figures: list[Figure], moved: list[str]) -> tuple[Verdict, str]:
    transfers = [one.value >= _CLEAR for one in figures]
    groups = {
        word: [one.value for one, name in zip(figures, moved, strict=True) if (name in GEOMETRY) is is_geometric]
        for word, is_geometric in (("geometry", True), ("light", False))
    }
    means = {word: float(np.mean(values)) for word, values in groups.items() if values}
    verdict: Verdict = "yes" if all(transfers) else "partly" if any(transfers) else "no"
    compared = ", ".join(f"{value:.2f} for components that move mostly {word}" for word, value in means.items())
    return verdict, (
        f"{sum(transfers)} of {len(transfers)} components have a correlation of at least {_CLEAR:g} in every class. The mean "
        f"of the lowest correlations is {compared}."
    )
