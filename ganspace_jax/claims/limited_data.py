"""Claim: components are limited by the data.

Three generators of 16 x 16 images were trained alike on different scenes. The first saw
all scenes. The second saw scenes whose object stands in the middle. In the scenes of
the third, the light is brighter if the object stands farther to the right. In each
generator, a direction that moves the object is asked for, and looked for among the
components.
"""

import pathlib
from typing import NamedTuple

import numpy as np

from ganspace_jax.claims import best_directions, subjects
from ganspace_jax.claims.findings import Figure, Finding, Table, Verdict, text
from ganspace_jax.claims.subjects import Subject, Subjects
from ganspace_jax.files import pictures
from ganspace_jax.generators import zoo
from ganspace_jax.measures import effects, purity, wanted_attributes
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.measures.wanted_attributes import WantedAttributes
from ganspace_jax.run import Run
from ganspace_jax.sampling import random_samples, scored_images
from ganspace_jax.scenes import probe
from ganspace_jax.shapes import Float, UInt8
from ganspace_jax.statistics import bootstrap

QUESTION = "Are components limited by the data?"
MODELS = pathlib.Path(__file__).parents[1] / "models" / "limited-data"
NAMES = {"all": "all scenes", "fixed": "object in the middle", "tied": "light tied to place"}
MOVED, TIED = "horizontal", "light_intensity"
_LEFT = 0.25  # of the standard deviation over all scenes: below it, a factor is as good as gone
_ALONG = 0.5  # of a standard deviation of the light for one of the place: above it, they move together
_COLUMNS = np.linspace(-2.0, 2.0, 7)


class Measured(NamedTuple):
    """What one generator offers. All numbers are in standard deviations over all
    scenes.

    Attributes:
        values: scores of random images.
        asked: changes by the direction that was asked for, from -1 to +1 standard
            deviation of the latent.
        component: changes by the component that moves the object most.
        number: number of this component.
        step: the step of the asked direction in each layer.
    """

    values: Float[np.ndarray, "n f"]
    asked: Float[np.ndarray, "n f"]
    component: Float[np.ndarray, "n f"]
    number: int
    step: Float[np.ndarray, "layers d"]


def find(shipped: Subjects, *, num_images: int = 256, seed: int = 0, run: Run = Run()) -> Finding:
    """Returns the answer.

    Args:
        shipped: not needed, because this claim has generators of its own.
        num_images: number of images of each measurement.
        seed: seed of the samples.
        run: progress and stopping.

    Raises:
        Interrupted: if run.should_stop returned True.
    """
    del shipped
    scorer = probe.scorer(probe.load(MODELS / "probe"))
    trained = {
        key: subjects.of_generator(name, zoo.load(MODELS / key), scorer, seed=seed, run=run)
        for key, name in NAMES.items()
    }
    found = {key: measure(one, num_images=num_images, seed=seed, run=run) for key, one in trained.items()}
    spread = {key: spread_of(one, scorer, NAMES[key]) for key, one in found.items()}
    along = {key: along_with(one.asked, scorer, NAMES[key]) for key, one in found.items() if key != "fixed"}
    pure = [
        _purity(f"purity of {MOVED}, asked for: {NAMES[key]}", one.asked, scorer, seed) for key, one in found.items()
    ]
    verdict, answer = conclude(spread, along)
    figures = [*spread.values(), *along.values(), *pure]
    return Finding(QUESTION, verdict, answer, figures, [_table(found, scorer, seed)], _picture(trained, found))


def measure(subject: Subject, *, num_images: int, seed: int, run: Run) -> Measured:
    """Returns the figures of one generator."""
    generator, scorer = subject.generator, subject.scorer
    column = scorer.names.index(MOVED)
    spec = WantedAttributes(MOVED, num_samples=4_000, num_images=num_images, num_measured=num_images, seed=seed)
    choice = wanted_attributes.find(generator, scorer, spec, run)[1][0].found.choice
    at = random_samples.draw(generator, 0, num_images, seed=seed + 3)
    values = np.concatenate([scorer.read(x) for x in scored_images.images(generator, at.layers, at.weights, run)])
    step = choice.step(*generator.latent_shape)
    asked = purity.measure(generator, scorer, (at.layers, at.weights), step, run)
    changes = effects.measure(generator, subject.components, scorer, num_samples=num_images, seed=seed + 3)
    most = int(np.abs(changes[:, :, column].mean(1)).argmax())
    return Measured(values, asked, changes[most], most, step)


def spread_of(found: Measured, scorer: Scorer, name: str) -> Figure:
    """Returns the standard deviation of the moved factor over random images, relative
    to that over all scenes.
    """
    column = scorer.names.index(MOVED)

    def figure(rows: Float[np.ndarray, "n f"]) -> float:
        return float(rows[:, column].std() / scorer.scales[column])

    title = f"standard deviation of {MOVED}, of that over all scenes: {name}"
    return Figure(title, *bootstrap.figure(figure, found.values))


def along_with(changes: Float[np.ndarray, "n f"], scorer: Scorer, name: str) -> Figure:
    """Returns how far the tied factor moves, for one standard deviation of the moved
    factor.
    """
    moved, tied = scorer.names.index(MOVED), scorer.names.index(TIED)

    def figure(rows: Float[np.ndarray, "n f"]) -> float:
        mean = np.nanmean(rows, axis=0)
        return float(mean[tied] / mean[moved])

    title = f"change of {TIED} with one of {MOVED}, asked for: {name}"
    return Figure(title, *bootstrap.figure(figure, changes))


def _purity(name: str, changes: Float[np.ndarray, "n f"], scorer: Scorer, seed: int) -> Figure:
    return best_directions.of_purity(name, purity.summarize(changes, scorer, scorer.names.index(MOVED), seed))


def conclude(spread: dict[str, Figure], along: dict[str, Figure]) -> tuple[Verdict, str]:
    """Returns the verdict and the answer.

    Args:
        spread: figures of `spread_of`, by the names of the generators' directories.
        along: figures of `along_with`.
    """
    gone = spread["fixed"].high < _LEFT < spread["all"].low
    together = along["tied"].low > _ALONG > along["all"].high
    apart = along["tied"].high < _ALONG
    verdict: Verdict = "yes" if gone and together else "partly" if gone or together else "no" if apart else "open"
    return verdict, (
        f"Where the object always stood in the middle, its place keeps {spread['fixed'].value:.2f} of its standard "
        f"deviation ({spread['all'].value:.2f} after training on all scenes), so no direction can move it. Where the "
        f"light was tied to the place, the direction asked for moves the light by {along['tied'].value:.2f} standard "
        f"deviations for one of the place; after training on all scenes by {along['all'].value:.2f}."
    )


def _table(found: dict[str, Measured], scorer: Scorer, seed: int) -> Table:
    moved, tied = scorer.names.index(MOVED), scorer.names.index(TIED)
    rows = []
    for key, one in found.items():
        for name, changes in (("asked for", one.asked), (f"v{one.number}", one.component)):
            means = [Figure("", *bootstrap.figure(np.nanmean, changes[:, column])) for column in (moved, tied)]
            cells = [text(one) for one in (*means, _purity("", changes, scorer, seed))]
            rows.append([NAMES[key], name, *cells])
    header = ["trained on", "direction", f"change of {MOVED}", f"change of {TIED}", f"purity of {MOVED}"]
    title = "The direction asked for, and the component that moves the object most: changes from -1 to +1 standard deviation"
    return Table(title, header, rows)


def _picture(trained: dict[str, Subject], found: dict[str, Measured]) -> dict[str, UInt8[np.ndarray, "h w c"]]:
    """Returns two rows for each generator: its mean image along both directions."""
    images, labels = [], []
    for key, subject in trained.items():
        layers = subject.generator.latent_shape[0]
        mean = np.broadcast_to(subject.prior.mean, subject.generator.latent_shape)
        own = subject.components
        row = own.latent_components[found[key].number] * own.latent_stdevs[found[key].number]
        for name, step in (("asked for", found[key].step), (f"v{found[key].number}", np.stack([row] * layers))):
            latents = np.stack([mean + sigma * step for sigma in _COLUMNS]).astype(np.float32)
            images.append(np.concatenate(list(scored_images.images(subject.generator, latents, None))))
            labels.append(f"{NAMES[key]}: {name}")
    caption = "Both directions of each generator, from its mean latent; steps in standard deviations"
    columns = [f"{sigma:+.1f}" for sigma in _COLUMNS]
    return {caption: pictures.labelled_rows(np.stack(images), labels, columns)}
