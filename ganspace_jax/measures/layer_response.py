"""Response of a layer: how it moves when latents move along one of its directions.

The regression that finds a direction is linear, but the generator is not (GANSpace,
section 3.2). A direction is reliable if the layer moves in proportion to the step,
and along the direction's own component only.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ganspace_jax.directions import edited_images, edits
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.edits import Edit
from ganspace_jax.files import tables
from ganspace_jax.generators import base, synthesis
from ganspace_jax.sampling import labels, latents
from ganspace_jax.shapes import Array, Float


class LayerResponse(NamedTuple):
    """Motion of the layer over random samples, for each component and each step.

    Attributes:
        sigmas: steps along the direction, in the component's standard deviations.
        own: mean motion along the direction's own component, in that component's
            standard deviations.
        spread: standard deviation of `own` over samples.
        others: root mean square length of the motion along all other kept components,
            each in its own standard deviations.
        share: fraction of the layer's squared motion that lies along the own component.
            It is 0 if the layer does not move.
    """

    sigmas: tuple[float, ...]
    own: Float[np.ndarray, "c s"]
    spread: Float[np.ndarray, "c s"]
    others: Float[np.ndarray, "c s"]
    share: Float[np.ndarray, "c s"]


class _StepResponse(NamedTuple):
    """Motion of the layer for one component and one step; see LayerResponse."""

    own: float
    spread: float
    others: float
    share: float


def measure(
    generator: base.Generator,
    components: Components,
    *,
    sigmas: Sequence[float] = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0),
    num_samples: int = 256,
    layers: tuple[int, int] | None = None,
    seed: int = 0,
) -> LayerResponse:
    """Moves the same samples by every step along every direction.

    Args:
        sigmas: steps, in the component's standard deviations.
        layers: [start, stop) of the moved layers; None moves each
            direction's own range, which is all layers unless it is named.

    Raises:
        InputError: the components do not fit the generator, or the seed is out of
            range.
    """
    edited_images.check_layer_latents(components, generator)
    components = edited_images.at_own_layer(components, generator)
    network, spec = generator.merge(), components.spec
    key, indices = synthesis.seeded_key(seed), jnp.arange(num_samples)
    z = latents.sample(key, indices, network.z_dim, network.prior, spec.truncation_psi)
    label = labels.sample(key, indices, labels.resolve(spec.label, generator), network.num_classes)
    start = synthesis.map_latents(generator, z, label)
    read = functools.partial(_coordinates, generator, components, label)
    origin, still = read(start)

    def response(k: int, sigma: float) -> _StepResponse:
        coordinates, layer = read(edits.apply(start, components, [Edit(k, layers, sigma)]))
        return _step_response(k, coordinates - origin, layer - still, components)

    steps = tuple(float(sigma) for sigma in sigmas)
    rows = [[response(k, sigma) for sigma in steps] for k in range(len(components))]
    tables = {name: np.array([[getattr(one, name) for one in row] for row in rows]) for name in _StepResponse._fields}
    return LayerResponse(steps, **tables)


def _coordinates(
    generator: base.Generator, components: Components, label: Array | None, start: Float[Array, "n layers d"]
) -> tuple[Float[np.ndarray, "n c"], Float[np.ndarray, "n y"]]:
    """Returns each sample's coordinates, in standard deviations, and its flattened
    layer.
    """
    spec = components.spec
    settings = dataclasses.replace(spec.synthesis, label=label)
    activation = synthesis.activation(generator, start, str(spec.layer), settings)
    layer = np.asarray(activation, np.float64).reshape(len(start), -1)
    directions = components.activation_components.reshape(len(components), -1).astype(np.float64)
    return layer @ directions.T / components.activation_stdevs, layer


def _step_response(
    k: int, motion: Float[np.ndarray, "n c"], layer: Float[np.ndarray, "n y"], components: Components
) -> _StepResponse:
    """Summarizes the motion of one step over samples.

    Args:
        k: index of the component.
        motion: motion of the coordinates, in standard deviations.
        layer: motion of the flattened layer.
    """
    own, other_motion = motion[:, k], np.delete(motion, k, axis=1)
    whole = np.sum(layer**2)
    along = np.sum(np.square(own * components.activation_stdevs[k]))
    return _StepResponse(
        own=float(own.mean()),
        spread=float(own.std()),
        others=float(np.sqrt(np.mean(np.sum(other_motion**2, axis=1)))),
        share=float(along / whole) if whole > 0 else 0.0,
    )


def table(response: LayerResponse, sigma: float = 1.0, *, labels: Sequence[str] = ()) -> str:
    """Returns the response to one step as a Markdown table, one component per row.

    Args:
        response: response of all components.
        sigma: step, which is one of the measured steps.
        labels: names of the components; () calls them v0, v1, and so on.
    """
    column = response.sigmas.index(sigma)
    header = [f"step {sigma:+g}", "own component", "spread", "others", "share of the motion"]
    rows = []
    for k in range(len(response.own)):
        figures = [getattr(response, name)[k, column] for name in _StepResponse._fields]
        rows.append([labels[k] if labels else f"v{k}", *(f"{value:.2f}" for value in figures)])
    return tables.markdown(header, rows)
