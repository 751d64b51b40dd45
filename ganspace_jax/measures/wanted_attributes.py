"""Finds the direction of a wanted attribute: a score that moves, while all other scores
stay.

1. Random images are scored. Their moments give the boundaries and the read-outs.
2. Jacobians of the scores at other images give the effect of any direction in any layer
   range. The purest direction is fitted on one half of these images. Its layer range is
   chosen on the other half.
3. Real steps in new images measure what was found, beside the best of GANSpace's
   components and the best of as many random directions.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from ganspace_jax import errors
from ganspace_jax.directions import latent_directions, named_directions
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.directions.sources import Source
from ganspace_jax.errors import InputError
from ganspace_jax.generators import zoo
from ganspace_jax.generators.base import Generator
from ganspace_jax.measures import attribute_readouts, layer_search, purity, scorers
from ganspace_jax.measures.attribute_readouts import Labelled, Readout
from ganspace_jax.measures.layer_search import Basis, Choice
from ganspace_jax.measures.purity import Measured
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.methods import attributes, boundaries, decomposition
from ganspace_jax.methods.decomposition import Decomposition
from ganspace_jax.run import Progress, Run
from ganspace_jax.sampling import labels, random_samples, score_jacobians
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.shapes import Float

METHOD = "wanted attributes"
METHODS = ("purest", *boundaries.METHODS, "component")
BASELINES = ("component", "random")
CATEGORY_WEIGHT = 0.5  # of a category's margin, in its standard deviations, beside a score
_MOST_DIFFERENCES = 20_480  # images of a scorer without derivatives
_FEWEST_DIFFERENCES = 32  # images at which they are taken


@dataclasses.dataclass(frozen=True)
class WantedAttributes:
    """What is found, and from how many images. It is stored in the components file.

    Attributes:
        attribute: names of scores, separated by commas, or "all".
        method: method that finds the direction.
        search_layers: whether each direction gets the layers in which it is purest;
            otherwise it moves all layers.
        compare: whether the report compares all methods.
        label: class name, class index, or "all"; None: all classes.
        num_samples: number of scored samples.
        num_images: number of images for the Jacobians, in two halves.
        num_measured: number of images in which steps are measured.
        num_components: number of components, and of random directions, to choose from.
        least_effect: mean effect that a direction must have, in standard deviations.
        seed: seed of the samples.
    """

    attribute: str = "all"
    method: Literal["purest", "normal", "conditional", "pattern", "dual", "component"] | str = "purest"
    search_layers: bool = True
    compare: bool = False
    label: str | int | None = None
    num_samples: int = 10_000
    num_images: int = 768
    num_measured: int = 256
    num_components: int = 20
    least_effect: float = layer_search.LEAST_EFFECT
    seed: int = 0

    def __post_init__(self):
        """Checks the values that need no generator. Raises InputError."""
        if self.method not in METHODS:
            hint = errors.nearest(self.method, METHODS)
            raise InputError(f"--method={self.method}: no such method; {hint}must be {', '.join(METHODS)}")
        limits = {"num_samples": 100, "num_images": 4, "num_measured": 2, "num_components": 1}
        for name, least in limits.items():
            if not least <= getattr(self, name) <= decomposition.MAX_SAMPLES:
                raise InputError(f"--{name}={getattr(self, name)}: must be at least {least}")
        if not 0 <= self.seed < 2**32 - 2:
            raise InputError(f"--seed={self.seed}: must be from 0 to {2**32 - 3}")
        if not 0 <= self.least_effect < 10:
            raise InputError(f"--least_effect={self.least_effect}: must be from 0 to 10 standard deviations")


class Attribute(NamedTuple):
    """What was found for one attribute.

    Attributes:
        name: name of the score.
        period: period of a circular score; None for every other score.
        readout: read-out of the score; None if too few images show it.
        found: the direction of the wanted method.
        others: directions of other methods and of the baselines.
    """

    name: str
    period: float | None
    readout: Readout | None
    found: Measured
    others: Sequence[Measured]


def find(
    generator: Generator, scorer: Scorer, spec: WantedAttributes = WantedAttributes(), run: Run = Run(), *,
    name: str = "",
) -> tuple[Components, list[Attribute]]:  # fmt: skip
    """Finds the directions of wanted attributes, and measures them.

    Args:
        generator: the generator.
        scorer: reader of the images.
        spec: which attributes are found, and how.
        run: batch size, progress and stopping.
        name: name of the generator in the components file.

    Returns:
        One named direction per attribute, and the report of each.

    Raises:
        InputError: if there is no such attribute or class, or an image is not finite.
        Interrupted: if run.should_stop returned True.
    """
    columns = wanted_columns(scorer, spec.attribute)
    label = resolved_label(generator, spec)
    methods = list(dict.fromkeys([spec.method, *(METHODS if spec.compare else ()), *BASELINES]))
    stages = (spec.num_samples, _num_jacobian_images(generator, scorer, spec), len(columns) * len(methods))
    run_scores, run_jacobians, run_steps = _in_stages(run, (*stages[:2], stages[2] * 4 * spec.num_measured))
    labelled = attribute_readouts.measure(
        generator, scorer, spec.num_samples, seed=spec.seed, label=label, run=run_scores
    )
    scorer = _with_yes_no(scorer, labelled.values)
    columns = wanted_columns(scorer, spec.attribute)
    basis = _basis(generator, scorer, spec, labelled, run_jacobians)
    at = random_samples.draw(generator, 0, spec.num_measured, seed=spec.seed + 2, label=label)
    chosen: list[Choice] = []
    report: list[Attribute] = []
    for done, column in enumerate(columns):
        choices = [layer_search.choose(basis, method, column) for method in methods]
        measured = []
        for number, choice in enumerate(choices):
            measured.append(purity.compare(generator, scorer, (at.layers, at.weights), choice, column, run))
            finished = (done * len(methods) + number + 1) * 4 * spec.num_measured
            run_steps.report(Progress(finished, finished, "image", f"steps, {scorer.names[column]}"))
        readout = labelled.readouts[column]
        report.append(Attribute(scorer.names[column], scorer.periods[column], readout, measured[0], measured[1:]))
        chosen.append(choices[0])
    return _components(generator, spec, basis, report, chosen, name), report


def _in_stages(run: Run, sizes: Sequence[int]) -> list[Run]:
    """Returns one run per stage, which report the progress of all stages together."""

    def stage(start: int) -> Run:
        def report(progress: Progress) -> object:
            return run.report(Progress(start + progress.done, sum(sizes), "image", progress.note))

        return dataclasses.replace(run, report=report, state=None)

    return [stage(sum(sizes[:number])) for number in range(len(sizes))]


def _num_jacobian_images(generator: Generator, scorer: Scorer, spec: WantedAttributes) -> int:
    """Returns the number of images at which Jacobians are computed, or, without
    derivatives, that number times the differences at each.
    """
    if scorer.differentiable is not None:
        return spec.num_images
    each = generator.latent_shape[0] * min(spec.num_components, generator.latent_size)
    return each * min(spec.num_images, max(_FEWEST_DIFFERENCES, _MOST_DIFFERENCES // (2 * each)))


def wanted_columns(scorer: Scorer, attribute: str) -> list[int]:
    """Returns the columns of the wanted scores.

    Raises:
        InputError: if a name is that of no score, or that of a category.
    """
    possible = [name for name in scorer.names if name not in scorer.categories]
    if attribute == "all":
        return [scorer.names.index(name) for name in possible]
    columns = []
    for name in (part.strip() for part in attribute.split(",")):
        if name in scorer.categories and scorer.differentiable is not None:
            raise InputError(f"--attribute={name}: is a category, so no direction raises it; choose another score")
        if name not in scorer.names:
            hint = errors.nearest(name, scorer.names)
            raise InputError(f"--attribute={name}: no such score; {hint}there are all, {', '.join(possible)}")
        columns.append(scorer.names.index(name))
    return list(dict.fromkeys(columns))


def _with_yes_no(scorer: Scorer, values: Float[np.ndarray, "n f"]) -> Scorer:
    """Returns the scorer with its categories of two kinds as ordinary scores, 0 or
    1.
    """
    if scorer.differentiable is not None:
        return scorer
    kinds = {name: np.unique(values[:, scorer.names.index(name)]) for name in scorer.categories}
    scales, yes_no = scorer.scales.copy(), [name for name, found in kinds.items() if len(found) == 2]
    for name in yes_no:
        scales[scorer.names.index(name)] = values[:, scorer.names.index(name)].std()
    return scorer._replace(scales=scales, categories=tuple(set(scorer.categories) - set(yes_no)))


def _basis(generator: Generator, scorer: Scorer, spec: WantedAttributes, labelled: Labelled, run: Run) -> Basis:
    """Returns the Jacobians at new images, and GANSpace's and random directions."""
    label, covariance = resolved_label(generator, spec), labelled.prior.covariance
    count = min(spec.num_components, generator.latent_size)
    settings = Decomposition(
        label=label, num_samples=max(spec.num_samples, 2 * count + 16), num_components=count, seed=spec.seed
    )
    found = decomposition.decompose(generator, settings, dataclasses.replace(run, report=Run().report))
    components = attributes.in_deviations(found.latent_components.astype(np.float64), covariance)
    jacobians, span = measure_jacobians(generator, scorer, spec, labelled, components, run)
    num_layers, half = generator.latent_shape[0], len(jacobians) // 2
    return Basis(
        jacobians[:half], jacobians[half:], labelled.prior, labelled.readouts_by_column(),
        {"component": components, "random": attributes.random(count, covariance, spec.seed)}, span,
        layer_search.ranges(num_layers) if spec.search_layers else [(0, num_layers)], spec.least_effect,
        attributes.DAMPING if generator.has_mapping else attributes.DAMPING_IN_Z,
    )  # fmt: skip


def measure_jacobians(
    generator: Generator, scorer: Scorer, spec: WantedAttributes, labelled: Labelled,
    components: Float[np.ndarray, "k l"], run: Run,
) -> tuple[score_jacobians.Jacobians, Float[np.ndarray, "k l"] | None]:  # fmt: skip
    """Returns the Jacobians of all scores, and the orthonormal rows of their span; None
    if they are whole.
    """
    label, is_category = resolved_label(generator, spec), np.isin(scorer.names, scorer.categories)
    if scorer.differentiable is not None:
        at = random_samples.draw(generator, 0, spec.num_images, seed=spec.seed + 1, label=label)
        values, jacobians = score_jacobians.measure(generator, scorer.differentiable, at.layers, at.weights, run)
        margins = np.maximum(np.nanstd(np.where(is_category, values, 0.0), axis=0), 1e-6) / CATEGORY_WEIGHT
        scales = np.where(is_category, margins, scorer.scales).astype(np.float32)
        return score_jacobians.clip(jacobians / scales[:, None, None]), None
    patterns = [one.pattern for one in labelled.boundaries()]
    span = np.linalg.qr(np.concatenate([*patterns, components])[: len(components)].T)[0].T
    steps = attributes.in_deviations(span, labelled.prior.covariance)
    count = _num_jacobian_images(generator, scorer, spec) // (len(span) * generator.latent_shape[0])
    at = random_samples.draw(generator, 0, count, seed=spec.seed + 1, label=label)

    def changes(before: np.ndarray, after: np.ndarray) -> Float[np.ndarray, "n f"]:
        moved = scorers.changes(scorer, scorer.read(before), scorer.read(after))
        return np.where(is_category, 0.0, moved)

    jacobians = score_jacobians.measure_differences(generator, changes, steps, at.layers, at.weights, run)
    return score_jacobians.clip(jacobians), span


def _components(
    generator: Generator, spec: WantedAttributes, basis: Basis, report: Sequence[Attribute],
    choices: Sequence[Choice], name: str,
) -> Components:  # fmt: skip
    """Returns one named direction per attribute."""
    taken: list[str] = []
    named: list[NamedDirection] = []
    num_layers = generator.latent_shape[0]
    for attribute, choice in zip(report, choices, strict=True):
        taken.append(named_directions.identifier(attribute.name, taken))
        readout = attribute.readout if attribute.readout is not None and attribute.readout.curve is not None else None
        named.append(
            NamedDirection(
                taken[-1],
                layers=None if choice.layers == (0, num_layers) else choice.layers,
                read=None if readout is None else readout.boundary.normal[0],
                curve=None if readout is None else readout.curve,
                period=attribute.period,
            )
        )
    rows = np.stack([choice.row for choice in choices])
    lengths = np.linalg.norm(rows, axis=1)  # a row is a standard deviation long
    space = generator.latent_space
    source = Source(name, zoo.fingerprint(generator), METHOD, dataclasses.asdict(spec), num_samples=spec.num_samples,
                    compute_dtype=getattr(generator.config, "compute_dtype", "float32"))  # fmt: skip
    return latent_directions.of_directions(
        rows / np.where(lengths > 0, lengths, 1.0)[:, None], lengths, basis.prior.mean,
        spec=LayerSpec(space, space, resolved_label(generator, spec)), source=source, named=named,
    )  # fmt: skip


def resolved_label(generator: Generator, spec: WantedAttributes) -> labels.Label:
    """Returns the class of the samples; by default all classes of a conditional
    generator.
    """
    return labels.resolve("all" if spec.label is None and generator.num_classes else spec.label, generator)
