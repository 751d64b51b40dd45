"""Components and edits -> images: the pictures that the experiments draw."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
import numpy as np

from ganspace_jax.directions import edits
from ganspace_jax.directions.components import Components, check_latent_space
from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base
from ganspace_jax.methods import decomposition
from ganspace_jax.sampling import latents
from ganspace_jax.sampling.layers import check_truncation
from ganspace_jax.shapes import Array, Float

Mode = Literal["latent", "activation"]


@dataclasses.dataclass(frozen=True)
class View:
    """How images are made: mode, whether coordinates are centred first, truncation after the edit.

    label: class index for conditional generators; None for the class that the components are of, or the first of all.
    """

    mode: Mode = "latent"
    centred: bool = False
    truncation_psi: float = 1.0
    truncation_cutoff: int | None = None
    label: latents.Label = None


def starting_latents(
    generator: base.SplitGenerator, components: Components, seed: int | None, view: View
) -> Float[Array, "layers d"]:
    """Per-layer latents of a published seed; None: the mean latent, in every layer."""
    module = generator.merge()
    if seed is None and components.source.latent_space == "w":
        return jnp.tile(jnp.asarray(components.latent_mean), (module.latent_shape[0], 1))
    if seed is None:
        z = np.zeros((1, module.z_dim), np.float32)
    else:
        z = latents.from_seed(seed, module.z_dim, 1, module.prior, view.truncation_psi)
    return base.map_latents(generator, jnp.asarray(z), _labels(generator, components, view, 1))[0]


def edited_images(
    generator: base.SplitGenerator,
    components: Components,
    start: Float[Array, "layers d"],
    columns: Sequence[Sequence[Edit]],
    view: View,
) -> Float[Array, "columns h w c"]:
    """One start, one image for each set of edits; raises InputError for edits that do not fit the generator."""
    module = generator.merge()
    check_truncation(generator, view.truncation_psi, view.truncation_cutoff)
    for edit in (edit for column in columns for edit in column):
        edits.check(edit, len(components), module.latent_shape[0])
    starts = jnp.broadcast_to(start, (len(columns), *start.shape))
    settings = {
        "label": _labels(generator, components, view, len(columns)),
        "truncation_psi": view.truncation_psi,
        "truncation_cutoff": view.truncation_cutoff,
    }
    if view.mode == "latent":
        check_latent_space(components, *base.edited_space(module))
        moved = [edits.apply(start[None], components, column, centred=view.centred) for column in columns]
        return base.synthesize(generator, jnp.concatenate(moved), **settings)
    layer = components.source.layer
    if layer not in base.activation_shapes(generator):
        raise InputError(f"--mode=activation: components of layer {layer} can only be applied to latents")
    before = base.activation(generator, starts, layer, **settings) if view.centred else None
    offsets = jnp.concatenate([
        jnp.reshape(
            edits.activation_offset(components, column, None if before is None else before[i : i + 1]),
            (1, *components.activation_mean.shape),
        )
        for i, column in enumerate(columns)
    ])  # fmt: skip
    return base.synthesize(generator, starts, offsets={layer: offsets}, **settings)


def _labels(generator: base.SplitGenerator, components: Components, view: View, count: int) -> Array | None:
    label = view.label if view.label is not None else components.source.label
    return latents.one_hot(0 if isinstance(label, str) else label, generator.merge().num_classes, count)


def component_rows(
    generator: base.SplitGenerator,
    components: Components,
    start: Float[Array, "layers d"],
    indices: Sequence[int],
    sigmas: Sequence[float] | np.ndarray,
    view: View,
    layers: tuple[int, int] | None = None,
) -> Float[np.ndarray, "rows columns h w c"]:
    """A component a row, a number of standard deviations a column."""
    return np.stack([
        np.asarray(edited_images(generator, components, start, [[Edit(k, layers, float(s))] for s in sigmas], view))
        for k in indices
    ])  # fmt: skip


def mixed_rows(
    generator: base.SplitGenerator, seeds: Sequence[int], num_columns: int, kept: tuple[int, int], view: View
) -> Float[np.ndarray, "rows columns h w c"]:
    """One row a seed: its image, then images that keep its latents in the layers [start, stop) and get new ones elsewhere.

    The new latents are those of published seeds from 1,000 on, the same in every row.
    """
    module = generator.merge()
    check_truncation(generator, view.truncation_psi, view.truncation_cutoff)
    draw = functools.partial(latents.from_seeds, z_dim=module.z_dim, prior=module.prior)
    others = draw(list(range(1000, 1000 + num_columns)), truncation_psi=view.truncation_psi)
    label = latents.one_hot(0 if isinstance(view.label, str) else view.label, module.num_classes, num_columns + 1)
    layer = np.arange(module.latent_shape[0])[:, None]
    is_kept = (layer >= kept[0]) & (layer < kept[1])
    rows = []
    for seed in seeds:
        own = draw([seed], truncation_psi=view.truncation_psi)
        mapped = base.map_latents(generator, jnp.asarray(np.concatenate([own, others])), label)
        mixed = jnp.where(is_kept, mapped[:1], mapped)
        made = base.synthesize(
            generator, mixed, label=label,
            truncation_psi=view.truncation_psi, truncation_cutoff=view.truncation_cutoff,
        )  # fmt: skip
        rows.append(np.asarray(made))
    return np.stack(rows)


def random_like(components: Components, seed: int) -> Components:
    """Random unit directions with the components' standard deviations: what a row must be compared with."""
    count = len(components)
    shape = components.activation_components.shape
    activation = decomposition.random_directions(count, int(np.prod(shape[1:])), seed).reshape(shape)
    latent = decomposition.random_directions(count, components.latent_components.shape[1], seed)
    return dataclasses.replace(
        components,
        activation_components=activation.astype(np.float32),
        latent_components=latent.astype(np.float32),
    )
