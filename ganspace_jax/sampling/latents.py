"""Random latents: from counter-based keys, and from the seeds that published figures
quote.
"""

import re
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.generators import synthesis
from ganspace_jax.generators.base import Generator, Prior
from ganspace_jax.shapes import Array, Float, Int, PRNGKey

CUT = 2.0  # BigGAN's normal distribution is cut at this many standard deviations
MAX_SEEDS = 100_000  # in one list; a longer list is a slip of the pen


def sample(
    key: PRNGKey, indices: Int[Array, "n"], z_dim: int, prior: Prior = "normal", truncation_psi: float = 1.0
) -> Float[Array, "n z"]:
    """Returns z of the samples with these numbers, independent draws from the prior.

    Sample i depends on (key, i) alone. Therefore the batch size does not change the
    samples, and they can be drawn again instead of stored.

    Args:
        key: key of all samples.
        indices: numbers of the samples.
        z_dim: size of z.
        prior: "normal", or "truncated_normal": a normal distribution that is cut at -2
            and 2, times truncation_psi (BigGAN, section 3.1).
        truncation_psi: scale of the truncated normal. The normal prior ignores it.
    """

    def draw(index):
        own_key = jax.random.fold_in(key, index)
        if prior == "normal":
            return jax.random.normal(own_key, (z_dim,))
        return truncation_psi * jax.random.truncated_normal(own_key, -CUT, CUT, (z_dim,))

    return jax.vmap(draw)(indices)


def variance(prior: Prior, truncation_psi: float = 1.0) -> float:
    """Returns the variance of each coordinate of z: 1, or 0.7737 psi^2 for the
    truncated normal.
    """
    import scipy.stats  # imported here: a quarter of the time that importing this package takes

    if prior == "normal":
        return 1.0
    return truncation_psi**2 * float(np.asarray(scipy.stats.truncnorm.var(-CUT, CUT)))


def from_seed(
    seed: int, z_dim: int, num_samples: int = 1, prior: Prior = "normal", truncation_psi: float = 1.0
) -> Float[np.ndarray, "n z"]:
    """Returns z of a published seed, drawn as the original GANSpace draws it.

    That is NumPy's RandomState(seed), and SciPy's truncnorm for a truncated normal.

    Raises:
        InputError: if the seed is not from 0 to 2^32 - 1.
    """
    if not 0 <= seed < synthesis.NUM_SEEDS:
        raise InputError(f"--seeds={seed}: must be from 0 to {synthesis.NUM_SEEDS - 1}")
    random, shape = np.random.RandomState(seed), (num_samples, z_dim)
    if prior == "normal":
        return random.standard_normal(shape).astype(np.float32)
    import scipy.stats  # imported here: see variance

    values = np.asarray(scipy.stats.truncnorm.rvs(-CUT, CUT, size=shape, random_state=random), np.float32)
    return np.float32(truncation_psi) * values


def from_seeds(
    seeds: Sequence[int], z_dim: int, prior: Prior = "normal", truncation_psi: float = 1.0
) -> Float[np.ndarray, "n z"]:
    """Returns one z per published seed."""
    return np.concatenate([from_seed(seed, z_dim, 1, prior, truncation_psi) for seed in seeds])


def layer_latents(
    generator: Generator, seeds: Sequence[int], *, label: synthesis.Label = None, truncation_psi: float = 1.0
) -> Float[Array, "n layers d"]:
    """Returns the per-layer latents of published seeds.

    Args:
        generator: generator of the images.
        seeds: whole numbers from 0.
        label: class index, or weights [n, classes]; a conditional generator without a
            label gets its first class.
        truncation_psi: scale of a truncated normal prior. Generators with w apply their
            truncation later, in synthesis.
    """
    network = generator.merge()
    z = from_seeds(seeds, network.z_dim, network.prior, truncation_psi)
    label = 0 if label is None and network.num_classes else label
    return synthesis.map_latents(generator, jnp.asarray(z), label)


def parse_seeds(texts: Sequence[str]) -> list[int]:
    """Returns the seeds of whole numbers and ranges: ["1", "4-6"] -> [1, 4, 5, 6].

    Raises InputError for anything else, and for more than MAX_SEEDS seeds.
    """
    seeds: list[int] = []
    for text in texts:
        match = re.fullmatch(r"\s*(\d{1,10})(?:-(\d{1,10}))?\s*", text)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not first <= last < synthesis.NUM_SEEDS:
            given = ",".join(texts)
            raise InputError(f"--seeds={given}: must be whole numbers from 0, or ranges, such as 1,2,8-11")
        if len(seeds) + last + 1 - first > MAX_SEEDS:
            raise InputError(f"--seeds={','.join(texts)}: more than {MAX_SEEDS:,} seeds; give fewer")
        seeds.extend(range(first, last + 1))
    return seeds
