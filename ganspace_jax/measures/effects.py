"""What a direction does, in numbers: how far each factor of a scene moves when images are moved along a component.

The probe reads the factors of many random images before and after an edit of one standard deviation either way.
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
from ganspace_jax.generators import base, synthesis
from ganspace_jax.sampling import latents
from ganspace_jax.scenes import probe as probes
from ganspace_jax.scenes import rendering as scenes
from ganspace_jax.shapes import Array, Float


class Effects(NamedTuple):
    """For a step from -sigma to +sigma along each component (rows), how far each factor (columns) changes.

    size: root mean square change, in standard deviations of the factor over real scenes. slope: mean signed change, likewise.
    For the shape both are the share of images whose shape changes.
    """

    factors: tuple[str, ...]
    size: Float[np.ndarray, "c f"]
    slope: Float[np.ndarray, "c f"]


FACTORS = ("shape", *scenes.CONTINUOUS)


def measure(
    generator: base.Generator,
    components: Components,
    probe: probes.SplitProbe,
    *,
    num_samples: int = 256,
    sigma: float = 1.0,
    layers: tuple[int, int] | None = None,
    label: latents.Label = None,
    seed: int = 0,
) -> Float[np.ndarray, "c n f"]:
    """Changes of every factor in every image, for a step from -sigma to +sigma along every component; see `change`.

    layers: [start, stop) of the latents moved, None for all. label: the class of the images; None: that of the components.
    Raises InputError where components and generator do not fit.
    """
    module, source = generator.merge(), components.source
    check_latent_space(components, *base.edited_space(module))
    key, indices = jax.random.key(seed), jnp.arange(num_samples)
    z = latents.sample(key, indices, module.z_dim, module.prior)
    labels = latents.labels(key, indices, source.label if label is None else label, module.num_classes)
    start = synthesis.map_latents(generator, z, labels)
    read = functools.partial(_read, generator, probe, labels)
    rows = []
    for k in range(len(components)):
        before, after = (read(edits.apply(start, components, [Edit(k, layers, s)])) for s in (-sigma, sigma))
        rows.append(np.stack([change(name, before, after) for name in FACTORS], axis=1))
    return np.stack(rows)


def _read(generator: base.Generator, probe: probes.SplitProbe, label: Array | None, latent: Array) -> scenes.Factors:
    return probes.read_factors(probe, synthesis.synthesize(generator, latent, label=label))


def change(name: str, before: scenes.Factors, after: scenes.Factors) -> Float[np.ndarray, "n"]:
    """Change of one factor in each image, in its standard deviations over real scenes.

    Circular factors go the short way round. Rotation is NaN where it does not show before and after. The shape's change is 1
    or 0.
    """
    if name == "shape":
        return (np.asarray(before.shape) != np.asarray(after.shape)).astype(np.float64)
    low, high = scenes.RANGES[name]
    difference = np.asarray(getattr(after, name), np.float64) - np.asarray(getattr(before, name), np.float64)
    if name in scenes.CIRCULAR:
        difference = (difference + (high - low) / 2) % (high - low) - (high - low) / 2
    if name == "rotation":
        shown = np.asarray(probes.shows_rotation(before.shape) & probes.shows_rotation(after.shape))
        difference = np.where(shown, difference, np.nan)
    return difference / ((high - low) / np.sqrt(12.0))


def summarize(changes: Float[np.ndarray, "c n f"]) -> Effects:
    """Root mean square and mean over images; 0 where no image shows the factor."""
    seen = ~np.isnan(changes)
    count = np.maximum(seen.sum(1), 1)
    filled = np.where(seen, changes, 0.0)
    return Effects(FACTORS, np.sqrt(np.square(filled).sum(1) / count), filled.sum(1) / count)


def strongest(effects: Effects, component: int, count: int = 2) -> list[str]:
    """The factors that a component moves most, strongest first."""
    order = np.argsort(effects.size[component])[::-1][:count]
    return [effects.factors[i] for i in order]


def table(effects: Effects, components: Sequence[int]) -> str:
    """The sizes as a Markdown table; the strongest of each row in bold."""
    lines = ["| | " + " | ".join(name.replace("_", " ") for name in effects.factors) + " |"]
    lines.append("| --- " * (len(effects.factors) + 1) + "|")
    for k in components:
        best = int(np.argmax(effects.size[k]))
        cells = [f"**{v:.2f}**" if i == best else f"{v:.2f}" for i, v in enumerate(effects.size[k])]
        lines.append(f"| v{k} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
