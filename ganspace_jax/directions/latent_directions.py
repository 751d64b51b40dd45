"""Components of a method that returns only directions in a latent space."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from ganspace_jax.directions import components
from ganspace_jax.directions.components import Components
from ganspace_jax.directions.named_directions import NamedDirection
from ganspace_jax.directions.sources import Source
from ganspace_jax.sampling.layers import LayerSpec
from ganspace_jax.shapes import Float

FIGURES = ("variance_ratio", "random_stdevs", "r2", "stability", "latent_uncertainty", "variance_error")


def of_directions(
    move: Float[np.ndarray, "c *latent"],
    stdevs: Float[np.ndarray, "c"],
    latent_mean: Float[np.ndarray, "*mean"] | None,
    *,
    spec: LayerSpec,
    source: Source,
    named: Sequence[NamedDirection] = (),
    figures: Mapping[str, Float[np.ndarray, "c"]] = MappingProxyType({}),
) -> Components:
    """Returns components whose layer is the latent space itself, in float32. Figures
    that are not given are NaN.

    Args:
        move: directions [c, d], or [c, layers, d] with a row per layer.
        stdevs: standard deviations of the latent along the directions, which are the
            units of an edit's sigma: sqrt(u^T S u) for a unit direction u.
        latent_mean: mean of the latent, [d] or of a direction's shape; None: unknown.
        spec: samples of the method; layer and latent space are w or z.
        source: how the directions were found.
        named: named directions, one per component; () without names.
        figures: known figures of the components, by the names in FIGURES.

    Raises:
        ValueError: if the arrays or the names do not fit one another.
    """
    move, stdevs = np.asarray(move, np.float32), np.asarray(stdevs, np.float32)
    mean = None if latent_mean is None else np.broadcast_to(np.asarray(latent_mean, np.float32), move.shape[1:])
    unknown = np.full(len(move), np.nan)
    known = {name: np.asarray(figures.get(name, unknown), np.float32) for name in FIGURES}
    found = Components(
        activation_components=move, activation_mean=mean, activation_stdevs=stdevs,
        latent_components=move, latent_mean=mean, latent_stdevs=stdevs,
        spec=spec, source=source, named=tuple(named), **known,
    )  # fmt: skip
    components.check_arrays(found)
    return found
