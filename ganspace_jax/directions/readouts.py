"""Coordinates of latents along the read-outs of named directions, and the steps that
set them.

A read-out is linear in the latents, so the step to a coordinate is a division. Several
values are set together by one small linear system.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from ganspace_jax.directions.components import Components
from ganspace_jax.errors import InputError
from ganspace_jax.shapes import Array, Float
from ganspace_jax.statistics import monotone_curves
from ganspace_jax.statistics.monotone_curves import Curve

_LEAST_RESPONSE = 1e-3  # of the curve's width, for a step of one standard deviation
_MOST_ALIKE = 1e4  # condition number of directions that set different values


def by_layer(latent: Float[np.ndarray, "*l"], num_layers: int, width: int) -> Float[Array, "layers d"]:
    """Returns each layer's row of a latent: its own row, all of a vector, or its chunk
    of one (hierarchical z).
    """
    return jnp.broadcast_to(jnp.reshape(latent, (-1, width)), (num_layers, width))


def has_curve(components: Components, component: int) -> bool:
    """Returns whether a value of the component can be set."""
    return bool(components.named) and components.named[component].curve is not None


def _curve(components: Components, component: int) -> Curve:
    curve = components.named[component].curve if components.named else None
    if curve is None:
        name = components.named[component].name if components.named else f"v{component}"
        raise InputError(
            f"--edit={name}: this direction has no curve, so no value can be set; give --scorer, which reads the images, "
            f"or a step such as {name}=2"
        )
    return curve


def coordinates(
    latents: Float[Array | np.ndarray, "n layers d"], components: Components, component: int
) -> Float[Array, "n"]:
    """Returns the coordinate r of each latent along a component's read-out.

    The coordinate is the mean over the direction's own layers. With hierarchical z it
    is the sum over the chunks of these layers.

    Raises:
        InputError: if the component has no read-out, or if the mean is unknown.
    """
    num_layers, width = latents.shape[1:]
    if components.latent_mean is None:
        raise InputError("--edit: these components have no mean, so no value can be set; give a step such as =2")
    away = jnp.asarray(latents) - by_layer(components.latent_mean, num_layers, width)
    return jnp.sum(away * jnp.asarray(_weights(components, component, num_layers, width), jnp.float32), axis=(1, 2))


def _weights(components: Components, component: int, num_layers: int, width: int) -> Float[np.ndarray, "layers d"]:
    """Returns the read-out's weight of every number in the latents."""
    named = components.named[component] if components.named else None
    if named is None or named.read is None:
        raise InputError(f"--edit: component {component} has no read-out, so no value can be set")
    read = np.asarray(named.read, np.float64)
    start, stop = named.layers or (0, num_layers)
    layer = np.arange(num_layers)[:, None]
    has_chunks = read.ndim == 1 and len(read) != width
    rows = np.broadcast_to(read.reshape(-1, width), (num_layers, width))
    return np.where((layer >= start) & (layer < stop), rows, 0.0) / (1 if has_chunks else stop - start)


def values(
    latents: Float[Array | np.ndarray, "n layers d"], components: Components, component: int
) -> Float[Array, "n"]:
    """Returns the value of each latent that read-out and curve predict, in the scorer's
    own unit.

    Raises:
        InputError: if the component has no curve.
    """
    curve = _curve(components, component)
    return jnp.interp(coordinates(latents, components, component), jnp.asarray(curve.knots), jnp.asarray(curve.values))


def reach(components: Components, component: int) -> tuple[float, float]:
    """Returns the least and the largest value that a component can set."""
    curve = _curve(components, component)
    return float(curve.values[0]), float(curve.values[-1])


def steps(
    latents: Float[Array, "n layers d"],
    components: Components,
    chosen: Sequence[int],
    wanted: Sequence[float],
    moves: Sequence[Float[np.ndarray, "layers d"]],
) -> Float[Array, "n m"]:
    """Returns the multiples of the moves that set each of several values in each image.

    A value out of reach is replaced by the nearest end of its range.

    Args:
        latents: per-layer latents.
        components: components with named directions.
        chosen: indices of the components whose values are set.
        wanted: the values, in the scorer's own unit.
        moves: change of the latents for a multiple of 1, in standard deviations.

    Raises:
        InputError: if a value cannot be set.
    """
    targets = [
        monotone_curves.invert(_curve(components, k), np.array([value]))[0]
        for k, value in zip(chosen, wanted, strict=True)
    ]
    weights = [_weights(components, k, *latents.shape[1:]) for k in chosen]
    response = np.array([[np.sum(row * np.asarray(move, np.float64)) for move in moves] for row in weights])
    _check_response(response, components, chosen)
    now = jnp.stack([coordinates(latents, components, k) for k in chosen], axis=1)
    missing = jnp.asarray(np.array(targets), jnp.float32) - now
    return missing @ jnp.asarray(np.linalg.inv(response).T, jnp.float32)


def _check_response(response: Float[np.ndarray, "m m"], components: Components, chosen: Sequence[int]) -> None:
    """Raises InputError if the moves do not move the coordinates, or if two of them are
    the same.
    """
    for row, k in enumerate(chosen):
        knots, name = _curve(components, k).knots, components.named[k].name
        if not abs(response[row, row]) > _LEAST_RESPONSE * (knots[-1] - knots[0]):
            raise InputError(f"--edit={name}: the step does not move this value in these layers; leave the layers out")
    if not np.linalg.cond(response / np.diag(response)[:, None]) < _MOST_ALIKE:
        names = " and ".join(components.named[k].name for k in chosen)
        raise InputError(f"--edit: {names} cannot be set together, because they are one direction; leave one out")
