"""What a decomposition looks at in every sample: one of the generator's layers, and the latent behind it."""

from typing import Any, NamedTuple

import jax.numpy as jnp

from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, chunks
from ganspace_jax.sampling import latents
from ganspace_jax.sampling.latents import Label
from ganspace_jax.shapes import Array, Float, PRNGKey

LATENT_SPACES = ("z", "w")
MEAN_LATENT_LAYER = "w"


class Observed(NamedTuple):
    """Hashable, static under jit. layer: w or a named activation; latent_space: where directions are to live, w or z.

    label: class index of a conditional generator, or "all" for a mixture. truncation_psi: see the generator's call; it also
    narrows a truncated normal prior.
    """

    layer: str
    latent_space: str
    label: Label
    truncation_psi: float

    @property
    def is_latent(self) -> bool:
        """Whether the layer is the latent space itself."""
        return self.layer == self.latent_space


def layer_shapes(generator: base.SplitGenerator) -> dict[str, tuple[int, ...]]:
    """Everything that can be decomposed: w, where the generator has one, and its activations; shapes of one sample."""
    module = generator.merge()
    own_space = {MEAN_LATENT_LAYER: (module.latent_shape[1],)} if module.has_mapping else {}
    return {**own_space, **base.activation_shapes(generator)}


def check(generator: base.SplitGenerator, observed: Observed) -> tuple[int, ...]:
    """The layer's shape; raises InputError for what this generator does not have."""
    module, shapes = generator.merge(), layer_shapes(generator)
    layer, space, label = observed.layer, observed.latent_space, observed.label
    if layer not in shapes:
        raise InputError(f"--layer={layer}: this generator has no such layer; it has: {', '.join(shapes)}")
    if space not in LATENT_SPACES or (space == "w" and not module.has_mapping):
        spaces = LATENT_SPACES if module.has_mapping else ("z",)
        raise InputError(f"--latent_space={space}: this generator has: {', '.join(spaces)}")
    if label is not None and not module.num_classes:
        raise InputError(f"--label={label}: this generator is not conditional; leave the flag out")
    if module.num_classes and label != "all" and (label is None or not 0 <= label < module.num_classes):
        raise InputError(f"--label={label}: must be a class from 0 to {module.num_classes - 1}, or all")
    if not 0.0 < observed.truncation_psi <= 1.0:
        raise InputError(f"--truncation_psi={observed.truncation_psi}: must be above 0 and at most 1")
    check_truncation(generator, observed.truncation_psi)
    return shapes[layer]


def check_truncation(generator: base.SplitGenerator, psi: float, cutoff: int | None = None) -> None:
    """Raises InputError for a truncation that this generator does not know.

    Where there is a mean latent, psi may be any number; where there are statistics for each psi, it is from 0 to 1.
    """
    module = generator.merge()
    if cutoff is not None and not module.has_mapping:
        raise InputError(f"--truncation_cutoff={cutoff}: this generator has no mean latent; leave the flag out")
    if cutoff is not None and cutoff < 0:
        raise InputError(f"--truncation_cutoff={cutoff}: must be a number of layers, from 0")
    if module.prior == "truncated_normal" and not 0.0 < psi <= 1.0:
        raise InputError(f"--truncation_psi={psi}: must be above 0 and at most 1 for this generator")
    if module.prior == "normal" and not module.has_mapping and psi != 1.0:
        raise InputError(f"--truncation_psi={psi}: this generator has no truncation; leave the flag out")


def observe(definition, params, key: PRNGKey, observed: Observed, indices: Array) -> tuple[Array, Array]:
    """The flattened layer [n, d] and the latent [n, l] of the samples with these numbers; no latent where the layer is it."""
    module = base.merge(definition, params)
    z = latents.sample(key, indices, module.z_dim, module.prior, observed.truncation_psi)
    label = latents.labels(key, indices, observed.label, module.num_classes)
    mapped = module.map_latents(z, label)
    if observed.layer == MEAN_LATENT_LAYER and module.has_mapping:
        activation = mapped[:, 0]
    else:

        def run(batch: Any) -> Array:
            activations = module(batch[0], label=batch[1], truncation_psi=observed.truncation_psi)[1]
            return activations[observed.layer].reshape(len(batch[0]), -1).astype(jnp.float32)

        largest = base.largest_activation(base.SplitGenerator(definition, params), observed.layer)
        activation = chunks.in_pieces(run, (mapped, label), largest)
    latent: Float[Array, "n l"] = z if observed.latent_space == "z" else mapped[:, 0]
    return activation, latent[:, :0] if observed.is_latent else latent
