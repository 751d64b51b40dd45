"""The factors of a procedural scene: their names, ranges and random samples."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax import errors
from ganspace_jax.errors import InputError
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


def restrict(factors: Factors, fixed: Mapping[str, float], tied: Sequence[tuple[str, str]]) -> Factors:
    """Returns the factors with some of them constant, and others no longer independent.

    Args:
        factors: independent factors.
        fixed: constant value of each fixed factor, in the factor's unit.
        tied: pairs (leader, follower) of names. The follower takes the place in its own
            range that the leader has in its range.
    """
    values = {name: jnp.full_like(getattr(factors, name), value) for name, value in fixed.items()}
    for leader, follower in tied:
        (low, high), (start, stop) = RANGES[leader], RANGES[follower]
        leading = values[leader] if leader in values else getattr(factors, leader)
        share = (leading - low) / (high - low)
        values[follower] = start + share * (stop - start)
    return factors._replace(**values)


def parse_fixed(texts: Sequence[str]) -> dict[str, float]:
    """Returns the fixed factors of NAME=VALUE texts.

    Raises:
        InputError: if a name is that of no continuous factor, or a value is outside the
            factor's range.
    """
    fixed = {}
    for text in texts:
        name, _, value = text.partition("=")
        _check_name("fixed_factors", text, name)
        low, high = RANGES[name]
        try:
            fixed[name] = float(value)
        except ValueError:
            fixed[name] = np.nan
        if not low <= fixed[name] <= high:
            raise InputError(f"--fixed_factors={text}: the value must be a number from {low:.4g} to {high:.4g}")
    return fixed


def parse_tied(texts: Sequence[str]) -> list[tuple[str, str]]:
    """Returns the pairs of LEADER=FOLLOWER texts.

    Raises:
        InputError: if a name is that of no continuous factor, or both are the same.
    """
    pairs = []
    for text in texts:
        leader, _, follower = text.partition("=")
        for name in (leader, follower):
            _check_name("tied_factors", text, name)
        if leader == follower:
            raise InputError(f"--tied_factors={text}: must be two factors")
        pairs.append((leader, follower))
    return pairs


def _check_name(flag: str, text: str, name: str) -> None:
    if name not in RANGES:
        hint = errors.nearest(name, CONTINUOUS)
        raise InputError(f"--{flag}={text}: {name!r} is no factor; {hint}there are {', '.join(CONTINUOUS)}")


def shows_rotation(shape: Int[Array, "*n"]) -> Bool[Array, "*n"]:
    """Returns for each shape index whether a rotation changes the image."""
    return jnp.asarray(_SHOWS_ROTATION)[shape]
