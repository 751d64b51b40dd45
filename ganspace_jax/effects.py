"""What a direction does, in numbers: how far each factor of a scene moves when images are moved along a component.

The probe reads the factors of many random images before and after an edit of one standard deviation either way.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax import edits, latents, scenes
from ganspace_jax import probe as probes
from ganspace_jax.components import Components, check_latent_space
from ganspace_jax.edits import Edit
from ganspace_jax.generators import base
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
    generator: base.SplitGenerator,
    components: Components,
    probe: probes.SplitProbe,
    *,
    num_samples: int = 256,
    sigma: float = 1.0,
    layers: tuple[int, int] | None = None,
    seed: int = 0,
) -> Effects:
    """Effects of all components on images of random latents.

    layers: [start, stop) of the latents moved, None for all. Raises InputError where components and generator do not fit.
    """
    module = generator.merge()
    check_latent_space(components, "w" if module.has_mapping else "z")
    key, indices = jax.random.key(seed), jnp.arange(num_samples)
    z = latents.sample(key, indices, module.z_dim, module.prior)
    label = latents.labels(key, indices, components.source.label, module.num_classes)
    start = base.map_latents(generator, z, label)
    read = functools.partial(_read, generator, probe, label)
    rows = []
    for k in range(len(components)):
        ends = [edits.apply(start, components, [Edit(k, layers, s)]) for s in (-sigma, sigma)]
        rows.append([change(name, *(read(end) for end in ends)) for name in FACTORS])
    table = np.array(rows)
    return Effects(FACTORS, table[..., 0], table[..., 1])


def _read(
    generator: base.SplitGenerator, probe: probes.SplitProbe, label: Array | None, latent: Array
) -> scenes.Factors:
    return probes.read_factors(probe, base.synthesize(generator, latent, label=label))


def change(name: str, before: scenes.Factors, after: scenes.Factors) -> tuple[float, float]:
    """(root mean square, mean) change of one factor, in its standard deviations over real scenes.

    Circular factors go the short way round; rotation counts where it shows before and after.
    """
    if name == "shape":
        share = float(np.mean(np.asarray(before.shape) != np.asarray(after.shape)))
        return share, share
    low, high = scenes.RANGES[name]
    difference = np.asarray(getattr(after, name), np.float64) - np.asarray(getattr(before, name), np.float64)
    if name in scenes.CIRCULAR:
        difference = (difference + (high - low) / 2) % (high - low) - (high - low) / 2
    if name == "rotation":
        shown = np.asarray(probes.shows_rotation(before.shape) & probes.shows_rotation(after.shape))
        difference = difference[shown] if shown.any() else np.zeros(1)
    scaled = difference / ((high - low) / np.sqrt(12.0))
    return float(np.sqrt(np.mean(scaled**2))), float(np.mean(scaled))


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
