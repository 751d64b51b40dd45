"""SeFa: directions that the affine maps of the latent enlarge most, in closed form.

Shen and Zhou, "Closed-Form Factorization of Latent Semantics in GANs", CVPR 2021,
section 3: the directions are the leading eigenvectors of A^T A. The rows of A are the
weights of the affine maps that read the latent:

    StyleGANs    styles of the moved layers
    BigGANs      gains and biases of the moved blocks' batch norms, their part for z
    others       the first layer, and that of BigGANs if no batch norm reads the latent

No image is made. L L^T is the latent's covariance. The whitened directions are L q,
with the leading eigenvectors q of L^T A^T A L.
"""

import functools
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.directions.components import Components
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base
from ganspace_jax.generators.base import Generator
from ganspace_jax.generators.dcgan import DCGAN
from ganspace_jax.generators.progan import ProGAN
from ganspace_jax.methods import direction_spec
from ganspace_jax.methods.direction_spec import DirectionSpec
from ganspace_jax.run import Run
from ganspace_jax.shapes import Float
from ganspace_jax.statistics import quadratic_forms

# Activations that are affine in a latent.
_STYLES = re.compile(r".+\.(style|gain|bias|scale|offset)|input\.affine")
_FIRST_LAYERS = re.compile(r"linear|gen_z")


def find(generator: Generator, spec: DirectionSpec, run: Run = Run(), *, name: str = "") -> Components:
    """Finds the directions that the affine maps of the moved layers enlarge most.

    `variance_ratio` is the share of a direction in the maps' mean squared change.

    Args:
        generator: the generator.
        spec: resolved spec.
        run: not used.
        name: name of the generator in the components file.

    Raises:
        InputError: if no affine map reads the moved layers.
    """
    del run
    weights = affine_weights(generator, direction_spec.moved_range(spec, generator))
    if not len(weights):
        raise InputError(f"--moved_layers={spec.moved_layers}: no affine map reads these layers; choose others")
    if spec.unit_weights:
        weights = quadratic_forms.unit(weights)
    prior = direction_spec.latent_distribution(generator, spec)
    covariance = prior.covariance if spec.whitened else np.eye(weights.shape[1])
    found = quadratic_forms.leading(weights.T @ weights, covariance, spec.num_components)
    figures = {"variance_ratio": found.variances / max(found.total_variance, np.finfo(np.float32).tiny)}
    return direction_spec.of_latent(generator, spec, found.directions, prior, figures=figures, num_samples=0, name=name)


def affine_weights(generator: Generator, moved: tuple[int, int]) -> Float[np.ndarray, "o l"]:
    """Returns the weights A of the affine maps that read the moved layers, in float64.

    Maps of other layers have no rows.

    Args:
        generator: the generator.
        moved: layers [start, stop).
    """
    network = generator.merge()
    if isinstance(network, DCGAN | ProGAN):
        first = generator.params["main_0" if isinstance(network, DCGAN) else "layer1"]
        kernel = np.asarray(first["weight"], np.float64)[:, :, : generator.z_dim]  # without the label's part
        return kernel.transpose(0, 1, 3, 2).reshape(-1, generator.z_dim)
    rows = _rows(generator, moved, _STYLES)
    return rows if len(rows) else _rows(generator, moved, _FIRST_LAYERS)


def _rows(generator: Generator, moved: tuple[int, int], names: re.Pattern[str]) -> Float[np.ndarray, "o l"]:
    """Returns the weights of the activations with these names, without rows of 0."""
    columns = _columns(generator.definition, generator.params, moved, names)
    rows = [np.asarray(column, np.float64).T for column in columns]
    weights = np.concatenate([np.zeros((0, generator.latent_size)), *rows])
    return weights[np.abs(weights).max(1, initial=0.0) > 0]


@functools.partial(jax.jit, static_argnames=("definition", "moved", "names"))
def _columns(
    definition: Any, params: Any, moved: tuple[int, int], names: re.Pattern[str]
) -> list[Float[jax.Array, "l o"]]:
    """Returns, for each affine activation, its change for a unit step of each
    coordinate of the latent in the moved layers.

    The activations are affine, so derivatives at any point are their weights. Each
    product has one term that is not 0, so the weights are exact in float32.
    """
    network = base.merge(definition, params)
    size = network.latent_shape[1] if network.has_mapping else network.z_dim
    label = jnp.zeros((1, network.num_classes)) if network.num_classes else None
    layer = jnp.arange(network.latent_shape[0])
    is_moved = ((layer >= moved[0]) & (layer < moved[1]))[None, :, None]

    def activations(latent: Float[jax.Array, "l"]) -> list[jax.Array]:
        if network.has_mapping:
            by_layer = jnp.broadcast_to(latent, (1, *network.latent_shape))
        else:
            by_layer = network.map_latents(latent[None], label)
        found = network(by_layer * is_moved, label=label)[1]
        return [value[0] for name, value in found.items() if names.fullmatch(name)]

    start = jnp.zeros(size)
    return jax.vmap(lambda unit: jax.jvp(activations, (start,), (unit,))[1])(jnp.eye(size))
