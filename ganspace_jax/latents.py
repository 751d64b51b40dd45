"""Where latents come from: counter-based keys, and the seeds that published figures quote."""

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.failures import InputError
from ganspace_jax.shapes import Array, Float, Int, PRNGKey


def sample(key: PRNGKey, indices: Int[Array, "n"], z_dim: int) -> Float[Array, "n z"]:
    """z of the samples with these numbers: i.i.d. standard normal, sample i depending on (key, i) alone.

    So the samples of a run are the same whatever the batch size, and can be made again instead of stored.
    """
    return jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(key, i), (z_dim,)))(indices)


def from_seed(seed: int, z_dim: int, num_samples: int = 1) -> Float[np.ndarray, "n z"]:
    """z of a published seed: numpy RandomState(seed), as the original GANSpace draws it."""
    values = np.random.RandomState(seed).standard_normal(z_dim * num_samples)
    return values.reshape(num_samples, z_dim).astype(np.float32)


def from_seeds(seeds: list[int], z_dim: int) -> Float[np.ndarray, "n z"]:
    """One z a seed."""
    return np.concatenate([from_seed(seed, z_dim) for seed in seeds])


def parse_seeds(texts: list[str]) -> list[int]:
    """Whole numbers from 0; raises InputError."""
    try:
        seeds = [int(text) for text in texts]
        if min(seeds, default=0) < 0:
            raise ValueError
    except ValueError:
        raise InputError(f"--seeds={','.join(texts)}: must be whole numbers from 0, such as 1,2,3") from None
    return seeds


def one_hot(label: int | None, num_classes: int, num_samples: int) -> Float[Array, "n classes"] | None:
    """The label argument of a generator: None for an unconditional one."""
    if label is None:
        return None
    return jnp.tile(jax.nn.one_hot(label, num_classes), (num_samples, 1))
