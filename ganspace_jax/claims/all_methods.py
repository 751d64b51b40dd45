"""Weakness: GANSpace compares itself with random directions only.

All methods stand beside one another, on the same images. The figure is the purity of
the best direction for each factor that is not circular, in its purest layers.
"""

import numpy as np

from ganspace_jax.claims.findings import Figure, Finding, Table, Verdict
from ganspace_jax.claims.subjects import Subject, Subjects
from ganspace_jax.files import charts
from ganspace_jax.measures import compared_methods, comparison, comparison_tables
from ganspace_jax.measures.compared_methods import SUPERVISED, Comparison
from ganspace_jax.measures.comparison import Summary
from ganspace_jax.run import Run
from ganspace_jax.shapes import UInt8

QUESTION = "Do other methods find purer directions than PCA?"
_SHOWN = ("pca", "random", "image_jacobian", "purest")


def find(subjects: Subjects, *, num_images: int = 256, seed: int = 0, run: Run = Run()) -> Finding:
    """Returns the answer for both generators, from one seed.

    Args:
        subjects: the generators.
        num_images: number of images of the Jacobians and of the steps, twice.
        seed: seed of the samples.
        run: progress and stopping.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    spec = Comparison(
        num_seeds=1, num_samples=4_000, num_images=num_images // 2, num_measured=num_images // 2, seed=seed
    )
    found = {subject.name: compare(subject, spec, run) for subject in subjects}
    purities = {name: {method: _purity(one) for method, one in methods.items()} for name, methods in found.items()}
    figures = [
        methods[method]._replace(name=f"{name}: mean purity, {method}")
        for name, methods in purities.items()
        for method in _SHOWN
    ]
    verdict, answer = conclude(purities)
    drawn = {f"{name}: figures of each method with their intervals": _picture(one) for name, one in found.items()}
    return Finding(QUESTION, verdict, answer, figures, [_table(name, one) for name, one in found.items()], drawn)


def compare(subject: Subject, spec: Comparison, run: Run) -> dict[str, Summary]:
    """Returns the figures of every method for one generator."""
    scorer = subject.scorer
    wanted = compared_methods.wanted_columns(scorer, spec.attribute)
    ground = compared_methods.prepare(subject.generator, scorer, spec, spec.seed, run)
    is_category = np.isin(scorer.names, scorer.categories)
    return {
        method: comparison.summarize(
            [compared_methods.measure(ground, method, wanted, run)], wanted, is_category, np.ones(len(wanted), bool)
        )
        for method in compared_methods.method_names(subject.generator, spec)
    }


def conclude(purity: dict[str, dict[str, Figure]]) -> tuple[Verdict, str]:
    """Returns the verdict and the answer.

    Args:
        purity: mean purity of each method, by generator. Methods that need a scorer
            do not count against PCA, which needs none.
    """
    clear, words = [], []
    for name, methods in purity.items():
        best, pca = max((k for k in methods if k not in SUPERVISED), key=lambda k: methods[k].value), methods["pca"]
        asked = max((k for k in methods if k in SUPERVISED), key=lambda k: methods[k].value)
        clear.append(best != "pca" and methods[best].low > pca.high)
        words.append(
            f"In {name} the purest method without labels is {best}, with a mean purity of {methods[best].value:.2f} "
            f"in the best layers; PCA has {pca.value:.2f}, and {asked}, which asks a scorer, {methods[asked].value:.2f}."
        )
    verdict: Verdict = "yes" if all(clear) else "partly" if any(clear) else "open"
    return verdict, " ".join(words)


def _purity(one: Summary) -> Figure:
    return Figure("", *map(float, one.means[comparison.OF_SCORES.index("purity in layers")]))


def _table(name: str, methods: dict[str, Summary]) -> Table:
    shown = ("purity", "purity in layers", "slope in layers", "flips in layers")
    rows = [
        [
            method,
            *(comparison_tables.text(one.means[comparison.OF_SCORES.index(figure)]) for figure in shown),
            *(comparison_tables.text(figures) for figures in one.of_method),
            f"{one.seconds:.1f}",
        ]
        for method, one in methods.items()
    ]
    titles = ("purity", "purity, best layers", "effect, best layers", "shapes that flip, best layers")
    header = ["method", *titles, "disentanglement", "completeness", "image change explained", "CPU seconds"]
    return Table(f"{name}: means over factors that are not circular", header, rows)


def _picture(methods: dict[str, Summary]) -> UInt8[np.ndarray, "h w c"]:
    return charts.intervals(comparison_tables.panels(methods), list(methods))
