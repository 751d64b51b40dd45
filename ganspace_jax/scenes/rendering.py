"""The renderer of the procedural scenes: a lit room with one object.

The scenes are the project's ground truth. The shipped generators are trained on
them. The probe reads the factors back from images. This measures the
effect of a direction, which is otherwise judged by eye.

Geometry: y points up, the floor is y = 0, the back wall is z = WALL. The object
stands on the floor at (x, 0, depth). Every shape is one convex solid
{p : q(p) <= 0 and n_j . p <= d_j}. It is a quadric q cut by at most eight planes.
In its coordinates it is about two units wide and high. Therefore one
closed-form ray intersection without branches serves every shape.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.scenes.chunks import map_chunks
from ganspace_jax.scenes.factors import Factors
from ganspace_jax.shapes import Array, Float

WALL = 2.5
CAMERA_DISTANCE = 5.0
CAMERA_TARGET_HEIGHT = 0.7
HALF_FIELD = 0.32  # tangent of half the field of view
LIGHT_ELEVATION = np.deg2rad(50.0)
AMBIENT = 0.25
SATURATION = {"object": 0.8, "wall": 0.45, "floor": 0.45}
FAR = 1e6


class _Solid(NamedTuple):
    """A row of the shape table, which defines one convex solid.

    A point x is inside if x^T diag(square) x + linear . x + constant <= 0, and
    normal . x <= distance for each plane.

    Attributes:
        planes: (normal x, normal y, normal z, distance) of each plane.
    """

    square: tuple[float, float, float] = (0.0, 0.0, 0.0)
    linear: tuple[float, float, float] = (0.0, 0.0, 0.0)
    constant: float = -1.0
    planes: tuple[tuple[float, float, float, float], ...] = ()


def _slab(height: float) -> tuple[tuple[float, float, float, float], ...]:
    return ((0, 1, 0, height), (0, -1, 0, 0))


def _cone(radius: float, height: float) -> _Solid:
    slope = radius / height
    return _Solid((1, -(slope**2), 1), (0, 2 * radius * slope, 0), -(radius**2), _slab(height))


def _pyramid(half_width: float, height: float) -> _Solid:
    slope = half_width / height
    sides = tuple((x, slope, z, half_width) for x, z in ((1, 0), (-1, 0), (0, 1), (0, -1)))
    return _Solid(planes=(*sides, (0, -1, 0, 0)))


def _octahedron(half_height: float) -> _Solid:
    signs = [(x, y, z) for x in (1, -1) for y in (1, -1) for z in (1, -1)]
    return _Solid(planes=tuple((x, y / half_height, z, 1.0 + y) for x, y, z in signs))


def _cube(half_width: float) -> _Solid:
    sides = tuple((x, 0, z, half_width) for x, z in ((1, 0), (-1, 0), (0, 1), (0, -1)))
    return _Solid(planes=(*sides, *_slab(2 * half_width)))


_SOLIDS = (
    _Solid((1, 1, 1), (0, -2, 0), 0.0),
    _Solid((1, 0, 1), (0, 0, 0), -(0.7**2), _slab(2.0)),
    _cone(radius=0.9, height=2.3),
    _cube(half_width=0.8),
    _pyramid(half_width=1.15, height=1.5),
    _octahedron(half_height=1.15),
)
_MAX_PLANES = 8


def _table() -> tuple[np.ndarray, ...]:
    """Stacks the solids. An unused plane is 0 . x <= 1, which always holds."""
    planes = np.tile(np.array([0.0, 0.0, 0.0, 1.0], np.float32), (len(_SOLIDS), _MAX_PLANES, 1))
    for row, solid in zip(planes, _SOLIDS, strict=True):
        row[: len(solid.planes)] = np.asarray(solid.planes, np.float32).reshape(-1, 4)
    square, linear, constant = (
        np.asarray([getattr(s, f) for s in _SOLIDS], np.float32) for f in ("square", "linear", "constant")
    )
    return square, linear, constant, planes[..., :3], planes[..., 3]


_TABLE = _table()


def render(factors: Factors, resolution: int = 64, supersampling: int = 3) -> Float[Array, "*batch h w 3"]:
    """Renders scenes, with values in [-1, 1].

    Args:
        resolution: side of the images, pixels.
        supersampling: rays per pixel and axis. A pixel is the mean of its rays.
    """
    batch_shape = jnp.shape(factors.shape)
    flat = jax.tree.map(lambda x: jnp.reshape(x, -1), factors)
    images = jax.vmap(lambda one: _render_one(one, resolution, supersampling))(flat)
    return images.reshape(*batch_shape, resolution, resolution, 3)


_render = jax.jit(render, static_argnames=("resolution", "supersampling"))


def render_in_chunks(factors: Factors, resolution: int, supersampling: int) -> Float[Array, "n h w 3"]:
    """Renders any number of scenes in jitted chunks of one size."""
    return map_chunks(functools.partial(_render, resolution=resolution, supersampling=supersampling), factors)


def _render_one(factors: Factors, resolution: int, supersampling: int) -> Float[Array, "h w 3"]:
    fine = resolution * supersampling
    colour = _radiance(factors, *_camera_rays(factors.camera_height, fine))
    pixels = colour.reshape(3, resolution, supersampling, resolution, supersampling).mean((2, 4))
    return 2.0 * jnp.clip(jnp.moveaxis(pixels, 0, -1), 0.0, 1.0) - 1.0


# Vectors below are [3, ...]. Because the coordinate axis is first, the innermost loops
# run over pixels.


def _column(*coordinates: Float[Array, ""] | float) -> Float[Array, "3 1 1"]:
    return jnp.stack([jnp.asarray(c, jnp.float32) for c in coordinates]).reshape(3, 1, 1)


def _camera_rays(height: Float[Array, ""], fine: int) -> tuple[Float[Array, "3 1 1"], Float[Array, "3 n n"]]:
    """Returns origin and directions of the rays of a pinhole camera.

    The camera is at (0, height, -CAMERA_DISTANCE) and points at the room's middle.
    """
    offset = (jnp.arange(fine) + 0.5) / fine * 2.0 - 1.0
    across, up = HALF_FIELD * offset[None, :], -HALF_FIELD * offset[:, None]
    pitch = jnp.arctan2(height - CAMERA_TARGET_HEIGHT, CAMERA_DISTANCE)
    sine, cosine = jnp.sin(pitch), jnp.cos(pitch)
    directions = jnp.stack(jnp.broadcast_arrays(across, up * cosine - sine, up * sine + cosine))
    return _column(0.0, height, -CAMERA_DISTANCE), directions


def _radiance(
    factors: Factors, origin: Float[Array, "3 1 1"], direction: Float[Array, "3 n n"]
) -> Float[Array, "3 n n"]:
    """Shades the nearest surface (Lambert) under one light with a hard shadow."""
    object_t, object_normal = _intersect_object(factors, origin, direction)
    floor_t = jnp.where(direction[1] < 0, -origin[1] / jnp.minimum(direction[1], -1e-6), FAR)
    wall_t = (WALL - origin[2]) / jnp.maximum(direction[2], 1e-6)
    is_object = object_t < jnp.minimum(floor_t, wall_t)
    is_floor = floor_t < wall_t

    def choose(on_object, on_floor, on_wall):
        return jnp.where(is_object, on_object, jnp.where(is_floor, on_floor, on_wall))

    normal = choose(object_normal, _column(0, 1, 0), _column(0, 0, -1))
    albedo = choose(
        _hue_to_rgb(factors.object_hue, SATURATION["object"]),
        _hue_to_rgb(factors.floor_hue, SATURATION["floor"]),
        _hue_to_rgb(factors.wall_hue, SATURATION["wall"]),
    )
    light = _light(factors.light_direction)
    facing = jnp.maximum(jnp.sum(normal * light, 0), 0.0)
    background_t = jnp.minimum(floor_t, wall_t)
    shadow_t, _ = _intersect_object(factors, origin + background_t * direction, light)
    lit = jnp.where(is_object | (shadow_t >= FAR), 1.0, 0.0)
    return albedo * (AMBIENT + factors.light_intensity * facing * lit)


def _light(azimuth: Float[Array, ""]) -> Float[Array, "3 1 1"]:
    """Returns the unit vector towards the light."""
    flat, high = np.cos(LIGHT_ELEVATION), np.sin(LIGHT_ELEVATION)
    return _column(flat * jnp.sin(azimuth), high, -flat * jnp.cos(azimuth))


def _turn(vector: Float[Array, "3 *n"], angle: Float[Array, ""]) -> Float[Array, "3 *n"]:
    """Rotates a vector about the vertical axis."""
    x, y, z = vector
    sine, cosine = jnp.sin(angle), jnp.cos(angle)
    return jnp.stack(jnp.broadcast_arrays(cosine * x - sine * z, y, sine * x + cosine * z))


def _intersect_object(
    factors: Factors, origin: Float[Array, "3 *n"], direction: Float[Array, "3 *m"]
) -> tuple[Float[Array, "n n"], Float[Array, "3 n n"]]:
    """Intersects rays with the object.

    Returns the distance along each ray (FAR for a miss) and the outward unit normal
    in room coordinates.
    """
    place = _column(factors.horizontal, 0.0, factors.depth)
    local_origin = _turn(origin - place, -factors.rotation) / factors.size
    local_direction = _turn(direction, -factors.rotation) / factors.size
    square, linear, constant, normals, distances = (jnp.asarray(t)[factors.shape] for t in _TABLE)
    square, linear = square.reshape(3, 1, 1), linear.reshape(3, 1, 1)

    near, far = _quadric_interval(square, linear, constant, local_origin, local_direction)
    point = local_origin + near * local_direction
    normal = 2.0 * square * point + linear
    for plane, distance in zip(normals, distances, strict=True):
        plane = plane.reshape(3, 1, 1)
        speed = jnp.sum(plane * local_direction, 0)
        gap = distance - jnp.sum(plane * local_origin, 0)
        t = gap / jnp.where(jnp.abs(speed) < 1e-9, 1e-9, speed)
        entering = jnp.where(speed < -1e-9, t, jnp.where((jnp.abs(speed) <= 1e-9) & (gap < 0), FAR, -FAR))
        normal = jnp.where(entering > near, plane, normal)
        near = jnp.maximum(near, entering)
        far = jnp.minimum(far, jnp.where(speed > 1e-9, t, FAR))
    hit = (near < far) & (near > 1e-3)
    normal = _turn(normal, factors.rotation)
    normal = normal / jnp.sqrt(jnp.sum(normal**2, 0) + 1e-12)
    return jnp.where(hit, near, FAR), normal


def _quadric_interval(
    square: Float[Array, "3 1 1"],
    linear: Float[Array, "3 1 1"],
    constant: Float[Array, ""],
    origin: Float[Array, "3 *n"],
    direction: Float[Array, "3 *m"],
) -> tuple[Float[Array, "n n"], Float[Array, "n n"]]:
    """Returns where each ray enters and leaves the quadric.

    Only the lower half of a double cone counts.
    """
    a = jnp.sum(square * direction**2, 0)
    b = jnp.sum((2.0 * square * origin + linear) * direction, 0) * 0.5
    c = jnp.sum((square * origin + linear) * origin, 0) + constant
    discriminant = b**2 - a * c
    root = jnp.sqrt(jnp.maximum(discriminant, 0.0))
    safe_a = jnp.where(jnp.abs(a) < 1e-7, 1e-7, a)
    first, second = (-b - root) / safe_a, (-b + root) / safe_a
    low, high = jnp.minimum(first, second), jnp.maximum(first, second)
    steep = a < -1e-7  # the ray is steeper than the cone, so both of its far ends are inside
    downwards = direction[1] < 0
    near = jnp.where(steep, jnp.where(downwards, high, -FAR), low)
    far = jnp.where(steep, jnp.where(downwards, FAR, low), high)
    unbounded = jnp.all(square == 0)
    missed = ~steep & (discriminant <= 0)
    near = jnp.where(unbounded, -FAR, jnp.where(missed, FAR, near))
    return near, jnp.where(unbounded, FAR, jnp.where(missed, -FAR, far))


def _hue_to_rgb(hue: Float[Array, ""], saturation: float) -> Float[Array, "3 1 1"]:
    """Returns the HSV colour of value 1, with cosines instead of linear ramps.

    Because of the cosines the colour is a smooth function of the hue.
    """
    phase = 2.0 * jnp.pi * (hue - jnp.asarray([0.0, 1.0, 2.0]) / 3.0)
    return (1.0 - saturation * 0.5 * (1.0 - jnp.cos(phase))).reshape(3, 1, 1)
