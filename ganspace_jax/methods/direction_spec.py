"""What a search for directions computes, and what its methods share."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from ganspace_jax import errors
from ganspace_jax.directions import latent_directions
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.directions.sources import Source
from ganspace_jax.errors import InputError
from ganspace_jax.generators import zoo
from ganspace_jax.generators.base import Generator
from ganspace_jax.sampling import latent_prior, latents, layers
from ganspace_jax.sampling.latent_prior import LatentPrior
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.shapes import Float
from ganspace_jax.statistics import quadratic_forms

METHODS = ("image_jacobian", "sefa", "ica", "sparse_pca", "local_basis", "pca", "random")
OF_A_LAYER = ("ica", "sparse_pca", "local_basis", "pca")  # the other methods find directions of the latent
FEWEST_IMAGES = 8  # one for each group of the jackknife
_MOST = 1_000_000
_OPTIONS = {  # which methods have an option
    "num_images": ("image_jacobian", "local_basis"),
    "moved_layers": ("sefa",),
    "whitened": ("sefa",),
    "unit_weights": ("sefa",),
    "vectors": ("ica",),
    "sparsity": ("sparse_pca",),
}


@dataclasses.dataclass(frozen=True)
class DirectionSpec(LayerSpec):
    """Which directions are found, and how. It is stored in the components file.

    Attributes:
        method: name of the method.
        num_components: number of directions.
        num_samples: number of samples for the latent's covariance, and of ica,
            sparse_pca and pca.
        num_images: images at which image_jacobian and local_basis take Jacobians.
        moved_layers: layers of sefa, such as 0-3, the last one inclusive; None: all.
        whitened: whether sefa counts steps in standard deviations of the latent.
        unit_weights: whether sefa scales each weight vector to unit length, as its
            published code does.
        vectors: vectors of ica: mixing ones move one source, unmixing ones read it.
        sparsity: penalty of sparse_pca, relative to the mean magnitude of loadings.
        seed: seed of the samples and of the random directions.
    """

    method: Literal["image_jacobian", "sefa", "ica", "sparse_pca", "local_basis", "pca", "random"] | str = METHODS[0]
    num_components: int = 20
    num_samples: int = 10_000
    num_images: int = 64
    moved_layers: str | None = None
    whitened: bool = False
    unit_weights: bool = False
    vectors: Literal["mixing", "unmixing"] = "mixing"
    sparsity: float = 1.0
    seed: int = 0

    def __post_init__(self):
        """Checks the values that need no generator. Raises InputError."""
        super().__post_init__()
        if self.method not in METHODS:
            hint = errors.nearest(self.method, METHODS)
            raise InputError(f"--method={self.method}: no such method; {hint}must be {', '.join(METHODS)}")
        for name, least in {"num_components": 1, "num_samples": 16, "num_images": FEWEST_IMAGES}.items():
            if not least <= getattr(self, name) <= _MOST:
                raise InputError(f"--{name}={getattr(self, name)}: must be from {least} to {_MOST:,}")
        if not 0 <= self.sparsity < 100:
            raise InputError(f"--sparsity={self.sparsity}: must be from 0 to 100")
        if self.vectors not in ("mixing", "unmixing"):
            raise InputError(f"--vectors={self.vectors}: must be mixing or unmixing")
        if not 0 <= self.seed < 2**32 - 1:
            raise InputError(f"--seed={self.seed}: must be from 0 to {2**32 - 2}")
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        for name, methods in _OPTIONS.items():
            if self.method not in methods and getattr(self, name) != defaults[name]:
                raise InputError(f"--{name}: is an option of {' and '.join(methods)}, not of --method={self.method}")


class Layer(NamedTuple):
    """Directions of a flattened layer.

    Attributes:
        rows: unit rows.
        stdevs: standard deviations of the layer along them.
        mean: mean of the layer; None: unknown.
    """

    rows: Float[np.ndarray, "c d"]
    stdevs: Float[np.ndarray, "c"]
    mean: Float[np.ndarray, "d"] | None


def resolve(spec: DirectionSpec, generator: Generator) -> DirectionSpec:
    """Returns the spec with layer, latent space and label filled for this generator.

    Raises:
        InputError: if the spec does not fit the generator.
    """
    space = generator.latent_space
    if spec.method not in OF_A_LAYER:
        for name in ("layer", "latent_space"):
            if getattr(spec, name) not in (None, space):
                raise InputError(
                    f"--{name}={getattr(spec, name)}: --method={spec.method} finds directions of {space}; "
                    "leave the flag out"
                )
        filled = layers.resolve(dataclasses.replace(spec, layer=None, latent_space=None), generator)
        filled = dataclasses.replace(filled, layer=space, latent_space=space)
        size = generator.latent_size
    else:
        filled = layers.resolve(spec, generator)
        size = layers.layer_size(generator, str(filled.layer))
    if filled.num_components > size:
        raise InputError(f"--num_components={filled.num_components}: {filled.layer} has only {size} dimensions")
    moved_range(filled, generator)
    return filled


def moved_range(spec: DirectionSpec, generator: Generator) -> tuple[int, int]:
    """Returns the moved layers as a range [start, stop).

    Raises:
        InputError: if the generator has no such layers.
    """
    num_layers = generator.latent_shape[0]
    if spec.moved_layers is None:
        return 0, num_layers
    match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", spec.moved_layers.strip())
    start, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not start <= last < num_layers:
        raise InputError(
            f"--moved_layers={spec.moved_layers}: must be one layer or a range within 0-{num_layers - 1}, such as 0-0"
        )
    return start, last + 1


def latent_distribution(generator: Generator, spec: DirectionSpec) -> LatentPrior:
    """Returns mean and covariance of the latent that edits move: sampled for w, known
    for z.
    """
    if generator.has_mapping:
        return latent_prior.estimate(generator, num_samples=spec.num_samples, seed=spec.seed, label=spec.label)
    variance = latents.variance(generator.prior, spec.truncation_psi)
    return latent_prior.of_covariance(np.zeros(generator.z_dim), variance * np.eye(generator.z_dim))


def source(generator: Generator, spec: DirectionSpec, name: str, num_samples: int) -> Source:
    """Returns the record of how directions were found."""
    return Source(
        name, zoo.fingerprint(generator), spec.method, dataclasses.asdict(spec), num_samples=num_samples,
        compute_dtype=getattr(generator.config, "compute_dtype", "float32"),
    )  # fmt: skip


def of_latent(
    generator: Generator,
    spec: DirectionSpec,
    rows: Float[np.ndarray, "c l"],
    prior: LatentPrior,
    *,
    figures: Mapping[str, Float[np.ndarray, "c"]],
    num_samples: int,
    name: str,
) -> Components:
    """Returns components whose layer is the latent itself.

    Args:
        generator: the generator.
        spec: resolved spec. Directions of some layers get names, which move only these.
        rows: unit rows, the strongest first.
        prior: distribution of the latent, which gives the standard deviations.
        figures: known figures of the components, by their names.
        num_samples: number of samples or images that were used.
        name: name of the generator.
    """
    moved = moved_range(spec, generator)
    named = [NamedDirection(f"{spec.method}_{k}", moved) for k in range(len(rows))]
    return latent_directions.of_directions(
        rows, quadratic_forms.stdevs(rows, prior.covariance), prior.mean,
        spec=spec.layer_spec(), source=source(generator, spec, name, num_samples),
        named=named if spec.moved_layers is not None else (), figures=figures,
    )  # fmt: skip


def of_layer(
    generator: Generator,
    spec: DirectionSpec,
    in_layer: Layer,
    in_latent: Float[np.ndarray, "c l"],
    *,
    figures: Mapping[str, Float[np.ndarray, "c"]],
    num_samples: int,
    name: str,
) -> Components:
    """Returns components of a layer, each with a direction of the latent.

    Args:
        generator: the generator.
        spec: resolved spec.
        in_layer: directions of the layer.
        in_latent: rows of the latent, of any length; not used for the latent itself.
        figures: known figures of the components, by their names.
        num_samples: number of samples or points that were used.
        name: name of the generator.
    """
    prior, count = latent_distribution(generator, spec), {"num_samples": num_samples, "name": name}
    if spec.is_latent:
        return of_latent(generator, spec, in_layer.rows, prior, figures=figures, **count)
    lengths = np.linalg.norm(in_latent, axis=1, keepdims=True)
    rows = in_latent / np.where(lengths > 0, lengths, 1.0)  # their signs belong to those of the layer's rows
    found = of_latent(generator, spec, rows, prior, figures=figures, **count)
    shape = layers.layer_shapes(generator)[str(spec.layer)]
    mean = None if in_layer.mean is None else in_layer.mean.reshape(shape).astype(np.float32)
    return dataclasses.replace(
        found, activation_components=in_layer.rows.reshape(-1, *shape).astype(np.float32),
        activation_mean=mean, activation_stdevs=in_layer.stdevs.astype(np.float32),
    )  # fmt: skip
