"""The groups of consecutive samples that the jackknife leaves out one at a time."""

import math

NUM_GROUPS = 8


def bounds(num_samples: int) -> list[int]:
    """Returns where the groups begin and end."""
    return doubling_bounds(num_samples, num_samples)[0]


def doubling_bounds(num_samples: int, smallest: int) -> list[list[int]]:
    """Returns the group bounds of sets of samples that double in size up to
    num_samples.

    The first set has at least `smallest` samples. Two groups of one set are one group
    of the next set.
    """
    num_doublings = max(0, math.floor(math.log2(num_samples / smallest)))
    num_units = NUM_GROUPS * 2**num_doublings
    units = [num_samples * unit // num_units for unit in range(num_units + 1)]
    return [[units[group * 2**step] for group in range(NUM_GROUPS + 1)] for step in range(num_doublings + 1)]
