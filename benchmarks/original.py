"""A decomposition the way the original GANSpace does it, in PyTorch and scikit-learn, to be timed beside ours.

All latents are drawn up front. Activations come in batches, are put together to blocks of max(batch, 2000, 3 c) samples, and
each block goes to IncrementalPCA.partial_fit. Directions in z take a second pass: as many samples again, their coordinates,
and one least-squares problem. Where the projection of the original is slow for no reason (a matrix product a sample) a single
matrix product stands here.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.linalg
import torch
from sklearn.decomposition import IncrementalPCA

Activate = Callable[[torch.Tensor], torch.Tensor]  # latents [n, l] -> the flattened layer [n, d]


class Timed(NamedTuple):
    """seconds: of the whole run; extrapolated where only `num_blocks` of `of_blocks` were run. components: unit rows."""

    seconds: float
    num_blocks: int
    of_blocks: int
    components: np.ndarray


def decompose(
    activate: Activate,
    draw: Callable[[np.random.RandomState, int], np.ndarray],
    *,
    num_samples: int,
    batch_size: int,
    num_components: int,
    regress: bool,
    num_blocks: int | None = None,
) -> Timed:
    """Times a decomposition. draw: (generator of random numbers, n) -> latents [n, l].

    num_blocks: stop after so many blocks, and after as many samples of the second pass, and extrapolate.
    """
    block = max(batch_size, 2000, 3 * num_components)
    of_blocks = -(-num_samples // block)
    num_blocks = min(num_blocks or of_blocks, of_blocks)
    share, count = of_blocks / num_blocks, min(num_samples, num_blocks * block)
    random = np.random.RandomState(0)
    transformer = IncrementalPCA(num_components, whiten=False, batch_size=block)

    start = time.perf_counter()
    latents = np.concatenate([draw(random, min(batch_size, count - i)) for i in range(0, count, batch_size)])
    for first in range(0, count, block):
        transformer.partial_fit(_activations(activate, latents[first : first + block], batch_size))
    total = share * (time.perf_counter() - start)
    if regress:
        total += _time_regression(activate, draw, random, transformer, num_samples, count, batch_size)
    return Timed(total, num_blocks, of_blocks, transformer.components_)


def _activations(activate: Activate, latents: np.ndarray, batch_size: int) -> np.ndarray:
    with torch.no_grad():
        parts = [activate(torch.from_numpy(latents[i : i + batch_size])) for i in range(0, len(latents), batch_size)]
    return torch.cat(parts).numpy()


def _time_regression(activate, draw, random, transformer, num_samples, count, batch_size) -> float:
    """The second pass, of which `count` samples are run, and the least-squares problem of all of them."""
    mean, rows = transformer.mean_, transformer.components_ / np.sqrt(transformer.explained_variance_)[:, None]
    start = time.perf_counter()
    coordinates, latents = [], []
    for first in range(0, count, batch_size):
        z = draw(random, min(batch_size, count - first))
        coordinates.append(
            (_activations(activate, z, batch_size) - mean).astype(np.float32) @ rows.T.astype(np.float32)
        )
        latents.append(z)
    sampling = (time.perf_counter() - start) * num_samples / count
    repeats = -(-num_samples // count)
    a, z = (np.tile(np.concatenate(parts), (repeats, 1))[:num_samples] for parts in (coordinates, latents))
    start = time.perf_counter()
    scipy.linalg.lstsq(a, z, lapack_driver="gelsd")
    return sampling + time.perf_counter() - start
