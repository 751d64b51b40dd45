"""Converts StyleGAN from GANSpace's converter for its PyTorch port: a state dict.

These files contain neither noise images nor a mean w. Because the port draws noise
images and does not truncate, it needs neither. The conversion creates both
reproducibly: noise images from a fixed seed, and the mean w over 10,000 z.

The port's instance norm is torch.nn.InstanceNorm2d with its default epsilon, 1e-5. The
TensorFlow code, which trained the weights, has 1e-8.
"""

import dataclasses
import functools
import re
from collections.abc import Mapping

import numpy as np

from checkpoints_convert import assembly, stylegan_tensorflow
from ganspace_jax.errors import InputError
from ganspace_jax.generators import base, stylegan

EPSILON = 1e-5  # of the port's instance norm
NOTE = (
    "the instance norm's epsilon is not in the file, taken as 1e-5 (GANSpace's code); the TensorFlow code that trained "
    "the published weights has 1e-8: --option=epsilon=1e-8"
)


def configuration(state: Mapping[str, np.ndarray]) -> stylegan.Config:
    """Returns the configuration that the arrays determine.

    The port has one fixed value of every other setting.

    Raises:
        InputError: A parameter is missing, or has the wrong number of axes.
    """
    shape_of = functools.partial(assembly.shape_of, state)
    channels = [shape_of("g_synthesis.blocks.4x4.const", 4)[1]]
    side = 8
    while (bias := f"g_synthesis.blocks.{side}x{side}.conv1.bias") in state:
        channels.append(shape_of(bias, 1)[0])
        side *= 2
    depth = 0
    while f"g_mapping.dense{depth}.weight" in state:
        depth += 1
    mapping_width, z_dim = shape_of("g_mapping.dense0.weight", 2)
    return stylegan.Config(
        z_dim=z_dim,
        w_dim=shape_of(f"g_mapping.dense{depth - 1}.weight", 2)[0],
        channels=tuple(channels),
        image_channels=shape_of("g_synthesis.torgb.weight", 4)[0],
        mapping_layers=depth,
        mapping_width=mapping_width if depth > 1 else None,
        blur_filter=_blur_filter(state),
    )


def convert(state: Mapping[str, np.ndarray], *, epsilon: float = EPSILON) -> base.Generator:
    """Returns the generator of a state dict.

    Args:
        state: State dict of the port.
        epsilon: Epsilon of the instance norm. GANSpace's own pictures have 1e-5. The
            weights were trained with 1e-8.

    Raises:
        InputError: A parameter is missing, unused, or has the wrong shape, or epsilon
            is not positive.
    """
    if not 0 < epsilon < 1:
        raise InputError(f"--option=epsilon={epsilon:g}: must be above 0 and below 1")
    tensors = assembly.Tensors(state)
    config = dataclasses.replace(configuration(state), epsilon=epsilon)
    random = np.random.default_rng(0)

    def fetch(name: str) -> np.ndarray:
        if name == "mapping.w_avg":
            # The mean is computed below, because it requires the mapping network.
            return np.zeros(config.w_dim, np.float32)
        if match := re.fullmatch(r"synthesis\.b(\d+)\.epi[12]\.noise_const", name):
            side = int(match[1])
            return random.standard_normal((side, side), np.float32)
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
    # These kernels are the blur, which the configuration contains.
    tensors.finish(ignored=lambda name: name.endswith(".intermediate.kernel"))
    generator.params["mapping"]["w_avg"] = assembly.mean_latent(generator)
    return generator


def _their_name(name: str) -> str:
    """Returns the port's name of one of our parameters.

    Example: synthesis.b8.epi1.style.weight ->
    g_synthesis.blocks.8x8.epi1.style_mod.lin.weight.
    """
    name = re.sub(r"^synthesis\.b(\d+)\.", r"synthesis.blocks.\1x\1.", name)
    name = name.replace(".style.", ".style_mod.lin.").replace(".noise_weight", ".top_epi.noise.weight")
    return f"g_{name}"


def _blur_filter(state: Mapping[str, np.ndarray]) -> tuple[float, ...]:
    """Returns the taps of the blur.

    The stored 3x3 kernels are the outer product of the taps with themselves. If the
    file contains no kernel, the taps are the paper's.

    Raises:
        InputError: The kernels differ, or they are no such outer product.
    """
    kernels = [array for name, array in state.items() if name.endswith("conv0_up.intermediate.kernel")]
    if not kernels:
        return stylegan.Config.blur_filter
    row_sums = kernels[0][0, 0].sum(1, dtype=np.float64)
    product = np.outer(row_sums, row_sums) / row_sums.sum()
    if any(not np.allclose(kernel[0, 0], product, rtol=1e-5, atol=1e-7) for kernel in kernels):
        raise InputError("parameters conv0_up.intermediate.kernel: not one separable blur")
    return tuple(float(tap) for tap in np.round(row_sums / row_sums.min(), 4))
