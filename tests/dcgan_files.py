"""State dicts of DCGANs in the PyTorch tutorial's layout."""

import itertools

import numpy as np


def drawn(widths, *, seed=0):
    """Returns a DCGAN's arrays; widths run from its inputs to the image's channels."""
    rng, state = np.random.default_rng(seed), {}
    for i, shape in enumerate(itertools.pairwise(widths)):
        state[f"main.{3 * i}.weight"] = rng.normal(size=(*shape, 4, 4)).astype(np.float32)
        if i < len(widths) - 2:
            for leaf in ("weight", "bias", "running_mean", "running_var"):
                state[f"main.{3 * i + 1}.{leaf}"] = rng.uniform(1, 2, shape[1]).astype(np.float32)
            state[f"main.{3 * i + 1}.num_batches_tracked"] = np.array(7)
    return state
