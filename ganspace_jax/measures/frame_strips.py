"""What enters the frame when a picture is shifted: the strip that the shift leaves
undefined, judged against the true picture.

Each way to move a picture fills the strip. The strip is compared with the true one by
PSNR. It is also pasted into the true picture, and a scorer reads both: what it reads
differently comes from the strip alone.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ganspace_jax.measures import scorers
from ganspace_jax.measures.answers import Answer
from ganspace_jax.measures.scorers import Scorer
from ganspace_jax.shapes import Float, Int
from ganspace_jax.statistics import bootstrap

Images = Float[np.ndarray, "n h w c"]
_LOW = 10  # percentile that is reported beside the median


class Moved(NamedTuple):
    """True pictures after a shift, and the unit in which their places are measured.

    Attributes:
        truth: true pictures after the shift, in [-1, 1].
        displacement: shift to the right, whole pixels.
        pixels: pixels per standard deviation of the position, for each picture.
        position: name of the position among the scorer's values.
    """

    truth: Images
    displacement: Int[np.ndarray, "n"]
    pixels: Float[np.ndarray, "n"]
    position: str


def undefined(displacement: Int[np.ndarray, "n"], width: int) -> Float[np.ndarray, "n 1 w 1"]:
    """Returns 1 in the columns that a shift to the right leaves undefined, else 0."""
    source = np.arange(width) - displacement[:, None]
    return ((source < 0) | (source >= width)).astype(np.float64)[:, None, :, None]


def shift(images: Images, displacement: Int[np.ndarray, "n"], padding: str = "reflect") -> Images:
    """Returns images shifted to the right, with padding where the shift leaves them
    undefined.

    Args:
        images: images.
        displacement: shift of each image, whole pixels.
        padding: mode of numpy.pad, such as "reflect" or "edge".
    """
    reach, width = int(np.abs(displacement).max()), images.shape[2]
    padded = np.pad(images, ((0, 0), (0, 0), (reach, reach), (0, 0)), mode=padding)  # pyright: ignore
    columns = np.arange(width) - displacement[:, None] + reach
    return np.take_along_axis(padded, columns[:, None, :, None], axis=2)


def measure(ways: Mapping[str, Images], moved: Moved, scorer: Scorer) -> list[Answer]:
    """Returns one row per way to move the pictures.

    Args:
        ways: moved pictures, by the name of the way.
        moved: the true pictures.
        scorer: reader of the pictures.
    """
    strip = undefined(moved.displacement, moved.truth.shape[2])
    values = scorer.read(moved.truth)
    column = scorer.names.index(moved.position)
    is_category = np.isin(scorer.names, scorer.categories)
    is_other = ~is_category & (np.arange(len(is_category)) != column)
    rows = []
    for name, images in ways.items():
        made = np.clip(images, -1.0, 1.0)
        inside = psnr(made, moved.truth, strip)
        pasted = (strip * made + (1.0 - strip) * moved.truth).astype(np.float32)
        by_strip = np.nan_to_num(scorers.changes(scorer, values, scorer.read(pasted)))
        whole = scorers.changes(scorer, values, scorer.read(made.astype(np.float32)))
        missed = np.abs(np.nan_to_num(whole[:, column])) * moved.pixels
        figures = {
            "strip, median PSNR (dB)": bootstrap.figure(np.median, inside),
            "strip, 10th percentile (dB)": bootstrap.figure(_low, inside),
            "picture, median PSNR (dB)": bootstrap.figure(np.median, psnr(made, moved.truth, np.ones_like(strip))),
            "strip alone: position read wrongly by (px)": bootstrap.figure(
                np.mean, np.abs(by_strip[:, column]) * moved.pixels
            ),
            "strip alone: others changed": bootstrap.figure(np.median, _root_mean_square(by_strip[:, is_other])),
            "strip alone: category flips": bootstrap.figure(np.mean, by_strip[:, is_category].max(1)),
            "picture: position missed by (px)": bootstrap.figure(np.median, missed),
        }
        rows.append(Answer({"way": name}, figures))
    return rows


def psnr(images: Images, truth: Images, mask: Float[np.ndarray, "n 1 w 1"]) -> Float[np.ndarray, "n"]:
    """Returns the peak signal-to-noise ratio of images within a mask, in decibels."""
    weights = np.broadcast_to(mask, truth.shape)
    square = weights * np.square(np.asarray(images, np.float64) - truth)
    error = square.sum((1, 2, 3)) / weights.sum((1, 2, 3))
    return 10.0 * np.log10(4.0 / np.maximum(error, 1e-10))


def _low(values: Float[np.ndarray, "n"]) -> float:
    return float(np.percentile(values, _LOW))


def _root_mean_square(changes: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "n"]:
    return np.sqrt(np.square(changes).mean(1))
