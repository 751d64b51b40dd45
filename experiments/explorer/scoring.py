"""What each direction changes in the images, in a few words of a scorer."""

import functools

import numpy as np

from ganspace_jax import named_scorers
from ganspace_jax.directions.components import Components
from ganspace_jax.generators.base import Generator
from ganspace_jax.measures import effects
from ganspace_jax.measures.effects import Effects

NUM_SAMPLES = 64  # images for each direction
_MOST_NAMED = 3
_LEAST = 0.25  # standard deviations of a value; a smaller change is not named


def moves(generator: Generator, components: Components, scorer_name: str, generator_name: str) -> list[list[str]]:
    """Returns what each direction changes, from one standard deviation below to one
    above, largest first.

    Raises:
        InputError: if there is no such scorer, or if it cannot read the images.
    """
    reference = functools.partial(
        named_scorers.reference_images, generator, components, num_samples=NUM_SAMPLES, seed=0
    )
    scorer = named_scorers.load(scorer_name, reference, generator_name=generator_name)
    label = components.spec.label
    changes = effects.measure(generator, components, scorer, num_samples=NUM_SAMPLES, label=label)
    return in_words(effects.summarize(changes, scorer.names))


def in_words(found: Effects) -> list[list[str]]:
    """Returns the largest effects of each component, such as "size +1.2".

    The number is in the value's standard deviations. Where images change both ways, it
    is the size of the change, with the sign ±.
    """
    texts = []
    for size, slope in zip(found.size, found.slope, strict=True):
        order = [k for k in np.argsort(-size, kind="stable")[:_MOST_NAMED] if size[k] >= _LEAST]
        texts.append([f"{found.names[k].replace('_', ' ')} {_amount(size[k], slope[k])}" for k in order])
    return texts


def _amount(size: float, slope: float) -> str:
    return f"{slope:+.1f}" if abs(slope) >= size / 2 else f"±{size:.1f}"
