"""Reads one named layer of a generator, and the latent behind it, for a batch of
samples.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import jax.numpy as jnp

from ganspace_jax import errors
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, chunks, synthesis
from ganspace_jax.generators.base import MAPPED_LATENT, Generator
from ganspace_jax.generators.synthesis import Synthesis
from ganspace_jax.sampling import labels, latents, layer_names
from ganspace_jax.shapes import Array, Float, PRNGKey

LATENT_SPACES = ("z", "w")


@dataclasses.dataclass(frozen=True)
class LayerSpec:
    """Which layer of which samples is read. Specs of methods that find directions
    extend it.

    Attributes:
        layer: "w", or the name of an activation; None: the generator's default layer.
        latent_space: space of the directions, "w" or "z"; None: w if there is a w.
        label: class name, class index, or "all" for a mixture; None: the first class.
        truncation_psi: truncation of the samples, above 0 and at most 1.
        truncation_cutoff: number of truncated layers; None: all layers.
    """

    layer: str | None = None
    latent_space: Literal["w", "z"] | str | None = None
    label: int | str | None = None
    truncation_psi: float = 1.0
    truncation_cutoff: int | None = None

    def __post_init__(self):
        """Checks the values that need no generator. Raises InputError."""
        if self.latent_space not in (None, *LATENT_SPACES):
            raise InputError(f"--latent_space={self.latent_space}: must be w or z")
        if not 0.0 < self.truncation_psi <= 1.0:
            raise InputError(f"--truncation_psi={self.truncation_psi}: must be above 0 and at most 1")

    @property
    def is_latent(self) -> bool:
        """Whether the layer is the latent space itself."""
        return self.layer == self.latent_space

    @property
    def synthesis(self) -> Synthesis:
        """How images of the samples are made."""
        label = None if isinstance(self.label, str) else self.label
        return Synthesis(label, self.truncation_psi, self.truncation_cutoff)

    def layer_spec(self) -> "LayerSpec":
        """Returns the fields of LayerSpec alone: hashable, static under jit."""
        return LayerSpec(**{field.name: getattr(self, field.name) for field in dataclasses.fields(LayerSpec)})


Spec = TypeVar("Spec", bound=LayerSpec)


def resolve(spec: Spec, generator: Generator) -> Spec:
    """Returns the spec with all open fields filled for this generator.

    Raises:
        InputError: if the generator has no such layer, space, class or truncation.
    """
    network = generator.merge()
    layer = find(spec.layer or network.default_layer, generator)
    space = spec.latent_space or (MAPPED_LATENT if network.has_mapping else "z")
    if space == MAPPED_LATENT and not network.has_mapping:
        raise InputError(f"--latent_space={space}: this generator has no w, only z")
    label = labels.resolve(spec.label, generator)
    filled = dataclasses.replace(spec, layer=layer, latent_space=space, label=label)
    synthesis.check(generator, filled.synthesis)
    return filled


def find(name: str, generator: Generator, subject: str = "") -> str:
    """Returns the generator's layer of a name, which may be the name in another code.

    Args:
        name: our name, or a name of layer_names.py in any case.
        generator: the generator.
        subject: begin of the error message; "": the flag --layer with its value.

    Raises:
        InputError: if the generator has no such layer. The message suggests similar
            names.
    """
    own = layer_shapes(generator)
    if name in own:
        return name
    others = layer_names.of_other_codes(generator, own)
    by_lower_case = {other.lower(): layer for other, layer in others.items()}
    if name.lower() in by_lower_case:
        return by_lower_case[name.lower()]
    subject = subject or f"--layer={name}"
    if generator.has_mapping and (reason := layer_names.why_absent(name)):
        raise InputError(f"{subject}: {reason}")
    hint = errors.nearest(name, [*own, *others])
    listing = "python -m experiments.decompose --generator=NAME --list_layers lists all"
    raise InputError(f"{subject}: this generator has no such layer; {hint}{listing}")


def describe_name(name: str | None, layer: str | None) -> str:
    """Returns one line that tells which layer another code's name means; "" for our own
    name.
    """
    return "" if name in (None, layer) else f"layer {name}: {layer} of this generator"


def describe(spec: LayerSpec, generator: Generator) -> str:
    """Returns one line that tells what a resolved spec reads: "layer gen_z, directions
    in z, class sphere".
    """
    parts = [f"layer {spec.layer}", f"directions in {spec.latent_space}", labels.describe(spec.label, generator)]
    return ", ".join(filter(None, parts))


def layer_shapes(generator: Generator) -> dict[str, tuple[int, ...]]:
    """Returns the shape of one sample of every layer that can be read: w, and the
    activations.
    """
    mapped = {MAPPED_LATENT: (generator.latent_size,)} if generator.has_mapping else {}
    return {**mapped, **base.activation_shapes(generator)}


def layer_size(generator: Generator, layer: str) -> int:
    """Returns the number of dimensions of a layer."""
    return math.prod(layer_shapes(generator)[layer])


def read(generator: Generator, spec: LayerSpec, key: PRNGKey, indices: Array) -> tuple[Array, Array]:
    """Returns the flattened layer [n, d] and the latent [n, l] of the samples with
    these numbers.

    If the layer is the latent space itself, the latent has no columns.
    """
    return read_together(generator, [spec], key, indices)[0]


def read_together(
    generator: Generator, specs: Sequence[LayerSpec], key: PRNGKey, indices: Array
) -> list[tuple[Array, Array]]:
    """Returns what `read` returns, for several specs that differ in the layer only. The
    samples pass the network once.
    """
    network, spec = generator.merge(), specs[0]
    z = latents.sample(key, indices, network.z_dim, network.prior, spec.truncation_psi)
    label = labels.sample(key, indices, spec.label, network.num_classes)
    mapped = network.map_latents(z, label)
    names = [str(one.layer) for one in specs if not (one.layer == MAPPED_LATENT and network.has_mapping)]
    values: dict[str, Array] = {MAPPED_LATENT: mapped[:, 0]}

    def run(batch: Any) -> dict[str, Array]:
        psi, cutoff = spec.truncation_psi, spec.truncation_cutoff
        activations = network(batch[0], label=batch[1], truncation_psi=psi, truncation_cutoff=cutoff)[1]
        return {name: activations[name].reshape(len(batch[0]), -1).astype(jnp.float32) for name in names}

    if names:
        largest = max(chunks.largest_activation(generator, name) for name in names)
        values |= chunks.in_chunks(run, (mapped, label), largest)
    latent: Float[Array, "n l"] = z if spec.latent_space == "z" else mapped[:, 0]
    return [(values[str(one.layer)], latent[:, :0] if one.is_latent else latent) for one in specs]
