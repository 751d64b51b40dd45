"""Progressive growing: networks begin with trained weights of half the resolution.

ProGAN (Karras et al. 2018) fades new layers in. Here new layers begin as the identity
(Net2Net, Chen et al. 2016), so a fade is not necessary. The grown generator makes the
old image, up-sampled. The grown discriminator gives the halved image the old logit,
except for the order of averaging and activation. Under spectral normalisation a layer
cannot be zero, so new layers begin only near the identity.
"""

import math
import os
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from ganspace_jax.errors import InputError
from ganspace_jax.files import checkpoints
from ganspace_jax.generators.biggan_deep import BigGANDeep
from ganspace_jax.generators.stylegan2 import StyleGAN2
from ganspace_jax.scenes.training.discriminator import Discriminator

Params = dict[str, Any]
Trained = TypeVar("Trained", StyleGAN2, Discriminator)


def grow_generator(generator: StyleGAN2 | BigGANDeep, directory: str | os.PathLike[str]) -> StyleGAN2 | BigGANDeep:
    """Returns the generator with the weights of a trained checkpoint.

    Args:
        generator: freshly initialised generator.
        directory: checkpoint of the same or of half the resolution.

    Raises:
        CheckpointError: the checkpoint cannot be read, or its arrays do not fit.
        InputError: the checkpoint's resolution or blocks do not fit.
    """
    if isinstance(generator, BigGANDeep):
        return _grow_biggan(generator, directory)

    def as_identity(block: Params) -> Params:
        return {**block, "torgb": _zeros(block["torgb"], ("weight", "bias"))}

    return _grow(generator, directory, lambda params: params["synthesis"], as_identity)


def _grow_biggan(generator: BigGANDeep, directory: str | os.PathLike[str]) -> BigGANDeep:
    """Loads the checkpoint into the first blocks, and keeps the new blocks after them.

    The new blocks' shortcuts pass the old activations to the old ToRGB layer. Their
    residual branch is small but not zero, because spectral normalisation rules out zero
    weights.
    """
    config, found = generator.config, checkpoints.load_config(directory)
    trained_blocks = tuple(tuple(block) for block in found["blocks"])
    new_blocks = config.blocks[len(trained_blocks) :]
    if config.blocks[: len(trained_blocks)] != trained_blocks or any(i != o for _, i, o in new_blocks):
        raise InputError(
            f"--blocks: {directory} has {trained_blocks}; these have to come first, "
            "and each new block must keep the width"
        )
    definition, state = nnx.split(generator)
    params = nnx.to_pure_dict(state)
    names = [generator.block_name(index) for index in range(len(trained_blocks), len(config.blocks))]
    begun = {name: params.pop(name) for name in names}
    trained = jax.tree.map(jnp.asarray, checkpoints.load_arrays(directory, params))
    return nnx.merge(definition, {**trained, **begun})


def grow_discriminator(discriminator: Discriminator, directory: str | os.PathLike[str]) -> Discriminator:
    """Returns the discriminator with the weights of a trained checkpoint.

    A new block must have equal input and output channels. Under spectral normalisation
    its shortcut is the identity too, but its residual branch is not zero.

    Args:
        discriminator: freshly initialised discriminator.
        directory: checkpoint of the same or of half the resolution.

    Raises:
        CheckpointError: the checkpoint cannot be read, or its arrays do not fit.
        InputError: the checkpoint's resolution or the new block's channels do not fit.
    """

    def as_identity(block: Params) -> Params:
        channels_in, channels_out = block["skip"]["weight"].shape[2:]
        if channels_in != channels_out:
            raise InputError(
                f"--discriminator_channels: starts with {channels_in} and {channels_out}; "
                "a grown network requires two equal numbers first"
            )
        if not discriminator.config.equalized:
            return {**block, "skip": {"weight": jnp.eye(channels_in)[None, None]}}
        # The block scales its sum by sqrt(1/2), and the convolution its weight by
        # 1 / sqrt(channels).
        identity = math.sqrt(2 * channels_in) * jnp.eye(channels_in)[None, None]
        return {**block, "conv1": _zeros(block["conv1"], ("weight",)), "skip": {"weight": identity}}

    return _grow(discriminator, directory, lambda params: params, as_identity)


def _grow(
    network: Trained,
    directory: str | os.PathLike[str],
    blocks_of: Callable[[Params], Params],
    as_identity: Callable[[Params], Params],
) -> Trained:
    """Loads a checkpoint into a network. A new block starts as the identity.

    Args:
        blocks_of: function from the network's parameters to the blocks by name.
        as_identity: function that returns a block's parameters as the identity.
    """
    definition, state = nnx.split(network)
    params = nnx.to_pure_dict(state)
    blocks, newest = blocks_of(params), f"b{4 * 2 ** (len(network.config.channels) - 1)}"
    found, wanted = len(checkpoints.load_config(directory)["channels"]), len(network.config.channels)
    if found not in (wanted, wanted - 1):
        raise InputError(
            f"{directory}: has {4 * 2 ** (found - 1)} pixels; to grow to {4 * 2 ** (wanted - 1)}, "
            f"it must have {4 * 2 ** (wanted - 2)} or {4 * 2 ** (wanted - 1)}"
        )
    begun = as_identity(blocks.pop(newest)) if found < wanted else None
    trained = jax.tree.map(jnp.asarray, checkpoints.load_arrays(directory, params))
    if begun is not None:
        blocks_of(trained)[newest] = begun
    return nnx.merge(definition, trained)


def _zeros(layer: Params, names: tuple[str, ...]) -> Params:
    return {**layer, **{name: jnp.zeros_like(layer[name]) for name in names}}
