"""Whether directions do what they promise: latents are moved along each direction, and the layer's motion is measured.

The regression is linear, the generator is not (GANSpace, section 3.2, and its reviewers): a direction is to be trusted as far
as the layer moves along its own component, in proportion to the step, and along nothing else.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.directions import edits
from ganspace_jax.directions.components import Components, check_latent_space
from ganspace_jax.directions.edits import Edit
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, synthesis
from ganspace_jax.sampling import latents
from ganspace_jax.shapes import Array, Float


class Faithfulness(NamedTuple):
    """Motion of the layer for a step of each of `sigmas` along each direction, over random samples.

    own: mean motion along the direction's own component, in that component's standard deviations. spread: standard deviation
    of it over samples. others: root mean square length of the motion along all other components that were kept, each in its
    own standard deviations. share: of the squared motion of the whole layer, what lies along the own component (no step: 0).
    """

    sigmas: tuple[float, ...]
    own: Float[np.ndarray, "c s"]
    spread: Float[np.ndarray, "c s"]
    others: Float[np.ndarray, "c s"]
    share: Float[np.ndarray, "c s"]


def measure(
    generator: base.Generator,
    components: Components,
    *,
    sigmas: Sequence[float] = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0),
    num_samples: int = 256,
    layers: tuple[int, int] | None = None,
    seed: int = 0,
) -> Faithfulness:
    """Moves the same samples by every step along every direction.

    layers: [start, stop) of the latents moved, None for all. Raises InputError where components and generator do not fit.
    """
    module = generator.merge()
    check_latent_space(components, *base.edited_space(module))
    if components.source.layer not in base.activation_shapes(generator):
        raise InputError(
            f"--components: of layer {components.source.layer}, which is the latent itself: nothing to measure"
        )
    source = components.source
    key, indices = jax.random.key(seed), jnp.arange(num_samples)
    z = latents.sample(key, indices, module.z_dim, module.prior, source.truncation_psi)
    label = latents.labels(key, indices, source.label, module.num_classes)
    start = synthesis.map_latents(generator, z, label)
    read = functools.partial(_coordinates, generator, components, label)
    origin, still = read(start)
    rows = []
    for k in range(len(components)):
        moved = [read(edits.apply(start, components, [Edit(k, layers, float(s))])) for s in sigmas]
        rows.append([_summary(k, at - origin, layer - still, components) for at, layer in moved])
    table = np.array(rows)
    return Faithfulness(tuple(float(s) for s in sigmas), *(table[..., i] for i in range(4)))


def _coordinates(
    generator: base.Generator, components: Components, label: Array | None, start: Float[Array, "n layers d"]
) -> tuple[Float[np.ndarray, "n c"], Float[np.ndarray, "n y"]]:
    """Of each sample: its coordinates in standard deviations, and the flattened layer."""
    source = components.source
    settings = {"label": label, "truncation_psi": source.truncation_psi}
    layer = np.asarray(synthesis.activation(generator, start, source.layer, **settings), np.float64).reshape(
        len(start), -1
    )
    directions = components.activation_components.reshape(len(components), -1).astype(np.float64)
    return layer @ directions.T / components.activation_stdevs, layer


def _summary(
    k: int, motion: Float[np.ndarray, "n c"], layer: Float[np.ndarray, "n y"], components: Components
) -> tuple[float, float, float, float]:
    """(own, spread, others, share) of one step."""
    own, rest = motion[:, k], np.delete(motion, k, axis=1)
    whole = np.sum(layer**2)
    along = np.sum(np.square(own * components.activation_stdevs[k]))
    others = np.sqrt(np.mean(np.sum(rest**2, axis=1)))
    return float(own.mean()), float(own.std()), float(others), float(along / whole) if whole > 0 else 0.0


def table(measured: Faithfulness, sigma: float = 1.0) -> str:
    """The figures of one step as a Markdown table, a component a row."""
    column = measured.sigmas.index(sigma)
    lines = [f"| step {sigma:+g} | own component | spread | others | share of the motion |", "| --- " * 5 + "|"]
    for k in range(len(measured.own)):
        figures = [getattr(measured, name)[k, column] for name in ("own", "spread", "others", "share")]
        lines.append(f"| v{k} | " + " | ".join(f"{value:.2f}" for value in figures) + " |")
    return "\n".join(lines)
