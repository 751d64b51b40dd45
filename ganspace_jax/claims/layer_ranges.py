"""Claim: the same component changes different things in different layers.

For each factor, a component is chosen over all layers, and again with a layer range.
The choice uses Jacobians of one set of images. Real steps in other images measure it:
purity is the factor's share of the squared changes of all factors.
"""

from typing import NamedTuple

import numpy as np

from ganspace_jax.claims.best_directions import of_purity
from ganspace_jax.claims.findings import Finding, Table, Verdict, text
from ganspace_jax.claims.subjects import Subject, Subjects
from ganspace_jax.directions import edited_images
from ganspace_jax.directions.edited_images import View
from ganspace_jax.directions.edits import Edit
from ganspace_jax.files import pictures
from ganspace_jax.measures import layer_search, purity
from ganspace_jax.measures.layer_search import Found
from ganspace_jax.measures.purity import Purity
from ganspace_jax.methods import attributes
from ganspace_jax.run import Run
from ganspace_jax.sampling import random_samples, score_jacobians
from ganspace_jax.shapes import UInt8

QUESTION = "Does the same component change different things in different layers?"
_GAIN = 0.2  # of purity, which counts as a clear difference
_SHOWN = 3  # factors in the picture
_COLUMNS = np.linspace(-2.0, 2.0, 7)


class Compared(NamedTuple):
    """The best component of one factor, with and without a layer range.

    Attributes:
        name: name of the factor.
        whole: component chosen over all layers.
        ranged: component chosen with its range.
        whole_purity: figures of the first, in images that did not choose it.
        ranged_purity: figures of the second, in the same images.
    """

    name: str
    whole: Found
    ranged: Found
    whole_purity: Purity
    ranged_purity: Purity


def find(subjects: Subjects, *, num_images: int = 256, seed: int = 0, run: Run = Run()) -> Finding:
    """Returns the answer, from the components of w.

    Args:
        subjects: the generators.
        num_images: number of images that choose, and of other images that judge.
        seed: seed of the images.
        run: progress and stopping.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    subject = subjects.stylegan2
    rows = compare(subject, num_images=num_images, seed=seed, run=run)
    gains = [one.ranged_purity.purity - one.whole_purity.purity for one in rows]
    clear = [one.name for one, gain in zip(rows, gains, strict=True) if gain >= _GAIN]
    best = rows[int(np.argmax(gains))]
    verdict: Verdict = "yes" if len(clear) > len(rows) / 2 else "partly" if clear else "no"
    answer = (
        f"A layer range raises the purity of the best component by at least {_GAIN:g} for {len(clear)} of {len(rows)} "
        f"factors. The largest gain is that of {best.name}: {_described(best.ranged)}."
    )
    figures = [
        of_purity(f"purity of {best.name}, best component in all layers", best.whole_purity),
        of_purity(f"purity of {best.name}, {_described(best.ranged)}", best.ranged_purity),
    ]
    return Finding(QUESTION, verdict, answer, figures, [_table(rows)], _picture(subject, rows, gains))


def compare(subject: Subject, *, num_images: int, seed: int, run: Run) -> list[Compared]:
    """Returns the best component of each factor that is not circular."""
    generator, scorer = subject.generator, subject.scorer
    assert scorer.differentiable is not None
    at = random_samples.draw(generator, 0, num_images, seed=seed + 1)
    _, jacobians = score_jacobians.measure(generator, scorer.differentiable, at.layers, at.weights, run)
    is_category = np.isin(scorer.names, scorer.categories)
    scales = np.where(is_category, np.inf, scorer.scales).astype(np.float32)
    jacobians = score_jacobians.clip(jacobians / scales[:, None, None])
    components = attributes.in_deviations(
        subject.components.latent_components.astype(np.float64), subject.prior.covariance
    )
    num_layers, width = generator.latent_shape
    by_layer = attributes.layer_rows(components, (0, num_layers), num_layers, width)
    ranges = layer_search.ranges(num_layers)
    found = layer_search.effects(jacobians, by_layer, ranges)
    judge = random_samples.draw(generator, 0, num_images, seed=seed + 2)

    def judged(one: Found, column: int) -> Purity:
        step = attributes.layer_rows(components[[one.candidate]], one.layers, num_layers, width)[0]
        changes = purity.measure(generator, scorer, (judge.layers, judge.weights), one.sign * step, run)
        return purity.summarize(changes, scorer, column, seed)

    rows = []
    for column, name in enumerate(scorer.names):
        if is_category[column] or scorer.periods[column] is not None:
            continue
        each = layer_search.best_by_range(found, ranges, column)
        whole = next(one for one in each if one.layers == (0, num_layers))
        ranged = max(
            (one for one in each if one.effect >= layer_search.LEAST_EFFECT),
            key=lambda one: one.signed_purity,
            default=whole,
        )
        rows.append(Compared(name, whole, ranged, judged(whole, column), judged(ranged, column)))
    return rows


def _described(one: Found) -> str:
    first, last = one.layers[0], one.layers[1] - 1
    return f"v{one.candidate} in layer {first}" if first == last else f"v{one.candidate} in layers {first}-{last}"


def _table(rows: list[Compared]) -> Table:
    cells = [
        [
            one.name,
            f"v{one.whole.candidate}",
            text(of_purity("", one.whole_purity)),
            _described(one.ranged),
            text(of_purity("", one.ranged_purity)),
        ]
        for one in rows
    ]
    header = ["factor", "best in all layers", "purity", "best with a range", "purity"]
    return Table("The best component of each factor, measured in images that did not choose it", header, cells)


def _picture(subject: Subject, rows: list[Compared], gains: list[float]) -> dict[str, UInt8[np.ndarray, "h w c"]]:
    """Returns rows of images: each component in all layers, then in its range."""
    start = edited_images.default_start(subject.generator, subject.components, View().synthesis)
    images, labels = [], []
    for number in np.argsort(gains)[::-1][:_SHOWN]:
        one = rows[number].ranged
        for layers, name in ((None, "all layers"), (one.layers, _described(one).partition(" in ")[2])):
            steps = [[Edit(one.candidate, layers, float(one.sign * sigma))] for sigma in _COLUMNS]
            images.append(
                np.asarray(edited_images.edited_images(subject.generator, subject.components, start, steps, View()))
            )
            labels.append(f"v{one.candidate}, {name}")
    columns = [f"{sigma:+.1f}" for sigma in _COLUMNS]
    caption = "Each component in all layers, and in the layers in which it is purest; steps in standard deviations"
    return {caption: pictures.labelled_rows(np.stack(images), labels, columns)}
