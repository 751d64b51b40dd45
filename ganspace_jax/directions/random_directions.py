"""Random directions: the baseline that components are compared with."""

import dataclasses

import numpy as np

from ganspace_jax.directions.components import Components
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.shapes import Float


def unit_rows(num_directions: int, dimension: int, seed: int) -> Float[np.ndarray, "c d"]:
    """Returns unit rows that are drawn uniformly from the sphere."""
    rows = np.random.default_rng(seed).standard_normal((num_directions, dimension))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def random_like(components: Components, seed: int) -> Components:
    """Returns random unit directions with the standard deviations of the components.

    Each moves the layers of the named direction in whose place it is.
    """
    return dataclasses.replace(
        components,
        activation_components=_unit_like(components.activation_components, 1, seed),
        latent_components=_unit_like(components.latent_components, components.latent_components.ndim - 1, seed),
        named=tuple(NamedDirection(f"random_{k}", one.layers) for k, one in enumerate(components.named)),
    )


def _unit_like(directions: np.ndarray, num_leading: int, seed: int) -> np.ndarray:
    """Returns random directions of the same shape; rows over the axes after
    `num_leading` have unit length.
    """
    count = int(np.prod(directions.shape[:num_leading]))
    size = int(np.prod(directions.shape[num_leading:]))
    return unit_rows(count, size, seed).reshape(directions.shape).astype(np.float32)
