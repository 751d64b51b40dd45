"""Runs each method that finds directions with several seeds, on the same images.

1. Directions: an unsupervised method gives candidates. A method of wanted attributes
   gives one direction for each score.
2. Jacobians of the scores at random images choose the best direction for each score,
   first in all layers and then with its best range of layers.
3. Real steps in new images measure what was chosen. Jacobians at other new images give
   the effects of all directions, and those of images the change explained.
"""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ganspace_jax import errors
from ganspace_jax.errors import InputError
from ganspace_jax.generators.base import Generator
from ganspace_jax.measures import attribute_readouts, comparison, layer_search, purity, wanted_attributes
from ganspace_jax.measures.attribute_readouts import Labelled
from ganspace_jax.measures.comparison import Measured
from ganspace_jax.measures.layer_search import Basis
from ganspace_jax.measures.purity import Inputs
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.measures.wanted_attributes import WantedAttributes
from ganspace_jax.methods import attributes, boundaries, direction_spec, finding, image_jacobians
from ganspace_jax.methods.attributes import Choice
from ganspace_jax.methods.direction_spec import DirectionSpec
from ganspace_jax.run import Run
from ganspace_jax.sampling import labels, random_samples, score_jacobians
from ganspace_jax.shapes import Float

UNSUPERVISED: dict[str, dict[str, str | float]] = {  # methods.finding, with options beside the defaults
    **{name: {"method": name} for name in direction_spec.METHODS},
    "sefa_layers_0_1": {"method": "sefa", "moved_layers": "0-1"},
    "ica_unmixing": {"method": "ica", "vectors": "unmixing"},
    "sparse_pca": {"method": "sparse_pca", "sparsity": 0.1},
}
SUPERVISED = ("purest", *boundaries.METHODS)
METHODS = (*UNSUPERVISED, *SUPERVISED)
LINEAR = "linear"
_SEEDS_APART = 10  # each seed owns as many seeds of samples
_GRAM_IMAGES = 64


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Which methods are compared, and from how many images.

    Attributes:
        methods: names of methods, separated by commas, or "all".
        attribute: names of scores, separated by commas; "all"; or "linear": all scores
            that are not circular.
        label: class name, class index, or "all"; None: all classes.
        num_seeds: number of seeds.
        num_components: directions of each unsupervised method, from which the best are
            chosen.
        num_samples: samples for moments of latents, layers and scores.
        num_images: images whose Jacobians choose directions, and as many others whose
            Jacobians give the effects.
        num_measured: images in which steps are measured.
        seed: first seed.
    """

    methods: str = "all"
    attribute: str = LINEAR
    label: str | int | None = None
    num_seeds: int = 3
    num_components: int = 20
    num_samples: int = 10_000
    num_images: int = 256
    num_measured: int = 256
    seed: int = 0

    def __post_init__(self):
        """Checks the values that need no generator. Raises InputError."""
        for name in self.names():
            if name not in METHODS:
                hint = errors.nearest(name, METHODS)
                raise InputError(f"--methods={name}: no such method; {hint}must be all, {', '.join(METHODS)}")
        limits = {
            "num_seeds": (1, 100), "num_components": (1, 1000), "num_samples": (100, 10**6), "num_images": (8, 10**5),
            "num_measured": (2, 10**5), "seed": (0, 10**7),
        }  # fmt: skip
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                raise InputError(f"--{name}={getattr(self, name)}: must be from {least} to {most:,}")

    def names(self) -> list[str]:
        """Returns the names of the methods."""
        return list(METHODS) if self.methods == "all" else [name.strip() for name in self.methods.split(",")]

    def seeds(self) -> list[int]:
        """Returns the seeds."""
        return list(range(self.seed, self.seed + self.num_seeds))


class Ground(NamedTuple):
    """What all methods share at one seed.

    Attributes:
        generator: the generator.
        scorer: reader of the images.
        spec: which methods are compared.
        first_seed: first of the seeds of samples.
        basis: Jacobians that choose, boundaries, and layer ranges; without candidates.
        others: Jacobians at other images.
        grams: mean of J^T J of images, by group of images.
        inputs: per-layer latents and class weights of the images that are moved.
        score_seconds: processor time of the scores, for the boundaries.
        jacobian_seconds: processor time of the Jacobians that choose.
    """

    generator: Generator
    scorer: Scorer
    spec: Comparison
    first_seed: int
    basis: Basis
    others: Float[np.ndarray, "m f layers d"]
    grams: Float[np.ndarray, "groups l l"]
    inputs: Inputs
    score_seconds: float
    jacobian_seconds: float


def method_names(generator: Generator, spec: Comparison) -> list[str]:
    """Returns the names of the compared methods. With "all", a generator of one layer
    has no method for its first two.
    """
    names = list(dict.fromkeys(spec.names()))
    single = spec.methods == "all" and generator.latent_shape[0] < 2
    return [name for name in names if not (single and "moved_layers" in UNSUPERVISED.get(name, {}))]


def wanted_columns(scorer: Scorer, attribute: str) -> list[int]:
    """Returns the columns of the wanted scores.

    Raises:
        InputError: if a name is that of no score, or that of a category.
    """
    if attribute != LINEAR:
        return wanted_attributes.wanted_columns(scorer, attribute)
    columns = wanted_attributes.wanted_columns(scorer, "all")
    return [column for column in columns if scorer.periods[column] is None] or columns


def prepare(generator: Generator, scorer: Scorer, spec: Comparison, seed: int, run: Run = Run()) -> Ground:
    """Returns what all methods share at one seed. Each purpose has images of its own.

    Raises:
        InputError: if there is no such class, or an image is not finite.
        Interrupted: if run.should_stop returned True.
    """
    first, silent = _SEEDS_APART * seed, dataclasses.replace(run, report=Run().report, state=None)
    label = _label(generator, spec)
    started = time.process_time()
    labelled = attribute_readouts.measure(generator, scorer, spec.num_samples, seed=first, label=label, run=silent)
    scored = time.process_time()
    chosen, span = _jacobians(generator, scorer, spec, labelled, first + 2, silent)
    differentiated = time.process_time()
    others, _ = _jacobians(generator, scorer, spec, labelled, first + 4, silent)
    at_images = _direction_spec(generator, spec, "image_jacobian", first + 6)
    grams = image_jacobians.measure(generator, direction_spec.resolve(at_images, generator), silent)
    at = random_samples.draw(generator, 0, spec.num_measured, seed=first + 8, label=label)
    half = len(chosen) // 2
    basis = Basis(
        chosen[:half], chosen[half:], labelled.prior, labelled.readouts_by_column(), {}, span,
        layer_search.ranges(generator.latent_shape[0]),
        damping=attributes.DAMPING if generator.has_mapping else attributes.DAMPING_IN_Z,
    )  # fmt: skip
    seconds = (scored - started, differentiated - scored)
    return Ground(generator, scorer, spec, first, basis, others, grams, (at.layers, at.weights), *seconds)


def _label(generator: Generator, spec: Comparison) -> labels.Label:
    return wanted_attributes.resolved_label(generator, WantedAttributes(label=spec.label))


def _direction_spec(generator: Generator, spec: Comparison, method: str, seed: int) -> DirectionSpec:
    options: dict[str, Any] = dict(UNSUPERVISED[method])
    if options["method"] in ("image_jacobian", "local_basis"):
        options["num_images"] = min(_GRAM_IMAGES, spec.num_images)
    count = min(spec.num_components, generator.latent_size)
    return DirectionSpec(
        label=_label(generator, spec), num_components=count, num_samples=spec.num_samples, seed=seed, **options
    )


def _jacobians(
    generator: Generator, scorer: Scorer, spec: Comparison, labelled: Labelled, seed: int, run: Run
) -> tuple[score_jacobians.Jacobians, Float[np.ndarray, "k l"] | None]:
    """Returns Jacobians, and their span; None if they are whole."""
    count = min(spec.num_components, generator.latent_size)
    rows = np.zeros((count, generator.latent_size))
    if scorer.differentiable is None:
        found = finding.find(generator, _direction_spec(generator, spec, "pca", seed), run)
        rows = attributes.in_deviations(found.latent_components.astype(np.float64), labelled.prior.covariance)
    wanted = WantedAttributes(label=spec.label, num_images=spec.num_images, num_components=count, seed=seed)
    return wanted_attributes.measure_jacobians(generator, scorer, wanted, labelled, rows, run)


def measure(ground: Ground, method: str, wanted: Sequence[int], run: Run = Run()) -> Measured:
    """Returns what one method finds for the wanted scores, measured by real steps.

    Args:
        ground: what all methods share at one seed.
        method: name in METHODS.
        wanted: columns of the scores.
        run: batch size and stopping.

    Raises:
        InputError: if the method does not fit the generator.
        Interrupted: if run.should_stop returned True.
    """
    silent = dataclasses.replace(run, report=Run().report, state=None)
    num_layers = ground.generator.latent_shape[0]
    basis, own, rows = ground.basis, (0, num_layers), None
    seconds = ground.jacobian_seconds if method == "purest" else ground.score_seconds
    if method in UNSUPERVISED:
        started = time.process_time()
        rows, own = _candidates(ground, method, silent)
        seconds = time.process_time() - started
        basis = basis._replace(rows={method: rows})
    whole = [layer_search.choose(basis._replace(ranges=[own]), method, column) for column in wanted]
    ranged = [layer_search.choose(basis, method, column) for column in wanted]
    rows = np.stack([one.row for one in whole]) if rows is None else rows
    changes = [_changes(ground, one, silent) for one in whole]
    moved = [changes[w] if _is_equal(one, whole[w]) else _changes(ground, one, silent) for w, one in enumerate(ranged)]
    return Measured(
        np.stack(changes, axis=1), np.stack(moved, axis=1), _squares(ground, rows, own),
        comparison.explained(ground.grams, basis.prior.covariance, rows),
        np.stack([one.step(*ground.generator.latent_shape) for one in ranged]),
        np.array([one.layers for one in ranged]), seconds,
    )  # fmt: skip


def _candidates(ground: Ground, method: str, run: Run) -> tuple[Float[np.ndarray, "c l"], layer_search.Range]:
    """Returns directions, one standard deviation long, and the layers they move."""
    generator = ground.generator
    found = finding.find(generator, _direction_spec(generator, ground.spec, method, ground.first_seed), run)
    rows = attributes.in_deviations(found.latent_components.astype(np.float64), ground.basis.prior.covariance)
    named = found.named[0].layers if found.named else None
    return rows, named or (0, generator.latent_shape[0])


def _is_equal(one: Choice, other: Choice) -> bool:
    return one.layers == other.layers and np.array_equal(one.row, other.row)


def _changes(ground: Ground, choice: Choice, run: Run) -> Float[np.ndarray, "n f"]:
    step = choice.step(*ground.generator.latent_shape)
    return purity.measure(ground.generator, ground.scorer, ground.inputs, step, run)


def _squares(ground: Ground, rows: Float[np.ndarray, "c l"], layers: layer_search.Range) -> Float[np.ndarray, "m c k"]:
    """Returns squared effects on the scores that are no categories, at other images."""
    is_score = ~np.isin(ground.scorer.names, ground.scorer.categories)
    by_layer = attributes.layer_rows(rows, layers, *ground.generator.latent_shape)
    jacobians = np.nan_to_num(ground.others[:, is_score])
    return np.square(np.einsum("nfld,cld->ncf", jacobians, by_layer, optimize=True), dtype=np.float64)
