"""Coordinates of latents along the read-outs of named directions, and the steps that
set them.

A read-out is linear in the latents, so the step to a coordinate is a division. Several
values are set together by one small linear system.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from ganspace_jax.directions.array_moves import Settings
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
    is that of the whole z, because a chunk alone is no latent.

    Raises:
        InputError: if the component has no read-out, or if the mean is unknown.
    """
    num_layers, width = latents.shape[1:]
    away = jnp.asarray(latents) - by_layer(_mean(components), num_layers, width)
    return jnp.sum(away * jnp.asarray(_weights(components, component, num_layers, width), jnp.float32), axis=(1, 2))


def _mean(components: Components) -> Float[np.ndarray, "*latent"]:
    """Returns the mean of the latent. Raises InputError if it is unknown."""
    if components.latent_mean is None:
        raise InputError("--edit: these components have no mean, so no value can be set; give a step such as =2")
    return components.latent_mean


def _weights(components: Components, component: int, num_layers: int, width: int) -> Float[np.ndarray, "layers d"]:
    """Returns the read-out's weight of every number in the latents."""
    named = components.named[component] if components.named else None
    if named is None or named.read is None:
        raise InputError(f"--edit: component {component} has no read-out, so no value can be set")
    read = np.asarray(named.read, np.float64)
    rows = np.broadcast_to(read.reshape(-1, width), (num_layers, width))
    if read.ndim == 1 and len(read) != width:  # chunks
        return rows
    start, stop = named.layers or (0, num_layers)
    layer = np.arange(num_layers)[:, None]
    return np.where((layer >= start) & (layer < stop), rows, 0.0) / (stop - start)


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


def settings(
    components: Components, wanted: Sequence[tuple[int, float]], moves: Float[np.ndarray, "m layers d"]
) -> Settings:
    """Returns the arrays with which array_moves.set_coordinates sets several values.

    A value out of reach is replaced by the nearest end of its range.

    Args:
        components: components with named directions and a mean.
        wanted: index of each component with the value to set, in the scorer's own unit.
        moves: change of the latents for a multiple of 1 of each component.

    Raises:
        InputError: if a value cannot be set.
    """
    chosen = [k for k, _ in wanted]
    targets = [monotone_curves.invert(_curve(components, k), np.array([value]))[0] for k, value in wanted]
    _mean(components)  # the coordinates are measured from it
    weights = np.stack([_weights(components, k, *moves.shape[1:]) for k in chosen])
    response = np.einsum("cld,mld->cm", weights, np.asarray(moves, np.float64))
    _check_response(response, components, chosen)
    return Settings(weights, np.array(targets), np.linalg.inv(response).T, moves)


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
