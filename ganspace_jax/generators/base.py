"""The generator contract, and the jitted calls that go through it.

A generator is a flax.nnx module, built once and not changed after loading. It holds arrays and a frozen configuration; keys,
noise, labels and offsets are arguments. Hot loops do not pass the module itself: `split` makes a hashable definition and a
plain dict of arrays, and jit works on the dict: a third of the time to dispatch a call.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import nnx

from ganspace_jax.generators import chunks
from ganspace_jax.shapes import Array, Float, Key

Noise = str | None | Key[Array, "n"]
Activations = dict[str, Array]


@runtime_checkable
class Generator(Protocol):
    """What every paper's generator offers.

    config: frozen dataclass that alone rebuilds the module. latent_shape: (layers, latent_dim) of the per-layer latents.
    z_dim: size of z. prior: distribution of z, "normal" or "truncated_normal". has_mapping: whether there is a space w
    beside z. num_classes: 0 for an unconditional generator. class_names: of the labels, where they are known.
    """

    config: Any
    prior: Literal["normal", "truncated_normal"]
    has_mapping: bool

    @property
    def z_dim(self) -> int: ...

    @property
    def num_classes(self) -> int: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def latent_shape(self) -> tuple[int, int]: ...

    def map_latents(self, z: Float[Array, "n z"], label: Float[Array, "n classes"] | None = None) -> Array:
        """z (and a one-hot label) -> latents [batch, layers, latent_dim], before truncation."""
        ...

    def __call__(
        self,
        latents: Float[Array, "n layers d"],
        *,
        label: Float[Array, "n classes"] | None = None,
        offsets: Mapping[str, Array] | None = None,
        noise: Noise = "const",
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
    ) -> tuple[Float[Array, "n height width c"], Activations]:
        """latents -> (image, activations by name); `offsets` are added at the named activations.

        noise: "const" for the checkpoint's own images, None for none, or one key a sample for random noise. truncation: what
        the paper calls so, done here and so after all edits of the latents, as the published tools do: a pull towards the mean
        latent in the first `cutoff` layers, or a choice of batch norm statistics.
        """
        ...


class Configured:
    """The part of the contract that a conditional generator's config says."""

    config: Any

    @property
    def z_dim(self) -> int:
        """Size of z."""
        return self.config.z_dim

    @property
    def num_classes(self) -> int:
        """Classes of the label; 0 where there is none."""
        return self.config.num_classes

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, where they are known."""
        return self.config.class_names


class Recorder:
    """Collects activations by name as a forward pass makes them, and adds the offsets asked for."""

    def __init__(self, offsets: Mapping[str, Array] | None = None):
        self.offsets = dict(offsets or {})
        self.activations: Activations = {}

    def __call__(self, name: str, x: Array) -> Array:
        """Adds the offset of this name, if there is one, and remembers the result."""
        if name in self.offsets:
            x = x + self.offsets[name].astype(x.dtype)
        self.activations[name] = x
        return x

    def finish(self) -> Activations:
        """The activations; raises ValueError for an offset whose name never came."""
        unknown = sorted(set(self.offsets) - set(self.activations))
        if unknown:
            raise ValueError(f"offsets: no activation named {unknown[0]!r}; there are {', '.join(self.activations)}")
        return self.activations


def layer_noise(noise: Noise, layer: int) -> Noise:
    """Random noise differs from layer to layer; stored noise and none are the same argument for all."""
    if noise is None or isinstance(noise, str):
        return noise
    return jax.vmap(lambda key: jax.random.fold_in(key, layer))(noise)


def edited_space(generator: Generator) -> tuple[Literal["w", "z"], int]:
    """Where latent edits live, and its size: w where there is a mapping, else z, of which a layer may have a piece only."""
    return ("w", generator.latent_shape[1]) if generator.has_mapping else ("z", generator.z_dim)


class SplitGenerator(NamedTuple):
    """A generator as jit likes it: a hashable definition and a plain nested dict of arrays."""

    definition: nnx.GraphDef
    params: dict[str, Any]

    def merge(self) -> Generator:
        """The module again; cheap, and meant for use inside a jitted function."""
        return merge(self.definition, self.params)


def split(generator: Generator) -> SplitGenerator:
    """Takes the module apart; see SplitGenerator."""
    definition, state = nnx.split(generator)
    return SplitGenerator(definition, nnx.to_pure_dict(state))


def merge(definition: nnx.GraphDef, params: dict[str, Any]) -> Generator:
    """Puts a generator together from its definition and a plain dict of arrays."""
    return nnx.merge(definition, params)


@functools.partial(jax.jit, static_argnames=("definition", "noise_mode", "psi", "cutoff", "names"))
def _synthesize(definition, params, latents, label, offsets, noise_mode, noise_keys, psi, cutoff, names):
    generator, shapes = merge(definition, params), activation_shapes(SplitGenerator(definition, params))
    whole = lambda name, x: jnp.broadcast_to(x, (len(latents), *shapes[name])) if name in shapes else x  # noqa: E731
    offsets = {name: whole(name, offset) for name, offset in offsets.items()}

    def run(batch):
        latents, label, offsets, keys = batch
        noise = keys if noise_mode == "random" else (None if noise_mode == "none" else "const")
        settings = {"noise": noise, "truncation_psi": psi, "truncation_cutoff": cutoff}
        image, activations = generator(latents, label=label, offsets=offsets, **settings)
        return image, {name: activations[name] for name in names}

    # A batch that is spread over several of a CPU's devices is not to be taken apart in another way.
    largest = _largest(shapes) if jax.local_device_count("cpu") == 1 else 0
    return chunks.in_pieces(run, (latents, label, offsets, noise_keys), largest)


def synthesize_with_activations(
    generator: SplitGenerator, latents: Float[Array, "n layers d"], names: Sequence[str], **settings: Any
) -> tuple[Float[Array, "n height width c"], Activations]:
    """Images of latents and the named activations, jitted; settings as those of the generator's call.

    Compiles once for each set of names, offsets and shapes.
    """
    return _synthesize(*_arguments(generator, latents, names, **settings))


def compile_synthesis(
    generator: SplitGenerator, latents: jax.ShapeDtypeStruct, names: Sequence[str], **settings: Any
) -> jax.stages.Compiled:
    """The program of synthesize_with_activations, compiled ahead of time from shapes, for devices that need not be there."""
    return _synthesize.lower(*_arguments(generator, latents, names, **settings)).compile()


def _arguments(
    generator: SplitGenerator,
    latents: Any,
    names: Sequence[str],
    *,
    label: Any = None,
    offsets: Mapping[str, Any] | None = None,
    noise: Any = "const",
    truncation_psi: float = 1.0,
    truncation_cutoff: int | None = None,
) -> tuple[Any, ...]:
    mode = "none" if noise is None else ("const" if isinstance(noise, str) else "random")
    keys = noise if mode == "random" else None
    return (
        generator.definition, generator.params, latents, label, dict(offsets or {}),
        mode, keys, float(truncation_psi), truncation_cutoff, tuple(names),
    )  # fmt: skip


def synthesize(generator: SplitGenerator, latents: Float[Array, "n layers d"], **settings: Any) -> Array:
    """Images [n, height, width, c] of latents; settings as in synthesize_with_activations."""
    return synthesize_with_activations(generator, latents, (), **settings)[0]


@functools.partial(jax.jit, static_argnames=("definition",))
def _map_latents(definition, params, z, label):
    return merge(definition, params).map_latents(z, label)


def map_latents(generator: SplitGenerator, z: Float[Array, "n z"], label: Array | None = None) -> Array:
    """Per-layer latents of z, jitted."""
    return _map_latents(generator.definition, generator.params, z, label)


@functools.partial(jax.jit, static_argnames=("definition", "name", "psi", "cutoff"))
def _activation(definition, params, latents, label, name, psi, cutoff):
    generator = merge(definition, params)
    return generator(latents, label=label, truncation_psi=psi, truncation_cutoff=cutoff)[1][name]


def activation(
    generator: SplitGenerator,
    latents: Float[Array, "n layers d"],
    name: str,
    *,
    label: Array | None = None,
    truncation_psi: float = 1.0,
    truncation_cutoff: int | None = None,
) -> Array:
    """One named activation, jitted: XLA drops every layer that it does not depend on."""
    return _activation(
        generator.definition, generator.params, latents, label, name, float(truncation_psi), truncation_cutoff
    )


def largest_activation(generator: SplitGenerator, last: str) -> int:
    """Bytes in float32 of the largest activation [height, width, c] of a sample, up to the one named `last`; 0 for none."""
    shapes = activation_shapes(generator)
    names = list(shapes)
    return _largest({name: shapes[name] for name in names[: names.index(last) + 1]})


def _largest(shapes: dict[str, tuple[int, ...]]) -> int:
    return max((4 * math.prod(shape) for shape in shapes.values() if len(shape) == 3), default=0)


def activation_shapes(generator: SplitGenerator) -> dict[str, tuple[int, ...]]:
    """Names of the activations in the order of the forward pass, with the shape of one sample. Nothing is computed."""
    module = generator.merge()
    latents = jax.ShapeDtypeStruct((1, *module.latent_shape), jnp.float32)
    label = jax.ShapeDtypeStruct((1, module.num_classes), jnp.float32) if module.num_classes else None
    run = lambda params, x, y: list(merge(generator.definition, params)(x, label=y)[1].items())  # noqa: E731
    names: list[str] = []

    def traced(params, x, y):
        pairs = run(params, x, y)
        names.extend(name for name, _ in pairs)
        return [value for _, value in pairs]

    shapes = jax.eval_shape(traced, generator.params, latents, label)
    return {name: tuple(s.shape[1:]) for name, s in zip(names, shapes, strict=True)}
