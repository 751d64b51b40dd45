"""Makes images of edited latents: the rows and strips that the commands draw."""

import dataclasses
from collections.abc import Sequence
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np

from ganspace_jax.directions import edits
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.edits import Edit
from ganspace_jax.directions.sources import UNKNOWN
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, synthesis
from ganspace_jax.generators.base import MAPPED_LATENT, Generator
from ganspace_jax.generators.synthesis import Synthesis
from ganspace_jax.sampling import latents, layers
from ganspace_jax.sampling.latent_files import Inputs
from ganspace_jax.shapes import Array, Float

FALLBACK_SEED = 1  # the start of a row, where the mean latent shows nothing
_FIRST_NEW_SEED = 1000  # of the new latents in style mixing

Mode = Literal["latent", "activation"]


class View(NamedTuple):
    """How edited images are made.

    Attributes:
        synthesis: label, truncation and noise; the truncation follows the edit.
        mode: whether latents or activations are moved.
        centred: whether each coordinate is first set to the mean.
    """

    synthesis: Synthesis = Synthesis()
    mode: Mode = "latent"
    centred: bool = False


class Start(NamedTuple):
    """The unedited latents of an image.

    Attributes:
        name: the start in words, such as "seed 3".
        latents: per-layer latents.
        z: latent before the mapping network; None if it is unknown.
        label: class weights of the image; None for those of the view.
    """

    name: str
    latents: Float[Array, "layers d"]
    z: Float[Array, "z"] | None = None
    label: Float[Array, "classes"] | None = None


def resolve(components: Components, view: View, generator: Generator) -> tuple[Components, View]:
    """Returns components and view with everything filled that the generator provides.

    A missing label becomes that of the components, or the first class. A missing cutoff
    becomes the number of layers. An unknown mean of w becomes the generator's mean
    latent. To move activations, another code's name of the layer becomes ours.

    Raises:
        InputError: if components, view and generator do not fit one another.
    """
    label = view.synthesis.label
    if label is None and generator.num_classes:
        label = components.spec.label if isinstance(components.spec.label, int) else 0
    settings = dataclasses.replace(view.synthesis, label=label)
    synthesis.check(generator, settings)
    check_latents(components, generator)
    if components.latent_mean is None:
        components = dataclasses.replace(components, latent_mean=_mean_of(components, generator))
    if view.mode == "activation":
        components = at_own_layer(components, generator)
    return components, view._replace(synthesis=synthesis.with_cutoff(generator, settings))


def at_own_layer(components: Components, generator: Generator) -> Components:
    """Returns the components with our name of their layer, which may have another
    code's name.

    Raises:
        InputError: if the generator has no such activation, or one of another shape.
    """
    name = str(components.spec.layer)
    if name == UNKNOWN:
        raise InputError(
            "--components: the file's name does not tell the layer; GANSpace's files are called "
            "MODEL-CLASS_LAYER_ipca_c80_n10000.npz"
        )
    layer, shapes = name, base.activation_shapes(generator)
    if name != components.spec.latent_space:
        layer = layers.find(name, generator, f"--components: layer {name}")
    if layer not in shapes:
        raise InputError(
            f"--components: are of layer {layer}, which is the latent itself; only those of an activation can be used here"
        )
    shape = components.activation_components.shape[1:]
    if shape != shapes[layer]:
        raise InputError(
            f"--components: layer {name} of shape {shape}, but layer {layer} of this generator has {shapes[layer]}"
        )
    return dataclasses.replace(components, spec=dataclasses.replace(components.spec, layer=layer))


def _mean_of(components: Components, generator: Generator) -> np.ndarray:
    """Returns the mean of the space in which the directions live, one row per layer if
    they have one.
    """
    if components.spec.latent_space == MAPPED_LATENT:
        mean = np.asarray(generator.mean_latent)
    else:
        mean = np.zeros(generator.z_dim, np.float32)
    return np.broadcast_to(mean, components.latent_components.shape[1:])


def check_latents(components: Components, generator: Generator) -> None:
    """Raises InputError if the directions do not fit this generator's latents.

    Directions in z also fit a generator with w: z is moved, and then mapped.
    """
    space, shape = components.spec.latent_space, components.latent_components.shape[1:]
    if space == "w" and not generator.has_mapping:
        hint = "; give --latent_space=z" if components.source.assumes_space else ""
        raise InputError(f"--components: directions in w, but this generator has only z{hint}")
    size = generator.latent_size if space == "w" else generator.z_dim
    num_layers = generator.latent_shape[0]
    if len(shape) == 2 and space != MAPPED_LATENT:
        raise InputError(f"--components: directions of shape {shape}, one row per layer, are only possible in w")
    if len(shape) == 2 and shape[0] != num_layers:
        raise InputError(
            f"--components: directions of shape {shape}, one row per layer, but this generator has {num_layers} layers"
        )
    if shape[-1] != size:
        raise InputError(f"--components: directions of {shape[-1]} numbers, but this generator's {space} has {size}")


def check_layer_latents(components: Components, generator: Generator) -> None:
    """Raises InputError if the directions cannot be added to this generator's per-layer
    latents.
    """
    check_latents(components, generator)
    if components.spec.latent_space != generator.latent_space:
        raise InputError(
            f"--components: directions in {components.spec.latent_space}, but this generator's layers hold "
            f"{generator.latent_space}; run experiments.decompose with --latent_space={generator.latent_space}"
        )


def start_of_seed(generator: Generator, seed: int, synthesis_: Synthesis) -> Start:
    """Returns the latents of a published seed."""
    network = generator.merge()
    z = latents.from_seed(seed, network.z_dim, 1, network.prior, synthesis_.truncation_psi)
    mapped = synthesis.map_latents(generator, jnp.asarray(z), _label(generator, synthesis_))
    return Start(f"seed {seed}", mapped[0], jnp.asarray(z[0]))


def starts_of_file(inputs: Inputs) -> list[Start]:
    """Returns the latents of each picture in a file."""
    return [
        Start(
            name,
            jnp.asarray(inputs.latents[i]),
            None if inputs.z is None else jnp.asarray(inputs.z[i]),
            None if inputs.label is None else jnp.asarray(inputs.label[i]),
        )
        for i, name in enumerate(inputs.names)
    ]


def default_start(generator: Generator, components: Components, synthesis_: Synthesis) -> Start:
    """Returns the mean latent of components in w; for components in z the seed
    FALLBACK_SEED.

    Because z = 0 is no typical latent, its image shows little, and in a DCGAN nothing.
    The mean latent of a mapping network also comes from no z that could be moved.
    """
    if components.spec.latent_space != MAPPED_LATENT:
        return start_of_seed(generator, FALLBACK_SEED, synthesis_)
    num_layers, width = generator.latent_shape
    mean = _mean_of(components, generator) if components.latent_mean is None else components.latent_mean
    return Start("mean latent", edits.by_layer(mean, num_layers, width))


def _label(generator: Generator, synthesis_: Synthesis) -> synthesis.Label:
    return 0 if synthesis_.label is None and generator.num_classes else synthesis_.label


def edited_images(
    generator: Generator, components: Components, start: Start, columns: Sequence[Sequence[Edit]], view: View
) -> Float[Array, "columns h w c"]:
    """Returns one image of the start for each list of edits.

    Args:
        generator: the generator.
        components: components that `resolve` returned.
        start: latents of the unedited image.
        columns: edits of each image.
        view: view that `resolve` returned.

    Raises:
        InputError: if an edit does not fit the generator.
    """
    for edit in (edit for column in columns for edit in column):
        edits.check(edits.resolve(edit, components), len(components), generator.latent_shape[0])
    settings = _own_settings(start, view, len(columns))
    if view.mode == "latent":
        moved = [move(generator, components, start, column, view) for column in columns]
        return synthesis.synthesize(generator, jnp.stack(moved), settings)
    layer = str(components.spec.layer)
    starts = jnp.broadcast_to(start.latents, (len(columns), *start.latents.shape))
    before = synthesis.activation(generator, starts, layer, settings) if view.centred else None
    shape = (1, *components.activation_components.shape[1:])
    offsets = [
        edits.activation_offset(components, column, None if before is None else before[i : i + 1]).reshape(shape)
        for i, column in enumerate(columns)
    ]
    return synthesis.synthesize(generator, starts, settings, offsets={layer: jnp.concatenate(offsets)})


def _own_settings(start: Start, view: View, count: int) -> Synthesis:
    """Returns the view's settings for `count` images, with the label of the start."""
    if start.label is None:
        return view.synthesis
    return dataclasses.replace(view.synthesis, label=jnp.tile(start.label, (count, 1)))


def move(
    generator: Generator, components: Components, start: Start, column: Sequence[Edit], view: View
) -> Float[Array, "layers d"]:
    """Returns the edited latents of one image.

    On a generator with w, directions in z move one z per layer; each layer then uses
    the w of its own z.
    """
    if components.spec.latent_space == generator.latent_space:
        return edits.apply(start.latents[None], components, column, centred=view.centred)[0]
    if start.z is None:
        raise InputError("--components: directions in z need images with a known z; give --latents of z, or --seeds")
    num_layers = generator.latent_shape[0]
    z = jnp.tile(start.z, (1, num_layers, 1))
    moved = edits.apply(z, components, column, centred=view.centred)[0]
    mapped = synthesis.map_latents(generator, moved, _label(generator, _own_settings(start, view, num_layers)))
    own = jnp.arange(num_layers)
    return jnp.where(jnp.all(moved == z[0], axis=1, keepdims=True), start.latents, mapped[own, own])


def component_rows(
    generator: Generator,
    components: Components,
    start: Start,
    indices: Sequence[int],
    sigmas: Sequence[float] | np.ndarray,
    view: View,
) -> Float[np.ndarray, "rows columns h w c"]:
    """Returns one row of images per component, with one number of standard deviations
    per column.
    """
    rows = [
        edited_images(generator, components, start, [[Edit(k, None, float(sigma))] for sigma in sigmas], view)
        for k in indices
    ]
    return np.stack([np.asarray(row) for row in rows])


def mixed_rows(
    generator: Generator, seeds: Sequence[int], num_columns: int, kept: tuple[int, int], settings: Synthesis
) -> Float[np.ndarray, "rows columns h w c"]:
    """Returns one row per seed: its image, then images that keep its latents in some
    layers only.

    The new latents of the other layers are those of published seeds from 1,000 on,
    equal in every row (StyleGAN, section 3.1; GANSpace, figure 6).

    Args:
        generator: the generator.
        seeds: published seeds of the rows.
        num_columns: number of new latents.
        kept: layers [start, stop) that keep the latents of the row's seed.
        settings: label, truncation and noise.
    """
    settings = dataclasses.replace(settings, label=_label(generator, settings))
    synthesis.check(generator, settings)
    psi = settings.truncation_psi

    def draw(numbers: Sequence[int]) -> Array:
        return latents.layer_latents(generator, numbers, label=settings.label, truncation_psi=psi)

    new = draw(range(_FIRST_NEW_SEED, _FIRST_NEW_SEED + num_columns))
    layer = np.arange(generator.latent_shape[0])[:, None]
    is_kept = (layer >= kept[0]) & (layer < kept[1])
    rows = []
    for own in draw(seeds):
        mixed = jnp.where(is_kept, own, jnp.concatenate([own[None], new]))
        rows.append(np.asarray(synthesis.synthesize(generator, mixed, settings)))
    return np.stack(rows)
