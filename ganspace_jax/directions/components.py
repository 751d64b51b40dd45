"""Components: the directions that a method finds, with their statistics, and their
file.

The file has the keys, shapes and signs of the original GANSpace's .npz, with spatial
layers channels first. So each program reads the other's files. The keys `r2`,
`stability`, `latent_uncertainty`, `variance_error`, `about` and `checksum` are
additions, and so are `readouts`, `curve_knots` and `curve_values` of named directions.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ganspace_jax import errors
from ganspace_jax.directions import about_text, array_checks, named_directions
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.directions.sources import UNKNOWN, Source
from ganspace_jax.errors import InputError
from ganspace_jax.files import checksums
from ganspace_jax.files.inert import numpy_files
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.shapes import Float

_KEYS = ("act_comp", "act_mean", "act_stdev", "lat_comp", "lat_mean", "lat_stdev", "var_ratio", "random_stdevs", "r2",
         "stability", "latent_uncertainty", "variance_error", *named_directions.ARRAYS)  # fmt: skip
CHECKSUM = "checksum"  # name of the array that stores the checksum of all other arrays


@dataclasses.dataclass(frozen=True)
class Components:
    """Principal components of a layer, each with a direction in latent space.

    Figures that a file does not contain are NaN, and unknown means are None.

    Attributes:
        activation_components: unit directions in the layer.
        activation_mean: mean of the layer.
        activation_stdevs: standard deviations of the layer along the components.
        latent_components: directions in latent space; with one row per layer [c,
            layers, l], each layer moves along its own.
        latent_mean: mean of the latent.
        latent_stdevs: standard deviations of the latent along the directions.
        variance_ratio: share of the layer's variance that each component explains.
        random_stdevs: standard deviations of the layer along random unit directions,
            the baseline.
        r2: share of the component's variance that is linear in the latent; 1 if the
            layer is the latent space itself.
        stability: jackknife standard error of the direction in the layer, in degrees.
        latent_uncertainty: jackknife standard error of the direction in latent space,
            in degrees.
        variance_error: jackknife standard error of the variance, relative to it.
        spec: which layer and which samples the components belong to.
        source: how they were found.
        named: names, layer ranges and read-outs, one per component; () without names.
    """

    activation_components: Float[np.ndarray, "c *layer"]
    activation_mean: Float[np.ndarray, "*layer"] | None
    activation_stdevs: Float[np.ndarray, "c"]
    latent_components: Float[np.ndarray, "c *latent"]
    latent_mean: Float[np.ndarray, "*latent"] | None
    latent_stdevs: Float[np.ndarray, "c"]
    variance_ratio: Float[np.ndarray, "c"]
    random_stdevs: Float[np.ndarray, "c"]
    r2: Float[np.ndarray, "c"]
    stability: Float[np.ndarray, "c"]
    latent_uncertainty: Float[np.ndarray, "c"]
    variance_error: Float[np.ndarray, "c"]
    spec: LayerSpec
    source: Source
    named: tuple[NamedDirection, ...] = ()

    def __len__(self) -> int:
        return len(self.activation_stdevs)


def save(path: str | os.PathLike[str], components: Components) -> None:
    """Writes the .npz file, in float32 as the original's."""
    arrays = {
        "act_comp": channels_first(components.activation_components)[:, None],
        "act_mean": _first_or_none(components.activation_mean),
        "act_stdev": components.activation_stdevs,
        "lat_comp": components.latent_components[:, None],
        "lat_mean": None if components.latent_mean is None else components.latent_mean[None],
        "lat_stdev": components.latent_stdevs,
        "var_ratio": components.variance_ratio,
        "random_stdevs": components.random_stdevs,
        "r2": components.r2,
        "stability": components.stability,
        "latent_uncertainty": components.latent_uncertainty,
        "variance_error": components.variance_error,
        **named_directions.to_arrays(components.named),
    }
    about = about_text.write(components.spec, components.source, components.named)
    known: dict[str, Any] = {key: np.asarray(array, np.float32) for key, array in arrays.items() if array is not None}
    # First, so that damage which hides the end of the archive's index hides neither.
    first = {"about": np.array(about), CHECKSUM: _checksum(known, about)}
    np.savez(path, **first, **known)


def _checksum(arrays: Mapping[str, np.ndarray], about: str) -> np.ndarray:
    """Returns the checksum of the arrays and the about-text, as 32 bytes."""
    return checksums.of_arrays({**arrays, "about": np.frombuffer(about.encode(), np.uint8)})


def _first_or_none(mean: np.ndarray | None) -> np.ndarray | None:
    return None if mean is None else channels_first(mean[None])


def read_arrays(path: str | os.PathLike[str]) -> dict[str, Any] | np.ndarray:
    """Returns the arrays of an .npz file, or the array of an .npy file. Nothing in the
    file is executed.

    Raises:
        InputError: if the file is missing or damaged.
    """
    try:
        return numpy_files.read(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such components file; make one with python -m experiments.decompose") from None


def load(path: str | os.PathLike[str]) -> Components:
    """Returns the components of a file that `save` wrote, also in an earlier version.

    directions/foreign_files.py also reads the files of other programs.

    Raises:
        InputError: if the file is missing, damaged, or not a components file.
    """
    arrays = read_arrays(path)
    with refused_by_name(path):
        return from_arrays(arrays)


@contextlib.contextmanager
def refused_by_name(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turns the errors of a content that is not a components file into an InputError
    that names the file.
    """
    try:
        yield
    except KeyError as error:
        raise InputError(f"{path}: not a components file: it has no array {error}") from None
    except (AttributeError, IndexError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a components file: {errors.first_line(error)}") from None


def from_arrays(arrays: Any) -> Components:
    """Returns the components of the arrays that `save` writes. Raises ValueError or
    KeyError for other arrays.
    """
    if not isinstance(arrays, dict):
        raise ValueError("is one array; must be an .npz")
    text, saved = str(arrays["about"]), arrays.get(CHECKSUM)  # files of earlier versions have no checksum
    arrays = {name: array_checks.in_float32(name, arrays[name]) for name in _KEYS if name in arrays}
    spec, source, entries = about_text.read(text)
    components = Components(
        activation_components=channels_last(array_checks.without_axis(arrays, "act_comp", 1)),
        activation_mean=_read_mean(arrays, "act_mean"),
        activation_stdevs=arrays["act_stdev"],
        latent_components=array_checks.without_axis(arrays, "lat_comp", 1),
        latent_mean=_read_mean(arrays, "lat_mean"),
        latent_stdevs=arrays["lat_stdev"],
        variance_ratio=arrays["var_ratio"],
        random_stdevs=arrays["random_stdevs"],
        r2=arrays["r2"],
        stability=arrays["stability"],
        latent_uncertainty=arrays.get("latent_uncertainty", np.full_like(arrays["stability"], np.nan)),
        variance_error=arrays["variance_error"],
        spec=spec,
        source=source,
        named=named_directions.from_file(entries, arrays),
    )
    check_arrays(components)
    if saved is not None and not np.array_equal(saved, _checksum(arrays, text)):
        raise ValueError(
            f"differs from its checksum, so it is damaged; make it again, or remove its array {CHECKSUM!r} if you "
            "changed the file yourself"
        )
    return components


def _read_mean(arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray | None:
    """Returns a mean without its first axis, or None if the file has none."""
    return channels_last(array_checks.without_axis(arrays, name, 0)[None])[0] if name in arrays else None


def check_arrays(components: Components) -> None:
    """Raises ValueError if arrays do not fit one another, or contain numbers that
    cannot be used.

    NaN stands for an unknown figure. Directions, means and standard deviations are
    known.
    """
    count = len(components.activation_stdevs)
    for field in dataclasses.fields(components):
        array = getattr(components, field.name)
        if not isinstance(array, np.ndarray):
            continue
        array_checks.check_numbers(field.name, array)
        if field.name.endswith("_mean"):
            continue
        if array.ndim < 1 or len(array) != count or not count:
            raise ValueError(f"{field.name}: has shape {array.shape}, there are {count} standard deviations")
        if array.ndim > 1 and not field.name.endswith("_components"):
            raise ValueError(f"{field.name}: has shape {array.shape}, must be a list")
    if components.latent_components.ndim not in (2, 3):
        raise ValueError(f"latent_components: has shape {components.latent_components.shape}, must have 2 or 3 axes")
    pairs = (
        (components.activation_components, components.activation_mean),
        (components.latent_components, components.latent_mean),
    )
    for directions, mean in pairs:
        if mean is not None and directions.shape[1:] != mean.shape:
            raise ValueError(f"a mean of shape {mean.shape} for directions of shape {directions.shape}")
    named_directions.check(components.named, components.latent_components)


def check_generator(components: Components, generator: str, fingerprint: str) -> None:
    """Raises InputError if the components' file tells that they were made with other
    weights.
    """
    source = components.source
    if source.fingerprint not in ("", fingerprint):
        raise InputError(
            f"--generator={generator}: these components were made for another generator "
            f"({source.generator!r}, weights {source.fingerprint}; this one has {fingerprint})"
        )


def channels_first(x: np.ndarray) -> np.ndarray:
    """Returns a spatial layer in the layout of the published files."""
    return np.moveaxis(x, -1, 1) if x.ndim == 4 else x


def channels_last(x: np.ndarray) -> np.ndarray:
    """Returns a spatial layer of the published files in our layout."""
    return np.moveaxis(x, 1, -1) if x.ndim == 4 else x


def figure(value: float | np.floating, form: str) -> str:
    """Returns a number as text, or "unknown" for NaN."""
    return UNKNOWN if np.isnan(value) else format(value, form)


def label(components: Components, component: int) -> str:
    """Returns the name of a component, or v and its index if it has none."""
    return components.named[component].name if components.named else f"v{component}"
