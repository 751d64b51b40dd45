"""The factors of a procedural scene: their names, ranges and random samples."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.shapes import Array, Bool, Float, Int, PRNGKey

SHAPES = ("sphere", "cylinder", "cone", "cube", "pyramid", "octahedron")
SHOWS_ROTATION = ("cube", "pyramid", "octahedron")
_SHOWS_ROTATION = np.isin(SHAPES, SHOWS_ROTATION)


class Factors(NamedTuple):
    """Factors of a batch of scenes. Every field has the batch's shape.

    RANGES states the unit and the range of each continuous factor.

    Attributes:
        shape: index into SHAPES.
    """

    shape: Int[Array, "*batch"]
    object_hue: Float[Array, "*batch"]
    size: Float[Array, "*batch"]
    horizontal: Float[Array, "*batch"]
    depth: Float[Array, "*batch"]
    rotation: Float[Array, "*batch"]
    wall_hue: Float[Array, "*batch"]
    floor_hue: Float[Array, "*batch"]
    camera_height: Float[Array, "*batch"]
    light_direction: Float[Array, "*batch"]
    light_intensity: Float[Array, "*batch"]


RANGES: dict[str, tuple[float, float]] = {
    "object_hue": (0.0, 1.0),  # turns; circular
    "size": (0.6, 0.95),  # room units: half the width of the object
    "horizontal": (-0.75, 0.75),  # room units: to the right
    "depth": (-1.0, 1.2),  # room units: away from the camera
    "rotation": (0.0, np.pi / 2),  # radians; circular: the solids with corners repeat after a quarter turn
    "wall_hue": (0.0, 1.0),  # turns; circular
    "floor_hue": (0.0, 1.0),  # turns; circular
    "camera_height": (1.2, 3.2),  # room units above the floor
    "light_direction": (-1.1, 1.1),  # radians: azimuth, 0 from behind the camera, positive from the right
    "light_intensity": (0.4, 1.0),  # factor of the directional light; the ambient light is constant
}
CIRCULAR = ("object_hue", "rotation", "wall_hue", "floor_hue")
CONTINUOUS = tuple(RANGES)


def sample_factors(key: PRNGKey, num_samples: int) -> Factors:
    """Draws independent factors, each uniform over its range or over SHAPES."""
    shape_key, *keys = jax.random.split(key, 1 + len(RANGES))
    values = {
        name: jax.random.uniform(k, (num_samples,), minval=low, maxval=high)
        for k, (name, (low, high)) in zip(keys, RANGES.items(), strict=True)
    }
    return Factors(shape=jax.random.randint(shape_key, (num_samples,), 0, len(SHAPES)), **values)


def shows_rotation(shape: Int[Array, "*n"]) -> Bool[Array, "*n"]:
    """Returns for each shape index whether a rotation changes the image."""
    return jnp.asarray(_SHOWS_ROTATION)[shape]
