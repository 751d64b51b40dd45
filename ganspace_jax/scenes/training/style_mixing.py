"""Random latents for training, with style mixing (StyleGAN1, section 3.1)."""

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from ganspace_jax.generators.base import Network
from ganspace_jax.sampling import devices as device_meshes
from ganspace_jax.sampling.latents import CUT
from ganspace_jax.shapes import Array, Float, PRNGKey


def mixed_latents(
    generator: Network,
    key: PRNGKey,
    labels: Array | None,
    batch_size: int,
    probability: float,
    devices: Mesh | None,
) -> tuple[Float[Array, "n layers d"], Float[Array, "d"]]:
    """Samples latents, and returns them with the mean latent.

    In a mixed image, the layers from a random layer upwards have the latents of a
    second z.

    Args:
        probability: probability that an image is mixed.
        devices: devices that share the batch, or None.
    """
    z_key, other_key, cut_key, mix_key = jax.random.split(key, 4)
    z = device_meshes.split_batch(_sample_batch(generator, z_key, batch_size), devices)
    latents = generator.map_latents(z, labels)
    mean_latent = jax.lax.stop_gradient(latents[:, 0].mean(0))
    if probability > 0:
        others = generator.map_latents(_sample_batch(generator, other_key, batch_size), labels)
        num_layers = latents.shape[1]
        cut = jax.random.randint(cut_key, (batch_size, 1, 1), 1, num_layers)
        mixed = jax.random.bernoulli(mix_key, probability, (batch_size, 1, 1))
        latents = jnp.where(mixed & (jnp.arange(num_layers)[None, :, None] >= cut), others, latents)
    return latents, mean_latent


def _sample_batch(generator: Network, key: PRNGKey, batch_size: int) -> Float[Array, "n z"]:
    """Draws z for the whole batch from one key.

    latents.sample draws other numbers, because it has one key per sample. With it,
    saved runs would not resume bit-equal.
    """
    shape = (batch_size, generator.z_dim)
    if generator.prior == "normal":
        return jax.random.normal(key, shape)
    return jax.random.truncated_normal(key, -CUT, CUT, shape)
