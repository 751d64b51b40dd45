"""Weakness: GANSpace finds components, but not a wanted semantic.

For each factor that is not circular, Jacobians of the factor give the purest direction.
Beside it stand the best of 20 components, and of 20 random directions. Each has the
layers in which it is purest. Real steps in new images measure all three.
"""

import numpy as np

from ganspace_jax.claims import best_directions
from ganspace_jax.claims.findings import Figure, Finding, Table, Verdict, text
from ganspace_jax.claims.subjects import Subject, Subjects
from ganspace_jax.measures import wanted_attributes
from ganspace_jax.measures.purity import Measured
from ganspace_jax.measures.wanted_attributes import Attribute, WantedAttributes
from ganspace_jax.run import Run

QUESTION = "Can a wanted semantic be asked for, instead of looked for among components?"


def find(subjects: Subjects, *, num_images: int = 256, seed: int = 0, run: Run = Run()) -> Finding:
    """Returns the answer for both generators.

    Args:
        subjects: the generators.
        num_images: number of images of the Jacobians; half of it for the steps.
        seed: seed of the samples.
        run: progress and stopping.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    figures: list[Figure] = []
    tables = []
    for subject in subjects:
        report = _report(subject, num_images, seed, run)
        tables.append(_table(subject.name, report))
        for number, method in enumerate(("asked for", "best component", "best random direction")):
            figures.append(_mean(f"{subject.name}: mean purity, {method}", [_ways(one)[number] for one in report]))
    wins = [
        (asked.value - component.value, asked.value, component.value)
        for asked, component in zip(figures[0::3], figures[1::3], strict=True)
    ]
    verdict: Verdict = (
        "yes" if all(gain > 0.1 for gain, *_ in wins) else "partly" if any(gain > 0.1 for gain, *_ in wins) else "no"
    )
    compared = " and ".join(f"{asked:.2f} against {component:.2f}" for _, asked, component in wins)
    answer = (
        f"A direction that is asked for has a mean purity of {compared} for the best component, in stylegan2-scenes and "
        "biggan-deep-scenes. It needs a scorer; the components need somebody who looks at them."
    )
    return Finding(QUESTION, verdict, answer, figures, tables)


def _report(subject: Subject, num_images: int, seed: int, run: Run) -> list[Attribute]:
    names = [subject.scorer.names[column] for column in best_directions.factor_columns(subject.scorer)]
    spec = WantedAttributes(
        ",".join(names), num_samples=4_000, num_images=num_images, num_measured=max(2, num_images // 2), seed=seed
    )
    return wanted_attributes.find(subject.generator, subject.scorer, spec, run)[1]


def _ways(one: Attribute) -> tuple[Measured, Measured, Measured]:
    """Returns the wanted direction, the best component and the best random one."""
    by_method = {other.choice.method: other for other in one.others}
    return one.found, by_method["component"], by_method["random"]


def _mean(name: str, measured: list[Measured]) -> Figure:
    """Returns the mean purity over factors. The interval takes the errors of the
    factors as independent.
    """
    values = np.array([best_directions.of_purity("", one.at_sigma)[1:] for one in measured])
    mean = values[:, 0].mean()
    half = np.sqrt(np.square((values[:, 2] - values[:, 1]) / 2).sum()) / len(values)
    return Figure(name, float(mean), float(mean - half), float(mean + half))


def _table(name: str, report: list[Attribute]) -> Table:
    rows = []
    for one in report:
        cells = [text(best_directions.of_purity("", measured.at_sigma)) for measured in _ways(one)]
        component = _ways(one)[1].choice
        rows.append([one.name, cells[0], f"v{component.candidate}", *cells[1:]])
    header = ["factor", "asked for", "best component", "its purity", "best random direction"]
    return Table(f"{name}: purity of each direction in its purest layers", header, rows)
