"""Times a decomposition by the original GANSpace's algorithm.

It uses PyTorch and scikit-learn, as the original does.

All latents are drawn first. Activations are computed in batches, and concatenated to
blocks of max(batch size, 2000, 3 components) samples. Each block is an input of
IncrementalPCA.partial_fit. Directions in z need a second pass with the same number of
samples, their coordinates, and one least-squares problem.

In one place this code is faster. The original computes one matrix product per sample
to project it, although one product of all samples is enough.
"""

import math
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import scipy.linalg
import torch
from sklearn.decomposition import IncrementalPCA

Activate = Callable[[torch.Tensor], torch.Tensor]  # latents [n, l] -> flattened layer [n, d]
Draw = Callable[[np.random.RandomState, int], np.ndarray]  # (random state, n) -> latents [n, l]


class Timed(NamedTuple):
    """A decomposition and its time.

    Attributes:
        seconds: Duration of the whole decomposition. It is extrapolated if only
            `num_blocks` of `total_blocks` were computed.
        num_blocks: Number of computed blocks.
        total_blocks: Number of blocks of the whole decomposition.
        components: Components [c, d], which are unit vectors.
    """

    seconds: float
    num_blocks: int
    total_blocks: int
    components: np.ndarray


def decompose(
    activate: Activate,
    draw: Draw,
    *,
    num_samples: int,
    batch_size: int,
    num_components: int,
    regress: bool,
    num_blocks: int | None = None,
) -> Timed:
    """Times a decomposition.

    Args:
        activate: Function from latents to the layer.
        draw: Function that draws latents.
        num_samples: Number of samples of each pass.
        batch_size: Number of samples per call of `activate`.
        num_components: Number of components.
        regress: True to time the second pass as well, for directions in z.
        num_blocks: Number of blocks after which each pass stops. The time is then
            extrapolated to all blocks. By default no pass stops early.
    """
    block_size = max(batch_size, 2000, 3 * num_components)
    total_blocks = math.ceil(num_samples / block_size)
    num_blocks = min(num_blocks or total_blocks, total_blocks)
    num_computed = min(num_samples, num_blocks * block_size)
    random = np.random.RandomState(0)
    transformer = IncrementalPCA(num_components, whiten=False, batch_size=block_size)

    start = time.perf_counter()
    latents = np.concatenate([draw(random, size) for size in _batch_sizes(num_computed, batch_size)])
    for first in range(0, num_computed, block_size):
        transformer.partial_fit(_activations(activate, latents[first : first + block_size], batch_size))
    seconds = (time.perf_counter() - start) * total_blocks / num_blocks
    if regress:
        batches = (draw(random, size) for size in _batch_sizes(num_computed, batch_size))
        seconds += _time_regression(activate, batches, transformer, num_samples, num_computed)
    return Timed(seconds, num_blocks, total_blocks, transformer.components_)


def _batch_sizes(num_samples: int, batch_size: int) -> list[int]:
    return [min(batch_size, num_samples - first) for first in range(0, num_samples, batch_size)]


def _activations(activate: Activate, latents: np.ndarray, batch_size: int) -> np.ndarray:
    with torch.no_grad():
        batches = [activate(batch) for batch in torch.from_numpy(latents).split(batch_size)]
    return torch.cat(batches).numpy()


def _time_regression(
    activate: Activate,
    batches: Iterator[np.ndarray],
    transformer: IncrementalPCA,
    num_samples: int,
    num_computed: int,
) -> float:
    """Returns the seconds of the second pass and of its least-squares problem.

    The time of the pass is extrapolated to all samples. The least-squares problem has
    its full size, because the computed samples are repeated until there are enough.

    Args:
        activate: Function from latents to the layer.
        batches: Latents of each batch. The time includes their computation.
        transformer: Principal components of the first pass.
        num_samples: Number of samples of the whole pass.
        num_computed: Number of samples in `batches`.
    """
    standard_deviations = np.sqrt(transformer.explained_variance_)
    projection = (transformer.components_ / standard_deviations[:, None]).T.astype(np.float32)
    start = time.perf_counter()
    coordinates, latents = [], []
    for z in batches:
        centred = _activations(activate, z, len(z)) - transformer.mean_
        coordinates.append(centred.astype(np.float32) @ projection)
        latents.append(z)
    pass_seconds = (time.perf_counter() - start) * num_samples / num_computed
    repeats = math.ceil(num_samples / num_computed)
    all_coordinates = np.tile(np.concatenate(coordinates), (repeats, 1))[:num_samples]
    all_latents = np.tile(np.concatenate(latents), (repeats, 1))[:num_samples]
    start = time.perf_counter()
    scipy.linalg.lstsq(all_coordinates, all_latents, lapack_driver="gelsd")
    return pass_seconds + time.perf_counter() - start
