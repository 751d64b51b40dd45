"""Effects of components: changes of a scorer's values when images move along them.

The scorer reads many random images after an edit of minus sigma and after an edit of
plus sigma.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ganspace_jax.directions import edited_images, edits
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.edits import Edit
from ganspace_jax.files import tables
from ganspace_jax.generators import synthesis
from ganspace_jax.generators.base import Generator
from ganspace_jax.measures import scorers
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.sampling import labels, random_samples
from ganspace_jax.sampling.labels import Label
from ganspace_jax.shapes import Array, Float


class Effects(NamedTuple):
    """Effects of components (rows) on values (columns), from -sigma to +sigma.

    The changes of a category are 0 and 1. Its slope is therefore the fraction of images
    in which the category changes.

    Attributes:
        names: names of the values.
        size: root mean square change over images, in the value's standard deviations.
        slope: mean signed change over images, in the value's standard deviations.
    """

    names: tuple[str, ...]
    size: Float[np.ndarray, "c f"]
    slope: Float[np.ndarray, "c f"]


def measure(
    generator: Generator,
    components: Components,
    scorer: Scorer,
    *,
    num_samples: int = 256,
    sigma: float = 1.0,
    layers: tuple[int, int] | None = None,
    label: Label = None,
    seed: int = 0,
) -> Float[np.ndarray, "c n f"]:
    """Returns the change of every value in every random image, for every component.

    Args:
        num_samples: number of images.
        sigma: half length of the step, in the component's standard deviations.
        layers: [start, stop) of the moved layers; None moves each
            direction's own range, which is all layers unless it is named.
        label: class of the images; None uses the components' class.

    Raises:
        InputError: the components do not fit the generator, or the seed is out of
            range.
    """
    edited_images.check_layer_latents(components, generator)
    label = components.spec.label if label is None else label
    start, weights = random_start(generator, num_samples=num_samples, label=label, seed=seed)
    return measure_at(generator, components, scorer, start, weights, sigma=sigma, layers=layers)


def random_start(
    generator: Generator, *, num_samples: int, label: Label, seed: int
) -> tuple[Float[np.ndarray, "n layers d"], Float[np.ndarray, "n classes"] | None]:
    """Returns the per-layer latents and the class weights of random images."""
    _, start, weights = random_samples.draw(
        generator, 0, num_samples, seed=seed, label=labels.resolve(label, generator)
    )
    return start, weights


def measure_at(
    generator: Generator,
    components: Components,
    scorer: Scorer,
    start: Float[Array | np.ndarray, "n layers d"],
    weights: Float[Array | np.ndarray, "n classes"] | None,
    *,
    sigma: float = 1.0,
    layers: tuple[int, int] | None = None,
) -> Float[np.ndarray, "c n f"]:
    """Returns the change of every value in the images of given latents, for every
    component.

    The change is that of a step from -sigma to +sigma; see `scorers.changes`.

    Args:
        generator: the generator.
        components: components whose effects are measured.
        scorer: reader of the images.
        start: per-layer latents of the images before a step.
        weights: class weights of the images; None without classes.
        sigma: half length of the step, in the component's standard deviations.
        layers: [start, stop) of the moved layers; None moves each
            direction's own range, which is all layers unless it is named.

    Raises:
        InputError: the components do not fit the generator.
    """
    edited_images.check_layer_latents(components, generator)

    def values(component: int, step: float) -> Float[np.ndarray, "n f"]:
        moved = edits.apply(jnp.asarray(start), components, [Edit(component, layers, step)])
        images = synthesis.synthesize(generator, moved, label=weights)
        synthesis.check_finite(np.asarray(images), f"component {component}, step {step:g}")
        return scorer.read(images)

    return np.stack([scorers.changes(scorer, values(k, -sigma), values(k, sigma)) for k in range(len(components))])


def summarize(changes: Float[np.ndarray, "c n f"], names: Sequence[str]) -> Effects:
    """Returns the effects over images. NaNs do not count; a column of NaNs gives 0.

    Args:
        changes: changes from `measure`.
        names: names of the values, which are the columns of `changes`.
    """
    seen = ~np.isnan(changes)
    count = np.maximum(seen.sum(1), 1)
    filled = np.where(seen, changes, 0.0)
    return Effects(tuple(names), np.sqrt(np.square(filled).sum(1) / count), filled.sum(1) / count)


def strongest(effects: Effects, component: int, count: int = 2) -> list[str]:
    """Returns the values with the largest effects of a component, largest first."""
    order = np.argsort(effects.size[component])[::-1][:count]
    return [effects.names[i] for i in order]


def table(effects: Effects, components: Sequence[int], labels: Sequence[str] = ()) -> str:
    """Returns the sizes as a Markdown table, with each row's largest size in bold.

    Args:
        effects: effects of all components.
        components: indices of the components in the table.
        labels: names of all components; () calls them v0, v1, and so on.
    """
    rows = []
    for k in components:
        best, label = int(np.argmax(effects.size[k])), labels[k] if labels else f"v{k}"
        rows.append([label, *(f"**{v:.2f}**" if i == best else f"{v:.2f}" for i, v in enumerate(effects.size[k]))])
    return tables.markdown(["", *(name.replace("_", " ") for name in effects.names)], rows)
