"""Tells whether an array of latents holds z, w, or per-layer latents.

The shape of the array tells how it is meant, then its key, then the user.
"""

from typing import NamedTuple

import numpy as np

from ganspace_jax.sampling import latent_arrays
from ganspace_jax.sampling.latent_arrays import Found

_LAYER_COUNTS = range(6, 19, 2)  # of StyleGANs of 16 to 1024 px


class Space(NamedTuple):
    """What a generator needs, and the space that the user names.

    Attributes:
        latent_shape: (layers, size) of the per-layer latents.
        z_dim: size of z.
        has_mapping: whether the generator has w.
        named: "w" or "z" for arrays that tell no space; None: w.
    """

    latent_shape: tuple[int, int]
    z_dim: int
    has_mapping: bool
    named: str | None

    def text(self) -> str:
        """Returns the shapes that fit, in words."""
        (num_layers, width), space = self.latent_shape, "w" if self.has_mapping else "z"
        per_layer = f"[n, {num_layers}, {width}] ({space} of {num_layers} layers)"
        if not self.has_mapping:
            return f"[n, {self.z_dim}] (z)" + (f" or {per_layer}" if num_layers > 1 else "")
        if width == self.z_dim:
            return f"{per_layer} or [n, {width}] (w or z)"
        return f"{per_layer}, [n, {width}] (w) or [n, {self.z_dim}] (z)"


class Latents(NamedTuple):
    """The latents of one found array.

    Attributes:
        kind: "z", "w" (one for all layers) or "layers".
        values: [n, z_dim], [n, d] or [n, layers, d], in float32.
        note: sentence about an assumption; "" without one.
    """

    kind: str
    values: np.ndarray
    note: str = ""


def interpret(found: Found, space: Space, *, is_only: bool = True) -> Latents:
    """Returns the latents in an array.

    An array of as many rows as the generator has layers is one picture. It is one
    picture per row if the key or the user tells that it holds z, or without w.

    Args:
        found: the array.
        space: what the generator needs.
        is_only: whether the file holds no other such array; then a note tells that an
            array of ambiguous shape is one picture.

    Raises:
        ValueError: if the array does not fit the generator, or is not finite.
    """
    with np.errstate(over="ignore"):  # infinity is refused below
        values = np.asarray(found.array).astype(np.float32)
    if not values.size or not np.isfinite(values).all():
        raise ValueError(
            f"{latent_arrays.listed([found])} {'is empty' if not values.size else 'contains NaN or infinity'}"
        )
    values = _without_axes(values, space)
    num_layers, width = space.latent_shape
    told = "z" if latent_arrays.IN_Z.search(found.key) else "w" if found.key in latent_arrays.IN_W else space.named
    if values.ndim > 1 and values.shape[-2:] == (num_layers, width) and not _is_z(found, values, space, told):
        is_told = values.ndim == 3 or found.key in latent_arrays.PER_LAYER or num_layers == 1
        is_told = is_told or not is_only or found.is_last_step or latent_arrays.is_file_name(found.picture)
        note = (
            ""
            if is_told
            else f"{latent_arrays.listed([found])} is one picture with a row per layer, not {num_layers} pictures"
        )
        return Latents("layers", values.reshape(-1, num_layers, width), note)
    is_of_other_layers = values.ndim > 2 or (
        values.ndim == 2 and len(values) > 1 and found.key in latent_arrays.PER_LAYER
    )
    if is_of_other_layers or values.shape[-1] not in (space.z_dim, width if space.has_mapping else space.z_dim):
        raise ValueError(f"it holds {latent_arrays.listed([found])}; this generator needs {space.text()}")
    return _one_per_picture(found, values.reshape(-1, values.shape[-1]), space, told)


def _is_z(found: Found, values: np.ndarray, space: Space, told: str | None) -> bool:
    """Returns whether an array with the shape of per-layer latents holds z."""
    if space.has_mapping:
        return told == "z" and (values.ndim == 2 or bool(latent_arrays.IN_Z.search(found.key)))
    is_row_per_picture = values.ndim == 2 and values.shape[1] == space.z_dim
    return is_row_per_picture and found.key not in latent_arrays.PER_LAYER


def _without_axes(values: np.ndarray, space: Space) -> np.ndarray:
    """Returns an array of at most three axes, if the axes of length 1 allow that.

    DCGAN's z is [n, z_dim, 1, 1]. A list of [1, layers, d] is [n, 1, layers, d].
    """
    while values.ndim > 2 and values.shape[-1] == 1 and space.z_dim != 1:
        values = values[..., 0]
    while values.ndim > 3 and 1 in values.shape[:-2]:
        values = values.squeeze(values.shape[:-2].index(1))
    if values.ndim == 3 and values.shape[1] == 1 and space.latent_shape[0] != 1:
        return values[:, 0]
    return np.atleast_1d(values)


def _one_per_picture(found: Found, values: np.ndarray, space: Space, told: str | None) -> Latents:
    """Returns latents with one row per picture, in w or z as `told` or their size
    tells.
    """
    size = values.shape[1]
    if not space.has_mapping and space.named == "w":
        raise ValueError("this generator has only z; leave --latent_space=w out")
    if not space.has_mapping:
        return Latents("z", values)
    sizes = {"w": space.latent_shape[1], "z": space.z_dim}
    fitting = [name for name in sizes if sizes[name] == size]
    if told is not None and told not in fitting:
        raise ValueError(f"it holds {latent_arrays.listed([found])}; this generator's {told} has {sizes[told]} numbers")
    is_known = told is not None or len(fitting) == 1
    count = "latent is" if len(values) == 1 else f"{len(values)} latents are"
    note = "" if is_known else f"the file does not tell whether its {count} in w or z: w is assumed (--latent_space)"
    if (told or fitting[0]) == "w" and len(values) in _LAYER_COUNTS:
        pictures = f"{latent_arrays.listed([found])} is {len(values)} pictures with one w each"
        rows = f"{pictures}; one picture by layer would have {space.latent_shape[0]} rows"
        note = f"{rows}; {note}" if note else rows
    return Latents(told or fitting[0], values, note)
