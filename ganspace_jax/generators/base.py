"""The contract that every paper's network fulfils, and the Generator that a user holds.

A network is a flax.nnx module. It is built once and does not change after loading. It
holds arrays and a frozen configuration; keys, noise, labels and offsets are arguments.
A Generator is the network in two parts: a hashable definition and a dict of arrays.
Because jit receives the dict and not the module, a call takes a third of the time to
dispatch.
"""

import functools
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import nnx

from ganspace_jax.shapes import Array, Float, Key

Noise = str | None | Key[Array, "n"]
Activations = dict[str, Array]
Prior = Literal["normal", "truncated_normal"]
MAPPED_LATENT = "w"  # name of the mapped latent, both as a layer and as a latent space


@runtime_checkable
class Network(Protocol):
    """A paper's generator network.

    Attributes:
        config: frozen dataclass from which alone the network can be rebuilt.
        prior: distribution of z.
        has_mapping: whether a mapping network makes a latent w from z.
        default_layer: layer that is decomposed if the user names none.
    """

    config: Any
    prior: Prior
    has_mapping: bool
    default_layer: str

    @property
    def z_dim(self) -> int: ...

    @property
    def num_classes(self) -> int: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def latent_shape(self) -> tuple[int, int]: ...

    def map_latents(self, z: Float[Array, "n z"], label: Float[Array, "n classes"] | None = None) -> Array:
        """Returns the per-layer latents [n, layers, latent_dim] of z and a one-hot
        label, not truncated.
        """
        ...

    def __call__(
        self,
        latents: Float[Array, "n layers d"],
        *,
        label: Float[Array, "n classes"] | None = None,
        offsets: Mapping[str, Array] | None = None,
        noise: Noise = "const",
        truncation_psi: float | Array = 1.0,
        truncation_cutoff: int | Array | None = None,
    ) -> tuple[Float[Array, "n height width c"], Activations]:
        """Returns the images of per-layer latents, and the activations by name.

        Truncation happens here, after all edits of the latents, as in the published
        tools.

        Args:
            latents: per-layer latents.
            label: class weights, for a conditional network.
            offsets: arrays that are added at the activations of these names.
            noise: "const" for the checkpoint's noise images, None for no noise, or one
                key per sample for random noise.
            truncation_psi: truncation as defined by the paper. It pulls latents towards
                the mean latent, or selects batch norm statistics.
            truncation_cutoff: number of layers, from the first, that are truncated;
                None for all layers.
        """
        ...


class Configured:
    """The properties of a conditional network that its configuration holds."""

    config: Any

    @property
    def z_dim(self) -> int:
        """Size of z."""
        return self.config.z_dim

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 for an unconditional network."""
        return self.config.num_classes

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; empty if they are unknown."""
        return self.config.class_names


class Recorder:
    """A record of the activations of one forward pass, by name. It also adds offsets to
    them.
    """

    def __init__(self, offsets: Mapping[str, Array] | None = None):
        self.offsets = dict(offsets or {})
        self.activations: Activations = {}

    def __call__(self, name: str, x: Array) -> Array:
        """Adds the offset of this name, if there is one, stores the sum and
        returns it.
        """
        if name in self.offsets:
            x = x + self.offsets[name].astype(x.dtype)
        self.activations[name] = x
        return x

    def finish(self) -> Activations:
        """Returns the activations. Raises ValueError if an offset's name has not
        occurred.
        """
        unknown = sorted(set(self.offsets) - set(self.activations))
        if unknown:
            raise ValueError(f"offsets: no activation named {unknown[0]!r}; there are {', '.join(self.activations)}")
        return self.activations


def layer_noise(noise: Noise, layer: int) -> Noise:
    """Returns the noise argument of one layer. Random keys differ from
    layer to layer.
    """
    if noise is None or isinstance(noise, str):
        return noise
    return jax.vmap(lambda key: jax.random.fold_in(key, layer))(noise)


class Generator(NamedTuple):
    """A generator as a user holds it: `gs.load` returns one. It can be passed to jit in
    two parts.

    Attributes:
        definition: hashable structure and configuration; static under jit.
        params: nested dict of all arrays.
    """

    definition: nnx.GraphDef
    params: dict[str, Any]

    def merge(self) -> Network:
        """Returns the network. This is cheap, also inside a jitted function."""
        return merge(self.definition, self.params)

    @property
    def config(self) -> Any:
        """Configuration of the network."""
        return self.merge().config

    @property
    def z_dim(self) -> int:
        """Size of z."""
        return self.merge().z_dim

    @property
    def prior(self) -> Prior:
        """Distribution of z."""
        return self.merge().prior

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 for an unconditional generator."""
        return self.merge().num_classes

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; empty if they are unknown."""
        return self.merge().class_names

    @property
    def has_mapping(self) -> bool:
        """Whether the generator has a latent w beside z."""
        return self.merge().has_mapping

    @property
    def default_layer(self) -> str:
        """Layer that is decomposed if the user names none."""
        return self.merge().default_layer

    @property
    def latent_shape(self) -> tuple[int, int]:
        """(layers, latent_dim) of the per-layer latents."""
        return self.merge().latent_shape

    @property
    def resolution(self) -> int:
        """Side of the images, in pixels; the longer one if they are not square."""
        return self.config.resolution

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the images, in pixels."""
        config = self.config
        return getattr(config, "image_size", (config.resolution, config.resolution))

    @property
    def latent_space(self) -> Literal["w", "z"]:
        """Latent space that edits move: w with a mapping network, else z."""
        return MAPPED_LATENT if self.has_mapping else "z"

    @property
    def latent_size(self) -> int:
        """Size of a latent in the space that edits move; each layer may hold only a
        chunk of it.
        """
        return self.latent_shape[1] if self.has_mapping else self.z_dim

    @property
    def mean_latent(self) -> Float[Array, "d"] | None:
        """Mean of w as the checkpoint stores it; None without a mapping network."""
        return jnp.asarray(self.params["mapping"]["w_avg"]) if self.has_mapping else None


def split(network: Network) -> Generator:
    """Returns the Generator of a network."""
    definition, state = nnx.split(network)
    return Generator(definition, nnx.to_pure_dict(state))


def merge(definition: nnx.GraphDef, params: dict[str, Any]) -> Network:
    """Returns the network of a definition and a nested dict of arrays."""
    return nnx.merge(definition, params)


def activation_shapes(generator: Generator) -> dict[str, tuple[int, ...]]:
    """Returns the shape of one sample of each activation, in the order of the forward
    pass.

    Nothing is computed.
    """
    leaves, structure = jax.tree.flatten(generator.params)
    arrays = tuple((leaf.shape, leaf.dtype) for leaf in leaves)
    return dict(_activation_shapes(generator.definition, structure, arrays))


@functools.lru_cache(maxsize=32)  # tracing a network takes a third of a second
def _activation_shapes(
    definition: nnx.GraphDef, structure: Any, arrays: tuple[tuple[tuple[int, ...], Any], ...]
) -> dict[str, tuple[int, ...]]:
    params = jax.tree.unflatten(structure, [jax.ShapeDtypeStruct(*array) for array in arrays])
    network = Generator(definition, params).merge()
    latents = jax.ShapeDtypeStruct((1, *network.latent_shape), jnp.float32)
    label = jax.ShapeDtypeStruct((1, network.num_classes), jnp.float32) if network.num_classes else None
    names: list[str] = []

    def list_activations(params, latents, label):
        activations = merge(definition, params)(latents, label=label)[1]
        names.extend(activations)  # eval_shape sorts the keys of a dict, so return a list
        return list(activations.values())

    shapes = jax.eval_shape(list_activations, params, latents, label)
    return {name: tuple(shape.shape[1:]) for name, shape in zip(names, shapes, strict=True)}


def image_shape(generator: Generator) -> tuple[int, int, int]:
    """Returns height, width and channels of the images. Nothing is computed."""
    latents = jax.ShapeDtypeStruct((1, *generator.latent_shape), jnp.float32)
    label = jax.ShapeDtypeStruct((1, generator.num_classes), jnp.float32) if generator.num_classes else None

    def make(params, latents, label):
        return merge(generator.definition, params)(latents, label=label)[0]

    _, height, width, channels = jax.eval_shape(make, generator.params, latents, label).shape
    return height, width, channels
