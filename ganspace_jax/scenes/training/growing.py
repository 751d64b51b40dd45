"""Progressive growing: networks of twice the resolution that begin where trained ones ended (ProGAN, Karras et al. 2018).

ProGAN fades new layers in. Here they begin as the identity (Net2Net, Chen et al. 2016), so that nothing has to be faded: the
grown generator makes the old image, up-sampled; the grown discriminator judges the halved image as the old one did, but for
the order of averaging and activation. Under spectral norm no layer can be zero, and new layers begin near the identity only.
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
Network = TypeVar("Network", StyleGAN2, Discriminator)


def grow_generator(generator: StyleGAN2 | BigGANDeep, directory: str | os.PathLike[str]) -> StyleGAN2 | BigGANDeep:
    """A generator that begins with the weights of a checkpoint of its own or of half its resolution.

    Raises CheckpointError or InputError where the two do not fit.
    """
    if isinstance(generator, BigGANDeep):
        return _grow_biggan(generator, directory)

    def as_identity(block: Params) -> Params:
        return {**block, "torgb": _zeros(block["torgb"], ("weight", "bias"))}

    return _grow(generator, directory, lambda params: params["synthesis"], as_identity)


def _grow_biggan(generator: BigGANDeep, directory: str | os.PathLike[str]) -> BigGANDeep:
    """Blocks behind those of the checkpoint are new. Their shortcuts hand the old activations on, to the old ToRGB.

    What they add is not zero, as spectral norm leaves no zeros; it is a fraction of what they hand on.
    """
    config, found = generator.config, checkpoints.load_config(directory)
    trained_blocks = tuple(tuple(block) for block in found["blocks"])
    new_blocks = config.blocks[len(trained_blocks) :]
    if config.blocks[: len(trained_blocks)] != trained_blocks or any(i != o for _, i, o in new_blocks):
        raise InputError(
            f"--blocks: {directory} has {trained_blocks}; these have to come first, and what follows has to keep the width"
        )
    definition, state = nnx.split(generator)
    params = nnx.to_pure_dict(state)
    names = [generator.block_name(index) for index in range(len(trained_blocks), len(config.blocks))]
    begun = {name: params.pop(name) for name in names}
    trained = jax.tree.map(jnp.asarray, checkpoints.load_arrays(directory, params))
    return nnx.merge(definition, {**trained, **begun})


def grow_discriminator(discriminator: Discriminator, directory: str | os.PathLike[str]) -> Discriminator:
    """The same for a discriminator, whose new block has to be as wide at its end as at its beginning.

    With spectral norm the shortcut is the identity as well, but what the new block adds to it is not zero.
    """

    def as_identity(block: Params) -> Params:
        channels_in, channels_out = block["skip"]["weight"].shape[2:]
        if channels_in != channels_out:
            raise InputError(
                f"--discriminator_channels: a grown network begins with two equal numbers, these are "
                f"{channels_in} and {channels_out}"
            )
        if not discriminator.config.equalized:
            return {**block, "skip": {"weight": jnp.eye(channels_in)[None, None]}}
        # The block scales its sum by sqrt(1/2), and the convolution its weight by 1 / sqrt(channels).
        identity = math.sqrt(2 * channels_in) * jnp.eye(channels_in)[None, None]
        return {**block, "conv1": _zeros(block["conv1"], ("weight",)), "skip": {"weight": identity}}

    return _grow(discriminator, directory, lambda params: params, as_identity)


def _grow(
    network: Network,
    directory: str | os.PathLike[str],
    blocks_of: Callable[[Params], Params],
    as_identity: Callable[[Params], Params],
) -> Network:
    definition, state = nnx.split(network)
    params = nnx.to_pure_dict(state)
    blocks, newest = blocks_of(params), f"b{4 * 2 ** (len(network.config.channels) - 1)}"
    found, wanted = len(checkpoints.load_config(directory)["channels"]), len(network.config.channels)
    if found not in (wanted, wanted - 1):
        raise InputError(
            f"{directory}: has {4 * 2 ** (found - 1)} pixels; to grow to {4 * 2 ** (wanted - 1)}, "
            f"{4 * 2 ** (wanted - 2)} or the same are wanted"
        )
    begun = as_identity(blocks.pop(newest)) if found < wanted else None
    trained = jax.tree.map(jnp.asarray, checkpoints.load_arrays(directory, params))
    if begun is not None:
        blocks_of(trained)[newest] = begun
    return nnx.merge(definition, trained)


def _zeros(layer: Params, names: tuple[str, ...]) -> Params:
    return {**layer, **{name: jnp.zeros_like(layer[name]) for name in names}}
