"""What lies outside the frame of a scene, and which way of moving a picture shows it.

The renderer gives the true picture after a step of the camera. A shift with padding,
and latents moved by as many pixels, are judged against it.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ganspace_jax.generators.base import Generator
from ganspace_jax.measures import frame_strips
from ganspace_jax.measures.answers import Answer
from ganspace_jax.measures.frame_strips import Moved
from ganspace_jax.run import Run
from ganspace_jax.sampling import inversion, labels
from ganspace_jax.sampling.inversion import Inversion
from ganspace_jax.scenes import motion_paths, moved_scenes
from ganspace_jax.scenes.factors import SHAPES, Factors
from ganspace_jax.scenes.probe import Probe, scorer
from ganspace_jax.shapes import Float

REFLECTION, REPEATED_EDGE = "shift, reflection", "shift, repeated edge"
LATENT, INVERTED_TRUTH = "latent, moved", "latent of the true picture"


class Contents(NamedTuple):
    """Rows of the table, and the pictures behind them.

    Attributes:
        rows: one row per displacement and way.
        titles: names of the pictures: before, the truth, and the ways.
        pictures: pictures at the largest displacement, in the order of the titles.
    """

    rows: list[Answer]
    titles: list[str]
    pictures: Float[np.ndarray, "t n h w c"]


def measure(
    generator: Generator,
    probe: Probe,
    start: Callable[[Any], Any] | None,
    count: int,
    displacements: Sequence[int],
    is_cut: bool,
    *,
    seed: int = 0,
    run: Run = Run(),
) -> Contents:
    """Returns how near each way of moving comes to the true picture.

    Args:
        generator: generator of scenes.
        probe: reader of scenes.
        start: encoder for the inversion, or None.
        count: number of scenes.
        displacements: shifts, whole pixels, in ascending order.
        is_cut: whether the frame cuts the object before the shift, or shows all of it.
        seed: seed of the scenes.
        run: batch size and progress of the inversions.
    """
    resolution, reader = generator.resolution, scorer(probe)
    if is_cut:
        factors, side = moved_scenes.draw_cut(count, resolution, seed=seed)
    else:
        factors, side = moved_scenes.draw(count, float(displacements[-1]), resolution, seed=seed)
    images = moved_scenes.render_moved(factors, np.array([0, *displacements])[:, None] * side, resolution)

    def invert(pictures: np.ndarray) -> inversion.Inverted:
        return inversion.invert(generator, pictures, Inversion(), run, label=_label(generator, factors), start=start)

    before = invert(images[0])
    line = motion_paths.trace(generator, probe, before.latents, before.label)
    own = np.array([np.interp(0.0, line.lengths, read) for read in line.positions.T])
    pixels = (
        np.asarray(moved_scenes.pixels_per_unit(factors, resolution)) * reader.scales[reader.names.index("horizontal")]
    )
    rows: list[Answer] = []
    ways: dict[str, np.ndarray] = {}
    for displacement, truth in zip(displacements, images[1:], strict=True):
        signed = (displacement * side).astype(int)
        length = line.reach(own + signed)[:, None, None]
        ways = {
            REFLECTION: frame_strips.shift(images[0], signed),
            REPEATED_EDGE: frame_strips.shift(images[0], signed, "edge"),
            LATENT: motion_paths.images(generator, before.latents + length * line.step, before.label),
            INVERTED_TRUTH: invert(truth).images,
        }
        found = frame_strips.measure(ways, Moved(truth, signed, pixels, "horizontal"), reader)
        case = {"object": "cut" if is_cut else "whole", "shift": f"{displacement} px"}
        rows += [one._replace(case={**case, **one.case}) for one in found]
    return Contents(rows, ["before", "truth", *ways], np.stack([images[0], images[-1], *ways.values()]))


def _label(generator: Generator, factors: Factors) -> list[str] | None:
    """Returns the classes of scenes; None if a class has no effect on an image."""
    return [SHAPES[int(one)] for one in factors.shape] if labels.act_on_images(generator) else None
