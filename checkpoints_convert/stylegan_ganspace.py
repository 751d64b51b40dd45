"""StyleGAN as GANSpace's converter writes it for its PyTorch port: a state dict -> ours.

These files have neither noise images nor a mean w, for the port draws the first and does not truncate. Both are made here,
always the same: noise images from a fixed seed, and the mean w over 10,000 z.
"""

import dataclasses
import functools
import re
from collections.abc import Mapping

import numpy as np

from checkpoints_convert import assembly, stylegan_tensorflow
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan


def configuration(state: Mapping[str, np.ndarray]) -> stylegan.Config:
    """From the arrays alone: the port knows one way of everything else. Raises InputError."""
    shape_of = functools.partial(assembly.shape_of, state)
    channels = [shape_of("g_synthesis.blocks.4x4.const", 4)[1]]
    while (name := f"g_synthesis.blocks.{(side := 4 * 2 ** len(channels))}x{side}.conv1.bias") in state:
        channels.append(shape_of(name, 1)[0])
    depth = 0
    while f"g_mapping.dense{depth}.weight" in state:
        depth += 1
    first, z_dim = shape_of("g_mapping.dense0.weight", 2)
    return stylegan.Config(
        z_dim=z_dim,
        w_dim=shape_of(f"g_mapping.dense{depth - 1}.weight", 2)[0],
        channels=tuple(channels),
        image_channels=shape_of("g_synthesis.torgb.weight", 4)[0],
        mapping_layers=depth,
        mapping_width=first if depth > 1 else None,
        blur_filter=_blur_filter(state),
    )


def convert(state: Mapping[str, np.ndarray], *, epsilon: float = 1e-8) -> base.Generator:
    """The generator of a state dict; raises InputError for parameters that are missing, left over or of another shape.

    epsilon: of the instance norm. 1e-8 is what the weights were trained with; GANSpace's own pictures have 1e-5.
    """
    tensors = assembly.Tensors(state)
    config = dataclasses.replace(configuration(state), epsilon=epsilon)
    noise = np.random.default_rng(0)

    def fetch(name: str) -> np.ndarray:
        if name == "mapping.w_avg":
            return np.zeros(config.w_dim, np.float32)  # until there is a mapping to ask
        if match := re.fullmatch(r"synthesis\.b(\d+)\.epi[12]\.noise_const", name):
            return noise.standard_normal((int(match[1]), int(match[1])), np.float32)
        array = tensors.take(_their_name(name))
        if name.endswith(".const"):
            return np.moveaxis(array[0], 0, -1)
        if array.ndim == 2:
            return array.T
        if array.ndim == 4:
            kernel = assembly.convolution(array)
            match = re.fullmatch(r"synthesis\.b(\d+)\.conv0_up\.weight", name)
            return kernel if match is None else stylegan_tensorflow.turn_where_fused(kernel, int(match[1]), config)
        return array

    generator = assembly.assemble("stylegan", config, fetch)
    tensors.finish(ignored=lambda name: name.endswith(".intermediate.kernel"))  # the blur, read above
    generator.params["mapping"]["w_avg"] = assembly.mean_latent(generator)
    return generator


def _their_name(name: str) -> str:
    """synthesis.b8.epi1.style.weight -> g_synthesis.blocks.8x8.epi1.style_mod.lin.weight, and so on."""
    name = re.sub(r"^synthesis\.b(\d+)\.", r"synthesis.blocks.\1x\1.", name)
    name = name.replace(".style.", ".style_mod.lin.").replace(".noise_weight", ".top_epi.noise.weight")
    return f"g_{name}"


def _blur_filter(state: Mapping[str, np.ndarray]) -> tuple[float, ...]:
    """The taps of the stored 3x3 kernels, which are their outer product; the paper's where none is stored."""
    kernels = [array for name, array in state.items() if name.endswith("conv0_up.intermediate.kernel")]
    if not kernels:
        return stylegan.Config.blur_filter
    rows = kernels[0][0, 0].sum(1, dtype=np.float64)
    product = np.outer(rows, rows) / rows.sum()
    if any(not np.allclose(kernel[0, 0], product, rtol=1e-5, atol=1e-7) for kernel in kernels):
        raise InputError("parameters conv0_up.intermediate.kernel: not one separable blur")
    return tuple(float(tap) for tap in np.round(rows / rows.min(), 4))
