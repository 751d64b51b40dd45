"""Components: what a decomposition is, and its file.

The file has the keys, shapes and signs of the original GANSpace's .npz (spatial layers channels first), so each program reads
the other's; the keys `r2`, `stability`, `variance_error` and `about` are ours.
"""

import dataclasses
import json
import os
from typing import Any, Literal

import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.files.inert import numpy_files
from ganspace_jax.shapes import Float


@dataclasses.dataclass(frozen=True)
class Source:
    """Where components come from. fingerprint: of the generator's weights; latent_space: where the directions live.

    label: class index, "all" for a mixture of all, None for an unconditional generator. num_sweeps: over the samples.
    compute_dtype: of the generator's convolutions. Files of other programs have no fingerprint ("").
    """

    generator: str
    fingerprint: str
    layer: str
    latent_space: str
    seed: int
    num_samples: int
    label: int | Literal["all"] | None = None
    estimator: str = "exact"
    truncation_psi: float = 1.0
    num_sweeps: int = 1
    compute_dtype: str = "float32"


@dataclasses.dataclass(frozen=True)
class Components:
    """Principal components of a layer, each with a direction in latent space.

    r2: share of the component's variance that is linear in the latent (1 where the layer is the latent space itself).
    stability: jackknife standard error of the direction, degrees. variance_error: of the variance, relative to it.
    random_stdevs: standard deviations of the layer along random unit directions, the baseline.
    """

    activation_components: Float[np.ndarray, "c *layer"]
    activation_mean: Float[np.ndarray, "*layer"]
    activation_stdevs: Float[np.ndarray, "c"]
    latent_components: Float[np.ndarray, "c l"]
    latent_mean: Float[np.ndarray, "l"]
    latent_stdevs: Float[np.ndarray, "c"]
    variance_ratio: Float[np.ndarray, "c"]
    random_stdevs: Float[np.ndarray, "c"]
    r2: Float[np.ndarray, "c"]
    stability: Float[np.ndarray, "c"]
    variance_error: Float[np.ndarray, "c"]
    source: Source

    def __len__(self) -> int:
        return len(self.activation_stdevs)


def save(path: str | os.PathLike[str], components: Components) -> None:
    """Writes the .npz; float32, as the original's."""
    arrays: dict[str, Any] = {
        "act_comp": channels_first(components.activation_components)[:, None],
        "act_mean": channels_first(components.activation_mean[None]),
        "act_stdev": components.activation_stdevs,
        "lat_comp": components.latent_components[:, None],
        "lat_mean": components.latent_mean[None],
        "lat_stdev": components.latent_stdevs,
        "var_ratio": components.variance_ratio,
        "random_stdevs": components.random_stdevs,
        "r2": components.r2,
        "stability": components.stability,
        "variance_error": components.variance_error,
    }
    about = np.array(json.dumps(dataclasses.asdict(components.source)))
    float32: dict[str, Any] = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    np.savez(path, about=about, **float32)


def read_arrays(path: str | os.PathLike[str]) -> dict[str, Any] | np.ndarray:
    """The arrays of an .npz, or the one of an .npy; raises InputError. Nothing in the file is executed."""
    try:
        return numpy_files.read(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such components file; make one with python -m experiments.decompose") from None


def load(path: str | os.PathLike[str]) -> Components:
    """Reads a file that `save` wrote; raises InputError. exchange.load_components reads those of other programs as well."""
    arrays: Any = read_arrays(path)
    try:
        return Components(
            activation_components=channels_last(arrays["act_comp"][:, 0]),
            activation_mean=channels_last(arrays["act_mean"])[0],
            activation_stdevs=arrays["act_stdev"],
            latent_components=arrays["lat_comp"][:, 0],
            latent_mean=arrays["lat_mean"][0],
            latent_stdevs=arrays["lat_stdev"],
            variance_ratio=arrays["var_ratio"],
            random_stdevs=arrays["random_stdevs"],
            r2=arrays["r2"],
            stability=arrays["stability"],
            variance_error=arrays["variance_error"],
            source=Source(**json.loads(str(arrays["about"]))),
        )
    except KeyError as error:
        raise InputError(f"{path}: not a components file: it has no array {error}") from None
    except (TypeError, ValueError, IndexError, RecursionError) as error:
        raise InputError(f"{path}: not a components file: {str(error).splitlines()[0]}") from None


def check_generator(components: Components, generator: str, fingerprint: str) -> None:
    """Raises InputError unless the components were made with these very weights, as far as their file tells."""
    if components.source.fingerprint not in ("", fingerprint):
        raise InputError(
            f"--generator={generator}: these components were made for another generator "
            f"({components.source.generator!r}, weights {components.source.fingerprint}; this one has {fingerprint})"
        )


def check_latent_space(components: Components, own_space: str, size: int) -> None:
    """Per-layer latents are w where there is a mapping: a step in z cannot be added to them. Raises InputError."""
    if components.source.latent_space != own_space:
        raise InputError(
            f"--components: directions in {components.source.latent_space}, but this generator's layers take "
            f"{own_space}; run experiments.decompose with --latent_space={own_space}"
        )
    if components.latent_components.shape[1] != size:
        raise InputError(
            f"--components: directions of {components.latent_components.shape[1]} numbers, but this generator's {own_space} "
            f"has {size}"
        )


def channels_first(x: np.ndarray) -> np.ndarray:
    """Our layout of a spatial layer -> the published files'."""
    return np.moveaxis(x, -1, 1) if x.ndim == 4 else x


def channels_last(x: np.ndarray) -> np.ndarray:
    """The published files' layout of a spatial layer -> ours."""
    return np.moveaxis(x, 1, -1) if x.ndim == 4 else x


def summary(components: Components) -> dict[str, Any]:
    """The figures of every component, and where they come from; for JSON."""
    rows = [
        {
            "component": k,
            "variance_ratio": float(components.variance_ratio[k]),
            "activation_stdev": float(components.activation_stdevs[k]),
            "latent_stdev": float(components.latent_stdevs[k]),
            "variance_error": float(components.variance_error[k]),
            "stability_degrees": float(components.stability[k]),
            "r2": float(components.r2[k]),
        }
        for k in range(len(components))
    ]
    return {"source": dataclasses.asdict(components.source), "components": rows}


def table(components: Components) -> str:
    """The same for a terminal."""
    lines = ["component  variance  cumulative  error  stability     r2"]
    cumulative = np.cumsum(components.variance_ratio)
    for k in range(len(components)):
        lines.append(
            f"{k:9d}  {components.variance_ratio[k]:7.2%}  {cumulative[k]:9.2%}  {components.variance_error[k]:5.1%}"
            f"  {components.stability[k]:6.1f} deg  {components.r2[k]:5.3f}"
        )
    return "\n".join(lines)
