"""Losses of adversarial training.

The losses are the non-saturating logistic loss (Goodfellow et al. 2014), the hinge
loss of BigGAN (Brock et al. 2019) and the gradient penalty R1 (Mescheder et al. 2018).
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from ganspace_jax.shapes import Array, Float

Kind = Literal["logistic", "hinge"]


def discriminator_loss(kind: Kind, real: Float[Array, "n"], fake: Float[Array, "n"]) -> Float[Array, ""]:
    """Returns the discriminator's loss from logits of real and of generated images."""
    if kind == "hinge":
        return jax.nn.relu(1.0 - real).mean() + jax.nn.relu(1.0 + fake).mean()
    return jax.nn.softplus(-real).mean() + jax.nn.softplus(fake).mean()


def generator_loss(kind: Kind, fake: Float[Array, "n"]) -> Float[Array, ""]:
    """Returns the generator's loss from logits of generated images."""
    return -fake.mean() if kind == "hinge" else jax.nn.softplus(-fake).mean()


def gradient_penalty(discriminator: Callable[[Array], Array], real: Float[Array, "n h w c"]) -> Float[Array, ""]:
    """Returns R1: the mean squared norm of the logits' gradient at real images."""
    gradient = jax.grad(lambda images: discriminator(images).sum())(real)
    return jnp.sum(jnp.square(gradient), axis=(1, 2, 3)).mean()
