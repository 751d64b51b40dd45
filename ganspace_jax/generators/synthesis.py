"""The jitted calls of a generator: z to latents, and latents to images and
activations.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, chunks
from ganspace_jax.generators.base import Activations, Generator
from ganspace_jax.shapes import Array, Float, Key

MAX_PSI = 100.0  # beyond this a truncation is a mistake: latents leave all that the networks were trained on

NUM_SEEDS = 2**32  # JAX ignores the higher bits of a seed, so larger seeds would repeat these

# A ShapeDtypeStruct stands for weights when a program is compiled from shapes.
Label = int | Float[Array | np.ndarray | jax.ShapeDtypeStruct, "n classes"] | None
Noise = Literal["const", "none"] | int | Key[Array, "n"]


@dataclasses.dataclass(frozen=True)
class Synthesis:
    """How images are made of latents. Every function that makes images takes one.

    Attributes:
        label: class index, or weights [n, classes] of each image; None without classes.
        truncation_psi: truncation as defined by the network's paper; 1: none.
        truncation_cutoff: number of truncated layers, from the first; None: all layers.
        noise: "const" for the checkpoint's noise images, "none", the seed of random
            noise, or one key per image.
    """

    label: Label = None
    truncation_psi: float = 1.0
    truncation_cutoff: int | None = None
    noise: Noise | None = "const"


def seeded_key(seed: int, flag: str = "seed") -> Key[Array, ""]:
    """Returns the key of a seed.

    Args:
        seed: whole number from 0 to 2^32 - 1.
        flag: name of the seed in the message.

    Raises:
        InputError: if the seed is out of range.
    """
    if not 0 <= seed < NUM_SEEDS:
        raise InputError(f"--{flag}={seed}: must be from 0 to {NUM_SEEDS - 1}")
    return jax.random.key(seed)


def check(generator: Generator, synthesis: Synthesis) -> None:
    """Raises InputError for a label or a truncation that this generator does not have.

    With a mean latent psi may be any number up to MAX_PSI. With batch norm statistics
    per truncation, psi must be above 0 and at most 1.
    """
    network, psi, cutoff = generator.merge(), synthesis.truncation_psi, synthesis.truncation_cutoff
    if cutoff is not None and not network.has_mapping:
        raise InputError(f"--truncation_cutoff={cutoff}: this generator has no mean latent; leave the flag out")
    if cutoff is not None and cutoff < 0:
        raise InputError(f"--truncation_cutoff={cutoff}: must be a number of layers, at least 0")
    if not abs(psi) <= MAX_PSI:
        raise InputError(f"--truncation_psi={psi}: must be a number from {-MAX_PSI:g} to {MAX_PSI:g}")
    if network.prior == "truncated_normal" and not 0.0 < psi <= 1.0:
        raise InputError(f"--truncation_psi={psi}: must be above 0 and at most 1 for this generator")
    if network.prior == "normal" and not network.has_mapping and psi != 1.0:
        raise InputError(f"--truncation_psi={psi}: this generator has no truncation; leave the flag out")
    if isinstance(synthesis.label, int) and not 0 <= synthesis.label < network.num_classes:
        raise InputError(f"--label={synthesis.label}: this generator has {network.num_classes or 'no'} classes")


def with_cutoff(generator: Generator, synthesis: Synthesis) -> Synthesis:
    """Returns settings that name the number of truncated layers, if the generator
    truncates by layer.

    A missing cutoff would be another program than a cutoff. So one program is enough.
    """
    if synthesis.truncation_cutoff is not None or not generator.has_mapping:
        return synthesis
    return dataclasses.replace(synthesis, truncation_cutoff=generator.latent_shape[0])


@functools.partial(jax.jit, static_argnames=("definition",))
def _map_latents(definition, params, z, label):
    return base.merge(definition, params).map_latents(z, label)


def map_latents(generator: Generator, z: Float[Array, "n z"], label: Label = None) -> Float[Array, "n layers d"]:
    """Returns the per-layer latents of z, jitted."""
    return _map_latents(generator.definition, generator.params, z, _weights(generator, label, len(z)))


@functools.partial(jax.jit, static_argnames=("definition", "noise_mode", "names"))
def _synthesize(definition, params, inputs, truncation, noise_mode, names):
    """Returns images and the named activations.

    inputs: (latents, label, offsets, noise keys), of which offsets may be one for all
    images. truncation: (psi, cutoff), both traced, so that a slider does not compile.
    """
    generator = Generator(definition, params)
    network, shapes = generator.merge(), base.activation_shapes(generator)
    latents, label, offsets, keys = inputs
    offsets = {
        name: jnp.broadcast_to(offset, (len(latents), *shapes[name])) if name in shapes else offset
        for name, offset in offsets.items()
    }

    def run(batch):
        latents, label, offsets, keys = batch
        noise = {"const": "const", "none": None, "random": keys}[noise_mode]
        psi, cutoff = truncation
        image, activations = network(
            latents, label=label, offsets=offsets, noise=noise, truncation_psi=psi, truncation_cutoff=cutoff
        )
        return image, {name: activations[name] for name in names}

    # A batch that is split over several CPU devices must not be cut in another way.
    largest = chunks.largest_activation(generator) if jax.local_device_count("cpu") == 1 else 0
    return chunks.in_chunks(run, (latents, label, offsets, keys), largest)


def synthesize(
    generator: Generator,
    latents: Float[Array, "n layers d"],
    synthesis: Synthesis = Synthesis(),
    *,
    offsets: Mapping[str, Array] | None = None,
    **settings: Any,
) -> Float[Array, "n height width c"]:
    """Returns images of latents: about [-1, 1], not clipped.

    Args:
        generator: the generator.
        latents: per-layer latents.
        synthesis: label, truncation and noise.
        offsets: arrays that are added at the activations of these names.
        **settings: fields that replace those of `synthesis`, such as label=3.
    """
    return synthesize_with_activations(generator, latents, (), synthesis, offsets=offsets, **settings)[0]


def synthesize_with_activations(
    generator: Generator,
    latents: Float[Array, "n layers d"],
    names: Sequence[str],
    synthesis: Synthesis = Synthesis(),
    *,
    offsets: Mapping[str, Array] | None = None,
    **settings: Any,
) -> tuple[Float[Array, "n height width c"], Activations]:
    """Returns images of latents, and the named activations; arguments as in
    `synthesize`.

    One program is compiled for each set of names, offsets and shapes.
    """
    synthesis = dataclasses.replace(synthesis, **settings)
    return _synthesize(*_arguments(generator, latents, names, synthesis, offsets))


def compile_synthesis(
    generator: Generator, latents: jax.ShapeDtypeStruct, names: Sequence[str], synthesis: Synthesis
) -> jax.stages.Compiled:
    """Returns the program of synthesize_with_activations, compiled from shapes.

    The devices of the program need not be present.
    """
    return _synthesize.lower(*_arguments(generator, latents, names, synthesis, None)).compile()


@functools.partial(jax.jit, static_argnames=("definition", "name"))
def _activation(definition, params, latents, label, truncation, name):
    psi, cutoff = truncation
    network = base.merge(definition, params)
    return network(latents, label=label, truncation_psi=psi, truncation_cutoff=cutoff)[1][name]


def activation(
    generator: Generator,
    latents: Float[Array, "n layers d"],
    name: str,
    synthesis: Synthesis = Synthesis(),
    **settings: Any,
) -> Array:
    """Returns one named activation; XLA removes every layer that it does
    not depend on.
    """
    synthesis = dataclasses.replace(synthesis, **settings)
    label = _weights(generator, synthesis.label, len(latents))
    return _activation(generator.definition, generator.params, latents, label, _truncation(synthesis), name)


def check_finite(images: np.ndarray, subject: str) -> None:
    """Raises InputError if an image contains NaN or infinity. subject: begin of the
    message.
    """
    damaged = int(np.sum(~np.isfinite(images).all(axis=tuple(range(1, images.ndim)))))
    if damaged:
        raise InputError(
            f"{subject}: {damaged} of {len(images)} images contain NaN or infinity; "
            f"use smaller steps, or check the checkpoint"
        )


def _arguments(
    generator: Generator, latents: Any, names: Sequence[str], synthesis: Synthesis, offsets: Mapping[str, Any] | None
) -> tuple[Any, ...]:
    mode, keys = _noise(synthesis.noise, latents.shape[0])
    label = _weights(generator, synthesis.label, latents.shape[0])
    inputs = (latents, label, dict(offsets or {}), keys)
    return generator.definition, generator.params, inputs, _truncation(synthesis), mode, tuple(names)


def _truncation(synthesis: Synthesis) -> tuple[Any, Any]:
    cutoff = synthesis.truncation_cutoff
    return np.float32(synthesis.truncation_psi), None if cutoff is None else np.int32(cutoff)


def _weights(generator: Generator, label: Any, num_images: int) -> Any:
    """Returns weights [n, classes] of a class index; other labels are returned as they
    are.
    """
    if not isinstance(label, int | np.integer):
        return label
    return jnp.tile(jax.nn.one_hot(label, generator.num_classes), (num_images, 1))


def _noise(noise: Any, num_images: int) -> tuple[str, Array | None]:
    """Returns ("const", None), ("none", None) or ("random", one key per image)."""
    if noise is None or isinstance(noise, str):
        return noise or "none", None
    if isinstance(noise, int):
        return "random", jax.random.split(seeded_key(noise, "noise_seed"), num_images)
    return "random", noise
